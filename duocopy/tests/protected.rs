//! Destinations that the system protects: what is known before the copy is said before it, by a dry run, too.

use crate::util::*;
use std::fs;
use std::process::Command;

/// An attribute of a file, which is removed with this value: a file that has it cannot be removed.
struct Attribute(std::path::PathBuf);

impl Attribute {
    fn set(folder: &Folder, name: &str, attribute: &str) -> Self {
        let path = folder.path(name);
        assert!(succeeds(Command::new("chattr").arg(attribute).arg(&path)), "setting {attribute} of {name}");
        Self(path)
    }
}

impl Drop for Attribute {
    fn drop(&mut self) {
        succeeds(Command::new("chattr").arg("-ia").arg(&self.0));
    }
}

/// Fails unless a dry run and a copy end with this code and these texts, without a byte written and nothing left in this
/// subfolder.
#[track_caller]
fn assert_refused(folder: &Folder, place: &str, run: impl Fn(&str) -> Process, code: i32, text: &str) {
    let before = folder.temporaries(place);
    let destination = format!("{place}/dst");
    let old = folder.content(&destination);
    run("--dry-run").end().expect(code, &[text, &folder.text(&destination)]);
    run("").end().expect(code, &[text, &folder.text(&destination)]);
    assert_eq!(folder.content(&destination), old);
    assert_eq!(folder.temporaries(place), before);
}

#[test(needs = [root, file_attributes, strace])]
fn what_is_immutable_or_only_grows_is_refused_before_the_copy() {
    for attribute in ["+i", "+a"] {
        for (protected, destination) in [("place/dst", true), ("place", true), ("place", false)] {
            let folder = Folder::with_source(300 * KIB);
            folder.make("place");
            if destination {
                folder.write("place/dst", OLD);
            }
            let _attribute = Attribute::set(&folder, protected, attribute);
            let text = if protected == "place" {
                "the directory of the destination is"
            } else {
                "the destination, or"
            };
            let cp = |flag: &str| folder.duocopy(&format!("cp {flag} src place/dst")).start();
            assert_refused(&folder, "place", cp, 6, text);
            let [reader, writer] = pair(
                folder.duocopy("src place/dst"),
                folder.duocopy("src place/dst").traced("-f -e trace=pwrite64,openat"),
            );
            let trace = until("the end of the Writer", || writer.ended().map(|_| writer.trace()));
            assert!(!trace.contains("pwrite64") && !trace.contains("O_CREAT|O_EXCL|O_NOFOLLOW"), "{trace}");
            for ended in end([reader, writer]) {
                ended.expect(6, &[text]);
            }
            // A Writer that waits says it, too.
            let waiting = folder.duocopy(&format!("write -f place/dst {}", folder.pipe_name())).start();
            waiting.reports(text);
        }
    }
}

#[test(needs = [root, file_attributes])]
fn a_backup_that_cannot_be_replaced_is_known_before_the_copy() {
    let folder = Folder::with_source(KIB);
    folder.make("place");
    folder.write("place/dst", OLD);
    folder.write("place/dst~", "older");
    let _attribute = Attribute::set(&folder, "place/dst~", "+i");
    let cp = |flag: &str| folder.duocopy(&format!("cp --backup=simple {flag} src place/dst")).start();
    assert_refused(&folder, "place", cp, 6, "its old backup, is immutable");
    folder.duocopy("cp --backup=numbered src place/dst").end().expect(0, &[]);
    assert_eq!(folder.read("place/dst.~1~"), OLD);
}

#[test(needs = [own_mounts])]
fn a_mount_point_is_refused_before_the_copy() {
    let folder = Folder::with_source(300 * KIB);
    folder.write("dst", OLD);
    folder.write("other", "other");
    let ended = folder.with_own_mounts(
        "mount --bind other dst
        for flag in --dry-run --fsync=end; do \"$0\" cp $flag src dst || echo code $?; done; ls -A",
    );
    ended.expect(0, &["the destination is a mount point", "copy to the file that is mounted there"]);
    assert_eq!(ended.output.matches("code 6").count(), 2, "{ended:?}");
    assert!(!ended.output.contains(".duocopy"), "{ended:?}");
    assert_eq!((folder.read("dst"), folder.read("other")), (OLD.to_vec(), b"other".to_vec()));
}

#[test(needs = [root])]
fn in_a_sticky_directory_only_an_owner_replaces() {
    const USER: u32 = 4001;
    let give = |folder: &Folder, name: &str, user| {
        std::os::unix::fs::chown(folder.path(name), Some(user), Some(user)).unwrap();
    };
    // The owners of the directory and of the file; whether the user may replace it.
    for (mode, of_directory, of_file, may) in [
        (0o1777, 0, 0, false),
        (0o1777, 0, USER, true),
        (0o1777, USER, USER, true),
        (0o0777, 0, 0, true),
        (0o1755, USER, 0, true),
    ] {
        let folder = Folder::with_source(KIB);
        folder.set_mode("src", 0o644);
        folder.make("place");
        folder.write("place/dst", OLD);
        folder.set_mode("place/dst", 0o666);
        give(&folder, "place/dst", of_file);
        give(&folder, "place", of_directory);
        folder.set_mode("place", mode);
        let cp = |flag: &str| folder.duocopy(&format!("cp {flag} src place/dst")).by_user(USER, USER).start();
        if may {
            for flag in ["--dry-run", ""] {
                cp(flag).end().expect(0, &[]);
            }
            folder.assert_same("src", "place/dst");
        } else {
            assert_refused(&folder, "place", cp, 6, "the directory is sticky");
            fs::remove_file(folder.path("place/dst")).unwrap();
            cp("").end().expect(0, &[]);
            // Root replaces any file.
            folder.write("src", "newer");
            folder.duocopy("cp src place/dst").end().expect(12, &["a file of another user"]);
        }
    }
}

#[test(needs = [root])]
fn a_directory_without_the_right_to_write_or_search_is_refused_before_the_copy() {
    for mode in [0o755, 0o776] {
        let folder = Folder::with_source(KIB);
        folder.set_mode("src", 0o644);
        folder.make("place");
        folder.set_mode("place", mode);
        let cp = |flag: &str| folder.duocopy(&format!("cp {flag} src place/dst")).by_nobody().start();
        assert_refused(&folder, "place", cp, 6, "Permission denied");
    }
}
