//! Shared by the tests with real processes: actors that execute commands, names, a watchdog.
//!
//! An [`Actor`] is this test executable, started again with [`ROLE`] set. It reads one command per line from its
//! standard input and answers each with one line, so a test reads like a script for several processes, and each can be
//! killed or stopped between any two steps.

#![allow(dead_code, reason = "each test file uses its part")]

pub mod actor;
pub mod needs;
pub mod stream;
#[cfg_attr(unix, path = "unix.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod system;

pub use system::*;

use blockpipe::{Consumer, Pipe, Producer, ResumePoint, Trust, TrustedPeer};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The environment variable that makes the test executable an actor.
const ROLE: &str = "BLOCKPIPE_TEST_ROLE";
/// The prefix of answers; everything else on standard output comes from a program around the actor.
const ANSWER: &str = "> ";
/// A time limit longer than anything in these tests takes, unless it is meant to hang.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often a start may fail for a temporary reason.
const STARTS: u32 = 5;

/// The promised time limit of a refusal.
pub const HALF_A_SECOND: Duration = Duration::from_millis(500);

/// Turns a hang into a failure: aborts the test process unless it is dropped in time. The actors then notice that their
/// standard input ends.
pub struct Watchdog(Option<Sender<()>>);

impl Watchdog {
    pub fn new(seconds: u64) -> Self {
        let (alive, bark) = mpsc::channel::<()>();
        let test = thread::current().name().unwrap_or("a test").to_owned();
        thread::spawn(move || {
            if bark.recv_timeout(Duration::from_secs(seconds)) == Err(RecvTimeoutError::Timeout) {
                eprintln!("watchdog: {test} has taken more than {seconds} s");
                std::process::abort();
            }
        });
        Self(Some(alive))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0 = None;
    }
}

#[expect(clippy::disallowed_methods, reason = "tests of time have to let time pass")]
pub fn pause(milliseconds: u64) {
    thread::sleep(Duration::from_millis(milliseconds));
}

/// Waits until a condition outside this process holds.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        pause(1);
    }
}

/// Returns the time in nanoseconds on a clock that all processes share.
pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is later than 1970");
    u64::try_from(now.as_nanos()).expect("the clock is earlier than 2554")
}

/// Pseudorandom numbers, the same for the same seed.
pub struct Random(pub u64);

impl Random {
    /// Reads the seed from the environment variable if it is set, so that a run can be repeated. Prints the seed.
    pub fn seeded(variable: &str) -> Self {
        let seed = std::env::var(variable).ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(now);
        harness::note!("{variable}={seed}");
        Self(seed)
    }

    /// Returns a number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// A pipe's name that no other test uses. Leftovers of killed actors are removed with it.
#[derive(Clone)]
pub struct Name(Vec<u8>);

impl Name {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(format!("blockpipe test {} {} {count}", std::process::id(), now()).into())
    }

    /// Returns a name with other bytes appended.
    pub fn followed_by(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn empty() -> Self {
        Self(Vec::new())
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn hex(&self) -> String {
        hex(&self.0)
    }

    /// Returns the file name that stands for the name, computed as documented and not by the library: it must not
    /// change.
    pub fn key(&self) -> u128 {
        self.0.iter().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128, |hash, byte| {
            (hash ^ u128::from(*byte)).wrapping_mul((1 << 88) + 0x13b)
        })
    }

    /// Checks that an orderly end has left nothing.
    #[track_caller]
    pub fn assert_gone(&self) {
        assert!(!self.exists(), "{} was left over", self.location());
    }
}

pub fn hex(bytes: &[u8]) -> String {
    // A command has no empty words.
    let mut text = String::from("x");
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a string grows");
    }
    text
}

/// Makes the blocks of a test's own pipe usable as slices.
pub fn trusted(pipe: Pipe) -> Pipe<TrustedPeer> {
    // SAFETY: the pipe lies in this user's private directory under a name that only this test knows, and all that join
    // it use this library.
    unsafe { pipe.trust_peer() }
}

/// Returns both ends of a pipe, in this process. The memory is that of [`Pipe::blocks`].
pub fn ends<T: Trust>(pipe: &Pipe<T>) -> (Producer<T>, Consumer<T>) {
    thread::scope(|scope| {
        let waiting = scope.spawn(|| pipe.join_as_consumer().unwrap());
        let mut producer = pipe.join_as_producer().unwrap();
        // Makes it ready.
        drop(producer.try_empty_block().unwrap());
        (producer, waiting.join().unwrap())
    })
}

/// Ends a stream that has been received to its last block.
pub fn finish_both<T: Trust>(producer: &mut Producer<T>, consumer: &mut Consumer<T>) {
    thread::scope(|scope| {
        let finishing = scope.spawn(|| producer.finish());
        consumer.finish().unwrap();
        finishing.join().unwrap().unwrap();
    });
}

/// Runs a call that waits, and does something else once it probably does.
pub fn meanwhile<R: Send>(call: impl FnOnce() -> R + Send, act: impl FnOnce()) -> R {
    thread::scope(|scope| {
        let call = scope.spawn(call);
        pause(100);
        act();
        call.join().unwrap()
    })
}

/// Returns a resume point of the tests: the progress in bytes, and a checksum of what came before it.
#[expect(clippy::disallowed_methods, reason = "the progress is a native-endian number")]
pub fn point(progress: u64, sum: u64) -> ResumePoint {
    let mut point = ResumePoint::default();
    point[..8].copy_from_slice(&progress.to_ne_bytes());
    point[8..16].copy_from_slice(&sum.to_le_bytes());
    point
}

/// Returns the progress and the checksum in a resume point.
pub fn read_point(point: &ResumePoint) -> (u64, u64) {
    let [progress, sum, ..] = point.as_chunks().0 else { unreachable!("a point has 32 bytes") };
    (u64::from_ne_bytes(*progress), u64::from_le_bytes(*sum))
}

/// Returns the trailer of the tests: the number of bytes, and their checksum.
pub fn trailer(bytes: u64, sum: u64) -> [u8; 64] {
    let mut trailer = [0; 64];
    trailer[..8].copy_from_slice(&bytes.to_le_bytes());
    trailer[8..16].copy_from_slice(&sum.to_le_bytes());
    trailer
}

/// Another process, which executes the commands of [`actor`].
pub struct Actor {
    child: Child,
    commands: ChildStdin,
    answers: Receiver<String>,
    asked: String,
}

impl Actor {
    pub fn start() -> Self {
        let executable = std::env::current_exe().expect("a test knows its executable");
        Self::start_through(Command::new(executable))
    }

    /// Starts an actor by a command that ends in running this executable.
    pub fn start_through(mut command: Command) -> Self {
        command.env(ROLE, "1").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = (0..STARTS)
            .find_map(|_| Some(command.spawn()).filter(|child| !child.as_ref().is_err_and(passes)))
            .expect("a start succeeds at last")
            .expect("the test executable starts again");
        let commands = child.stdin.take().expect("it was asked for");
        let output = BufReader::new(child.stdout.take().expect("it was asked for"));
        let (sender, answers) = mpsc::channel();
        thread::spawn(move || {
            let lines = output.lines().map_while(Result::ok);
            // The test may have ended meanwhile.
            let _ = lines
                .filter_map(|line| Some(line.strip_prefix(ANSWER)?.to_owned()))
                .try_for_each(|answer| sender.send(answer));
        });
        let mut actor = Self { child, commands, answers, asked: "start".into() };
        assert_eq!(actor.answer(), "here");
        actor
    }

    /// Sends a command without waiting for the answer.
    #[track_caller]
    pub fn tell(&mut self, command: &str) {
        writeln!(self.commands, "{command}").expect("an actor reads");
        command.clone_into(&mut self.asked);
    }

    /// Returns the answer to the oldest command that has none yet.
    #[track_caller]
    pub fn answer(&mut self) -> String {
        self.answer_within(PATIENCE).unwrap_or_else(|| panic!("no answer to `{}`", self.asked))
    }

    #[track_caller]
    pub fn answer_within(&mut self, time: Duration) -> Option<String> {
        match self.answers.recv_timeout(time) {
            Ok(answer) => Some(answer),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("an actor ended after `{}`", self.asked),
        }
    }

    #[track_caller]
    pub fn ask(&mut self, command: &str) -> String {
        self.tell(command);
        self.answer()
    }

    /// Sends a command, and expects this answer.
    #[track_caller]
    pub fn expect(&mut self, command: &str, answer: &str) {
        assert_eq!(self.ask(command), answer, "the answer to `{command}`");
    }

    /// Expects this answer to the command sent before.
    #[track_caller]
    pub fn expect_answer(&mut self, answer: &str) {
        let asked = self.asked.clone();
        assert_eq!(self.answer(), answer, "the answer to `{asked}`");
    }

    /// Expects that the last command has not been answered after this time.
    #[track_caller]
    pub fn expect_silence(&mut self, milliseconds: u64) {
        if let Some(answer) = self.answer_within(Duration::from_millis(milliseconds)) {
            panic!("`{}` was answered too early: {answer}", self.asked);
        }
    }

    /// Sends a command, and expects an answer that begins with this text.
    #[track_caller]
    pub fn expect_refusal(&mut self, command: &str, beginning: &str) {
        let answer = self.ask(command);
        assert!(answer.contains(beginning), "the answer to `{command}` is `{answer}`");
    }

    /// Expects that this actor joins in this role.
    #[track_caller]
    pub fn joins(&mut self, name: &Name, role: &str) {
        self.expect(&format!("join {}", name.hex()), role);
    }

    /// Sets the flag that was passed to `Pipe::interrupt`. There is no answer.
    pub fn interrupt(&mut self) {
        // A process that has died meanwhile need not be interrupted.
        let _ = writeln!(self.commands, "interrupt");
    }

    /// Passes each answer to `over` until it returns true, in which case the result is `None`, or until the process has
    /// ended, in which case the result is its exit status.
    #[track_caller]
    pub fn end_or_answers(
        &mut self,
        limit: Duration,
        mut over: impl FnMut(&mut Self, &str) -> bool,
    ) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            match self.answers.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(answer) if over(self, &answer) => return None,
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Some(self.child.wait().expect("a child can be waited for"));
                }
                Err(RecvTimeoutError::Timeout) => panic!("no answer to `{}`", self.asked),
            }
        }
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns whether this process was started as an actor.
pub fn is_actor() -> bool {
    std::env::var_os(ROLE).as_deref() == Some(OsStr::new("1"))
}

/// Starts two processes that meet under a name; the producer has reserved its memory.
#[track_caller]
pub fn pair(name: &Name, block_size: usize, blocks: usize) -> (Actor, Actor) {
    let (mut producer, mut consumer) = (Actor::start(), Actor::start());
    producer.joins(name, "producer");
    producer.expect(&format!("ready {block_size} {blocks}"), "Ok(())");
    consumer.joins(name, "consumer");
    (producer, consumer)
}

/// Lets another process join, which must fail like this within half a second.
#[track_caller]
pub fn is_refused(newcomer: &mut Actor, command: &str, error: &str) -> String {
    let start = Instant::now();
    let answer = newcomer.ask(command);
    assert!(answer.starts_with(error), "{command}: {answer}");
    assert!(start.elapsed() < HALF_A_SECOND, "refused after {:?}", start.elapsed());
    answer
}

/// Sends `bytes` bytes through a pair that has just met, up to the verdict, and checks that the name is gone.
#[track_caller]
pub fn finish(name: &Name, producer: &mut Actor, consumer: &mut Actor, bytes: u64) {
    producer.tell(&format!("stream {bytes} 1"));
    consumer.expect("drain 1", &format!("drained {bytes}"));
    consumer.expect("commit", "Ok");
    consumer.expect("complete", "Ok(())");
    producer.expect_answer("Ok(())");
    name.assert_gone();
}

/// A whole copy as one end saw it, parsed from an actor's answer to `copy`.
#[derive(Clone, Copy, Debug)]
pub struct Copied {
    pub produced: bool,
    /// The number of this end, unique in this run.
    pub own: u64,
    /// The number of its peer.
    pub peer: u64,
    /// When it began to join.
    pub started: u64,
    pub ended: u64,
}

impl From<&str> for Copied {
    #[track_caller]
    fn from(answer: &str) -> Self {
        let words: Vec<&str> = answer.split(' ').collect();
        let ["complete", role, own, peer, started, ended] = words[..] else { panic!("{answer}") };
        let [own, peer, started, ended] =
            [own, peer, started, ended].map(|word| word.parse().expect("a number"));
        Self { produced: role == "producer", own, peer, started, ended }
    }
}

/// Returns every actor's answer to `copy`. Once all but one have ended, that one has no peer and is interrupted.
#[track_caller]
pub fn answers_of_all<'a>(actors: impl IntoIterator<Item = &'a mut Actor>) -> Vec<(usize, String)> {
    let mut waiting: Vec<(usize, &mut Actor)> = actors.into_iter().enumerate().collect();
    let (mut answers, start) = (Vec::new(), Instant::now());
    while !waiting.is_empty() {
        assert!(start.elapsed() < PATIENCE, "{} do not end; the others: {answers:?}", waiting.len());
        if let [(_, last)] = &mut waiting[..] {
            last.interrupt();
        }
        waiting.retain_mut(|(number, actor)| match actor.answer_within(Duration::from_micros(100)) {
            Some(answer) => {
                answers.push((*number, answer));
                false
            }
            None => true,
        });
    }
    answers
}
