//! A destination that exists: -f, -n, -u, --backup, -T and -t, which `cp` has, too; and --dry-run.

use crate::util::*;
use std::fs::{self, FileTimes};
use std::time::{Duration, SystemTime};

fn prepared() -> Folder {
    Folder::with_source_and_destination(300 * KIB)
}

/// Runs a pair with this line.
fn copied(folder: &Folder, line: &str) -> [Ended; 2] {
    end(pair(folder.duocopy(line), folder.duocopy(line)))
}

/// Sets the modification time of a file, this long before a fixed moment.
fn age(folder: &Folder, name: &str, seconds: u64) {
    let file = fs::File::options().write(true).open(folder.path(name)).expect("it is there");
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 - seconds);
    file.set_times(FileTimes::new().set_modified(then)).expect("ours");
}

/// Lists all names but those of the test's own files.
fn names(folder: &Folder) -> Vec<String> {
    let entries = fs::read_dir(folder.path("")).expect("a folder").flatten();
    let names = entries.map(|entry| entry.file_name().into_string().expect("a readable name"));
    let mut names: Vec<_> = names.filter(|name| !name.starts_with("std") && name != "src").collect();
    names.sort();
    names
}

#[test]
fn an_existing_destination_stays_on_request() {
    for flag in ["-n", "--no-clobber", "--update=none"] {
        let folder = prepared();
        for ended in copied(&folder, &format!("{flag} src dst")) {
            ended.expect(0, &[&format!("skipped: {} exists", folder.text("dst"))]);
        }
        assert!(folder.read("dst") == OLD);
        // This is reported only with -v.
        let quiet = folder.duocopy(&format!("cp {flag} src dst")).end();
        assert_eq!((quiet.code, quiet.messages.as_str()), (0, ""));
        for ended in copied(&folder, &format!("{flag} src new")) {
            ended.expect(0, &["complete"]);
        }
        folder.assert_same("src", "new");
        assert_eq!(names(&folder), ["dst", "new"]);
    }
    let folder = prepared();
    for ended in copied(&folder, "--update=none-fail src dst") {
        ended.expect(12, &["the destination exists", "--update=all"]);
    }
    assert!(folder.read("dst") == OLD);
    for flag in ["-f", "--force", "--update=all"] {
        folder.write("dst", OLD);
        folder.duocopy(&format!("cp {flag} src dst")).end().expect(0, &[]);
        folder.assert_same("src", "dst");
    }
}

#[test]
fn only_an_older_destination_is_replaced_on_request() {
    for (source, destination, replaced) in [(10, 20, true), (20, 10, false), (10, 10, false)] {
        for flag in ["-u", "--update", "--update=older"] {
            let folder = prepared();
            age(&folder, "src", source);
            age(&folder, "dst", destination);
            for ended in copied(&folder, &format!("{flag} src dst")) {
                ended.expect(0, &[if replaced { "complete" } else { "skipped: " }]);
            }
            assert_eq!(folder.read("dst") != OLD, replaced, "{flag}: {source} s against {destination} s");
        }
    }
    let folder = prepared();
    folder.duocopy("cp -u src new").end().expect(0, &[]);
    folder.assert_same("src", "new");
}

/// A file system may be unable to store the whole time of the source.
#[cfg(target_os = "linux")]
#[test(needs = [fuse])]
fn times_that_a_file_system_cannot_store_count_as_equal() {
    let folder = prepared();
    let mounted = folder.mount("mounted", &[fuse::Fault::CoarseTimes]);
    let second = Duration::from_secs(1);
    let then = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 987_654_321);
    let set = |name: &str, time| {
        let file = fs::File::options().write(true).open(folder.path(name)).unwrap();
        file.set_times(FileTimes::new().set_modified(time).set_accessed(time)).unwrap();
    };
    folder.write("mounted/dst", OLD);
    set("mounted/dst", then);
    for (name, other) in [("src", "mounted/dst"), ("mounted/dst", "src")] {
        for (later, is_copied) in [(Duration::ZERO, false), (second, false), (2 * second, true)] {
            let old = folder.read(other);
            set(other, then);
            set(name, then + later);
            folder.duocopy(&format!("cp -u {name} {other}")).end().expect(0, &[]);
            assert_eq!(folder.read(other) != old, is_copied, "{name} is newer by {later:?}");
            folder.write("src", bytes(300 * KIB, 1));
            folder.write("mounted/dst", OLD);
        }
    }
    drop(mounted);
    // Elsewhere a nanosecond is enough.
    folder.write("dst", OLD);
    set("dst", then);
    set("src", then + Duration::from_nanos(100));
    folder.duocopy("cp -u src dst").end().expect(0, &[]);
    folder.assert_same("src", "dst");
}

#[test]
fn a_destination_that_appears_during_the_copy_stays() {
    let folder = Folder::new();
    folder.write("src", bytes(MIB, 1));
    let line = "--bwlimit=1M --partial -n src dst";
    let both = pair(folder.duocopy(line), folder.duocopy(line));
    until("the copy has begun", || folder.left_over("part"));
    folder.write("dst", OLD);
    for ended in end(both) {
        ended.expect(0, &["skipped: "]);
    }
    assert!(folder.read("dst") == OLD);
    assert_eq!(names(&folder), ["dst"]);
}

/// The Writer compares the times again before it renames.
#[test]
fn a_destination_that_becomes_newer_during_the_copy_stays() {
    let folder = Folder::new();
    folder.write("src", bytes(MIB, 1));
    age(&folder, "src", 10);
    folder.write("dst", OLD);
    age(&folder, "dst", 20);
    let line = "--bwlimit=1M -u src dst";
    let both = pair(folder.duocopy(line), folder.duocopy(line));
    until("the copy has begun", || folder.left_over("part"));
    folder.write("dst", "newer");
    for ended in end(both) {
        ended.expect(0, &["skipped: "]);
    }
    assert!(folder.read("dst") == b"newer");
    assert_eq!(names(&folder), ["dst"]);
}

/// Roles depend on the order of arrival, so both sides must agree.
#[test]
fn both_must_have_the_same_overwrite_policy() {
    for (first, second) in
        [("-n", ""), ("", "-n"), ("-u", "-n"), ("--backup", ""), ("--backup=simple", "--backup=t")]
    {
        let folder = prepared();
        let [one, two] = [first, second].map(|flags| format!("{flags} src dst"));
        for ended in end(pair(folder.duocopy(&one), folder.duocopy(&two))) {
            ended.expect(12, &["different --update, --no-clobber or --backup", "the same options"]);
        }
        assert!(folder.read("dst") == OLD);
    }
    let folder = prepared();
    // These options mean the same.
    for ended in end(pair(folder.duocopy("-n -u src dst"), folder.duocopy("--update=none src dst"))) {
        ended.expect(0, &["skipped: "]);
    }
}

#[test]
fn a_backup_replaces_neither_the_source_nor_a_directory() {
    for line in ["cp --backup=simple dst~ dst", "cp --backup dst~ dst"] {
        let folder = prepared();
        folder.write("dst~", "the source");
        folder.duocopy(line).end().expect(12, &["the backup dst~ would replace the source"]);
        folder.duocopy(&line.replace("cp", "cp --dry-run")).end().expect(12, &["would replace the source"]);
        assert_eq!((folder.read("dst~"), folder.read("dst")), (b"the source".to_vec(), OLD.to_vec()));
        folder.duocopy("cp --backup=numbered dst~ dst").end().expect(0, &[]);
        assert_eq!((folder.read("dst~"), folder.read("dst.~1~")), (b"the source".to_vec(), OLD.to_vec()));
    }
    let folder = prepared();
    folder.make("dst~");
    folder
        .duocopy("cp --backup=simple src dst")
        .end()
        .expect(12, &["the backup dst~ would replace", "not a regular file"]);
    assert!(folder.read("dst") == OLD);
    // The left-over of a backup that was killed between two steps may be a source; otherwise it is removed.
    folder.duocopy("cp src other").end().expect(0, &[]);
    let started =
        pair(folder.duocopy("--bwlimit=100K src other"), folder.duocopy("--bwlimit=100K src other"));
    let part = until("the temporary file", || folder.left_over("part"));
    drop(started);
    let left = part.with_extension("backup");
    fs::write(&left, "left").expect("ours");
    let left_name = left.file_name().and_then(|name| name.to_str()).expect("a readable name").to_owned();
    folder.duocopy(&format!("cp {left_name} other")).end().expect(12, &["rename the source first"]);
    assert_eq!(folder.read(&left_name), b"left");
    // A link to another file than the destination is not such a left-over.
    folder.duocopy("cp src other").end().expect(0, &[]);
    assert_eq!(folder.read(&left_name), b"left");
    fs::remove_file(&left).expect("ours");
    fs::hard_link(folder.path("other"), &left).expect("a file system with links");
    folder.duocopy("cp src other").end().expect(0, &[]);
    assert!(!left.exists());
}

/// Backups have the names that GNU `cp` gives, in order of the copies.
#[test]
fn backups_have_the_names_of_cp() {
    for (flags, expected) in [
        ("--backup=simple", &["dst", "dst~"][..]),
        ("--backup=never", &["dst", "dst~"]),
        ("--backup=numbered", &["dst", "dst.~1~", "dst.~2~", "dst.~3~"]),
        ("--backup=t", &["dst", "dst.~1~", "dst.~2~", "dst.~3~"]),
        ("--backup", &["dst", "dst~"]),
        ("--backup=existing", &["dst", "dst~"]),
        ("--backup=none", &["dst"]),
    ] {
        let folder = prepared();
        for round in 0..3 {
            folder.write("src", format!("copy {round}"));
            folder.duocopy(&format!("cp {flags} src dst")).end().expect(0, &[]);
        }
        assert_eq!(names(&folder), expected, "{flags}");
        assert_eq!(folder.read("dst"), b"copy 2");
        if let Some(last) = expected.last().filter(|last| last.ends_with('~')) {
            assert_eq!(folder.read(last), b"copy 1", "{flags}");
        }
        if expected.len() > 2 {
            assert_eq!((folder.read("dst.~1~"), folder.read("dst.~2~")), (OLD.to_vec(), b"copy 0".to_vec()));
        }
    }
    // A numbered backup exists.
    let folder = prepared();
    folder.write("dst.~7~", "x");
    folder.write("dst.~x~", "x");
    folder.duocopy("cp --backup src dst").end().expect(0, &[]);
    assert!(folder.read("dst.~8~") == OLD);
}

/// The name of a backup that is too long for the file system is shortened as by `cp`.
#[test(not_on_windows = "other limits; nothing is shortened there")]
fn long_names_of_backups_are_those_of_cp() {
    // Length of the name, the options, and which of its bytes and what ending the backup has.
    for (length, flags, kept, ending) in [
        (255, "--backup", 254, "~"),
        (255, "--backup=simple", 254, "~"),
        (254, "--backup", 254, "~"),
        (255, "--backup --suffix", 254, "~"),
        (252, "--backup --suffix", 252, "~"),
        (251, "--backup --suffix", 251, ".bak"),
        (255, "--backup=numbered", 254, "~"),
        (252, "--backup=numbered", 252, "~"),
        (251, "--backup=numbered", 251, ".~1~"),
    ] {
        let folder = Folder::new();
        folder.write("src", "new");
        let name = "n".repeat(length);
        folder.write(&name, OLD);
        let backup = format!("{}{ending}", &name[..kept]);
        let (flags, suffix) = match flags.strip_suffix(" --suffix") {
            Some(flags) => (flags, "export SIMPLE_BACKUP_SUFFIX=.bak"),
            None => (flags, "true"),
        };
        let copy = |flags: &str| folder.duocopy(&format!("cp {flags} src {name}")).after(suffix);
        copy(flags).end().expect(0, &[]);
        assert_eq!(
            (folder.read(&backup), folder.read(&name)),
            (OLD.to_vec(), b"new".to_vec()),
            "{length} {flags}"
        );
        folder.write("src", "newer");
        if flags == "--backup=numbered" && ending == "~" {
            // The number has no room, and a numbered backup never replaces another one.
            for more in ["--dry-run", ""] {
                let line = format!("{flags} {more}");
                copy(&line).end().expect(12, &["no room for a number", "--backup=simple"]);
            }
            assert_eq!((folder.read(&backup), folder.read(&name)), (OLD.to_vec(), b"new".to_vec()));
        } else {
            copy(flags).end().expect(0, &[]);
            assert_eq!(folder.read(&name), b"newer");
        }
        folder.assert_nothing_left();
    }
}

#[test(not_on_windows = "there is no `cp`")]
fn the_environment_selects_backups_as_for_cp() {
    for (surroundings, flags) in [
        ("export SIMPLE_BACKUP_SUFFIX=.old", "--backup"),
        ("export VERSION_CONTROL=numbered", "--backup"),
        ("export VERSION_CONTROL=numbered", "--backup=simple"),
        ("export VERSION_CONTROL=nonsense", "--backup"),
    ] {
        let (folder, like) = (prepared(), prepared());
        for round in 0..2 {
            for folder in [&folder, &like] {
                folder.write("src", format!("copy {round}"));
            }
            let nonsense = surroundings.contains("nonsense");
            let ended = folder.duocopy(&format!("cp {flags} src dst")).after(surroundings).end();
            ended.expect(
                if nonsense { 2 } else { 0 },
                &[if nonsense { "VERSION_CONTROL is `nonsense`" } else { "" }],
            );
            let cp = format!("{surroundings}; cp {flags} src dst || true");
            succeeds(std::process::Command::new("sh").args(["-c", &cp]).current_dir(like.path("")));
        }
        let with =
            |folder: &Folder| names(folder).iter().map(|name| (name.clone(), folder.read(name))).collect();
        let (ours, theirs): (Vec<_>, Vec<_>) = (with(&folder), with(&like));
        // An unknown value is an error for both.
        assert!(ours == theirs, "{surroundings} {flags}: {ours:?} {theirs:?}");
    }
}

#[test(needs = [strace], not_on_windows = "its calls are watched by strace")]
fn the_destination_exists_at_every_step_of_a_backup() {
    let folder = prepared();
    let trace = "-f -e trace=rename,renameat,renameat2,link,linkat,unlink,unlinkat";
    let line = "--backup=numbered src dst";
    let both = pair(folder.duocopy(line), folder.duocopy(line).traced(trace));
    until("the end of the copy", || both[1].ended());
    let trace = both[1].trace();
    let steps: Vec<_> = trace.lines().filter(|line| line.contains("\"dst")).collect();
    assert!(steps.len() == 2 && steps[0].contains("link") && steps[1].contains("rename"), "{trace}");
    complete(both);
}

#[test]
fn a_destination_is_a_file_or_a_directory_as_it_is_said() {
    let folder = prepared();
    folder.make("place");
    folder.duocopy("cp -T src place").end().expect(12, &["place", "the destination is a directory"]);
    folder
        .duocopy("cp -t nowhere src")
        .end()
        .expect(6, &["no such directory: ", "nowhere", "create it first"]);
    folder.duocopy("cp -t dst src").end().expect(6, &["not a directory: ", "dst", "without -t"]);
    for ended in copied(&folder, "-t place src") {
        ended.expect(0, &[]);
    }
    folder.assert_same("src", "place/src");
    for ended in copied(&folder, "--target-directory=place src a-name") {
        ended.expect(0, &["a-name"]);
    }
    folder.duocopy("cp -T src place/src").end().expect(0, &[]);
    folder.duocopy("cp -T src dst place").end().expect(2, &["-T takes one SRC"]);
    folder.duocopy("cp src").end().expect(2, &["<DST>"]);
}

#[test]
fn a_write_half_may_make_a_backup() {
    for (flags, kept) in [("-f", false), ("--backup", true), ("--force --backup=simple", true)] {
        let folder = prepared();
        let name = folder.text("");
        let reader = folder.duocopy("read src").word(&name).start();
        let writer = folder.duocopy(&format!("write {flags} dst")).word(&name).start();
        complete([reader, writer]);
        folder.assert_same("src", "dst");
        assert_eq!(folder.is_there("dst~"), kept, "{flags}");
    }
    // A Writer to which no Reader comes reports what it would refuse.
    let folder = prepared();
    folder.make("place");
    let names = ["dst", "nowhere/dst", "place"];
    let message = ["replace it with --force", "create its directory first", "the destination is a directory"];
    let waiting = names.map(|name| {
        folder
            .duocopy(&format!(
                "write --wait=3s {name} x-{name}-{}",
                folder.text("").replace(['/', '\\'], "-")
            ))
            .start()
    });
    for (writer, message) in waiting.into_iter().zip(message) {
        let ended = writer.end();
        ended.expect(10, &["it would be refused now: ", message]);
    }
    let folder = prepared();
    for (line, message) in [
        ("write -n dst x", "-n: `write` replaces nothing without --force"),
        ("write -u dst x", "-u: "),
        ("read -f src x", "-f: `read` writes nothing"),
        ("read --backup src x", "--backup: `read` writes nothing"),
        ("-n --backup src dst", "there is no backup"),
    ] {
        folder.duocopy(line).end().expect(2, &[message]);
    }
}

/// The Reader accepts "skipped" only if it was started with an option that allows it.
#[cfg(unix)]
#[test]
fn a_reader_without_the_option_does_not_accept_a_skipped_copy() {
    use blockpipe::{End, Pipe, Reason};
    let folder = prepared();
    let name = folder.text("a name");
    let reader = folder.duocopy("read src").word(&name).start();
    let pipe = Pipe::named(&name).tag(HALVES);
    let writer = pipe.join_as_consumer().map(End::Consumer).expect("a Reader comes");
    let End::Consumer(writer) = writer else { unreachable!() };
    let _ = writer.abort(&Reason::new(255, "what is there stays as it is"));
    reader.end().expect(1, &["the Writer failed"]);
}

#[test]
fn a_dry_run_reports_what_would_be_done_and_does_nothing() {
    let folder = prepared();
    folder.make("place");
    for (line, code, message) in [
        ("src dst", 0, "would read SRC (307200 bytes) and replace DST"),
        ("src new", 0, "would read SRC (307200 bytes) and create NEW"),
        ("--backup src dst", 0, "replace DST, and keep the old file under another name"),
        ("src place", 0, "create PLACE|src"),
        ("-n -v src dst", 0, "skipped: DST exists"),
        ("--update=none-fail src dst", 12, "the destination exists"),
        ("nothing dst", 5, "nothing"),
        ("src nowhere/dst", 6, "create its directory first"),
        ("src src", 12, "same file"),
        ("-T src place", 12, "the destination is a directory"),
    ] {
        let message = ["src", "dst", "new", "place"].iter().fold(message.to_owned(), |message, name| {
            message.replace(&name.to_uppercase(), &folder.text(name))
        });
        let message = message.replace('|', std::path::MAIN_SEPARATOR_STR);
        for verb in ["", "cp"] {
            let ended = folder.duocopy(&format!("{verb} --dry-run {line}")).end();
            ended.expect(code, &[&message]);
        }
    }
    let read = folder.duocopy("read --dry-run src x").end();
    read.expect(0, &[&format!("would read {} (307200 bytes)\n", folder.text("src"))]);
    folder.duocopy("read --dry-run - x").end().expect(0, &["would read standard input until it ends"]);
    folder
        .duocopy("write --dry-run new x")
        .end()
        .expect(0, &[&format!("would create {}", folder.text("new"))]);
    folder.duocopy("write --dry-run dst x").end().expect(12, &["the destination exists", "--force"]);
    folder
        .duocopy("write --dry-run - x")
        .end()
        .expect(0, &["would write to standard output, which cannot be rolled back"]);
    assert_eq!(names(&folder), ["dst", "place"]);
    assert!(folder.read("dst") == OLD);
}

#[cfg(unix)]
#[test]
fn a_dry_run_checks_permissions() {
    let folder = prepared();
    folder.make("closed");
    folder.set_mode("closed", 0o555);
    let ended = folder.duocopy("cp --dry-run src closed/dst").by_nobody().end();
    ended.expect(6, &["closed/dst", "Permission denied", "run as a user who may write in its directory"]);
}
