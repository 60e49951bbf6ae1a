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

/// Starts `cp` with slow writes, and finds its child. The test needs `strace` and `children_in_proc`.
fn slow_cp(folder: &Folder) -> (Process, u32) {
    folder.write("src", bytes(2 * MIB, 1));
    folder.write("dst", OLD);
    let run = folder.duocopy(&format!("cp {SMALL_BLOCKS} src dst"));
    let parent = run.traced(&format!("-f {SLOW_WRITES}")).start();
    // In the portable build, four such calls reserve memory.
    let reserving = if cfg!(blockpipe_portable) { 4 } else { 0 };
    parent.has_called("pwrite64", reserving + 2);
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
