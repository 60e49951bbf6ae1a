//! `duocopy read` and `duocopy write`: two halves that start in any order and do not know each other's path.

use crate::util::*;
use std::fs;

fn prepared() -> Folder {
    Folder::with_source(300 * KIB + 7)
}

fn reader<'a>(folder: &'a Folder, flags: &str) -> Run<'a> {
    folder.read_half(&format!("{flags} src"))
}

fn writer<'a>(folder: &'a Folder, flags: &str) -> Run<'a> {
    folder.write_half(&format!("{flags} dst"))
}

#[test]
fn halves_may_start_in_any_order() {
    for writer_first in [false, true] {
        let folder = prepared();
        let start = |is_writer| if is_writer { writer(&folder, "-v") } else { reader(&folder, "-v") }.start();
        let first = start(writer_first);
        let missing = if writer_first { "Reader" } else { "Writer" };
        first.reports(&format!("waiting for the {missing}; start it as the same user:"));
        first.reports(&format!(
            "duocopy {} {}",
            if writer_first { "read SRC" } else { "write DST" },
            folder.pipe_name()
        ));
        let second = start(!writer_first);
        let [one, two] = end([first, second]);
        one.expect(0, &["complete: 307207 bytes"]);
        two.expect(0, &["complete: 307207 bytes"]);
        folder.assert_same("src", "dst");
        folder.assert_nothing_left();
    }
}

#[test]
fn a_second_process_of_the_same_half_is_refused() {
    for is_writer in [false, true] {
        let folder = prepared();
        let run = |flags: &str| if is_writer { writer(&folder, flags) } else { reader(&folder, flags) };
        let first = run("").start();
        first.reports("waiting for the");
        let role = if is_writer { "Writer" } else { "Reader" };
        run("").end().expect(9, &[&format!("already has its {role} (process {})", first.id())]);
        let other = if is_writer { reader(&folder, "") } else { writer(&folder, "") }.start();
        complete([first, other]);
        folder.assert_same("src", "dst");
    }
}

/// A half must not learn the path of the other.
#[track_caller]
fn assert_not_named(ended: &Ended, path: &str) {
    assert!(!ended.messages.contains(path), "it names {path}: {ended:?}");
}

#[test]
fn nothing_is_replaced_without_force() {
    let folder = prepared();
    folder.write("dst", OLD);
    let [one, other] = end([reader(&folder, "").start(), writer(&folder, "").start()]);
    other.expect(12, &["the destination exists", "--force"]);
    one.expect(12, &["the Writer failed: the destination exists"]);
    assert_not_named(&one, &folder.text("dst"));
    assert_eq!(folder.read("dst"), OLD);
    folder.assert_nothing_left();
    complete([reader(&folder, "").start(), writer(&folder, "--force").start()]);
    folder.assert_same("src", "dst");
}

#[test(needs = [strace], not_on_windows = "its writes are slowed down by strace")]
fn a_destination_that_appears_during_the_copy_is_not_replaced() {
    // Where the file system cannot rename without replacing, the Writer uses a link.
    for cannot in ["", " -e inject=renameat2:error=EINVAL"] {
        let folder = prepared();
        let slow = writer(&folder, "").traced(&format!("{SLOW_WRITES}{cannot}"));
        let [reader, writer] = [reader(&folder, HELD_BLOCKS).start(), slow.start()];
        writer.has_written(1);
        folder.write("dst", "another");
        let [one, other] = end([reader, writer]);
        one.expect(12, &["the Writer failed: the destination was created"]);
        other.expect(12, &["the destination was created during the copy", &folder.text("dst")]);
        assert_not_named(&one, &folder.text("dst"));
        assert_eq!(folder.read("dst"), b"another");
        folder.assert_nothing_left();
    }
}

#[test(needs = [strace], not_on_windows = "its call fails by strace")]
fn a_link_replaces_a_rename_that_the_file_system_does_not_have() {
    let folder = prepared();
    let unknown = writer(&folder, "").traced("-f -e trace=renameat2,linkat -e inject=renameat2:error=EINVAL");
    let [reader, writer] = [reader(&folder, "").start(), unknown.start()];
    until("the end of the Writer", || writer.ended());
    assert_eq!((writer.calls("renameat2").len(), writer.calls("linkat").len()), (1, 1), "{}", writer.trace());
    complete([reader, writer]);
    folder.assert_same("src", "dst");
    folder.assert_nothing_left();
}

/// The destination is then the copy itself, and not another file that must not be replaced.
#[test(needs = [strace], not_on_windows = "its kills are placed by strace")]
fn a_copy_that_was_killed_after_its_rename_is_complete() {
    let folder = Folder::new();
    folder.write("src", bytes(LONG, 1));
    let slow = "-f -e trace=pwrite64,/^rename -e inject=pwrite64:delay_enter=10000 -e inject=/^rename:delay_exit=500000";
    let processes = [reader(&folder, HELD_BLOCKS).start(), writer(&folder, "").traced(slow).start()];
    until("the destination", || folder.is_there("dst").then_some(()));
    processes.iter().for_each(Process::kill);
    end(processes);
    let [_, again] = end([reader(&folder, "").start(), writer(&folder, "").start()]);
    again.expect(0, &[&format!("{LONG} bytes need not be copied again")]);
    folder.assert_same("src", "dst");
    folder.assert_nothing_left();
}

#[test]
fn max_bytes_limits_what_is_written() {
    let folder = prepared();
    for (most, code) in [("300K", 12), ("301K", 0)] {
        let flags = format!("--max-bytes={most}");
        let [one, other] = end([reader(&folder, "").start(), writer(&folder, &flags).start()]);
        let texts: &[&str] =
            if code == 0 { &[] } else { &["at least 307207 bytes", "--max-bytes allows 307200"] };
        one.expect(code, &[]);
        other.expect(code, texts);
        assert_not_named(&one, &folder.text("dst"));
        assert_eq!(folder.is_there("dst"), code == 0);
        folder.assert_nothing_left();
    }
}

#[test(not_on_windows = "links need a right that few users have")]
fn a_link_is_not_followed() {
    let folder = prepared();
    folder.make("elsewhere");
    folder.write("elsewhere/file", OLD);
    for leads in ["elsewhere/file", "nowhere"] {
        symlink(leads, folder.path("dst")).unwrap();
        let [one, other] = end([reader(&folder, "").start(), writer(&folder, "--force").start()]);
        other.expect(12, &["the destination is a link"]);
        one.expect(12, &["the Writer failed: the destination is a link"]);
        assert_eq!(folder.read("elsewhere/file"), OLD);
        fs::remove_file(folder.path("dst")).unwrap();
    }
    folder.assert_nothing_left();
}

#[test]
fn halves_wait_as_long_as_the_option_says() {
    let folder = prepared();
    for run in [reader(&folder, "--wait=300ms"), writer(&folder, "--wait=300ms")] {
        run.end().expect(10, &["timed out after 300ms", "--wait"]);
    }
    assert!(!folder.is_there("dst"));
    folder.assert_nothing_left();
}

#[test]
fn a_writer_that_waits_can_be_interrupted() {
    for signal in STOPPING {
        let folder = prepared();
        let first = writer(&folder, "").start();
        first.reports("waiting for the Reader");
        first.signal(signal);
        first.end().expect(128 + signal.as_raw(), &["interrupted", &folder.text("dst"), "is unchanged"]);
        complete([writer(&folder, "").start(), reader(&folder, "").start()]);
    }
}

#[test]
fn a_missing_source_ends_both() {
    let folder = prepared();
    fs::remove_file(folder.path("src")).unwrap();
    let waiting = writer(&folder, "").start();
    waiting.reports("waiting for the Reader");
    reader(&folder, "").end().expect(5, &["cannot open the source", &folder.text("src")]);
    let ended = waiting.end();
    ended.expect(5, &["the Reader failed: cannot open the source"]);
    assert_not_named(&ended, &folder.text("src"));
    assert!(!folder.is_there("dst"));
}

#[test]
fn a_half_does_not_meet_a_pair() {
    let folder = prepared();
    let pair = folder.duocopy(&format!("src dst {}", folder.pipe_name())).start_reader();
    writer(&folder, "").end().expect(12, &["in use for another copy", "`duocopy read` and `duocopy write`"]);
    complete([pair, folder.duocopy(&format!("src dst {}", folder.pipe_name())).start()]);
    folder.assert_same("src", "dst");
}

/// Starts two halves and returns them in the middle of a copy as long as [`LONG`].
#[cfg(unix)]
fn held(folder: &Folder, flags: &str) -> [Process; 2] {
    folder.write("src", bytes(LONG, 1));
    let reader = reader(folder, &format!("{HELD_BLOCKS} {flags}")).start();
    let writer = writer(folder, flags).traced(SLOW_WRITES).start();
    writer.has_written(3);
    [reader, writer]
}

#[test(needs = [strace], not_on_windows = "its writes are slowed down by strace")]
fn a_killed_half_ends_its_peer_and_the_next_two_resume() {
    for hit in [0, 1] {
        let folder = Folder::new();
        let processes = held(&folder, "");
        until("the first checkpoint", || folder.has_checkpoint().then_some(()));
        processes[hit].kill();
        let [reading, writing] = end(processes);
        if hit == 1 {
            reading.expect(8, &["the Writer died; the destination is unchanged"]);
            assert_not_named(&reading, &folder.text("dst"));
        } else {
            writing.expect(8, &["the Reader", "died", "is unchanged", "bytes of the copy are kept"]);
            assert_not_named(&writing, &folder.text("src"));
        }
        assert!(!folder.is_there("dst"));
        let [_, writing] = end([reader(&folder, "").start(), writer(&folder, "").start()]);
        writing.expect(0, &["resuming an interrupted copy"]);
        folder.assert_same("src", "dst");
        folder.assert_nothing_left();
    }
}

#[test(needs = [strace], not_on_windows = "its writes are slowed down by strace")]
fn either_half_is_replaced() {
    for (hit, name, command) in [(0, "Reader", "read"), (1, "Writer", "write")] {
        let folder = Folder::new();
        let flags = "--replace-within=60s";
        let [reading, writing] = held(&folder, flags);
        let (victim, survivor) = if hit == 0 { (reading, writing) } else { (writing, reading) };
        victim.kill();
        victim.end();
        survivor.reports(&format!("the {name} died; waiting up to 1m for a replacement; start it again:"));
        survivor.reports(&format!("duocopy {command} --replace-within=1m "));
        let newcomer = if hit == 0 { reader(&folder, flags) } else { writer(&folder, flags) }.start();
        newcomer.reports(&format!("this {name} takes the place of one that died"));
        complete([newcomer, survivor]);
        folder.assert_same("src", "dst");
        folder.assert_nothing_left();
    }
}
