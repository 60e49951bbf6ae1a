//! Signals and kills at any moment: no process hangs, and the destination is the old file or the new one.

use crate::util::*;
#[cfg(unix)]
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::time::{Duration, Instant};

fn code(signal: Signal) -> i32 {
    128 + signal.as_raw()
}

#[test(needs = [held_copies])]
fn a_signal_to_one_side_ends_both_in_an_orderly_way() {
    for signal in STOPPING {
        for (hit, name, other) in [(0, "Reader", 1), (1, "Writer", 0)] {
            let folder = Folder::with_source_and_destination(2 * MIB);
            let processes = in_the_middle(&folder);
            processes[hit].signal(signal);
            let begun = Instant::now();
            let ended = end(processes);
            let took = begun.elapsed();
            ended[hit].expect(code(signal), &["interrupted", &folder.text("dst"), "is unchanged"]);
            ended[other].expect(8, &[&format!("the {name} was interrupted"), "is unchanged"]);
            assert!(took < milliseconds(1000 * SLOWNESS), "both ended only after {took:?}");
            folder.assert_untouched(Some(OLD));
        }
    }
}

#[test(needs = [held_copies], not_on_windows = "the Reader is suspended when its event comes")]
fn the_same_signal_to_both_ends_both() {
    let folder = Folder::with_source_and_destination(2 * MIB);
    let processes = in_the_middle(&folder);
    for process in &processes {
        process.signal(Signal::INT);
    }
    for ended in end(processes) {
        ended.expect(130, &["interrupted"]);
    }
    folder.assert_untouched(Some(OLD));
    folder.assert_next_copy_works();
}

#[test]
fn a_lone_reader_can_be_interrupted() {
    let folder = Folder::with_source_and_destination(2 * MIB);
    for signal in STOPPING {
        let reader = folder.duocopy("src dst").start_reader();
        reader.signal(signal);
        let begun = Instant::now();
        reader.end().expect(code(signal), &["interrupted", "is unchanged"]);
        assert!(begun.elapsed() < milliseconds(500 * SLOWNESS), "it ended only after {:?}", begun.elapsed());
        folder.assert_untouched(Some(OLD));
    }
    folder.assert_next_copy_works();
}

/// Starts a Reader that opens its source slowly, and a Writer that waits for it.
fn waiting_for_the_source(folder: &Folder, time: Duration) -> [Process; 2] {
    let opening = format!("openat:delay_enter={}", time.as_micros());
    let slow = format!("-P src -e trace=openat -e inject={opening}");
    let processes = pair(folder.duocopy("src dst").traced(&slow), folder.duocopy("src dst"));
    // From outside nothing shows that it waits.
    pause(milliseconds(200));
    assert_eq!(processes[1].messages(), "");
    processes
}

#[test(needs = [strace])]
fn a_writer_that_waits_for_a_slow_reader_can_be_interrupted() {
    for signal in STOPPING {
        let folder = Folder::with_source_and_destination(2 * MIB);
        let [reader, writer] = waiting_for_the_source(&folder, milliseconds(800));
        writer.signal(signal);
        let begun = Instant::now();
        writer.end().expect(code(signal), &["interrupted", "is unchanged"]);
        assert!(begun.elapsed() < milliseconds(500 * SLOWNESS), "it ended only after {:?}", begun.elapsed());
        assert!(reader.ended().is_none());
        reader.end().expect(8, &["the Writer was interrupted"]);
        folder.assert_untouched(Some(OLD));
    }
}

#[test(needs = [strace])]
fn a_slow_reader_that_is_interrupted_ends_the_waiting_writer() {
    let folder = Folder::with_source_and_destination(2 * MIB);
    let [reader, writer] = waiting_for_the_source(&folder, milliseconds(600));
    reader.signal(Signal::TERM);
    reader.end().expect(code(Signal::TERM), &["interrupted"]);
    writer.end().expect(8, &["the Reader was interrupted"]);
    folder.assert_untouched(Some(OLD));
}

#[test(needs = [strace])]
fn an_interrupt_during_the_rename_comes_too_late_and_a_second_one_ends_at_once() {
    let slow = "-e trace=/^rename -e inject=/^rename:delay_enter=1000000";
    for twice in [false, true] {
        let folder = Folder::with_source_and_destination(MIB);
        let [reader, writer] = pair(folder.duocopy("src dst"), folder.duocopy("src dst").traced(slow));
        committing(&folder);
        reader.signal(Signal::INT);
        pause(milliseconds(200));
        assert!(
            reader.ended().is_none(),
            "after the first interrupt it must wait for the verdict: {}",
            reader.messages()
        );
        if twice {
            reader.signal(Signal::INT);
            let begun = Instant::now();
            assert_eq!(reader.end().code, 130);
            assert!(begun.elapsed() < milliseconds(200), "it ended only after {:?}", begun.elapsed());
        } else {
            // The Writer is in the middle of the rename.
            writer.signal(Signal::INT);
            reader.end().expect(0, &["complete"]);
        }
        writer.end().expect(0, &["complete"]);
        folder.assert_same("src", "dst");
    }
}

/// Waits until the Writer has announced the rename.
fn committing(folder: &Folder) {
    until("the Writer announces the rename", || folder.is_committing().then_some(()));
}

#[test(needs = [strace])]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    let folder = Folder::with_source_and_destination(2 * MIB);
    let line = &format!("{SMALL_BLOCKS} src dst");
    let deaf = "trap '' HUP";
    let reader = folder.duocopy(line).after(deaf);
    let [reader, writer] = pair(reader, folder.duocopy(line).traced(SLOW_WRITES).after(deaf));
    writer.has_written(3);
    for _ in 0..3 {
        reader.signal(Signal::HUP);
        writer.signal(Signal::HUP);
    }
    complete([reader, writer]);
    folder.assert_same("src", "dst");
    // Other signals still work.
    let folder = Folder::with_source_and_destination(2 * MIB);
    let reader = folder.duocopy(line).after(deaf).start_reader();
    reader.signal(Signal::HUP);
    reader.signal(Signal::TERM);
    reader.end().expect(code(Signal::TERM), &["interrupted"]);
}

#[test(needs = [held_copies])]
fn a_stopped_process_is_not_a_dead_one() {
    for stopped in [0, 1] {
        let folder = Folder::with_source_and_destination(2 * MIB);
        let processes = in_the_middle(&folder);
        processes[stopped].signal(Signal::STOP);
        pause(milliseconds(1000));
        for process in &processes {
            assert!(process.ended().is_none(), "it gave up: {}", process.messages());
        }
        assert!(folder.read("dst") == OLD, "the destination was touched");
        processes[stopped].signal(Signal::CONT);
        complete(processes);
        folder.assert_same("src", "dst");
    }
}

#[test(needs = [strace], not_on_windows = "there is no signal for it")]
fn a_status_line_is_given_on_request() {
    let folder = Folder::with_source_and_destination(2 * MIB);
    let processes = in_the_middle(&folder);
    for process in &processes {
        process.signal(Signal::USR1);
        process.reports(" of 2.00 MiB written · in ");
    }
    for ended in end(processes) {
        ended.expect(0, &["complete", "buffer "]);
        assert_eq!(ended.messages.matches(" written · ").count(), 1, "one request, one line: {ended:?}");
    }
    folder.assert_same("src", "dst");
}

#[test(needs = [held_copies])]
fn the_next_copy_removes_what_a_killed_writer_left() {
    let folder = Folder::with_source_and_destination(2 * MIB);
    let [reader, writer] = in_the_middle(&folder);
    writer.kill();
    let begun = Instant::now();
    let ended = reader.end();
    let took = begun.elapsed();
    note!("the Reader noticed the Writer's death after {took:?}");
    assert!(took < milliseconds(1000 * SLOWNESS));
    assert!(folder.read("dst") == OLD, "the destination was touched");
    let left = folder.temporaries("");
    let [left] = &left[..] else { panic!("a kill leaves one temporary file: {left:?}") };
    let left = left.file_name().unwrap().to_str().unwrap();
    ended.expect(8, &["the Writer died", &folder.text("dst"), "is unchanged", left, "copy again"]);
    folder.assert_next_copy_works();
}

#[test(not_on_windows = "memory goes with its last process")]
fn the_next_copy_of_any_name_removes_the_memory_of_a_killed_pair() {
    let folder = Folder::with_source_and_destination(1000);
    let reader = folder.duocopy("src dst").start_reader();
    until("the pipe", || folder.pipe());
    // The copy of another test may be the next one.
    reader.kill();
    reader.end();
    folder.duocopy("cp src elsewhere").start().end().expect(0, &[]);
    assert!(folder.pipe().is_none(), "it is still there");
}

/// Kills a Writer in the middle, and returns the temporary file that it leaves beside `dst`.
fn left_over(folder: &Folder) -> PathBuf {
    let [reader, writer] = in_the_middle(folder);
    writer.kill();
    reader.end().expect(8, &["the Writer died"]);
    folder.temporaries("").pop().expect("a kill leaves the temporary file")
}

/// A user may try to rescue the left-over; the copy must not remove its own source.
#[test(needs = [held_copies])]
fn the_left_over_of_a_killed_writer_is_not_copied_onto_its_own_destination() {
    let folder = Folder::with_source_and_destination(2 * MIB);
    let left = left_over(&folder);
    let start = || folder.duocopy("").word(&left).word("dst").start();
    for ended in [start(), start()].map(Process::end) {
        ended.expect(12, &[&folder.text("dst"), "temporary file", "rename the source"]);
    }
    assert!(left.exists(), "the source was removed");
    assert!(folder.read("dst") == OLD, "the destination was touched");
}

/// A Writer that is killed while it flushes has given its file the final mode already.
#[test(needs = [strace], not_on_windows = "modes; windows.rs tests attributes")]
fn a_read_only_left_over_stops_no_copy() {
    let folder = Folder::with_source_and_destination(2 * MIB);
    let left = left_over(&folder);
    folder.set_mode(left.file_name().unwrap(), 0o444);
    if is_root() {
        chown(&left, Some(NOBODY), Some(NOBODY)).unwrap();
        chown(folder.path(""), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let start = || folder.duocopy("--fsync=none src dst").by_nobody().start();
    complete([start(), start()]);
    assert!(!left.exists());
}

#[test(needs = [strace])]
fn a_signal_after_the_rename_does_not_hide_that_the_copy_is_complete() {
    let folder = Folder::with_source_and_destination(1000);
    let late = "-e trace=fsync -e inject=fsync:error=EIO:delay_enter=500000:when=2";
    let [reader, writer] = pair(folder.duocopy("src dst"), folder.duocopy("src dst").traced(late));
    until("the rename", || (folder.read("dst") != OLD).then_some(()));
    reader.signal(Signal::TERM);
    for ended in end([reader, writer]) {
        ended.expect(6, &[&folder.text("dst"), "cannot flush the name of the copy", "is complete"]);
    }
    folder.assert_same("src", "dst");
}

#[test(not_on_windows = "an event reaches a process only when it has got its console")]
fn cp_that_is_interrupted_while_its_child_starts_does_not_hang() {
    let folder = Folder::with_source_and_destination(1000);
    for delay in 0..40 {
        let parent = folder.duocopy("cp --fsync=none src dst").start();
        pause(Duration::from_micros(delay * 200));
        parent.signal_if_there(Signal::TERM);
        let ended = parent.end_within(milliseconds(5000)).map_err(|_| "it hangs").unwrap();
        assert!([0, code(Signal::TERM), -15].contains(&ended.code), "{ended:?}");
    }
}

#[test(needs = [strace])]
fn a_directory_that_is_replaced_during_the_copy_is_noticed() {
    let folder = Folder::with_source_and_destination(2 * MIB);
    folder.make("place");
    let line = &format!("{SMALL_BLOCKS} src place/dst");
    let processes = pair(folder.duocopy(line), folder.duocopy(line).traced(SLOW_WRITES));
    processes[1].has_written(2);
    std::fs::rename(folder.path("place"), folder.path("elsewhere")).unwrap();
    folder.make("place");
    for ended in end(processes) {
        ended.expect(
            12,
            &[&folder.text("place/dst"), "the directory of the destination was moved or replaced"],
        );
    }
    assert!(!folder.is_there("place/dst") && !folder.is_there("elsewhere/dst"));
    folder.assert_nothing_left_in("elsewhere");
}

#[test(needs = [strace])]
fn the_left_over_beside_the_target_of_a_link_is_named_and_removed() {
    let folder = Folder::new();
    folder.write("src", bytes(2 * MIB, 1));
    folder.make("deep");
    folder.write("deep/target", OLD);
    symlink("deep/target", folder.path("dst")).unwrap();
    let [reader, writer] = in_the_middle(&folder);
    writer.kill();
    let ended = reader.end();
    let left = folder.temporaries("deep");
    let [left] = &left[..] else { panic!("a kill leaves one temporary file: {left:?}") };
    ended.expect(8, &["the Writer died", left.file_name().unwrap().to_str().unwrap()]);
    folder.assert_next_copy_works();
    folder.assert_nothing_left_in("deep");
}

#[test(needs = [held_copies])]
fn a_writer_whose_reader_is_killed_leaves_nothing() {
    let folder = Folder::with_source_and_destination(2 * MIB);
    let [reader, writer] = in_the_middle(&folder);
    reader.kill();
    let begun = Instant::now();
    let ended = writer.end();
    let took = begun.elapsed();
    note!("the Writer noticed the Reader's death after {took:?}, of which up to 80 ms are slow writes");
    assert!(took < milliseconds(1000 * SLOWNESS));
    ended.expect(8, &["the Reader died", &folder.text("dst"), "is unchanged", "copy again"]);
    folder.assert_untouched(Some(OLD));
    folder.assert_next_copy_works();
}

#[test(needs = [strace])]
fn a_writer_that_is_killed_around_the_rename_is_judged_by_the_file() {
    for (delay, message, renamed) in
        [("delay_enter", "is unchanged", false), ("delay_exit", "is complete", true)]
    {
        for linked in [false, true] {
            let folder = Folder::new();
            folder.write("src", bytes(MIB, 1));
            folder.make("deep");
            let place = if linked { "deep/dst" } else { "dst" };
            folder.write(place, OLD);
            if linked {
                symlink("deep/dst", folder.path("dst")).unwrap();
            }
            let slow = format!("-e trace=/^rename -e inject=/^rename:{delay}=500000");
            let [reader, writer] = pair(folder.duocopy("src dst"), folder.duocopy("src dst").traced(&slow));
            committing(&folder);
            pause(milliseconds(100));
            assert_eq!(folder.read(place) != OLD, renamed);
            writer.kill();
            // A process cannot die while `strace` holds it, so this does not measure the time.
            reader.end().expect(8, &["the Writer did not finish committing the copy", message]);
            if renamed {
                folder.assert_same("src", "dst");
            } else {
                assert!(folder.read("dst") == OLD);
            }
            folder.assert_next_copy_works();
        }
    }
}

#[test(needs = [strace])]
fn a_reader_that_is_killed_during_the_rename_does_not_stop_the_writer() {
    let folder = Folder::with_source_and_destination(MIB);
    let slow = "-e trace=/^rename -e inject=/^rename:delay_enter=500000";
    let [reader, writer] = pair(folder.duocopy("src dst"), folder.duocopy("src dst").traced(slow));
    committing(&folder);
    reader.kill();
    writer.end().expect(0, &["complete"]);
    folder.assert_same("src", "dst");
    folder.assert_next_copy_works();
}

#[test(needs = [strace])]
fn a_writer_whose_slow_reader_is_killed_becomes_the_reader() {
    let folder = Folder::with_source_and_destination(2 * MIB);
    let [reader, writer] = waiting_for_the_source(&folder, milliseconds(800));
    reader.kill();
    writer.reports("this is the Reader");
    let second = folder.duocopy("src dst").start_writer();
    complete([writer, second]);
    folder.assert_same("src", "dst");
}

#[test]
fn a_kill_of_the_reader_at_any_moment_harms_nothing() {
    kill_at_random_moments("the Reader", 0);
}

#[test]
fn a_kill_of_the_writer_at_any_moment_harms_nothing() {
    kill_at_random_moments("the Writer", 1);
}

/// Kills one side at 30 moments, or at `DUOCOPY_KILLS` moments, between its start and a little after the end of an
/// average copy.
fn kill_at_random_moments(what: &str, hit: usize) {
    // Small blocks make a thousand hand-overs.
    const LINE: &str = "-v --block-size=4K --buffer-size=16K --wait=10s src dst";
    let kills: u64 = std::env::var("DUOCOPY_KILLS").map_or(30, |kills| kills.parse().unwrap());
    let mut random = Random::new(&format!("kills of {what}"));
    // More kills than usual take longer.
    let limit = TEST_LIMIT + milliseconds(3000 * kills.saturating_sub(50));
    let folder = Folder::with_limit(limit);
    folder.write("src", bytes(4 * MIB, 1));
    let start = || {
        let reader = folder.duocopy(LINE).start();
        reader.reports("this is the Reader");
        [reader, folder.duocopy(LINE).start()]
    };
    let begun = Instant::now();
    for _ in 0..3 {
        complete(start());
    }
    let whole = begun.elapsed() / 3;
    let (mut died, mut complete, mut waited, mut longest) = (0, 0, 0, Duration::ZERO);
    for round in 0..kills {
        folder.write("dst", OLD);
        let mut processes = start();
        let moment = whole.mul_f64((random.next() % 1100) as f64 / 1000.0);
        pause(moment);
        processes[hit].kill();
        let begun = Instant::now();
        if hit == 0 {
            processes.reverse();
        }
        let [survivor, killed] = processes;
        let killed = killed.end();
        let survivor = match survivor.end_within(milliseconds(1000 * SLOWNESS)) {
            Ok(survivor) => survivor,
            // The victim had not begun, so the survivor waits for another process, with which it must complete; or the
            // survivor takes long to end, and the other process finds nobody.
            Err(survivor) => {
                let other = folder.duocopy(LINE).end();
                let survivor = survivor.end();
                if other.code == 0 {
                    waited += 1;
                    survivor.expect(0, &[]);
                    folder.assert_same("src", "dst");
                    continue;
                }
                other.expect(10, &["timed out"]);
                survivor
            }
        };
        let context = format!("round {round}, killed after {moment:?}: {survivor:?}, killed: {killed:?}");
        let now = folder.read("dst");
        let is_new = now == folder.read("src");
        assert!(is_new || now == OLD, "the destination is neither old nor new; {context}");
        match (survivor.code, killed.code) {
            // The kill came after the verdict.
            (0, code) if code == 0 || code == KILLED => {
                assert!(is_new, "complete, but not there; {context}");
                complete += 1;
            }
            (8, KILLED) => {
                let texts = ["died", "did not finish"];
                assert!(texts.iter().any(|text| survivor.messages.contains(text)), "{context}");
                assert!(survivor.messages.contains(&folder.text("dst")), "{context}");
                let message = if is_new { "is complete" } else { "is unchanged" };
                assert!(survivor.messages.contains(message), "{context}");
                // A Writer removes its temporary file, unless the copy has taken so long that there is a checkpoint.
                let keeps = survivor.messages.contains("are kept");
                assert!(hit == 1 || keeps || folder.temporaries("").is_empty(), "{context}");
                died += 1;
                longest = longest.max(begun.elapsed());
            }
            _ => panic!("an unexpected end; {context}"),
        }
        folder.assert_next_copy_works();
    }
    note!(
        "{kills} kills of {what}: {died} noticed (at most {longest:?} later), {complete} after the verdict, {waited} \
         before the victim had begun; a whole copy takes {whole:?}"
    );
}

/// A Reader whose Writer was killed after the rename reads the copy to find out whether it is complete. After an
/// interrupt it does that for up to 10 s more.
#[test(needs = [strace])]
fn an_interrupt_ends_the_inspection_of_what_a_dead_writer_left() {
    let folder = Folder::with_source(40 * MIB);
    // The inspection takes longer than a process may take to end.
    let slow = format!("-P {} -e trace=read -e inject=read:delay_enter=1000000", folder.text("dst"));
    let reader = folder.duocopy("src dst").traced(&slow).start_reader();
    let held = "-e trace=/^rename -e inject=/^rename:delay_exit=5000000";
    let writer = folder.duocopy("src dst").traced(held).start_writer();
    until("the rename", || folder.is_there("dst").then_some(()));
    writer.kill();
    reader.has_called("read", 1);
    reader.signal(Signal::INT);
    reader.end().expect(8, &["cannot be told from here"]);
    folder.assert_same("src", "dst");
}
