//! With `--replace-within` the survivor waits, and the same command started again replaces the dead process.

use crate::util::*;
use std::fs::{self, File};
use std::time::{Duration, Instant};

/// Returns the line of a copy that waits for replacements.
fn waits() -> String {
    format!("{HELD_BLOCKS} --replace-within=60s src dst")
}

fn prepared() -> Folder {
    Folder::with_source_and_destination(2 * MIB)
}

/// Kills one process in the middle of a copy, and returns the survivor.
fn one_dies(folder: &Folder, hit: usize) -> Process {
    let [reader, writer] = held_in_the_middle(folder, &waits());
    let (victim, survivor) = if hit == 0 { (reader, writer) } else { (writer, reader) };
    victim.kill();
    victim.end();
    survivor.go_on();
    survivor
}

#[track_caller]
fn complete_and_tidy(folder: &Folder, processes: [Process; 2]) {
    complete(processes);
    folder.assert_same("src", "dst");
    folder.assert_nothing_left();
}

#[test(needs = [held_copies])]
fn either_half_is_replaced_in_the_middle() {
    for (hit, name) in [(0, "Reader"), (1, "Writer")] {
        let folder = prepared();
        let survivor = one_dies(&folder, hit);
        survivor.reports(&format!(
            "the {name} died; waiting up to 1m for a replacement; start the same command again:"
        ));
        survivor.reports("--replace-within=1m");
        survivor.reports(&format!("{} {}", folder.text("src"), folder.text("dst")));
        assert!(folder.read("dst") == OLD);
        let newcomer = folder.duocopy(&waits()).start();
        newcomer.reports(&format!("this {name} takes the place of one that died"));
        complete_and_tidy(&folder, [newcomer, survivor]);
    }
}

#[test(needs = [held_copies])]
fn the_survivor_gives_up_in_time_and_the_next_pair_resumes() {
    for hit in [0, 1] {
        let folder = prepared();
        let processes = held_in_the_middle(&folder, &format!("{HELD_BLOCKS} --replace-within=700ms src dst"));
        processes[hit].kill();
        let killed = Instant::now();
        let ended = end(processes);
        let took = killed.elapsed();
        ended[1 - hit].expect(8, &["died", "is unchanged"]);
        assert!(took > milliseconds(500) && took < milliseconds(3000 * SLOWNESS), "{took:?}");
        assert!(folder.read("dst") == OLD);
        complete_and_tidy(&folder, pair(folder.duocopy("src dst"), folder.duocopy("src dst")));
    }
}

#[test(needs = [held_copies])]
fn a_process_without_the_option_replaces_no_other() {
    let folder = prepared();
    let reader = one_dies(&folder, 1);
    folder.duocopy("src dst").end().expect(9, &["waits for a replacement", "--replace-within"]);
    complete_and_tidy(&folder, [reader, folder.duocopy(&waits()).start()]);
    folder.duocopy("cp --replace-within=1s src dst").end().expect(2, &["leave out --replace-within"]);
}

/// Two versions of a source must never be mixed, whatever their checksums.
#[test(needs = [held_copies])]
fn a_reader_with_another_source_replaces_no_other() {
    let folder = prepared();
    let writer = one_dies(&folder, 0);
    File::options().write(true).open(folder.path("src")).unwrap().write_all_at(b"new", 2_000_000).unwrap();
    let newcomer = folder.duocopy(&waits()).end();
    newcomer.expect(5, &["the source is not the one that was read before"]);
    writer.end().expect(5, &["the Reader failed: the source is not the one"]);
    assert!(folder.read("dst") == OLD);
    folder.assert_nothing_left();
}

#[test(needs = [held_copies])]
fn a_writer_without_the_temporary_file_replaces_no_other() {
    let folder = prepared();
    let reader = one_dies(&folder, 1);
    fs::remove_file(folder.left_over("part").unwrap()).unwrap();
    folder.duocopy(&waits()).end().expect(12, &["the temporary file of the process that died is gone"]);
    reader.end().expect(12, &["the Writer failed: the temporary file"]);
    assert!(folder.read("dst") == OLD);
    folder.assert_nothing_left();
}

#[test(needs = [strace], not_on_windows = "its kills are placed by strace")]
fn a_writer_that_dies_around_its_rename_is_replaced() {
    for delay in ["delay_enter", "delay_exit"] {
        for meddled in [false, true] {
            let folder = prepared();
            let slow = format!("-e trace=/^rename -e inject=/^rename:{delay}=500000");
            let [reader, writer] = pair(folder.duocopy(&waits()), folder.duocopy(&waits()).traced(&slow));
            until("the intent", || folder.is_committing().then_some(()));
            pause(milliseconds(100));
            writer.kill();
            writer.end();
            if meddled {
                // Nothing shows any more what became of the copy, and neither process claims to know.
                let _ = folder.left_over("part").map(fs::remove_file);
                folder.write("other", "another");
                fs::rename(folder.path("other"), folder.path("dst")).unwrap();
                let message = "may be complete or unchanged, which cannot be told from here";
                folder.duocopy(&waits()).end().expect(8, &["the Writer did not finish", message]);
                reader.end().expect(8, &["the Writer did not finish", message]);
                assert_eq!(folder.read("dst"), b"another");
            } else {
                complete_and_tidy(&folder, [reader, folder.duocopy(&waits()).start()]);
            }
        }
    }
}

#[test(needs = [held_copies])]
fn a_process_with_another_checksum_leaves_without_aborting() {
    for hit in [0, 1] {
        let folder = prepared();
        let survivor = one_dies(&folder, hit);
        let other = folder.duocopy(&format!("--hash=blake3 {}", waits())).end();
        other.expect(12, &["different --verify or --hash"]);
        complete_and_tidy(&folder, [folder.duocopy(&waits()).start(), survivor]);
    }
}

/// The system reports only once that data did not reach the disk, so no copy must resume with that file.
#[test(needs = [strace], not_on_windows = "its flush fails by strace")]
fn a_file_that_did_not_reach_the_disk_is_removed_before_a_replacement_comes() {
    let folder = prepared();
    let fails = format!("-f {SLOW_WRITES} -e inject=fdatasync:error=EIO:when=1")
        .replace("trace=", "trace=fdatasync,");
    let [reader, writer] = pair(folder.duocopy(&waits()), folder.duocopy(&waits()).traced(&fails));
    writer.has_written(3);
    reader.signal(Signal::STOP);
    until("the temporary file is removed", || folder.left_over("part").is_none().then_some(()));
    writer.kill();
    writer.end();
    let newcomer = folder.duocopy(&waits()).start();
    reader.signal(Signal::CONT);
    newcomer.end().expect(12, &["the temporary file of the process that died is gone"]);
    reader.end().expect(12, &["the Writer failed: the temporary file"]);
    assert!(folder.read("dst") == OLD);
    folder.assert_nothing_left();
}

/// An interrupted copy had been renamed already, and the Writer that is about to report that dies, too.
#[test(needs = [strace], not_on_windows = "its kills are placed by strace")]
fn a_writer_that_dies_before_it_reports_an_earlier_rename_is_replaced() {
    let folder = Folder::new();
    folder.write("src", bytes(8 * MIB, 1));
    let slow = "-f -e trace=pwrite64,/^rename -e inject=pwrite64:delay_enter=10000 -e inject=/^rename:delay_exit=500000";
    let processes = pair(folder.duocopy(&waits()), folder.duocopy(&waits()).traced(slow));
    until("the intent", || folder.is_committing().then_some(()));
    pause(milliseconds(100));
    processes.iter().for_each(Process::kill);
    end(processes);

    let slow = "-f -e trace=clone3,clone -e inject=clone3,clone:delay_enter=700000";
    let [reader, writer] = pair(folder.duocopy(&waits()), folder.duocopy(&waits()).traced(slow));
    writer.reports("resuming an interrupted copy: 8388608 bytes need not be copied again");
    pause(milliseconds(100));
    assert!(!folder.is_committing());
    writer.kill();
    writer.end();
    complete_and_tidy(&folder, [reader, folder.duocopy(&waits()).start()]);
}

/// A third process is refused while both live, even if one of them is stopped.
#[test(needs = [held_copies])]
fn a_stopped_half_is_not_replaced() {
    stops_for(milliseconds(1500));
}

#[test(needs = [held_copies, large])]
fn a_half_that_is_stopped_for_more_than_a_minute_is_not_replaced() {
    stops_for(milliseconds(61_000));
}

fn stops_for(time: Duration) {
    for stopped in [0, 1] {
        let folder = Folder::with_limit(Duration::from_secs(120));
        folder.write("src", bytes(2 * MIB, 1));
        let processes = held_in_the_middle(&folder, &waits());
        processes[stopped].signal(Signal::STOP);
        folder.duocopy(&waits()).end().expect(9, &["too many instances"]);
        pause(time);
        folder.duocopy(&waits()).end().expect(9, &["too many instances"]);
        processes[stopped].signal(Signal::CONT);
        complete_and_tidy(&folder, processes);
    }
}

const MOST_KILLS: u64 = 400;

/// Random halves are killed all the time and started again, and the copy arrives whole.
#[test]
fn a_copy_survives_hundreds_of_kills() {
    // Where processes start slowly, replacements come slowly, too.
    let (copies, length) = if SLOWNESS > 1 { (1, 32 * MIB) } else { (3, 256 * MIB) };
    survive_kills(copies, length);
}

#[test(needs = [large])]
fn a_hundred_copies_survive_hundreds_of_kills_each() {
    survive_kills(100, 256 * MIB);
}

fn survive_kills(copies: u32, length: usize) {
    let folder = Folder::with_limit(Duration::from_secs(180 * u64::from(copies)));
    folder.write("src", bytes(length, 1));
    let line = "--block-size=16K --buffer-size=64K --replace-within=60s src dst";
    let mut random = Random::new("the moments of kills");
    let mut least = u64::MAX;
    for _ in 0..copies {
        folder.write("dst", OLD);
        let begun = Instant::now();
        let mut halves = [folder.duocopy(line).start(), folder.duocopy(line).start()];
        let mut kills = 0;
        let first = loop {
            assert!(
                begun.elapsed() < Duration::from_secs(170),
                "a copy that does not end after {kills} kills"
            );
            pause(Duration::from_micros((10_000 + random.next() % 30_000) * SLOWNESS));
            if let Some(ended) = halves.iter().position(|half| half.ended().is_some()) {
                break ended;
            }
            if kills == MOST_KILLS {
                // On a busy machine the last flush may take longer than the time between two kills.
                continue;
            }
            let hit = (random.next() % 2) as usize;
            halves[hit].kill();
            until("the end of the killed one", || halves[hit].ended());
            halves[hit] = folder.duocopy(line).start();
            kills += 1;
        };
        let [one, other] = halves;
        let (first, other) = if first == 0 { (one, other) } else { (other, one) };
        let first = first.end();
        // If a process was killed after the verdict, its replacement may arrive while the peer is still ending.
        if !(first.code == 9 && first.messages.contains("is still ending")) {
            first.expect(0, &[]);
        }
        // The other has the same verdict, or was killed after the verdict, and the process that replaced it waits for a
        // new peer.
        match other.end_within(milliseconds(1000 * SLOWNESS)) {
            Ok(ended) => {
                ended.expect(0, &[]);
            }
            Err(waiting) => waiting.kill(),
        }
        folder.assert_same("src", "dst");
        note!("{length} bytes in {:?} with {kills} kills", begun.elapsed());
        least = least.min(kills);
    }
    note!("{copies} copies, at least {least} kills in each");
}

/// A child of the dead Writer may still hold the lock of the temporary file.
#[test(needs = [strace])]
fn an_interrupt_ends_the_wait_for_the_lock_of_a_dead_writer() {
    let folder = Folder::with_source_and_destination(2 * MIB);
    let line = waits();
    let [reader, writer] = held_in_the_middle(&folder, &line);
    writer.kill();
    let left = File::open(folder.left_over("part").unwrap()).unwrap();
    left.lock().unwrap();
    let replacement = folder.duocopy(&line).start();
    seated(&folder, &replacement);
    replacement.signal(Signal::INT);
    replacement.end().expect(130, &["interrupted"]);
    reader.end().expect(8, &["the Writer was interrupted"]);
    assert_eq!(folder.read("dst"), OLD);
}
