//! `--preserve`: what the copy takes over from its source besides the content.

#[macro_use]
mod util;

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use util::*;

/// Long ago, with nanoseconds.
fn long_ago() -> SystemTime {
    UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_700)
}

fn prepared() -> Folder {
    let folder = Folder::new();
    let source = fs::File::options().write(true).open(folder.write("src", bytes(100 * KIB, 1))).unwrap();
    source.set_times(fs::FileTimes::new().set_modified(long_ago()).set_accessed(long_ago())).unwrap();
    folder
}

fn modified(folder: &Folder, name: &str) -> SystemTime {
    fs::metadata(folder.path(name)).unwrap().modified().unwrap()
}

#[test]
fn times_are_taken_over_only_if_that_is_asked_for() {
    for (flags, kept) in [("", false), ("--preserve=timestamps", true), ("--preserve=mode", false)] {
        let folder = prepared();
        folder.duocopy(&format!("cp {flags} src dst")).end().expect(0, &[]);
        folder.assert_same("src", "dst");
        assert_eq!(modified(&folder, "dst") == long_ago(), kept, "{flags}");
    }
}

/// A pair over an old file, and two halves.
#[test]
fn times_are_those_of_the_source_also_over_an_old_file_and_with_both_forms() {
    let folder = prepared();
    folder.write("dst", OLD);
    let start = || folder.duocopy("--preserve=timestamps src dst").start();
    complete([start(), start()]);
    assert_eq!(modified(&folder, "dst"), long_ago());
    let name = folder.text("").rsplit(['/', '\\']).find(|part| !part.is_empty()).unwrap().to_owned();
    let from = folder.duocopy(&format!("read src {name}")).start();
    complete([from, folder.duocopy(&format!("write --preserve=timestamps new {name}")).start()]);
    assert_eq!(modified(&folder, "new"), long_ago());
    folder.duocopy(&format!("read -p src {name}")).end().expect(2, &["give --preserve to `write`"]);
}

left_out_on_windows!(rights_and_owner_are_taken_over, "modes and owners");
#[cfg(unix)]
mod unix {
    use super::*;
    use std::os::unix::fs::{MetadataExt, chown};

    fn owner(folder: &Folder, name: &str) -> (u32, u32) {
        let metadata = fs::metadata(folder.path(name)).unwrap();
        (metadata.uid(), metadata.gid())
    }

    #[test]
    fn rights_and_owner_are_taken_over() {
        if !is_root() {
            return left_out("taking over an owner: only the superuser may");
        }
        let folder = prepared();
        chown(folder.path("src"), Some(NOBODY), Some(NOBODY)).unwrap();
        for (mode, flags, expected) in [
            (0o640, "-p", (0o640, (NOBODY, NOBODY))),
            (0o4755, "-p", (0o4755, (NOBODY, NOBODY))),
            // Rights of its owner are for nobody else.
            (0o6755, "--preserve=mode", (0o755, (0, 0))),
            (0o640, "--preserve=ownership,timestamps", (0o640, (NOBODY, NOBODY))),
        ] {
            folder.set_mode("src", mode);
            let ended = folder.duocopy(&format!("cp {flags} src dst")).end();
            let whole = folder.mode("dst") == mode;
            ended.expect(if whole { 0 } else { 3 }, &[if whole { "" } else { "set-user-ID" }]);
            assert_eq!((folder.mode("dst"), owner(&folder, "dst")), expected, "{flags} of {mode:o}");
            fs::remove_file(folder.path("dst")).unwrap();
        }
        // Two parties: who may read must not be able to make a program that runs with another one's rights.
        folder.set_mode("src", 0o4755);
        let name = folder.text("").rsplit('/').find(|part| !part.is_empty()).unwrap().to_owned();
        let from = folder.duocopy(&format!("read src {name}")).start();
        let [from, to] = end([from, folder.duocopy(&format!("write -p dst {name}")).start()]);
        assert_eq!((folder.mode("dst"), owner(&folder, "dst")), (0o755, (NOBODY, NOBODY)));
        to.expect(3, &["dst has not got from the source: the set-user-ID and set-group-ID bits"]);
        from.expect(3, &["complete, but the destination has not got from the source: the set-user-ID"]);
        folder.assert_same("src", "dst");
        // Nor by replacing one.
        folder.set_mode("dst", 0o4755);
        let from = folder.duocopy(&format!("read src {name}")).start();
        complete([from, folder.duocopy(&format!("write --force dst {name}")).start()]);
        assert_eq!(folder.mode("dst"), 0o755);
    }

    #[test]
    fn what_could_not_be_had_is_said_by_both() {
        if !is_root() {
            return left_out("an owner that cannot be taken over: only the superuser can make such a file");
        }
        let folder = prepared();
        // A directory of its own for the user who may give nothing away.
        folder.make("place");
        chown(folder.path("place"), Some(NOBODY), Some(NOBODY)).unwrap();
        folder.set_mode("", 0o755);
        folder.set_mode("src", 0o644);
        let start = || folder.duocopy("-p src place/dst").by_nobody().start();
        for ended in end([start(), start()]) {
            ended.expect(
                3,
                &["complete, but", "place/dst has not got from the source: ownership (", "--preserve"],
            );
        }
        folder.assert_same("src", "place/dst");
        assert_eq!((folder.mode("place/dst"), modified(&folder, "place/dst")), (0o644, long_ago()));
        let alone = folder.duocopy("cp -p src place/dst").by_nobody().end();
        alone.expect(3, &["has not got from the source: ownership ("]);
        assert_eq!(alone.said.matches("complete, but").count(), 1, "{alone:?}");
    }
}
