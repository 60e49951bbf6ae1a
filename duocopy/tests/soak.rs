//! Random lengths, options, kills, stops and interrupts, and what must be true afterwards.
//!
//! A run takes five seconds, or `DUOCOPY_SOAK=SECONDS`. `DUOCOPY_SEED` repeats the choices of a run.
//!
//! Windows has other kills and stops; windows.rs tests what is possible there.

use crate::util::*;
use rustix::process::Signal;
use std::time::{Duration, Instant};

const LENGTHS: [usize; 8] = [0, 1, 4095, 4096, 65_537, 300_000, 2_000_000, 8_000_000];
const SIZES: [&str; 4] = ["", "--block-size=4K --buffer-size=8K", "--block-size=64K", "--buffer-size=1M"];
const OPTIONS: [&str; 6] =
    ["", "--fsync=none", "--hash=blake3", "--verify=reread", "--verify=none", "--partial --fsync=end"];

#[derive(Debug, Default)]
struct Counts {
    copies: u64,
    complete: u64,
    kills: u64,
    stops: u64,
    interrupts: u64,
    replacements: u64,
}

#[test]
fn whatever_happens_the_destination_is_old_or_new() {
    let seconds = std::env::var("DUOCOPY_SOAK").ok().and_then(|it| it.parse().ok()).unwrap_or(5);
    let until = Instant::now() + Duration::from_secs(seconds);
    let (mut random, mut counts) = (Random::new("soak"), Counts::default());
    while Instant::now() < until {
        one_folder(&mut random, &mut counts);
    }
    note!("{counts:?} in {seconds} s");
    assert!(counts.copies > 0 && counts.complete > 0);
}

fn one_of<T: Copy>(random: &mut Random, all: &[T]) -> T {
    all[(random.next() % all.len() as u64) as usize]
}

/// Makes some copies from one source to one destination: most are disturbed, and the last one is not.
fn one_folder(random: &mut Random, counts: &mut Counts) {
    let folder = Folder::new();
    let content = bytes(one_of(random, &LENGTHS), random.next());
    folder.write("src", &content);
    folder.write("dst", OLD);
    let waits = random.next().is_multiple_of(2);
    let replacing = if waits { "--replace-within=10s" } else { "" };
    let line = format!("{} {} {replacing} src dst", one_of(random, &SIZES), one_of(random, &OPTIONS));
    for _ in 0..3 {
        counts.copies += 1;
        let mut halves = [folder.duocopy(&line).start(), folder.duocopy(&line).start()];
        let mut stopped = [false; 2];
        for _ in 0..random.next() % 4 {
            pause(Duration::from_micros(random.next() % 30_000));
            let hit = (random.next() % 2) as usize;
            match random.next() % 4 {
                0 => {
                    counts.interrupts += 1;
                    halves[hit].signal_if_there(Signal::INT);
                }
                1 => {
                    counts.stops += 1;
                    stopped[hit] = halves[hit].signal_if_there(Signal::STOP);
                }
                _ => {
                    counts.kills += 1;
                    halves[hit].kill();
                    until("the end of the killed one", || halves[hit].ended());
                    if waits && !random.next().is_multiple_of(4) {
                        counts.replacements += 1;
                        halves[hit] = folder.duocopy(&line).start();
                    }
                }
            }
        }
        pause(milliseconds(random.next() % 20));
        for (half, stopped) in halves.iter().zip(stopped) {
            if stopped {
                half.signal_if_there(Signal::CONT);
            }
        }
        settle(&folder, halves, &content, counts);
    }
    let start = || folder.duocopy("--wait=5s src dst").start();
    complete([start(), start()]);
    assert!(folder.read("dst") == content);
    folder.assert_nothing_left();
}

/// Waits for the end of both processes, interrupts one that is left alone, and checks what they report.
fn settle(folder: &Folder, halves: [Process; 2], content: &[u8], counts: &mut Counts) {
    let limit = Instant::now() + milliseconds(20_000);
    let mut waiting = halves.into_iter().collect::<Vec<_>>();
    let mut said_complete = false;
    while !waiting.is_empty() {
        let before = waiting.len();
        let mut still = Vec::new();
        for half in waiting {
            match half.end_within(milliseconds(5)) {
                Ok(ended) => {
                    // It was killed, or interrupted before it had installed its handlers.
                    let by_signal = matches!(ended.code, -9 | -2 | -15);
                    assert!(by_signal || (0..=143).contains(&ended.code), "{ended:?}");
                    assert!(!ended.messages.contains("panicked"), "{ended:?}");
                    said_complete |= ended.code == 0;
                }
                Err(half) => still.push(half),
            }
        }
        waiting = still;
        // A process that is left alone may wait for a peer that never comes.
        if let [last] = &waiting[..]
            && (before > 1 || Instant::now() > limit)
        {
            pause(milliseconds(300));
            last.signal_if_there(Signal::TERM);
        }
        if Instant::now() > limit + milliseconds(40_000) {
            for half in &waiting {
                note!("still running: process {}: {}{:?}", half.id(), half.messages(), half.sleeps_in());
            }
            panic!("a copy that does not end; the pipe: {:?}", folder.header());
        }
    }
    let now = folder.read("dst");
    assert!(now == OLD || now == content, "a destination that is neither the old file nor the new one");
    assert!(!said_complete || now == content, "complete was reported, but it is not");
    counts.complete += u64::from(said_complete);
}
