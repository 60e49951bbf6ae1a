//! `duocopy cp`, which starts the second process itself.

use crate::util::*;
use std::path::Path;

#[test]
fn cp_does_both_halves() {
    let folder = Folder::new();
    for length in [0, 1, 4097, 3 * MIB] {
        folder.write("src", bytes(length, 1));
        let ended = folder.duocopy("cp src dst").end();
        assert_eq!((ended.code, ended.messages.as_str(), ended.output.as_str()), (0, "", ""));
        folder.assert_same("src", "dst");
    }
    let ended = folder.duocopy("cp -v --fsync=none src dst").end();
    ended.expect(0, &["complete: 3145728 bytes", "CRC-64/NVME"]);
    assert_eq!(ended.messages.matches("CRC-64/NVME").count(), 1, "one copy, one checksum: {ended:?}");
    let ended = folder.duocopy("cp -q src dst").end();
    assert_eq!((ended.code, ended.messages.as_str()), (0, ""));
}

#[test]
fn cp_ends_with_the_codes_of_the_pair() {
    let folder = Folder::new();
    folder.write("src", OLD);
    folder.write("dst", OLD);
    folder.make("folder");
    let cases = [
        ("missing dst", 5, "missing", "check the spelling"),
        ("folder dst", 5, "folder", "is a directory"),
        ("src src", 12, "src", "name another destination"),
        ("src missing/dst", 6, "missing/dst", "create its directory first"),
    ];
    for (line, code, path, message) in cases {
        let ended = folder.duocopy(&format!("cp {line}")).end();
        ended.expect(code, &[&folder.text(path), message]);
        assert_eq!(ended.messages.matches(message).count(), 1, "reported once: {ended:?}");
        folder.assert_untouched(Some(OLD));
    }
}

#[test]
fn cp_copies_several_sources_one_after_the_other() {
    let folder = Folder::new();
    folder.make("place");
    folder.make("other");
    for (name, length) in [("a", 0), ("b", 3 * MIB), ("c", 4097), ("other/a", 7)] {
        folder.write(name, bytes(length, 1));
    }
    let ended = folder.duocopy("cp a b c place").end();
    assert_eq!((ended.code, ended.messages.as_str(), ended.output.as_str()), (0, "", ""));
    folder.duocopy("cp -t other b c").end().expect(0, &[]);
    for name in ["a", "b", "c"] {
        folder.assert_same(name, format!("place/{name}"));
    }
    folder.assert_same("b", "other/b");
    // The others are copied all the same, and the first failure decides the exit code.
    folder.write("b", "newer");
    let ended = folder.duocopy("cp missing b place/c place").end();
    ended.expect(5, &["missing", "are the same file"]);
    folder.assert_same("b", "place/b");
    // One destination cannot have the content of two sources, but a source may be named twice.
    folder.duocopy("cp a other/a place").end().expect(12, &["an earlier source of this command"]);
    folder.assert_same("a", "place/a");
    folder.duocopy("cp b b place").end().expect(0, &[]);
    folder.duocopy("cp --backup=numbered a other/a place").end().expect(0, &[]);
    folder.assert_same("other/a", "place/a");
    for (line, message) in [("cp a b missing", "no such directory"), ("cp a b c", "not a directory")] {
        let ended = folder.duocopy(line).end();
        ended.expect(6, &[message]);
        assert_eq!(ended.messages.matches(message).count(), 1, "reported once: {ended:?}");
    }
    folder.duocopy("cp --dry-run a b place").end().expect(0, &["place"]);
    folder.assert_nothing_left_in("place");
}

/// The sandbox confines a thread for good, so each of several copies has a thread of its own.
#[test(needs = [children_in_proc], not_on_windows = "there is no sandbox")]
fn each_copy_of_several_is_confined() {
    let folder = Folder::new();
    folder.make("place");
    folder.write("first", "x");
    folder.write("src", bytes(2 * MIB, 1));
    let parent = folder.duocopy("cp --bwlimit=200K --block-size=4K first src place").start();
    let place = folder.path("place/first");
    until("the first copy", || place.exists().then_some(()));
    until("the second copy has begun", || {
        let copy = folder
            .temporaries("place")
            .into_iter()
            .find(|path| path.extension().is_some_and(|it| it == "part"));
        copy.and_then(|copy| copy.metadata().ok()).filter(|it| it.len() > 1)
    });
    let confined = |process: u32| {
        let tasks = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
        let status = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("status"));
        tasks.filter_map(|task| status(task).ok()).filter(|status| status.contains("Seccomp:\t2")).count()
    };
    until("a confined thread", || (confined(parent.id()) > 0).then_some(()));
    let child =
        until("the second process", || parent.children().into_iter().find(|child| confined(*child) > 0));
    assert!(is_alive(child));
    parent.signal(Signal::INT);
    parent.end().expect(130, &["interrupted"]);
    assert!(!folder.is_there("place/src"));
}

/// An interrupt between two copies ends the command, too.
#[test(needs = [strace], not_on_windows = "there is no strace")]
fn an_interrupt_that_comes_too_late_for_one_copy_ends_the_next() {
    let folder = Folder::new();
    folder.make("place");
    folder.write("a", "x");
    folder.write("b", "x");
    // Its name is written to standard output once the first copy is complete.
    let interrupt = format!("-f -P {} -e inject=write:signal=INT:when=1", folder.path("stdout-0").display());
    let ended = folder.duocopy("cp -v a b place").traced(&interrupt).end();
    ended.expect(130, &["interrupted", "place/b"]);
    folder.assert_same("a", "place/a");
    assert!(!folder.is_there("place/b"));
    folder.assert_nothing_left_in("place");
}

/// Starts `cp` with slow writes, and finds its child. The test needs `strace` and `children_in_proc`.
fn slow_cp(folder: &Folder) -> (Process, u32) {
    folder.write("src", bytes(2 * MIB, 1));
    folder.write("dst", OLD);
    let run = folder.duocopy(&format!("cp {SMALL_BLOCKS} src dst"));
    let parent = run.traced(&format!("-f {SLOW_WRITES}")).start();
    parent.has_written(2);
    let child = child_of(&parent);
    (parent, child)
}

/// Returns the one process that `cp` has started.
fn child_of(parent: &Process) -> u32 {
    let children = parent.children();
    let [child] = children[..] else { panic!("`cp` has these children: {children:?}") };
    child
}

/// Signals the child of a process that still runs, so that the number still belongs to that child.
#[cfg(unix)]
fn signal_child(child: u32, signal: Signal) {
    let child = rustix::process::Pid::from_raw(child.cast_signed()).unwrap();
    rustix::process::kill_process(child, signal).unwrap();
}

#[cfg(windows)]
fn signal_child(_child: u32, _signal: Signal) {
    unreachable!("children are not found here");
}

fn is_alive(process: u32) -> bool {
    Path::new(&format!("/proc/{process}")).exists()
}

#[test(needs = [strace, children_in_proc])]
fn interrupting_cp_ends_both_of_its_processes() {
    let folder = Folder::new();
    let (parent, child) = slow_cp(&folder);
    parent.signal(Signal::INT);
    parent.end().expect(130, &["interrupted", &folder.text("dst")]);
    assert!(!is_alive(child), "a child is left");
    folder.assert_untouched(Some(OLD));
}

#[test(needs = [strace, children_in_proc])]
fn a_child_that_is_stopped_does_not_keep_cp_from_ending() {
    let folder = Folder::new();
    let (parent, child) = slow_cp(&folder);
    signal_child(child, Signal::STOP);
    parent.signal(Signal::TERM);
    let ended = parent.end_within(milliseconds(5000 * SLOWNESS));
    signal_child(child, Signal::CONT);
    let Ok(ended) = ended else { panic!("`cp` waits for its child") };
    ended.expect(143, &["interrupted"]);
    until("the end of the child", || (!is_alive(child)).then_some(()));
    folder.assert_untouched(Some(OLD));
}

/// The Reader, which reports the end, does not know itself what the Writer keeps.
#[test(not_on_windows = "one process of a group cannot be interrupted")]
fn an_interrupted_cp_reports_what_it_keeps() {
    let folder = Folder::new();
    folder.write("src", bytes(4 * MIB, 1));
    folder.write("dst", OLD);
    let parent = folder.duocopy("cp --partial --bwlimit=1M --block-size=4K src dst").start();
    until("a checkpoint", || folder.has_checkpoint().then_some(()));
    parent.signal(Signal::INT);
    let kept = "is unchanged, and ";
    parent
        .end()
        .expect(130, &["interrupted", kept, "bytes of the copy are kept, which the next run resumes"]);
    folder.duocopy("cp src dst").end().expect(0, &["resuming an interrupted copy"]);
    folder.assert_same("src", "dst");
}

#[test]
fn control_c_reaches_both_processes_of_cp() {
    let folder = Folder::new();
    folder.write("src", bytes(64 * MIB, 1));
    folder.write("dst", OLD);
    let parent = folder.duocopy("cp --block-size=4K --buffer-size=16K src dst").in_its_own_group().start();
    until("the temporary file", || folder.temporaries("").pop());
    let children = parent.children();
    parent.signal_group(Signal::INT);
    let ended = parent.end();
    ended.expect(130, &["interrupted", &folder.text("dst")]);
    assert_eq!(ended.messages.lines().count(), 1, "reported once: {ended:?}");
    assert!(children.iter().all(|child| !is_alive(*child)), "a child is left");
    folder.assert_untouched(Some(OLD));
}

#[test(needs = [strace, children_in_proc])]
fn an_interrupt_of_cp_is_reported_although_its_child_ended_first() {
    let folder = Folder::new();
    let source = folder.write("src", bytes(2 * MIB, 1));
    folder.write("dst", OLD);
    // Only the parent is slow: it is in the middle of a read when its child has ended already.
    let slow = format!("-P {} -e trace=read -e inject=read:delay_enter=1500000:when=3", source.display());
    let parent = folder.duocopy(&format!("cp {SMALL_BLOCKS} src dst")).traced(&slow).start();
    parent.has_called("read", 2);
    let child = child_of(&parent);
    // Nothing shows that the third read has begun.
    pause(milliseconds(300));
    signal_child(child, Signal::INT);
    until("the end of the child", || (!is_alive(child)).then_some(()));
    parent.signal(Signal::INT);
    parent.end().expect(130, &["interrupted", &folder.text("dst")]);
    folder.assert_untouched(Some(OLD));
}

#[test(needs = [strace, children_in_proc])]
fn killing_the_child_of_cp_ends_it() {
    let folder = Folder::new();
    let (parent, child) = slow_cp(&folder);
    signal_child(child, Signal::KILL);
    parent.end().expect(8, &[&folder.text("dst"), "is unchanged"]);
    assert!(folder.content("dst").as_deref() == Some(OLD));
    folder.duocopy("cp src dst").end().expect(0, &[]);
    folder.assert_same("src", "dst");
    folder.assert_untouched(Some(&folder.read("src")));
}

#[test(needs = [strace, children_in_proc])]
fn killing_cp_ends_its_child() {
    let folder = Folder::new();
    let (parent, child) = slow_cp(&folder);
    parent.kill();
    until("the end of the child", || (!is_alive(child)).then_some(()));
    assert_eq!(parent.end().code, KILLED);
    folder.assert_untouched(Some(OLD));
}
