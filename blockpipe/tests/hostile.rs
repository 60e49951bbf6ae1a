//! A peer that violates the protocol: between any two steps of a correct end, and continuously while it works.
//!
//! Two correct ends, each in a process of its own, ask for permission before each step. Between the steps this test
//! writes into the pipe's file what no correct peer writes. Often one of the two ends is then frozen: it holds its seat
//! and does nothing more, and the corruption is the last thing that it seems to have written. Whatever happens, a
//! correct end completes or gets an error: it does not panic, does not access memory outside its blocks, can be
//! interrupted, and accepts no length of the whole stream other than that of the bytes that it handled.
//!
//! `BLOCKPIPE_HOSTILE=N` runs N rounds of each kind instead of a few; round n has the seed n.
//!
//! Not on Windows, because it writes into the file of a pipe; windows.rs says so there.

use crate::util::{Actor, Name, Random, Watchdog, hex};
use blockpipe::offsets::{
    self, BEGUN, BLOCK_SIZE, CONSUMER_ALLOWS_REPLACEMENT, CONSUMER_PID, CONSUMER_REASON,
    CONSUMER_RESUME_POINTS, EMPTIED, FILLED, GENERATION, MAGIC, NAME, ORIGIN, PARKED,
    PRODUCER_ALLOWS_REPLACEMENT, PRODUCER_PID, PRODUCER_REASON, PRODUCER_RESUME_POINTS, SLOTS, STATE, TAG,
    TAG_HASH, TAG_LENGTH, TARGET, TRAILER_DIGEST, TRAILER_LENGTH, VERDICT, VERSION,
};
use blockpipe::{Consumer, End, Geometry, Pipe, PipeError, Producer, Reason, ResumePoint};
use std::fmt::Write;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
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

// ------------------------------------------------------------------------------------------ the correct ends

/// The environment variable that makes an actor a correct end.
const CORRECT: &str = "BLOCKPIPE_TEST_CORRECT";

struct Correct {
    lines: Receiver<String>,
    interrupted: Arc<AtomicBool>,
}

/// Copies repeatedly, asking before each step, until standard input ends, if this process was started for that.
pub fn correct_end() {
    if std::env::var_os(CORRECT).is_none() {
        return;
    }
    let interrupted = Arc::new(AtomicBool::new(false));
    let (sender, lines) = mpsc::channel();
    std::thread::spawn({
        let interrupted = Arc::clone(&interrupted);
        move || {
            for line in std::io::stdin().lines().map_while(Result::ok) {
                if line == "interrupt" {
                    interrupted.store(true, Ordering::Relaxed);
                    continue;
                }
                if line != "go" {
                    // Here and not where the copy begins, or an interrupt that comes at once would be lost.
                    interrupted.store(false, Ordering::Relaxed);
                }
                if sender.send(line).is_err() {
                    break;
                }
            }
            std::process::exit(0);
        }
    });
    println!("> here");
    let end = Correct { lines, interrupted };
    loop {
        let line = end.lines.recv().expect("the thread ends the process");
        let [name, replaces, starts] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("unexpected line: `{line}`");
        };
        let (replaces, starts) = (replaces == "replaces", starts == "starts");
        match end.copy(&unhex(name), replaces, starts) {
            Ok(bytes) => println!("> ended complete {bytes}"),
            Err(error) => println!("> ended {}", error.escape_debug()),
        }
    }
}

/// Decodes what [`hex`] wrote.
fn unhex(word: &str) -> Vec<u8> {
    let digits = word.as_bytes()[1..].chunks(2);
    digits.map(|two| u8::from_str_radix(str::from_utf8(two).expect("ASCII"), 16).expect("hex")).collect()
}

impl Correct {
    fn step(&self, what: &str) {
        println!("> at {what}");
        let line = self.lines.recv().expect("the thread ends the process");
        assert_eq!(line, "go", "before `{what}`");
    }

    fn copy(&self, name: &[u8], replaces: bool, starts: bool) -> Result<usize, String> {
        self.step("join");
        let mut pipe =
            Pipe::named(name).interrupt(Arc::clone(&self.interrupted), Reason::new(130, "interrupted"));
        if replaces {
            pipe = pipe.replace_within(Duration::from_millis(300));
        }
        match pipe.join() {
            Ok(End::Producer(mut producer)) => {
                assert!(replaces || producer.predecessor().is_none(), "a new pipe has no predecessor");
                let result = self.produce(&mut producer, starts);
                if result.is_err() {
                    assert!(
                        matches!(producer.close(&[0; 32]), Err(PipeError::Over)),
                        "an error ends the role"
                    );
                }
                result
            }
            Ok(End::Consumer(mut consumer)) => {
                assert!(replaces || consumer.predecessor().is_none(), "a new pipe has no predecessor");
                let result = self.consume(&mut consumer);
                if result.is_err() {
                    assert!(
                        matches!(consumer.filled_block(), Err(PipeError::Over)),
                        "an error ends the role"
                    );
                }
                result
            }
            Err(error) => Err(format!("{error:?}")),
        }
    }

    fn produce(&self, producer: &mut Producer, starts: bool) -> Result<usize, String> {
        let (monitor, replaces) = (producer.monitor(), producer.predecessor().is_some());
        let step = |what: &str| {
            self.step(what);
            assert!(!format!("{:?}", monitor.snapshot()).is_empty());
        };
        let (mut sum, mut handled) = (0, 0);
        step("ready");
        producer.ready(Geometry::new(BLOCK, BLOCKS), &[7; 128]).map_err(show)?;
        if starts || replaces {
            step("start");
            let start = producer.start().map_err(show)?;
            sum = start.sum;
        }
        let mut left = STREAM;
        while left > 0 {
            let mut held = Vec::new();
            while held.len() < 2 && left > 0 {
                step("empty_block");
                let mut block = producer.empty_block().map_err(show)?;
                assert!(replaces || block.len() == BLOCK, "blocks are as long as requested");
                block.fill(left as u8);
                sum = add(sum, &block);
                held.push((block, sum));
                left -= 1;
            }
            while let Some((block, sum)) = held.pop() {
                step("send");
                let length = block.len();
                block.send(length, sum);
                handled += length;
            }
        }
        step("close");
        producer.close(&digest(sum)).map_err(show)?;
        Ok(handled)
    }

    fn consume(&self, consumer: &mut Consumer) -> Result<usize, String> {
        let (monitor, replaces, geometry) =
            (consumer.monitor(), consumer.predecessor().is_some(), consumer.geometry());
        let step = |what: &str| {
            self.step(what);
            assert!(!format!("{:?}", monitor.snapshot()).is_empty());
        };
        step("begin");
        let requested = ResumePoint::default();
        let start = consumer.begin(&[9; 128], requested).map_err(show)?;
        assert!(replaces || start == requested, "the stream begins where this end wanted: {start:?}");
        let (mut sum, mut handled) = (start.sum, 0);
        loop {
            let mut held = Vec::new();
            while held.len() < 2 {
                step("filled_block");
                let Some(block) = consumer.filled_block().map_err(show)? else { break };
                assert_eq!(block.offset(), start.position + handled as u64, "blocks come in order");
                assert!(block.len() <= geometry.block_size(), "the content fits into a block");
                sum = add(sum, &block);
                handled += block.len();
                held.push((block, sum));
            }
            let ended = held.len() < 2;
            while let Some((block, sum)) = held.pop() {
                step("release");
                block.release(sum);
            }
            if ended {
                break;
            }
        }
        let trailer = consumer.trailer().expect("there are no more blocks");
        assert_eq!(
            trailer.length,
            start.position + handled as u64,
            "the length is that of the handled bytes"
        );
        if trailer.digest != digest(sum) {
            step("abort");
            return Err(format!("{:?}", consumer.abort(&Reason::new(4, "another digest"))));
        }
        step("commit");
        let committing = consumer.commit().map_err(show)?;
        step("complete");
        committing.complete().map_err(show)?;
        Ok(handled)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is passed to `map_err`")]
fn show(error: PipeError) -> String {
    assert!(!matches!(error, PipeError::Misuse(_) | PipeError::Over), "{error:?} is the caller's fault");
    format!("{error:?}")
}

/// A running checksum that reads every byte.
fn add(sum: u64, block: &[u8]) -> u64 {
    block.chunks_exact(8).fold(sum, |sum, word| {
        (sum ^ u64::from_ne_bytes(word.try_into().expect("eight bytes"))).wrapping_mul(0x0100_0000_01b3)
    })
}

fn digest(sum: u64) -> [u8; 32] {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&sum.to_le_bytes());
    digest
}

// -------------------------------------------------------------------------------------------- the corruption

/// Every word of the header that has a meaning, with its width.
const WORDS: &[(u64, usize)] = &[
    (MAGIC, 8),
    (VERSION, 4),
    (STATE, 4),
    (GENERATION, 8),
    (BLOCK_SIZE, 8),
    (offsets::BLOCKS, 8),
    (PRODUCER_PID, 4),
    (CONSUMER_PID, 4),
    (TAG_LENGTH, 8),
    (TAG_HASH, 8),
    (NAME, 4),
    (TAG, 4),
    (ORIGIN, 8),
    (TARGET, 8),
    (FILLED, 8),
    (PARKED, 4),
    (PRODUCER_ALLOWS_REPLACEMENT, 4),
    (PRODUCER_RESUME_POINTS, 8),
    (PRODUCER_RESUME_POINTS + 8, 8),
    (PRODUCER_RESUME_POINTS + 16, 8),
    (PRODUCER_RESUME_POINTS + 24, 8),
    (TRAILER_DIGEST, 8),
    (TRAILER_LENGTH, 8),
    (EMPTIED, 8),
    (PARKED + 4, 4),
    (BEGUN, 4),
    (CONSUMER_RESUME_POINTS, 8),
    (CONSUMER_RESUME_POINTS + 8, 8),
    (CONSUMER_RESUME_POINTS + 16, 8),
    (CONSUMER_RESUME_POINTS + 24, 8),
    (CONSUMER_ALLOWS_REPLACEMENT, 4),
    (VERDICT, 8),
    (PRODUCER_REASON, 4),
    (PRODUCER_REASON + 4, 4),
    (CONSUMER_REASON, 4),
    (CONSUMER_REASON + 4, 4),
];
const COMMITTING: u64 = 1;
const COMPLETE: u64 = 2;

/// Kinds of corruption that are tried before each kind of step.
const COUNTERS: u64 = 2;
const RESUME_POINTS: u64 = 3;
const TOO_EARLY: u64 = 100;
const ENDED: u64 = 101;

/// The pipe's file, as a process sees it that does not follow the protocol.
struct Memory(File);

impl Memory {
    fn open(name: &Name) -> Option<Self> {
        let file = File::options().read(true).write(true).open(name.path()).ok()?;
        (file.metadata().ok()?.len() >= 4096).then_some(Self(file))
    }

    fn get(&self, at: u64) -> u64 {
        let mut word = [0; 8];
        // Past the end of the file there is nothing.
        let _ = self.0.read_at(&mut word, at);
        u64::from_le_bytes(word)
    }

    fn set(&self, at: u64, width: usize, value: u64) {
        // Never makes the file longer: that is another test.
        if self.0.metadata().is_ok_and(|metadata| metadata.len() >= at + width as u64) {
            self.0.write_all_at(&value.to_le_bytes()[..width], at).expect("the file can be written to");
        }
    }

    fn stage(&self) -> u64 {
        self.get(VERDICT) & 0xff
    }

    /// Corrupts the file in a random way, and returns a description.
    fn corrupt(&self, random: &mut Random) -> String {
        let kind = random.below(12);
        self.corrupt_with(kind, random)
    }

    fn corrupt_with(&self, kind: u64, random: &mut Random) -> String {
        let generation = self.get(GENERATION);
        let extreme = [u64::MAX, u64::MAX - 1, 1 << 63, i64::MAX as u64, 1 << 32, u64::MAX - BLOCK as u64];
        let far = extreme[random.below(6) as usize] - random.below(3);
        match kind {
            TOO_EARLY => {
                self.set(VERDICT, 8, generation << 8 | COMMITTING);
                "committing".into()
            }
            ENDED => {
                self.set(VERDICT, 8, generation << 8 | COMPLETE);
                self.set(STATE, 4, 0);
                "complete and over".into()
            }
            // The verdict, with this generation or another one.
            0 | 1 => {
                let other = u64::from(random.below(4) == 0);
                let value = (generation ^ other) << 8 | random.below(7);
                self.set(VERDICT, 8, value);
                format!("verdict {value:#x}")
            }
            // Both counters, so that their difference is plausible.
            COUNTERS => {
                let difference = random.below(BLOCKS as u64 + 1);
                self.set(EMPTIED, 8, far - difference);
                self.set(FILLED, 8, far);
                format!("both counters {far:#x} - {difference}")
            }
            // All resume points of both sides, with or without `begun`.
            RESUME_POINTS => {
                for points in [PRODUCER_RESUME_POINTS, CONSUMER_RESUME_POINTS] {
                    self.set(points + 8, 8, far);
                    self.set(points + 24, 8, far);
                }
                let begun = random.below(2);
                if begun == 1 {
                    self.set(BEGUN, 4, 1);
                }
                format!("all positions {far:#x}, begun {begun}")
            }
            // A descriptor.
            4..=6 => {
                let at = SLOTS + 64 * random.below(BLOCKS as u64) + 8 * random.below(3);
                let value = self.value_for(at, far, random);
                self.set(at, 8, value);
                format!("descriptor {at} {value:#x}")
            }
            // Everything at once.
            7 if random.below(3) == 0 => {
                let mut header = [0; 4096];
                header.chunks_exact_mut(8).for_each(|word| {
                    word.copy_from_slice(&random.below(u64::MAX).to_le_bytes());
                });
                self.0.write_all_at(&header, 0).expect("the file can be written to");
                "the whole header".into()
            }
            _ => {
                let (at, width) = WORDS[random.below(WORDS.len() as u64) as usize];
                let value = self.value_for(at, far, random);
                self.set(at, width, value);
                format!("word {at} {value:#x}")
            }
        }
    }

    fn value_for(&self, at: u64, far: u64, random: &mut Random) -> u64 {
        let now = self.get(at);
        match random.below(8) {
            0 => 0,
            1 => random.below(4),
            2 => now.wrapping_add(1),
            3 => now.wrapping_sub(1),
            4 => now ^ 1 << random.below(64),
            5 => self.get(WORDS[random.below(WORDS.len() as u64) as usize].0),
            6 => random.below(u64::MAX),
            _ => far,
        }
    }
}

// ------------------------------------------------------------------------------------------------- the rounds

/// A correct end as the test sees it.
struct Victim {
    actor: Actor,
    /// The step before which it waits for `go`, or the one that it is doing.
    at: String,
    works: bool,
    ended: Option<String>,
    /// Whether it gets no more permissions.
    frozen: bool,
}

impl Victim {
    fn new() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env(CORRECT, "1");
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

/// Truncates the file: memory that a peer takes away is a bus error, which cannot be prevented, and a process that
/// accesses it dies as if it had been killed. That is all that happens: the other end gets an error, and the next pair
/// works.
#[test]
fn a_truncated_file_is_at_worst_a_death() {
    const SIGBUS: i32 = 7;
    let _watchdog = Watchdog::new(60);
    let (mut died, mut received) = (0, 0);
    for length in [0, 4096, SLOTS, SLOTS + 65536 + 4096] {
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
            Memory::open(&name)
                .expect("the file exists")
                .0
                .set_len(length)
                .expect("the file can be truncated");
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
