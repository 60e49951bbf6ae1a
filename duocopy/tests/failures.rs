//! Sources and destinations that fail: both processes end with the same code, and nothing is left.

use crate::util::*;
#[cfg(unix)]
use std::fs;
use std::fs::File;
#[cfg(unix)]
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Starts a pair whose Reader opens the source slowly, so that the Writer is there when that fails.
#[cfg(unix)]
fn slow_to_open(folder: &Folder, line: &str) -> [Process; 2] {
    // Each name of a path is opened by itself, and `strace` compares the names.
    let name = line.split([' ', '/']).next().unwrap();
    let slow = format!("-P {name} -e trace=openat -e inject=openat:delay_enter=1000000");
    pair(
        folder.duocopy(line).traced(&slow),
        folder.duocopy(line).traced("-f -e trace=open,openat,openat2,creat"),
    )
}

/// Sources that cannot be opened, and what is reported about each.
#[cfg(unix)]
const NO_SOURCES: [(&str, &str); 4] = [
    ("missing", "check the spelling"),
    ("folder", "name a file"),
    ("file/below", "Not a directory"),
    ("fifo", "name a regular file"),
];

#[cfg(unix)]
fn without_a_source() -> Folder {
    let folder = Folder::new();
    folder.make("folder");
    folder.write("file", "content");
    folder.make_fifo("fifo");
    folder
}

#[test(not_on_windows = "modes and devices; windows.rs tests what there is")]
fn a_source_that_cannot_be_opened_ends_both() {
    let folder = without_a_source();
    for (source, message) in NO_SOURCES {
        let line = &format!("{source} dst");
        let start = || folder.duocopy(line).start();
        both_fail(&folder, [start(), start()], 5, &[&folder.text(source), message]);
        assert!(!folder.is_there("dst"));
    }
    folder.write("unreadable", "content");
    folder.set_mode("unreadable", 0);
    let start = || folder.duocopy("unreadable dst").by_nobody().start();
    let texts = [&folder.text("unreadable"), "run as a user who may read it"];
    both_fail(&folder, [start(), start()], 5, &texts);
    assert!(!folder.is_there("dst"));
}

#[test(needs = [strace], not_on_windows = "its calls are watched by strace")]
fn a_source_that_cannot_be_opened_lets_the_writer_make_nothing() {
    let folder = without_a_source();
    for (source, message) in NO_SOURCES {
        let texts = [&folder.text(source), message];
        let [reader, writer] = slow_to_open(&folder, &format!("{source} dst"));
        reader.end().expect(5, &texts);
        until("the end of the Writer's trace", || writer.trace().contains("+++ exited").then_some(()));
        assert!(!writer.trace().contains(".part"), "the Writer made a file: {}", writer.trace());
        writer.end().expect(5, &texts).expect(5, &["the Reader failed"]);
        folder.assert_untouched(None);
    }
}

/// Copies 2 MiB slowly, changes the source after some blocks, and expects this message. The test needs `strace`.
fn changing_source(change: impl Fn(&Path), message: &str) {
    let folder = Folder::new();
    let source = folder.write("src", bytes(2 * MIB, 1));
    folder.write("dst", OLD);
    let line = &format!("{SMALL_BLOCKS} src dst");
    let slow = format!("-P {} -e trace=read -e inject=read:delay_enter=10000", source.display());
    let [reader, writer] = pair(folder.duocopy(line).traced(&slow), folder.duocopy(line));
    reader.has_called("read", 4);
    change(&source);
    let texts = [source.to_str().unwrap(), message, "copy again"];
    both_fail(&folder, [reader, writer], 5, &texts);
}

#[test(needs = [strace])]
fn a_source_that_shrinks_ends_both() {
    changing_source(
        |source| File::options().write(true).open(source).unwrap().set_len(MIB as u64).unwrap(),
        "shrank from 2097152 to 1048576 bytes",
    );
}

#[test(needs = [strace])]
fn a_source_that_grows_ends_both() {
    changing_source(
        |source| {
            File::options().write(true).open(source).unwrap().write_all_at(b"more", 2 * MIB as u64).unwrap();
        },
        "grew from 2097152 to 2097156 bytes",
    );
}

#[test(needs = [strace])]
fn a_source_that_is_written_to_ends_both() {
    changing_source(
        |source| File::options().write(true).open(source).unwrap().write_all_at(b"new", 0).unwrap(),
        "was written to",
    );
}

#[test(needs = [strace])]
fn a_source_that_never_stops_growing_ends_both() {
    let folder = Folder::new();
    let source = folder.write("src", bytes(256 * KIB, 1));
    let line = &format!("{SMALL_BLOCKS} src dst");
    let slow = format!("-P {} -e trace=read -e inject=read:delay_enter=5000", source.display());
    let [reader, writer] = pair(folder.duocopy(line).traced(&slow), folder.duocopy(line));
    reader.has_called("read", 1);
    let log = File::options().append(true).open(source).unwrap();
    let piece = bytes(128 * KIB, 2);
    // At most 64 MiB, so that the test ends even if the copy does not notice.
    let rounds = (0..512).take_while(|_| {
        std::io::Write::write_all(&mut &log, &piece).unwrap();
        pause(milliseconds(5));
        reader.ended().is_none()
    });
    let rounds = rounds.count();
    both_fail(&folder, [reader, writer], 5, &["grew from 262144"]);
    assert!(rounds < 100, "it continued to read for {rounds} rounds of 5 ms");
}

#[test]
fn a_destination_that_cannot_be_made_ends_both() {
    let folder = Folder::new();
    folder.write("src", "content");
    folder.write("file", "content");
    for (destination, message) in [
        ("missing/dst", "create its directory first"),
        ("missing/deep", "create its directory first"),
        ("file/dst", "a part of its path is a file"),
    ] {
        let line = &format!("src {destination}");
        let path = folder.text(destination.trim_end_matches('/'));
        both_fail(&folder, pair(folder.duocopy(line), folder.duocopy(line)), 6, &[&path, message]);
        assert!(!folder.is_there("missing"));
    }
}

/// Such a name is longer than what fits after the prefix of a temporary file.
#[test]
fn the_longest_name_of_a_file_is_possible() {
    let folder = Folder::with_source(KIB);
    let longest = &"n".repeat(255);
    folder.duocopy(&format!("cp src {longest}")).end().expect(0, &[]);
    folder.assert_same("src", longest);
}

#[test(not_on_windows = "Windows refuses such a name, but Wine does not")]
fn a_name_that_is_too_long_ends_both() {
    let folder = Folder::with_source(KIB);
    let long = "n".repeat(256);
    let line = &format!("src {long}");
    let texts = [folder.text(&long), "choose another name: it is too long".into()];
    both_fail(
        &folder,
        pair(folder.duocopy(line), folder.duocopy(line)),
        6,
        &texts.each_ref().map(String::as_str),
    );
}

#[test(not_on_windows = "modes")]
fn a_directory_without_write_permission_ends_both() {
    let folder = Folder::new();
    folder.write("src", "content");
    folder.make("closed");
    folder.write("closed/dst", OLD);
    folder.set_mode("closed", 0o555);
    folder.set_mode("closed/dst", 0o666);
    let start = || folder.duocopy("src closed/dst").by_nobody();
    for ended in end(pair(start(), start())) {
        ended.expect(6, &[&folder.text("closed/dst"), "run as a user who may write in its directory"]);
    }
    assert_eq!(folder.read("closed/dst"), OLD);
    folder.assert_nothing_left_in("closed");
    folder.set_mode("closed", 0o755);
}

#[test(needs = [own_mounts])]
fn a_full_disk_ends_both_before_the_copy_or_in_the_middle() {
    let folder = Folder::new();
    folder.write("src", bytes(3 * MIB, 1));
    // A source with a hole needs less space than its length, so nothing is reserved for it.
    let punched = File::create_new(folder.path("punched")).unwrap();
    punched.set_len(3 * MIB as u64).unwrap();
    punched.write_all_at(&bytes(2 * MIB, 1), 0).unwrap();
    folder.make("small");
    for (source, message) in [("src", "cannot reserve space"), ("punched", "cannot write")] {
        let script = format!(
            "mount -t tmpfs tmpfs /dev/shm
            mount -t tmpfs -o size=1m tmpfs small
            echo what was there before > small/dst
            \"$0\" -v --wait=10s {source} small/dst 2> first & first=$!
            \"$0\" -v --wait=10s {source} small/dst 2> second & second=$!
            wait $first && code=0 || code=$?
            wait $second && codes=\"$code 0\" || codes=\"$code $?\"
            echo $codes
            ls -A small
            cat small/dst"
        );
        let ended = folder.with_own_mounts(&script);
        assert_eq!(ended.output, "7 7\ndst\nwhat was there before\n", "{ended:?}");
        for file in ["first", "second"] {
            let messages = String::from_utf8(folder.read(file)).unwrap();
            for text in [&folder.text("small/dst"), message, "free some space there"] {
                assert!(messages.contains(text), "“{text}” is missing in: {messages}");
            }
        }
    }
}

#[test(not_on_windows = "there is no such limit")]
fn a_limit_on_the_size_of_files_is_an_error_and_not_a_death() {
    let folder = Folder::new();
    folder.write("src", bytes(3 * MIB, 1));
    folder.write("dst", OLD);
    // 1 MiB is enough for the shared memory of small blocks, but not for the copy.
    let limit = "ulimit -f 2048 || ulimit -f 1024";
    let start = || folder.duocopy(&format!("{SMALL_BLOCKS} src dst")).after(limit);
    both_fail(&folder, pair(start(), start()), 6, &[&folder.text("dst"), "ulimit -f"]);
    // This is too little even for the shared memory.
    let start = || folder.duocopy("--wait=10s src dst").after("ulimit -f 1").start();
    for ended in end([start(), start()]) {
        assert!(ended.code > 0, "{ended:?}");
    }
    folder.assert_untouched(Some(OLD));
}

#[test(not_on_windows = "links; windows.rs tests the rest")]
fn a_file_is_not_copied_onto_itself() {
    let folder = Folder::new();
    folder.write("src", OLD);
    folder.make("folder");
    fs::hard_link(folder.path("src"), folder.path("hard")).unwrap();
    symlink("src", folder.path("soft")).unwrap();
    symlink("../src", folder.path("folder/src")).unwrap();
    for line in ["src src", "src ./folder/../src", "src hard", "src soft", "soft src", "src folder", "src ."]
    {
        let processes = pair(folder.duocopy(line), folder.duocopy(line));
        for ended in end(processes) {
            ended.expect(12, &["source and destination are the same file", "name another destination"]);
        }
        folder.duocopy(&format!("cp {line}")).end().expect(12, &["the same file"]);
        assert_eq!(folder.read("src"), OLD);
        folder.assert_nothing_left();
    }
    assert_eq!(folder.path("src").metadata().unwrap().nlink(), 2);
}
