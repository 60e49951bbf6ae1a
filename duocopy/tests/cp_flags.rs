//! The options that users know from `cp`, as far as they concern files and links.

use crate::hostile::origin;
use crate::util::*;
use blockpipe::{Geometry, Pipe};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

/// The number of the bit in the Reader's first message that says that the source is a link.
const IS_LINK: u64 = 1 << 4;

/// Makes a folder with `src`, a link to it, a link to nothing, and an old destination.
fn prepared() -> Folder {
    let folder = Folder::with_source_and_destination(300);
    for (target, name) in [("src", "link"), ("nothing", "dangling"), ("loop", "loop")] {
        symlink(target, folder.path(name)).unwrap();
    }
    folder
}

fn target(folder: &Folder, name: &str) -> Option<PathBuf> {
    fs::read_link(folder.path(name)).ok()
}

/// Sets the time of the last write of a file or link itself.
fn set_time(folder: &Folder, name: &str, seconds: i64) {
    let time = rustix::fs::Timespec { tv_sec: seconds, tv_nsec: 123_000_000 };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::utimensat(rustix::fs::CWD, folder.path(name), &times, flags).unwrap();
}

#[test]
fn a_link_is_copied_or_followed_as_the_last_option_says() {
    for (flags, copied) in [
        ("", false),
        ("-P", true),
        ("--no-dereference", true),
        ("-d", true),
        ("-r", true),
        ("-R", true),
        ("-L", false),
        ("-H", false),
        ("-aL", false),
        ("-aH", false),
        ("-La", true),
        ("-PH", false),
        ("-LP", true),
        ("-rL", false),
        ("-Lr", false),
    ] {
        let folder = prepared();
        folder.duocopy(&format!("cp {flags} link new")).end().expect(0, &[]);
        let expected = copied.then(|| PathBuf::from("src"));
        assert_eq!(target(&folder, "new"), expected, "{flags}");
        folder.assert_same("src", "new");
        folder.assert_nothing_left();
    }
    let folder = prepared();
    folder.duocopy("cp dangling new").end().expect(5, &["dangling"]);
    folder.duocopy("cp -P dangling new").end().expect(0, &[]);
    assert_eq!(target(&folder, "new").as_deref(), Some(Path::new("nothing")));
    // A link with a slash after it stands for its target.
    folder.make("place");
    symlink("place", folder.path("to-place")).unwrap();
    folder.duocopy("cp -P to-place/ other").end().expect(5, &["is a directory"]);
    folder.duocopy("cp -P --strip-trailing-slashes to-place/ other").end().expect(0, &[]);
    assert_eq!(target(&folder, "other").as_deref(), Some(Path::new("place")));
}

#[test]
fn a_link_that_is_copied_replaces_what_has_the_name() {
    let folder = prepared();
    symlink("src", folder.path("old-link")).unwrap();
    for name in ["dst", "old-link", "loop"] {
        folder.duocopy("cp -P dangling").word(name).end().expect(0, &[]);
        assert_eq!(target(&folder, name).as_deref(), Some(Path::new("nothing")), "{name}");
    }
    assert_eq!(folder.read("src"), bytes(300, 1), "no link was followed");
    folder.duocopy("cp -Pn link dst").end().expect(0, &[]);
    folder.duocopy("cp -P --update=none-fail link dst").end().expect(12, &["exists"]);
    set_time(&folder, "link", 1_000_000_000);
    folder.duocopy("cp -Pu link dst").end().expect(0, &[]);
    assert_eq!(target(&folder, "dst").as_deref(), Some(Path::new("nothing")));
    folder.duocopy("cp -Pb link dst").end().expect(0, &[]);
    let kept = ["dst", "dst~"].map(|name| target(&folder, name).unwrap());
    assert_eq!(kept, [PathBuf::from("src"), PathBuf::from("nothing")]);
    folder.duocopy("cp -P --dry-run dangling dst").end().expect(0, &["would"]);
    assert_eq!(target(&folder, "dst").as_deref(), Some(Path::new("src")));
    folder.duocopy("cp -P --verify=reread --hash=blake3 dangling dst").end().expect(0, &[]);
    assert_eq!(target(&folder, "dst").as_deref(), Some(Path::new("nothing")));
    folder.make("place");
    folder.duocopy("cp -PT dangling place").end().expect(12, &["is a directory"]);
    folder.assert_nothing_left();
}

#[test(needs = [root])]
fn a_link_gets_the_owner_and_the_times_of_the_source() {
    let folder = prepared();
    std::os::unix::fs::lchown(folder.path("link"), Some(7), Some(8)).unwrap();
    set_time(&folder, "link", 1_000_000_000);
    let about = |name: &str| {
        let link = fs::symlink_metadata(folder.path(name)).unwrap();
        (link.uid(), link.gid(), link.mtime(), link.mtime_nsec())
    };
    folder.duocopy("cp -a link new").end().expect(0, &[]);
    assert_eq!(about("new"), (7, 8, 1_000_000_000, 123_000_000));
    folder.duocopy("cp -P link new").end().expect(0, &[]);
    assert_ne!(about("new"), about("link"));
    // An ordinary user cannot give links away.
    folder.make("place");
    folder.set_mode("place", 0o777);
    folder.set_mode("", 0o755);
    folder.duocopy("cp -av link place/x").by_nobody().end().expect(0, &["ownership"]);
    assert_eq!(target(&folder, "place/x").as_deref(), Some(Path::new("src")));
}

#[test(needs = [strace])]
fn a_link_that_is_copied_is_the_old_or_the_new_one_at_every_moment() {
    for (call, done) in [("symlinkat", false), ("renameat", false), ("unlinkat", true)] {
        let folder = prepared();
        symlink("old", folder.path("place")).unwrap();
        let kill = format!("-f -e trace={call} -e inject={call}:signal=KILL:when=1");
        let ended = folder.duocopy("cp -P link place").traced(&kill).end();
        assert_ne!(ended.code, 0, "{call}: {ended:?}");
        let found = target(&folder, "place").unwrap();
        assert!(
            found == Path::new("old") || done && found == Path::new("src"),
            "{call}: {}",
            found.display()
        );
        folder.duocopy("cp -P dangling place").end().expect(0, &[]);
        assert_eq!(target(&folder, "place").as_deref(), Some(Path::new("nothing")));
        folder.assert_nothing_left();
    }
}

/// A `write` half decides which names it creates; its Reader must not decide where a name leads.
#[test]
fn a_write_half_makes_no_link_for_its_reader() {
    let folder = prepared();
    fs::remove_file(folder.path("dst")).unwrap();
    let mut lying = Pipe::named(folder.pipe_name()).tag(HALVES).join_as_producer().unwrap();
    let mut hello = origin(&folder, 3);
    let flags = u64::from_le_bytes(hello[64..72].try_into().unwrap()) | IS_LINK;
    hello[64..72].copy_from_slice(&flags.to_le_bytes());
    lying.ready(Geometry::new(4096, 2), &hello).unwrap();
    let writer = folder.write_half("dst").start();
    let _ = lying.start();
    writer.end().expect(12, &["the source is a symbolic link"]);
    assert!(!folder.is_there("dst"));
    folder.assert_nothing_left();
}

#[test]
fn no_copy_removes_its_own_source() {
    let folder = prepared();
    fs::hard_link(folder.path("src"), folder.path("second")).unwrap();
    let same = |line: &str| {
        folder.duocopy(&format!("cp {line}")).end().expect(12, &["are the same file"]);
        assert_eq!(folder.read("src"), bytes(300, 1), "{line}");
    };
    for line in [
        "src src",
        "-b src src",
        "-f src src",
        "--remove-destination src ./src",
        "src second",
        "-f src second",
        "src link",
        "link src",
        "-d link src",
        "-d src link",
        "--remove-destination link src",
        "-bf link src",
        "-d link link",
    ] {
        same(line);
    }
    // The name of the source stays.
    folder.duocopy("cp --remove-destination src second").end().expect(0, &[]);
    folder.assert_same("src", "second");
    assert_eq!(fs::metadata(folder.path("src")).unwrap().nlink(), 1);
    fs::remove_file(folder.path("second")).unwrap();
    fs::hard_link(folder.path("src"), folder.path("second")).unwrap();
    folder.duocopy("cp -b src second").end().expect(0, &[]);
    folder.duocopy("cp -bf -S .kept src src").end().expect(0, &[]);
    for name in ["second", "second~", "src.kept"] {
        folder.assert_same("src", name);
    }
    folder.assert_nothing_left();
}

#[test]
fn a_destination_that_is_removed_hands_on_nothing() {
    let folder = prepared();
    symlink("dst", folder.path("to-dst")).unwrap();
    folder.set_mode("src", 0o640);
    folder.set_mode("dst", 0o606);
    folder.duocopy("cp --remove-destination src dst").end().expect(0, &[]);
    assert_eq!((folder.mode("dst"), folder.read("dst")), (0o640, folder.read("src")));
    folder.write("dst", OLD);
    for name in ["to-dst", "dangling", "loop"] {
        folder.duocopy("cp --remove-destination src").word(name).end().expect(0, &[]);
        assert_eq!((target(&folder, name), folder.read(name)), (None, folder.read("src")), "{name}");
    }
    assert_eq!(folder.read("dst"), OLD, "no link was followed");
    assert!(!folder.is_there("nothing"));
    folder.assert_nothing_left();
}

#[test]
fn links_that_lead_nowhere_are_written_through_only_on_request() {
    let folder = prepared();
    for flags in ["", "-f"] {
        folder.duocopy(&format!("cp {flags} src dangling")).end().expect(12, &["a dangling link"]);
    }
    folder.duocopy("cp src loop").end().expect(12, &["a loop of links"]);
    folder.duocopy("cp src dangling").after("export POSIXLY_CORRECT=1").end().expect(0, &[]);
    folder.assert_same("src", "nothing");
    assert_eq!(target(&folder, "dangling").as_deref(), Some(Path::new("nothing")));
    folder.duocopy("cp -f src loop").end().expect(0, &[]);
    assert_eq!(target(&folder, "loop"), None);
    folder.assert_same("src", "loop");
}

#[test]
fn only_attributes_are_copied_if_nothing_else_is_asked_for() {
    let folder = prepared();
    fs::hard_link(folder.path("dst"), folder.path("second")).unwrap();
    folder.set_mode("src", 0o751);
    folder.set_mode("dst", 0o4640);
    set_time(&folder, "src", 1_000_000_000);
    folder.duocopy("cp --attributes-only src dst").end().expect(0, &[]);
    assert_eq!(folder.mode("dst"), 0o4640, "nothing was to be preserved");
    folder.duocopy("cp --attributes-only --preserve=timestamps src dst").end().expect(0, &[]);
    let modified = |name: &str| fs::metadata(folder.path(name)).unwrap().mtime();
    assert_eq!((folder.mode("dst"), modified("dst")), (0o4640, 1_000_000_000));
    folder.duocopy("cp -p --attributes-only src dst").end().expect(0, &[]);
    assert_eq!((folder.mode("dst"), folder.mode("second")), (0o751, 0o751), "in place");
    assert_eq!(folder.read("dst"), OLD);
    folder.duocopy("cp -p --attributes-only src new").end().expect(0, &[]);
    assert_eq!((folder.mode("new"), folder.read("new")), (0o751, Vec::new()));
    folder.duocopy("cp -a --attributes-only link dst").end().expect(12, &["exists"]);
    folder.duocopy("cp -n --attributes-only src dst").end().expect(0, &[]);
    folder.assert_untouched(Some(OLD));
    folder.duocopy("cp -b --attributes-only src dst").end().expect(0, &[]);
    assert_eq!((folder.read("dst"), folder.read("dst~")), (Vec::new(), OLD.to_vec()));
    folder.assert_nothing_left();
}

#[test]
fn the_user_is_asked_before_a_file_is_replaced() {
    let folder = prepared();
    for (name, answer) in [("yes", "y\n"), ("no", "n\n"), ("other", "what?\n"), ("nothing-typed", "")] {
        folder.write(name, answer);
    }
    let answered = |line: &str, answer: &str| {
        folder.duocopy(&format!("cp {line}")).after(&format!("exec < {answer}")).end()
    };
    let question = format!("duocopy: replace {}? ", folder.text("dst"));
    for answer in ["no", "other", "nothing-typed"] {
        answered("-i src dst", answer).expect(1, &[&question, "not replaced"]);
        folder.assert_untouched(Some(OLD));
    }
    for (line, is_asked) in [
        ("-n src dst", false),
        ("-in src dst", false),
        ("-i --update=none src dst", false),
        ("-ni --update=none src dst", false),
        ("-i src new", false),
        ("-i --dry-run src dst", false),
        ("-i src src-is-missing/dst", false),
        ("-ni src dst", true),
        ("-if src dst", true),
        ("-ib src dst", true),
    ] {
        folder.write("dst", OLD);
        let ended = answered(line, "yes");
        assert_eq!(ended.messages.contains("? "), is_asked, "{line}: {ended:?}");
        assert_eq!(folder.read("dst") == folder.read("src"), is_asked, "{line}");
    }
    // The user has not agreed to replace a file that appears after the question.
    folder.write("large", bytes(400 * KIB, 1));
    let line = "cp -i --bwlimit=200K --block-size=4K large appears";
    let copy = folder.duocopy(line).after("exec < yes").start();
    until("the copy", || folder.left_over("part"));
    folder.write("appears", OLD);
    copy.end().expect(12, &["created during the copy"]);
    assert_eq!(folder.read("appears"), OLD);
    // The question is asked for each file.
    folder.make("place");
    folder.write("place/src", OLD);
    folder.write("place/yes", OLD);
    folder.write("both", "n\ny\n");
    answered("-i src yes place", "both").expect(1, &["place/src? ", "place/yes? "]);
    assert_eq!((folder.read("place/src"), folder.read("place/yes")), (OLD.to_vec(), b"y\n".to_vec()));
}

#[test]
fn an_interrupt_ends_the_question() {
    let folder = Folder::with_source(10);
    folder.write("dst", OLD);
    let copy = folder.duocopy("cp -i src dst").after("mkfifo silent && exec <> silent").start();
    copy.reports("replace");
    copy.signal(Signal::INT);
    copy.end().expect(130, &[]);
    assert_eq!(folder.read("dst"), OLD);
}

#[test]
fn the_directories_of_a_source_are_made_again() {
    let folder = Folder::new();
    for name in ["a", "a/b", "into"] {
        folder.make(name);
    }
    folder.write("a/b/file", "x");
    let modes = [("a", 0o751), ("a/b", 0o550)];
    for (name, mode) in modes {
        folder.set_mode(name, mode);
    }
    set_time(&folder, "a", 1_000_000_000);
    folder.duocopy("cp --parents a/b/file into").end().expect(0, &[]);
    folder.assert_same("a/b/file", "into/a/b/file");
    // The modes are those that `mkdir` would give: the umask of the tests may remove more bits.
    assert_eq!(folder.mode("into/a/b") & 0o700, 0o500);
    folder.set_mode("into/a", 0o700);
    folder.set_mode("into/a/b", 0o700);
    folder.duocopy("cp -p --parents a/b/file into").end().expect(0, &[]);
    for (name, mode) in modes {
        assert_eq!(folder.mode(format!("into/{name}")), mode, "{name}");
    }
    assert_eq!(fs::metadata(folder.path("into/a")).unwrap().mtime(), 1_000_000_000);
    folder.duocopy("cp --parents").word(folder.path("a/b/file")).word("into").end().expect(0, &[]);
    folder.assert_same("a/b/file", format!("into/{}", folder.text("a/b/file")));
    // A link on the way is followed, and its target keeps its metadata.
    folder.make("elsewhere");
    folder.set_mode("elsewhere", 0o711);
    symlink("../elsewhere", folder.path("into/link")).unwrap();
    folder.make("link");
    folder.write("link/file", "x");
    folder.set_mode("link", 0o755);
    folder.duocopy("cp -p --parents link/file into").end().expect(0, &[]);
    assert_eq!((folder.mode("elsewhere"), folder.read("elsewhere/file")), (0o711, b"x".to_vec()));
    folder.duocopy("cp --parents a/c/file into").end().expect(5, &["a/c/file"]);
    assert!(!folder.is_there("into/a/c"), "nothing is made for a source that is not there");
    folder.duocopy("cp --parents a/../a/b/file into").end().expect(2, &["cannot use the path"]);
    folder.duocopy("cp --parents a/b/file missing").end().expect(6, &["no such directory"]);
    folder.set_mode("a/b", 0o750);
    folder.set_mode("into/a/b", 0o750);
}

#[test]
fn blocks_are_never_shared() {
    let folder = Folder::with_source(300);
    for flags in ["--reflink", "--reflink=always", "--reflink=always --sparse=always"] {
        folder.duocopy(&format!("cp {flags} src dst")).end().expect(12, &["shares blocks", "--reflink=auto"]);
        assert!(!folder.is_there("dst"), "{flags}");
    }
    for flags in ["--reflink=auto", "--reflink=never", "--reflink --reflink=never --sparse=always"] {
        folder.duocopy(&format!("cp {flags} src dst")).end().expect(0, &[]);
        folder.assert_same("src", "dst");
        fs::remove_file(folder.path("dst")).unwrap();
    }
    folder.duocopy("cp --reflink=always --attributes-only src dst").end().expect(0, &[]);
}

#[test]
fn standard_output_gets_what_cp_writes_there() {
    let folder = Folder::with_source(300);
    folder.make("place");
    let said = |line: &str| folder.duocopy(&format!("cp {line}")).end().output;
    assert_eq!(said("src dst"), "");
    assert_eq!(said("-v src dst"), "'src' -> 'dst'\n");
    assert_eq!(said("-v src dst place"), "'src' -> 'place/src'\n'dst' -> 'place/dst'\n");
    assert_eq!(said("-vn src dst"), "");
    assert_eq!(said("-v ./missing dst"), "");
    assert_eq!(said("--debug -n src dst"), "skipped 'dst'\n");
    assert_eq!(said("--debug --attributes-only src dst"), "'src' -> 'dst'\n");
    for (flags, how) in [
        ("", "copy offload: unsupported, reflink: no, sparse detection: SEEK_HOLE\n"),
        ("--reflink=never", "copy offload: avoided, reflink: no, sparse detection: SEEK_HOLE\n"),
        ("--sparse=always", "copy offload: avoided, reflink: no, sparse detection: SEEK_HOLE + zeros\n"),
        ("--sparse=never", "copy offload: avoided, reflink: no, sparse detection: no\n"),
    ] {
        assert_eq!(said(&format!("--debug {flags} src dst")), format!("'src' -> 'dst'\n{how}"));
    }
    let objects = said("-v --json src dst place");
    assert!(objects.lines().all(|line| line.starts_with('{')), "{objects}");
    let ends: Vec<_> = objects.lines().filter(|line| line.contains("\"type\":\"end\"")).collect();
    assert_eq!(ends.len(), 2, "{objects}");
    for (end, source) in ends.iter().zip(["src", "dst"]) {
        assert!(end.contains(&format!("\"source\":\"{}\"", folder.text(source))), "{end}");
    }
    let full = folder.duocopy("cp -v src new").after("exec > /dev/full").end();
    full.expect(1, &["cannot write to standard output"]);
    folder.assert_same("src", "new");
}

#[test]
fn backups_have_short_options() {
    for (flags, backup) in [
        ("-b", "dst~"),
        ("-S .old", "dst.old"),
        ("--suffix=.old -b", "dst.old"),
        ("--backup=t -S .old", "dst.~1~"),
        ("--backup=simple --suf=.old", "dst.old"),
    ] {
        let folder = prepared();
        folder.duocopy(&format!("cp {flags} src dst")).end().expect(0, &[]);
        assert_eq!(folder.read(backup), OLD, "{flags}");
        folder.assert_same("src", "dst");
    }
    prepared().duocopy("read -b src x").end().expect(2, &["-b: `read` writes nothing"]);
}

#[test]
fn a_named_pipe_is_read_on_request() {
    let folder = Folder::new();
    folder.make_fifo("fifo");
    folder.duocopy("cp fifo dst").end().expect(5, &["not a regular file"]);
    let copy = folder.duocopy("cp --copy-contents fifo dst").start();
    folder.write("fifo", "through the pipe");
    copy.end().expect(0, &[]);
    assert_eq!(folder.read("dst"), b"through the pipe");
}
