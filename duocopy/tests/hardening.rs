//! Other users cannot open a copy before it is complete, and a copy does not touch foreign files.
//!
//! Windows has other modes, links and owners; windows.rs tests what is possible there.

use crate::util::*;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the paths of the temporary file of a copy to `dst` and of its journal, which depend on `dst` alone.
fn names(folder: &Folder) -> [PathBuf; 2] {
    folder.write("src", bytes(MIB, 1));
    let slow = "-e trace=/^rename -e inject=/^rename:delay_enter=5000000";
    let processes = pair(folder.duocopy("src dst"), folder.duocopy("src dst").traced(slow));
    let part = until("the temporary file", || folder.left_over("part"));
    processes.iter().for_each(Process::kill);
    end(processes);
    let _ = fs::remove_file(&part);
    let _ = fs::remove_file(folder.path("dst"));
    let journal = part.with_extension("journal");
    [part, journal]
}

#[test(needs = [strace])]
fn every_file_is_private_from_its_first_moment_whatever_the_umask() {
    for umask in ["000", "022", "777"] {
        let folder = Folder::new();
        folder.write("src", bytes(8 * MIB, 1));
        let line = &format!("{SMALL_BLOCKS} src dst");
        let umasked = || folder.duocopy(line).after(&format!("umask {umask}"));
        let slow = format!("-f {SLOW_WRITES}");
        let [reader, writer] = pair(umasked(), umasked().traced(&slow));
        until("the first checkpoint", || folder.has_checkpoint().then_some(()));
        let left = folder.temporaries("");
        assert_eq!(left.len(), 2, "a temporary file and a journal");
        for path in left {
            let it = fs::symlink_metadata(&path).unwrap();
            assert_eq!((it.mode() & 0o7777, it.nlink()), (0o600, 1), "{}", path.display());
        }
        let pipe = folder.pipe().unwrap().metadata().unwrap();
        assert_eq!(pipe.mode() & 0o7777, 0o600);
        complete([reader, writer]);
        assert_eq!(folder.mode("dst"), 0o644 & !u32::from_str_radix(umask, 8).unwrap(), "umask {umask}");
    }
}

#[test(needs = [own_mounts])]
fn the_directory_of_the_pipes_is_private_whatever_the_umask() {
    // In a new /dev/shm that has no such directory.
    for umask in ["000", "777"] {
        let folder = Folder::new();
        folder.write("src", "content");
        let script = format!(
            "mount -t tmpfs tmpfs /dev/shm; umask {umask}; \"$0\" cp src dst; stat -c 'mode %a' /dev/shm/blockpipe-*"
        );
        let ended = folder.with_own_mounts(&script);
        assert_eq!((ended.code, ended.output.trim()), (0, "mode 700"), "{ended:?}");
    }
}

/// What is in the way, and how to make it.
type InTheWay<'a> = (&'a str, &'a dyn Fn(&Path));

#[test(needs = [strace])]
fn a_foreign_file_under_a_temporary_name_is_refused_and_left_alone() {
    let folder = Folder::new();
    let names = names(&folder);
    folder.write("victim", "not to be touched");
    let victim = folder.path("victim");
    let in_the_way: [InTheWay<'_>; 5] = [
        ("a link", &|path| symlink(&victim, path).unwrap()),
        ("a link that leads nowhere", &|path| symlink("/nowhere/at/all", path).unwrap()),
        ("a directory", &|path| fs::create_dir(path).unwrap()),
        ("a second name of a file", &|path| fs::hard_link(&victim, path).unwrap()),
        ("a named pipe", &|path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success())),
    ];
    for path in names {
        for (what, make) in &in_the_way {
            make(&path);
            let before = fs::symlink_metadata(&path).unwrap();
            for ended in end(pair(folder.duocopy("src dst"), folder.duocopy("src dst"))) {
                ended.expect(6, &["another file has the name", &path.display().to_string(), "remove it"]);
            }
            let after = fs::symlink_metadata(&path).unwrap();
            assert_eq!((before.ino(), before.mode()), (after.ino(), after.mode()), "{what}");
            assert_eq!(folder.read("victim"), b"not to be touched", "{what}");
            assert!(!folder.is_there("dst"), "{what}");
            let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
            folder.assert_nothing_left();
        }
    }
    complete(pair(folder.duocopy("src dst"), folder.duocopy("src dst")));
}

#[test(needs = [root, strace])]
fn another_users_file_under_a_temporary_name_is_left_alone() {
    let folder = Folder::new();
    let names = names(&folder);
    folder.set_mode("src", 0o644);
    for path in names {
        // Every user may write to it and, in this directory, remove it. It still belongs to another user.
        fs::write(&path, "somebody's").unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
        chown(&path, Some(12345), Some(12345)).unwrap();
        let nobody = [(); 2].map(|()| folder.duocopy("src dst").by_nobody());
        folder.set_mode("", 0o777);
        let [reader, writer] = nobody;
        for ended in end(pair(reader, writer)) {
            ended.expect(6, &["another file has the name", &path.display().to_string(), "remove it"]);
        }
        assert_eq!(fs::read(&path).unwrap(), b"somebody's");
        fs::remove_file(path).unwrap();
    }
}

/// A user who can write to a directory above may replace this one during a copy.
#[test(needs = [strace])]
fn a_destination_whose_directory_becomes_a_link_is_not_followed_there() {
    let folder = Folder::new();
    folder.write("src", bytes(2 * MIB, 1));
    folder.make("place");
    folder.make("elsewhere");
    folder.write("elsewhere/dst", OLD);
    let line = &format!("{SMALL_BLOCKS} src place/dst");
    let [reader, writer] = pair(folder.duocopy(line), folder.duocopy(line).traced(SLOW_WRITES));
    writer.has_written(3);
    fs::rename(folder.path("place"), folder.path("moved")).unwrap();
    symlink("elsewhere", folder.path("place")).unwrap();
    for ended in end([reader, writer]) {
        ended.expect(12, &["the directory of the destination was moved or replaced"]);
    }
    assert_eq!(folder.read("elsewhere/dst"), OLD);
    for place in ["elsewhere", "moved"] {
        folder.assert_nothing_left_in(place);
        assert_eq!(folder.is_there(format!("{place}/dst")), place == "elsewhere");
    }
}

#[test]
fn links_are_followed_once_and_in_circles_never() {
    let folder = Folder::new();
    folder.write("src", "new");
    folder.make("a");
    folder.make("b");
    folder.write("b/file", OLD);
    // A relative link is followed from its own directory.
    symlink("a/second", folder.path("first")).unwrap();
    symlink("../b/file", folder.path("a/second")).unwrap();
    folder.duocopy("cp src first").end().expect(0, &[]);
    assert_eq!(folder.read("b/file"), b"new");
    assert!(folder.path("first").is_symlink() && folder.path("a/second").is_symlink());
    symlink("two", folder.path("one")).unwrap();
    symlink("one", folder.path("two")).unwrap();
    folder.duocopy("cp src one").end().expect(12, &["a loop of links"]);
    symlink("a/none", folder.path("lost")).unwrap();
    folder.duocopy("cp src lost").end().expect(12, &["a dangling link"]);
}

#[test]
fn names_cannot_move_the_cursor() {
    let folder = Folder::new();
    let name = "bad\x1b[2Jname\r";
    let ended = folder.duocopy("cp").word(name).word("dst").end();
    ended.expect(5, &["bad\\u{1b}[2Jname\\r"]);
    assert!(!ended.messages.contains('\x1b') && !ended.messages.contains('\r'));
    folder.write("src", "x");
    let ended = folder.duocopy("cp src").word(format!("no such place/{name}")).end();
    assert_eq!(ended.code, 6);
    assert!(!ended.messages.contains('\x1b') && !ended.messages.contains('\r'));
}

#[cfg(target_os = "linux")]
#[test(needs = [landlock])]
fn no_process_warns_that_it_is_not_confined() {
    let folder = Folder::with_source(MIB);
    let name = folder.pipe_name();
    let cp = folder.duocopy("cp -v src alone").end();
    let both = end(pair(folder.duocopy("src dst"), folder.duocopy("src dst")));
    let read = folder.duocopy(&format!("read -v src {name}")).start();
    let halves = end([read, folder.duocopy(&format!("write -v new {name}")).start()]);
    for ended in [cp].iter().chain(&both).chain(&halves) {
        ended.expect(0, &["complete"]);
        assert!(!ended.messages.contains("not confined"), "{ended:?}");
    }
}

#[cfg(target_os = "linux")]
#[test(needs = [held_copies])]
fn all_threads_of_both_processes_are_sandboxed() {
    for (flags, filtered) in [("", "Seccomp:\t2"), ("--no-sandbox", "Seccomp:\t0")] {
        let folder = Folder::new();
        folder.write("src", bytes(2 * MIB, 1));
        let line = format!("{HELD_BLOCKS} {flags} --bwlimit=2M src dst");
        let both = pair(folder.duocopy(&line), folder.duocopy(&line));
        for process in &both {
            process.reports("this is the");
        }
        until("it is in the middle", || {
            let header = folder.header()?;
            (header.filled > 4 && header.emptied > 4).then_some(())
        });
        for process in &both {
            let tasks = fs::read_dir(format!("/proc/{}/task", process.id())).expect("it lives");
            let status = tasks.flatten().map(|task| fs::read_to_string(task.path().join("status")));
            let status: Vec<String> = status.map(Result::unwrap_or_default).collect();
            assert!(status.len() > 1 && status.iter().all(|status| status.contains(filtered)), "{status:?}");
        }
        complete(both);
    }
}
