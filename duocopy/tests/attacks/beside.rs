//! Interference with the files beside the destination, during a copy and after one was killed.

use crate::util::*;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};

const VICTIM: u32 = 20_002;
const MALLORY: u32 = 20_003;
const GROUP: u32 = 20_000;

/// Makes a folder with a source and a directory that a group can write to, in which there is no sticky bit.
fn with_group() -> Folder {
    let folder = Folder::new();
    chown(folder.make("home"), Some(VICTIM), Some(GROUP)).expect("root may");
    chown(folder.write("home/src", bytes(2 * MIB + 7, 1)), Some(VICTIM), Some(GROUP)).expect("root may");
    chown(folder.make("group"), Some(0), Some(GROUP)).expect("root may");
    folder.set_mode("group", 0o2770);
    folder
}

/// The Writer reads the copy back by its name, which another member of the group, this process, has replaced by then.
#[test(needs = [root])]
fn what_takes_the_place_of_the_copy_makes_nobody_wait() {
    for what in ["mkfifo -m 666", "mkdir -m 777", "ln -s /dev/zero", "cp /dev/null"] {
        let folder = with_group();
        let line = "cp --verify=reread --bwlimit=2M home/src group/dst";
        let copy = folder.duocopy(line).by_user(VICTIM, GROUP).start();
        let has_content = |part: &std::path::PathBuf| fs::metadata(part).is_ok_and(|stat| stat.blocks() > 0);
        let part = until("the copy has begun", || folder.left_over_in("group", "part").filter(has_content));
        fs::rename(&part, folder.path("group/moved")).expect("root may");
        let mut words = what.split(' ');
        let mut command = std::process::Command::new(words.next().expect("a program"));
        assert!(succeeds(command.args(words).arg(&part)), "{what}");
        let ended = copy.end();
        // The message says what was found, or that it cannot be opened.
        assert!([6, 12].contains(&ended.code), "{what}: {ended:?}");
        assert!(!folder.is_there("group/dst"), "{what}: {ended:?}");
    }
}

/// Makes a folder with a source and a directory with the sticky bit, which belongs to root, and in which both users can
/// write.
fn with_drop(mode: u32) -> Folder {
    let folder = with_group();
    chown(folder.make("drop"), Some(0), Some(GROUP)).expect("root may");
    folder.set_mode("drop", mode);
    folder
}

/// Another user must not decide which directory a copy gets into, unless the user has named it as a directory.
#[test(needs = [root])]
fn a_directory_of_another_user_takes_no_copy_that_may_be_meant_as_a_file() {
    for (mode, user) in [0o1777, 0o1775].into_iter().flat_map(|mode| [VICTIM, 0].map(|user| (mode, user))) {
        let folder = with_drop(mode);
        let run = |line: &str| folder.duocopy(line).by_user(user, GROUP).end();
        for (name, owner) in [("theirs", MALLORY), ("own", user), ("of-the-owner", 0)] {
            chown(folder.make(format!("drop/{name}")), Some(owner), Some(GROUP)).expect("root may");
            folder.set_mode(format!("drop/{name}"), 0o777);
        }
        for line in
            ["cp home/src drop/theirs", "cp --dry-run home/src drop/theirs", "--wait=9s home/src drop/theirs"]
        {
            run(line).expect(12, &["a directory of another user", "--target-directory"]);
            assert_eq!(fs::read_dir(folder.path("drop/theirs")).expect("root may").count(), 0, "{line}");
        }
        for line in [
            "cp home/src drop/theirs/",
            "cp home/src drop/theirs/.",
            "cp -t drop/theirs home/src",
            "cp home/src drop/own",
            "cp home/src drop/of-the-owner",
        ] {
            run(line).expect(0, &[]);
        }
        folder.assert_same("home/src", "drop/own/src");
        folder.assert_same("home/src", "drop/theirs/src");
    }
}

/// Root could replace a file of any user, even one that appears after root has found that there is none.
#[test(needs = [root, strace])]
fn what_another_user_creates_at_the_last_moment_is_not_replaced() {
    for (flags, call, name) in [("", "/^rename", "dst"), ("--backup=simple", "linkat", "dst~")] {
        for mode in [0o1777, 0o1775] {
            let folder = with_drop(mode);
            if name != "dst" {
                folder.write("drop/dst", OLD);
                folder.set_mode("drop/dst", 0o640);
            }
            let slow = format!("-f -e trace={call} -e inject={call}:delay_enter=2000000");
            let line = format!("cp --fsync=none {flags} home/src drop/dst");
            let copy = folder.duocopy(&line).traced(&slow).start();
            let is_settled =
                |part: &std::path::PathBuf| fs::metadata(part).is_ok_and(|stat| stat.mode() & 0o777 != 0o600);
            until("the last moment", || folder.left_over_in("drop", "part").filter(is_settled));
            pause(milliseconds(300));
            let theirs = folder.write(format!("drop/{name}"), "theirs");
            chown(&theirs, Some(MALLORY), Some(GROUP)).expect("root may");
            copy.end().expect(12, &["a file of another user", name]);
            assert_eq!(folder.read(format!("drop/{name}")), b"theirs", "{mode:o} {flags}");
        }
    }
}

/// A Writer that is killed just before its rename has given the file its final mode. Others may open it then, even those
/// who may only read it, and lock it, as this process does.
#[test(needs = [strace])]
fn a_lock_on_what_a_killed_copy_left_stops_no_other_copy() {
    for (flags, size) in [("", 7), ("--fsync=none", MIB), ("--update=none", 7)] {
        let folder = Folder::new();
        folder.write("src", bytes(size, 1));
        let line = format!("cp {flags} src dst");
        folder.duocopy(&line).traced("-f -e trace=/^rename -e inject=/^rename:signal=KILL:when=1").end();
        let left = folder.left_over("part").expect("what the killed copy left");
        let left = fs::File::open(left).expect("a file that others may read");
        left.lock_shared().expect("a free lock");
        folder.duocopy(&line).end().expect(0, &[]);
        folder.assert_same("src", "dst");
        folder.assert_nothing_left();
    }
}
