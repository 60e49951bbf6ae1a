//! `--preserve`: what a copy preserves besides the content.

use crate::util::*;
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A time long ago, with nanoseconds.
fn long_ago() -> SystemTime {
    UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_700)
}

/// A source with old times.
fn prepared() -> Folder {
    let folder = Folder::with_source(100 * KIB);
    let source = fs::File::options().write(true).open(folder.path("src")).unwrap();
    source.set_times(fs::FileTimes::new().set_modified(long_ago()).set_accessed(long_ago())).unwrap();
    folder
}

fn modified(folder: &Folder, name: &str) -> SystemTime {
    fs::metadata(folder.path(name)).unwrap().modified().unwrap()
}

#[test]
fn times_are_preserved_only_on_request() {
    for (flags, kept) in [("", false), ("--preserve=timestamps", true), ("--preserve=mode", false)] {
        let folder = prepared();
        folder.duocopy(&format!("cp {flags} src dst")).end().expect(0, &[]);
        folder.assert_same("src", "dst");
        assert_eq!(modified(&folder, "dst") == long_ago(), kept, "{flags}");
    }
}

/// A pair that replaces an old file, and two halves.
#[test]
fn times_are_preserved_by_pairs_and_by_halves() {
    let folder = prepared();
    folder.write("dst", OLD);
    let start = || folder.duocopy("--preserve=timestamps src dst").start();
    complete([start(), start()]);
    assert_eq!(modified(&folder, "dst"), long_ago());
    let name = folder.pipe_name();
    let from = folder.duocopy(&format!("read src {name}")).start();
    complete([from, folder.duocopy(&format!("write --preserve=timestamps new {name}")).start()]);
    assert_eq!(modified(&folder, "new"), long_ago());
    folder.duocopy(&format!("read -p src {name}")).end().expect(2, &["-p: `read` writes nothing"]);
}

#[cfg(windows)]
mod windows {
    #[test(not_on_windows = "modes, owners and attributes")]
    fn modes_owners_and_attributes_are_preserved() {}
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::os::unix::fs::{MetadataExt, chown};

    fn owner(folder: &Folder, name: &str) -> (u32, u32) {
        let metadata = fs::metadata(folder.path(name)).unwrap();
        (metadata.uid(), metadata.gid())
    }

    #[test(needs = [root])]
    fn mode_and_owner_are_preserved() {
        let folder = prepared();
        chown(folder.path("src"), Some(NOBODY), Some(NOBODY)).unwrap();
        for (mode, flags, expected) in [
            (0o640, "-p", (0o640, (NOBODY, NOBODY))),
            (0o4755, "-p", (0o4755, (NOBODY, NOBODY))),
            // The set-id bits are only for the same owner.
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
        // A reading user must not be able to make a program that runs with the rights of the writing one.
        folder.set_mode("src", 0o4755);
        let name = folder.pipe_name();
        let from = folder.duocopy(&format!("read src {name}")).start();
        let [from, to] = end([from, folder.duocopy(&format!("write -p dst {name}")).start()]);
        assert_eq!((folder.mode("dst"), owner(&folder, "dst")), (0o755, (NOBODY, NOBODY)));
        to.expect(
            3,
            &["not everything was preserved", &folder.text("dst"), "the set-user-ID and set-group-ID bits"],
        );
        from.expect(3, &["not everything was preserved: the destination: the set-user-ID"]);
        folder.assert_same("src", "dst");
        // Nor may a pair in a directory that other users can enter.
        folder.make("meet");
        folder.set_mode("meet", 0o700);
        for ended in end([(); 2].map(|()| folder.duocopy("--dir=meet -p src third").start())) {
            ended.expect(3, &["the set-user-ID and set-group-ID bits"]);
        }
        assert_eq!(folder.mode("third"), 0o755);
        // Nor by replacing such a program.
        folder.set_mode("dst", 0o4755);
        let from = folder.duocopy(&format!("read src {name}")).start();
        complete([from, folder.duocopy(&format!("write --force dst {name}")).start()]);
        assert_eq!(folder.mode("dst"), 0o755);
    }

    /// The kernel drops the bit without an error if the user is not in the group.
    #[test(needs = [root])]
    fn a_bit_that_the_kernel_drops_is_not_preserved() {
        const GROUP: u32 = 4001;
        let folder = prepared();
        folder.make("place");
        for (name, mode) in [("place", 0o2777), ("src", 0o2755)] {
            chown(folder.path(name), Some(NOBODY), Some(GROUP)).unwrap();
            folder.set_mode(name, mode);
        }
        let ended = folder.duocopy("cp -p src place/dst").by_nobody().end();
        ended.expect(3, &["place/dst: the set-user-ID and set-group-ID bits ("]);
        assert_eq!((folder.mode("place/dst"), owner(&folder, "place/dst")), (0o755, (NOBODY, GROUP)));
    }

    #[test(needs = [root])]
    fn both_report_what_was_not_preserved() {
        let folder = prepared();
        // A directory for a user who cannot give files to others.
        folder.make("place");
        chown(folder.path("place"), Some(NOBODY), Some(NOBODY)).unwrap();
        folder.set_mode("", 0o755);
        folder.set_mode("src", 0o644);
        let start = || folder.duocopy("-p src place/dst").by_nobody().start();
        for ended in end([start(), start()]) {
            ended.expect(
                3,
                &["copied, but not everything was preserved", "place/dst: ownership (", "--preserve"],
            );
        }
        folder.assert_same("src", "place/dst");
        assert_eq!((folder.mode("place/dst"), modified(&folder, "place/dst")), (0o644, long_ago()));
        // `cp` does as GNU cp: an ordinary user does not expect to get the owner.
        for flags in ["-p", "-a", "--preserve=ownership", "-p --parents"] {
            let quiet = folder.duocopy(&format!("cp {flags} src place")).by_nobody().end();
            quiet.expect(0, &[]);
            assert_eq!(quiet.messages, "", "{flags}");
        }
        let ended = folder.duocopy("cp -pv src place/dst").by_nobody().end();
        ended.expect(0, &["place/dst: ownership (only the superuser can set it)"]);
        assert_eq!(ended.messages.matches("copied, but").count(), 1, "{ended:?}");
    }

    /// A source with two attributes, one of which is as large as a file system allows, and an access list. The test needs
    /// `extended_attributes`.
    fn with_attributes() -> Folder {
        let folder = prepared();
        folder.set_mode("src", 0o640);
        assert!(folder.set_attribute("src", "user.short", b"value\0"));
        assert!(folder.set_attribute("src", "user.long", &bytes(2000, 1)));
        if !folder.set_attribute("src", ACCESS_LIST, &access_list()) {
            harness::ignore("the file system of temporary files has no access lists");
        }
        folder
    }

    #[test(needs = [extended_attributes])]
    fn attributes_and_access_lists_are_preserved_on_request() {
        let folder = with_attributes();
        for (flags, xattr, acl) in [
            // Without its list, the mode would mean something else.
            ("-p", false, true),
            ("--preserve=timestamps", false, false),
            ("--preserve=xattr", true, false),
            ("--preserve=mode,acl", false, true),
            ("--preserve=all", true, true),
            ("--preserve=xattr,acl --block-size=4K --hash=blake3", true, true),
        ] {
            folder.write("dst", OLD);
            let line = format!("{flags} src dst");
            for ended in end(pair(folder.duocopy(&line), folder.duocopy(&line))) {
                ended.expect(0, &["complete: 102400 bytes"]);
            }
            folder.assert_same("src", "dst");
            assert_eq!(folder.attribute("dst", "user.short").is_some(), xattr, "{flags}");
            assert_eq!(
                folder.attribute("dst", "user.long").is_some_and(|value| value == bytes(2000, 1)),
                xattr,
                "{flags}"
            );
            assert_eq!(
                folder.attribute("dst", ACCESS_LIST).is_some_and(|value| value == access_list()),
                acl,
                "{flags}"
            );
            fs::remove_file(folder.path("dst")).unwrap();
        }
        // A source without an access list removes the one that the directory gives.
        folder.write("plain", "x");
        folder.make("place");
        if folder.set_attribute("place", "system.posix_acl_default", &access_list()) {
            folder.duocopy("cp --preserve=mode,acl plain place/dst").end().expect(0, &[]);
            assert_eq!(folder.attribute("place/dst", ACCESS_LIST), None);
        }
    }

    /// A user who may not write to a file may not set its attributes, even if it is open.
    #[test(needs = [extended_attributes])]
    fn any_user_can_preserve_attributes_of_a_read_only_file() {
        let folder = with_attributes();
        folder.set_mode("src", 0o444);
        folder.make("place");
        if is_root() {
            chown(folder.path("place"), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        for flags in ["--preserve=xattr", "--preserve=mode,xattr,timestamps"] {
            folder.duocopy(&format!("cp {flags} src place/dst")).by_nobody().end().expect(0, &[]);
            assert!(folder.attribute("place/dst", "user.short").is_some(), "{flags}");
            assert_eq!(folder.mode("place/dst"), 0o444, "{flags}");
            fs::remove_file(folder.path("place/dst")).unwrap();
        }
    }

    #[test(needs = [extended_attributes, root])]
    fn a_half_preserves_no_attribute_that_gives_rights() {
        let folder = with_attributes();
        let name = folder.text("");
        let capabilities = [&0x0200_0001_u32.to_le_bytes()[..], &[0xff; 16]].concat();
        let there = folder.set_attribute("src", "trusted.x", b"x")
            && folder.set_attribute("src", "security.capability", &capabilities);
        if !there {
            harness::ignore("this root cannot set attributes that give rights");
        }
        let from = folder.duocopy("read src").word(&name).start();
        let to = folder.duocopy("write --preserve=all dst").word(&name).start();
        let [from, to] = end([from, to]);
        assert!(folder.attribute("dst", "user.short").is_some(), "{to:?}");
        for ended in [&from, &to] {
            ended.expect(3, &["trusted.x (it grants rights", "security.capability (it grants rights"]);
        }
        assert_eq!(
            folder.attribute("dst", "trusted.x").or(folder.attribute("dst", "security.capability")),
            None
        );
        // A user who runs both may, if the owner is the same.
        folder.duocopy("cp --preserve=all src other").end().expect(0, &[]);
        assert!(folder.attribute("other", "security.capability").is_some());
        chown(folder.path("src"), Some(NOBODY), None).unwrap();
        folder.set_attribute("src", "security.capability", &capabilities);
        let ended = folder.duocopy("cp --preserve=xattr src third").end();
        ended.expect(3, &["security.capability (it grants rights, and the copy has another owner)"]);
    }

    #[test(needs = [extended_attributes])]
    fn missing_attributes_of_a_stream_are_reported() {
        let folder = with_attributes();
        // A stream has no attributes.
        let name = folder.text("");
        let from = folder.duocopy("read -").word(&name).start();
        let to = folder.duocopy("write --preserve=xattr dst").word(&name).start();
        for ended in end([from, to]) {
            ended.expect(3, &["metadata was not preserved", "the source is a stream"]);
        }
    }

    #[test(needs = [extended_attributes, root, own_mounts])]
    fn a_file_system_without_attributes_is_reported() {
        let folder = with_attributes();
        let script = "mkdir place; mount -t ramfs ramfs place; \"$0\" cp --preserve=xattr src place/dst";
        let ended = folder.with_own_mounts(script);
        assert!(ended.code == 0 || ended.messages.contains("user.long (") && ended.code == 3, "{ended:?}");
    }

    /// Some file systems of other systems, and some mounts, refuse every mode. `cp` copies there.
    #[test(needs = [strace])]
    fn a_file_system_that_refuses_modes_is_reported_only_if_the_mode_was_asked_for() {
        let copy = |options: &str, injection: &str| {
            let folder = prepared();
            let line = format!("--wait=20s {options} src dst");
            let traced = format!("-f -e trace=fchmod{injection}");
            let reader = folder.duocopy(&line).start_reader();
            let writer = folder.duocopy(&line).traced(&traced).start();
            reader.end();
            until("the Writer's end", || writer.ended());
            let calls = writer.calls("fchmod").len();
            folder.assert_same("src", "dst");
            (writer.end(), calls, folder.mode("dst"))
        };
        for (options, code, message) in [("", 0, ""), ("-p", 3, "dst: mode (")] {
            // The mode of the copy is the last one that is set.
            let (ended, calls, mode) = copy(options, "");
            ended.expect(0, &[]);
            assert_eq!(mode, 0o644);
            let (ended, _, mode) = copy(options, &format!(" -e inject=fchmod:error=EPERM:when={calls}+"));
            ended.expect(code, &[message]);
            assert_eq!(mode, 0o600, "{options}");
        }
    }

    /// Hundreds of kilobytes of attributes are a mistake or an attack.
    #[test]
    fn a_reader_that_sends_too_many_attributes_is_refused() {
        use blockpipe::{Geometry, Pipe};
        let folder = prepared();
        let name = folder.text("a name");
        let halves = Pipe::named(&name).tag(HALVES);
        let mut reader = halves.join_as_producer().unwrap();
        let mut origin = [0; 128];
        for (at, word) in [(16, 4_u64), (56, 0o644), (64, 1 << 8)] {
            origin[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        reader.ready(Geometry::new(256 * KIB, 2), &origin).unwrap();
        let writer = folder.duocopy("write --preserve=xattr dst").word(&name).start();
        reader.start().unwrap();
        let mut place = 0_u32;
        while let Ok(mut block) = reader.empty_block() {
            block.copy_from(0, &place.to_le_bytes());
            // Attributes.
            block.set_header(&[2]);
            if reader.send(block, 256 * KIB).is_err() {
                break;
            }
            place += 256 * 1024 - 4;
        }
        writer.end().expect(12, &["more extended attributes than a file can have"]);
        assert!(!folder.is_there("dst"));
    }
}

/// The work for attributes that the file system refuses must not grow with the square of their number.
#[test(needs = [strace, extended_attributes])]
fn the_attributes_are_listed_once_however_many_are_refused() {
    let folder = Folder::with_source(KIB);
    for number in 0..60 {
        let (name, flags) = (format!("user.{number}"), rustix::fs::XattrFlags::empty());
        rustix::fs::setxattr(folder.path("src"), name, b"x", flags).expect("the test needs attributes");
    }
    let refused = "-f -e trace=fsetxattr,flistxattr -e inject=fsetxattr:error=ENOSPC";
    let copy = folder.duocopy("cp --preserve=xattr src dst").traced(refused).start();
    until("the end", || copy.ended());
    assert_eq!(copy.calls("fsetxattr").len(), 60, "{}", copy.trace());
    assert!(copy.calls("flistxattr").len() < 20, "{}", copy.trace());
    copy.end().expect(3, &["user.0"]);
}
