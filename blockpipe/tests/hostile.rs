//! A peer that violates the protocol: between any two steps of a correct end, and continuously while it works.
//!
//! Two correct ends, each in a process of its own, ask for permission before each step. Between the steps this test
//! writes into the pipe's file what no correct peer writes. Often one of the two ends is then frozen: it holds its seat
//! and does nothing more, and the corruption is the last thing that it seems to have written. Whatever happens, a
//! correct end completes or gets an error: it does not panic, does not access memory outside its blocks, can be
//! interrupted, and accepts no number of blocks of the whole stream other than the one that it handled.
//!
//! `BLOCKPIPE_HOSTILE=N` runs N rounds of each kind instead of a few; round n has the seed n.
//!
//! Not on Windows, because it writes into the file of a pipe; windows.rs says so there.

pub mod correct;
mod corruption;
mod interrupts;

use crate::util::{Actor, Name, Random, Watchdog, hex};
use blockpipe::offsets::{CLOSED, EMPTIED, FILLED, HEADER_LENGTH, SLOTS};
use blockpipe::{Geometry, Pipe, PipeError, ResumePoint};
use corruption::{COMMITTING, COUNTERS, ENDED, Memory, RESUME_POINTS, TOO_EARLY, WORDS};
use std::fmt::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const BLOCK: usize = 8192;
const BLOCKS: usize = 3;
/// The number of blocks in the whole stream: every slot is used more than once.
const STREAM: usize = 7;
/// How long a correct end may take to end after an interrupt: one sleep, one check under the gate, leaving.
const LIMIT: Duration = Duration::from_secs(3);
/// After this time an end counts as hung; up to it, the machine may just be busy.
const HANGS: Duration = Duration::from_secs(15);

fn rounds(default: u64) -> std::ops::RangeInclusive<u64> {
    let requested = std::env::var("BLOCKPIPE_HOSTILE").ok().and_then(|rounds| rounds.parse().ok());
    let first =
        std::env::var("BLOCKPIPE_HOSTILE_FIRST").ok().and_then(|first| first.parse().ok()).unwrap_or(1);
    first..=first - 1 + requested.unwrap_or(default)
}

/// A correct end as the test sees it.
struct Victim {
    actor: Actor,
    /// The step before which it waits for `go`, or the one that it is doing.
    at: String,
    works: bool,
    ended: Option<String>,
    /// True if it gets no more permissions.
    frozen: bool,
}

impl Victim {
    fn new() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env(correct::CORRECT, "1");
        Self {
            actor: Actor::start_through(command),
            at: String::new(),
            works: false,
            ended: None,
            frozen: false,
        }
    }

    fn begin(&mut self, name: &Name, replaces: bool, starts: bool) {
        let word = |so: bool, word: &'static str| if so { word } else { "not" };
        let (replaces, starts) = (word(replaces, "replaces"), word(starts, "starts"));
        self.actor.tell(&format!("{} {replaces} {starts}", hex(name.bytes())));
        (self.ended, self.works, self.frozen) = (None, true, false);
        self.at = "the beginning".into();
    }

    fn go(&mut self) {
        self.actor.tell("go");
        self.works = true;
    }

    fn waits_for_go(&self) -> bool {
        !self.works && self.ended.is_none()
    }

    /// Returns whether the end reported anything.
    fn listen(&mut self, time: Duration) -> bool {
        if !self.works {
            return false;
        }
        let Some(answer) = self.actor.answer_within(time) else { return false };
        self.works = false;
        match answer.split_once(' ') {
            Some(("at", step)) => self.at = step.into(),
            Some(("ended", how)) => self.ended = Some(how.into()),
            _ => panic!("unexpected answer: `{answer}`"),
        }
        true
    }

    /// Lets the end do all its steps. Returns how long that took, if it ended in time.
    fn ends_within(&mut self, limit: Duration) -> Option<Duration> {
        let begun = Instant::now();
        while self.ended.is_none() && begun.elapsed() < limit {
            if self.waits_for_go() {
                self.go();
            }
            self.listen(Duration::from_millis(5));
        }
        self.ended.is_some().then(|| begun.elapsed())
    }

    fn must_end(&mut self, context: &str) {
        let took = self.ends_within(HANGS);
        let took = took.unwrap_or_else(|| panic!("hangs in `{}`: {context}", self.at));
        assert!(took < LIMIT, "took {took:?} in `{}`: {context}", self.at);
    }
}

/// The outcomes of all rounds.
#[derive(Debug, Default)]
struct Tally {
    rounds: u64,
    corruptions: u64,
    kills: u64,
    complete: u64,
    failed: u64,
    waited: u64,
}

impl Tally {
    fn count(&mut self, victims: &[Victim]) {
        self.rounds += 1;
        for victim in victims {
            let how = victim.ended.as_ref().expect("all have ended");
            if how.starts_with("complete ") {
                self.complete += 1;
            } else {
                self.failed += 1;
            }
        }
    }
}

/// Interrupts both ends, and checks that they end.
fn end(victims: &mut [Victim; 2], memory: Option<&Memory>, context: &str) {
    for victim in &mut *victims {
        victim.actor.interrupt();
    }
    victims.sort_by_key(|victim| victim.frozen);
    for n in 0..2 {
        // A producer that has sent everything waits for a peer that claims to be committing, as long as that is alive.
        if victims[n].ends_within(Duration::from_millis(200)).is_none()
            && victims[n].at == "close"
            && memory.is_some_and(|memory| memory.stage() == COMMITTING)
        {
            victims[1 - n].must_end(context);
        }
        victims[n].must_end(context);
    }
}

/// Runs one round. With a `plan`, that kind of corruption comes before the first step of that name, and the other end
/// is frozen.
fn round(seed: u64, plan: Option<(u64, &str)>, victims: &mut [Victim; 2], tally: &mut Tally) {
    let mut random = Random(seed);
    let name = Name::new();
    let (replaces, starts) = match plan {
        None => (random.below(3) == 0, random.below(2) == 0),
        Some((_, step)) => (false, step == "start"),
    };
    let mut context = format!("seed {seed}, replaces: {replaces}, starts: {starts}");
    for victim in &mut *victims {
        victim.begin(&name, replaces, starts);
    }
    let mut memory = None;
    let planned = plan.is_some();
    let when: Vec<u64> = (0..=random.below(3)).map(|_| random.below(45)).collect();
    let freezes = (!planned && random.below(2) == 0).then(|| random.below(2) as usize);
    let (mut steps, mut moved, mut plan) = (0, Instant::now(), plan);
    loop {
        // Long enough that an end that does not answer waits for the other one, so that the same seed means the same
        // round.
        for victim in &mut *victims {
            if victim.listen(Duration::from_millis(4)) {
                moved = Instant::now();
            }
        }
        let ready: Vec<usize> =
            (0..2).filter(|n| victims[*n].waits_for_go() && !victims[*n].frozen).collect();
        if ready.is_empty() {
            if victims.iter().all(|victim| victim.ended.is_some() || victim.frozen) {
                break;
            }
            if moved.elapsed() > Duration::from_millis(150) {
                tally.waited += 1;
                break;
            }
            continue;
        }
        let which = ready[random.below(ready.len() as u64) as usize];
        memory = memory.or_else(|| Memory::open(&name));
        if let Some(memory) = &memory {
            if let Some((kind, _)) = plan.take_if(|(_, step)| *step == victims[which].at) {
                let what = memory.corrupt_with(kind, &mut random);
                let _ = write!(context, "; before {}: {what}", victims[which].at);
                tally.corruptions += 1;
                victims[1 - which].frozen = true;
            }
            for _ in when.iter().filter(|when| !planned && **when == steps) {
                let what = memory.corrupt(&mut Random(random.below(u64::MAX)));
                let _ = write!(context, "; before step {steps} ({}): {what}", victims[which].at);
                tally.corruptions += 1;
                if let Some(frozen) = freezes {
                    victims[frozen].frozen = true;
                }
            }
            if replaces && random.below(25) == 0 {
                let _ = write!(context, "; killed at {}", victims[which].at);
                tally.kills += 1;
                victims[which] = Victim::new();
                victims[which].begin(&name, replaces, starts);
                continue;
            }
        }
        victims[which].go();
        steps += 1;
    }
    // Shown only if something fails.
    note!("{context}");
    end(victims, memory.as_ref(), &context);
    tally.count(victims);
}

#[test]
fn corruption_between_any_two_steps_is_an_error_and_never_a_crash_or_a_hang() {
    let rounds = rounds(60);
    let _watchdog = Watchdog::new(60 + (rounds.end() - rounds.start()) * 2);
    let (mut victims, mut tally) = ([Victim::new(), Victim::new()], Tally::default());
    for seed in rounds {
        round(seed, None, &mut victims, &mut tally);
    }
    note!("{tally:?}");
    assert!(tally.rounds < 30 || tally.complete > 0 && tally.failed > 0, "both outcomes occur: {tally:?}");
}

/// Tests the corruptions that are dangerous only at one step, without leaving that to chance.
#[test]
fn corruption_before_each_kind_of_step_is_an_error_and_never_a_crash_or_a_hang() {
    let _watchdog = Watchdog::new(120);
    let (mut victims, mut tally) = ([Victim::new(), Victim::new()], Tally::default());
    let steps =
        "join ready start empty_block send close begin filled_block release commit complete".split(' ');
    for (seed, step) in (1..).zip(steps) {
        for kind in [COUNTERS, RESUME_POINTS, TOO_EARLY, ENDED] {
            round(seed, Some((kind, step)), &mut victims, &mut tally);
        }
    }
    note!("{tally:?}");
    assert!(
        tally.corruptions >= tally.rounds - 4,
        "only before the first `join` there is no memory: {tally:?}"
    );
}

/// Ends the continuous corruption, also when the test fails in the middle of it.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Lets both ends work without asking, while one word, or all of them, are overwritten as fast as possible.
#[test]
fn constant_corruption_is_an_error_and_never_a_crash_or_a_hang() {
    let rounds = rounds(30);
    let _watchdog = Watchdog::new(60 + (rounds.end() - rounds.start()) * 2);
    let (mut victims, mut tally) = ([Victim::new(), Victim::new()], Tally::default());
    for seed in rounds {
        let mut random = Random(seed ^ 1 << 40);
        let name = Name::new();
        let (replaces, starts) = (random.below(3) == 0, random.below(2) == 0);
        for victim in &mut victims {
            victim.begin(&name, replaces, starts);
        }
        victims[0].ends_within(Duration::from_millis(random.below(3)));
        let (stop, mut kept) = (AtomicBool::new(false), None);
        let one = random.below(WORDS.len() as u64 * 2) as usize;
        let context = format!("storm, seed {seed}, word {one}");
        note!("{context}");
        let deadline = Instant::now() + Duration::from_millis(150);
        std::thread::scope(|scope| {
            let stops = Stop(&stop);
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let Some(memory) = Memory::open(&name) else { continue };
                    let memory = kept.insert(memory);
                    for _ in 0..100 {
                        match WORDS.get(one) {
                            Some((at, width)) => {
                                let value = memory.value_for(*at, u64::MAX, &mut random);
                                memory.set(*at, *width, value);
                            }
                            None => drop(memory.corrupt(&mut random)),
                        }
                        tally.corruptions += 1;
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                    }
                }
            });
            while victims.iter().any(|victim| victim.ended.is_none()) && Instant::now() < deadline {
                for victim in &mut victims {
                    if victim.waits_for_go() {
                        victim.go();
                    }
                    victim.listen(Duration::from_micros(200));
                }
            }
            drop(stops);
        });
        end(&mut victims, kept.as_ref(), &context);
        tally.count(&victims);
    }
    note!("{tally:?}");
    assert!(tally.failed > 0, "{tally:?}");
}

/// A stream of three blocks ends after three blocks, whatever number is stored: neither earlier nor later.
#[test]
fn only_the_right_number_of_blocks_is_accepted() {
    let _watchdog = Watchdog::new(60);
    let sent = 3;
    for taken in 0..=sent {
        for closed in [1, 2, 3, 4, 5, 6, 1 << 32, i64::MAX as u64, 1 << 63, u64::MAX - 1, u64::MAX] {
            let name = Name::new();
            let pipe = Pipe::named(name.bytes()).blocks(BLOCK, BLOCKS);
            let mut producer = pipe.join_as_producer().unwrap();
            producer.ready(Geometry::new(BLOCK, BLOCKS), b"").unwrap();
            let mut consumer = pipe.join_as_consumer().unwrap();
            for _ in 0..sent {
                let block = producer.empty_block().unwrap();
                producer.send(block, 1).unwrap();
            }
            let memory = Memory::open(&name).unwrap();
            // Before the number is stored, after a part of the blocks, and as the last thing.
            let mut number = 0;
            let result = loop {
                if number == taken {
                    memory.set(CLOSED, 8, closed);
                }
                match consumer.filled_block() {
                    Ok(Some(block)) => {
                        assert_eq!(block.number(), number);
                        consumer.release(block).unwrap();
                        number += 1;
                    }
                    other => break other,
                }
            };
            assert_eq!(number, sent, "{closed} after {taken}");
            match result {
                Ok(_) => assert!(closed == sent + 1 && consumer.is_at_end(), "{closed} after {taken}"),
                Err(error) => {
                    let text = "the trailer counts other blocks than were sent";
                    assert!(matches!(error, PipeError::Corrupt(what) if what == text), "{error:?}");
                    assert!(closed != sent + 1 && !consumer.is_at_end(), "{closed} after {taken}");
                    assert!(matches!(consumer.filled_block(), Err(PipeError::Over)));
                    assert!(matches!(producer.finish(), Err(PipeError::Aborted { .. })));
                }
            }
        }
    }
}

/// A replacement reads the counters once; values that are written later are checked against what it has read.
#[test]
fn a_replacement_reads_the_counters_once() {
    let _watchdog = Watchdog::new(60);
    for filled in [0, 1, 2, 4, 5, 9] {
        for emptied in [0, 1, filled] {
            let name = Name::new();
            let pipe = Pipe::named(name.bytes()).blocks(BLOCK, BLOCKS).replace_within(HANGS);
            let mut producer = pipe.join_as_producer().unwrap();
            producer.ready(Geometry::new(BLOCK, BLOCKS), b"").unwrap();
            let mut consumer = pipe.join_as_consumer().unwrap();
            consumer.begin(b"", ResumePoint::default()).unwrap();
            for _ in 0..2 {
                let block = producer.empty_block().unwrap();
                producer.send(block, 1).unwrap();
            }
            drop(producer);
            let mut producer = pipe.join_as_producer().unwrap();
            producer.ready(Geometry::new(BLOCK, BLOCKS), b"").unwrap();
            let memory = Memory::open(&name).unwrap();
            memory.set(FILLED, 8, filled);
            memory.set(EMPTIED, 8, emptied);
            let point = producer.start().unwrap();
            assert_eq!(point[..8], 2_u64.to_le_bytes(), "{filled} {emptied}");
            // As many as it may have, or an error; never a panic.
            let mut held = Vec::new();
            while let Ok(Some(block)) = producer.try_empty_block() {
                held.push(block);
            }
            assert!(held.len() <= BLOCKS, "{filled} {emptied}");
        }
    }
}

/// Truncates the file: memory that a peer takes away is a bus error, which cannot be prevented, and a process that
/// accesses it dies as if it had been killed. That is all that happens: the other end gets an error, and the next pair
/// works.
#[test]
fn a_truncated_file_is_at_worst_a_death() {
    const SIGBUS: i32 = 7;
    let _watchdog = Watchdog::new(60);
    let (mut died, mut received) = (0, 0);
    for length in [0, 4096, HEADER_LENGTH, SLOTS, SLOTS + 65536 + 4096] {
        for steps in [2, 3, 5, 8] {
            let name = Name::new();
            let mut victims = [Victim::new(), Victim::new()];
            for victim in &mut victims {
                victim.begin(&name, false, false);
                while victim.at != "begin" && victim.at != "empty_block" {
                    if victim.waits_for_go() {
                        victim.go();
                    }
                    victim.listen(Duration::from_millis(5));
                }
            }
            for _ in 0..steps {
                for victim in &mut victims {
                    if victim.waits_for_go() {
                        victim.go();
                    }
                    victim.listen(Duration::from_millis(20));
                }
            }
            Memory::open(&name).expect("the file exists").truncate(length);
            for victim in &mut victims {
                victim.actor.interrupt();
                if victim.waits_for_go() {
                    victim.go();
                }
                match victim.actor.end_or_answers(LIMIT, |actor, answer| {
                    if answer.starts_with("at ") {
                        actor.tell("go");
                    }
                    answer.starts_with("ended ")
                }) {
                    Some(status) => {
                        assert_eq!(status.signal(), Some(SIGBUS), "{status:?}");
                        died += 1;
                    }
                    None => received += 1,
                }
            }
            drop(victims);
            if length == 4096 {
                // No process makes a pipe of this length. What is not a pipe is left alone, so it has to be removed.
                let _ = std::fs::remove_file(name.path());
            }
            let mut victims = [Victim::new(), Victim::new()];
            for victim in &mut victims {
                victim.begin(&name, false, false);
            }
            for _ in 0..200 {
                for victim in &mut victims {
                    if victim.waits_for_go() {
                        victim.go();
                    }
                    victim.listen(Duration::from_millis(5));
                }
            }
            for victim in &victims {
                let how = victim.ended.as_deref().expect("the next pair completes");
                assert!(how.starts_with("complete "), "{how}");
            }
        }
    }
    note!("{died} died of a bus error, {received} got an error or had ended already");
    assert!(died > 0);
}
