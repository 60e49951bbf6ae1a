//! Shared by the measurements of hand-overs: two processes, the tasks of a transport, and the report.
//!
//! The near process measures. It starts the far one, which serves the near one's requests over the very transport that
//! is measured. `blockpipe/compare/` includes this folder, so that rivals are measured by the same code.

mod rounds;
mod statistics;
mod threads;
mod transports;

pub use rounds::{Candidate, run};
pub use threads::two_threads;
pub use transports::{Blockpipe, far_descriptors, large_pipe, pipe, socket};

use rustix::time::{ClockId, clock_gettime};
use std::hint::spin_loop;
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use std::{io, iter};

pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// The number of blocks between the two processes, for transports that have blocks.
pub const BLOCKS: usize = 4;
/// How often a wait polls before it does something else, where the transport leaves that to its user.
pub const SPINS: u32 = 2_000;
/// The length of a message in bytes: two words.
const MESSAGE: usize = 16;
/// Much longer than any wait spins, and about as long as reading a block from a disk takes.
const PAUSE: Duration = Duration::from_micros(200);
/// A word that does not occur in memory by chance.
const FIRST_WORD: u64 = 0x5eed_0000_0000_0000;

// The near process's requests: the first word of a message. The second one is a number, or a time.
const SEND_BLOCKS: u64 = 1;
const SEND_UNTOUCHED: u64 = 2;
const ANSWER: u64 = 3;
const ANSWER_LATER: u64 = 4;
const END: u64 = 5;

/// One process's end of a transport with two directions.
pub trait Link {
    /// Hands `length` bytes over, in the order in which `fill` writes them: in one piece, or in several.
    fn send(&mut self, length: usize, fill: impl FnMut(&mut [u8])) -> Outcome<()>;

    /// Waits for `length` bytes and shows them to `take` where they are: in one piece, or in several.
    fn receive(&mut self, length: usize, take: impl FnMut(&[u8])) -> Outcome<()>;
}

/// The tasks that are measured, in nanoseconds per block or message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Streams blocks of this many bytes, each written to the last byte and read to the last byte.
    Blocks(usize),
    /// Streams blocks that are neither written nor read.
    Untouched,
    /// A message and its answer, at once.
    PingPong,
    /// A message to a process that has been waiting for longer than it spins.
    Parked,
}

impl Task {
    pub const ALL: [Self; 7] = [
        Self::Blocks(64 << 10),
        Self::Blocks(256 << 10),
        Self::Blocks(512 << 10),
        Self::Blocks(1 << 20),
        Self::Untouched,
        Self::PingPong,
        Self::Parked,
    ];

    pub fn block_size(self) -> usize {
        if let Self::Blocks(size) = self { size } else { 4096 }
    }

    /// Returns how many blocks or messages take about as long as the blocks in `mib` MiB.
    fn amount(self, mib: u64) -> u64 {
        match self {
            Self::Blocks(size) => (mib << 20) / size as u64,
            Self::Untouched => mib * 1000,
            Self::PingPong => mib * 50,
            Self::Parked => mib * 2,
        }
    }
}

/// The far process. It is killed if it is dropped before it has ended: it must not wait for a peer that gave up.
pub struct Peer(Child);

impl Peer {
    pub fn start(mut command: Command) -> io::Result<Self> {
        command.spawn().map(Self)
    }

    fn end(mut self) -> Outcome<()> {
        if self.0.wait()?.success() { Ok(()) } else { Err("the far process failed".into()) }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Both do nothing if the process has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Serves the near process's requests.
pub fn serve(link: &mut impl Link, task: Task) -> Outcome<()> {
    let mut next = FIRST_WORD;
    loop {
        match receive_message(link)? {
            [SEND_BLOCKS, count] => {
                for _ in 0..count {
                    link.send(task.block_size(), |bytes| fill(bytes, &mut next))?;
                }
            }
            [SEND_UNTOUCHED, count] => {
                for _ in 0..count {
                    link.send(MESSAGE, |_| ())?;
                }
            }
            [ANSWER, number] => send_message(link, [ANSWER, number + 1])?,
            [ANSWER_LATER, sent] => {
                let taken = now() - sent;
                pause();
                send_message(link, [now(), taken])?;
            }
            [END, _] => return Ok(()),
            other => return Err(format!("unknown request {other:x?}").into()),
        }
    }
}

/// Returns nanoseconds per block or message. Everything is used once before it is timed, and what arrives is checked.
pub fn measure(link: &mut impl Link, task: Task, amount: u64) -> Outcome<f64> {
    let warm_up = amount / 10 + 1;
    let total = match task {
        Task::Blocks(size) => {
            let mut next = FIRST_WORD;
            compare_blocks(link, size, 2 * BLOCKS as u64, &mut next)?;
            let begin = Instant::now();
            sum_blocks(link, size, amount, next)?;
            begin.elapsed()
        }
        Task::Untouched => {
            count_blocks(link, warm_up)?;
            let begin = Instant::now();
            count_blocks(link, amount)?;
            begin.elapsed()
        }
        Task::PingPong => {
            play(link, warm_up)?;
            let begin = Instant::now();
            play(link, amount)?;
            // An answer is a message, too.
            begin.elapsed() / 2
        }
        Task::Parked => {
            latencies(link, warm_up)?;
            let mut sorted = latencies(link, amount)?;
            sorted.sort_unstable();
            return Ok(sorted[sorted.len() / 2] as f64);
        }
    };
    Ok(total.as_nanos() as f64 / amount as f64)
}

/// Tells the far process that there are no more requests.
pub fn end(link: &mut impl Link) -> Outcome<()> {
    send_message(link, [END, 0])
}

/// Compares every byte with the expected one, which takes too long to be timed.
fn compare_blocks(link: &mut impl Link, size: usize, count: u64, next: &mut u64) -> Outcome<()> {
    send_message(link, [SEND_BLOCKS, count])?;
    let mut expected = vec![0; size];
    for block in 0..count {
        fill(&mut expected, next);
        let (mut seen, mut equal) = (0, true);
        link.receive(size, |bytes| {
            equal &= expected[seen..][..bytes.len()] == *bytes;
            seen += bytes.len();
        })?;
        if !equal || seen != size {
            return Err(format!("block {block} is not what was sent").into());
        }
    }
    Ok(())
}

fn sum_blocks(link: &mut impl Link, size: usize, count: u64, first: u64) -> Outcome<()> {
    send_message(link, [SEND_BLOCKS, count])?;
    let mut total = 0;
    for _ in 0..count {
        link.receive(size, |bytes| total = sum(bytes).wrapping_add(total))?;
    }
    let words = u128::from(count) * size as u128 / 8;
    let expected = words * u128::from(first) + words * (words - 1) / 2;
    if total == expected as u64 { Ok(()) } else { Err("the sum of all words is not what was sent".into()) }
}

fn count_blocks(link: &mut impl Link, count: u64) -> Outcome<()> {
    send_message(link, [SEND_UNTOUCHED, count])?;
    (0..count).try_for_each(|_| link.receive(MESSAGE, |_| ()))
}

fn play(link: &mut impl Link, count: u64) -> Outcome<()> {
    for number in 0..count {
        send_message(link, [ANSWER, number])?;
        if receive_message(link)? != [ANSWER, number + 1] {
            return Err("the answer is to another message".into());
        }
    }
    Ok(())
}

/// Returns how long messages took, there and back, each to a process that sleeps.
fn latencies(link: &mut impl Link, count: u64) -> Outcome<Vec<u64>> {
    let mut all = Vec::new();
    for _ in 0..count {
        pause();
        send_message(link, [ANSWER_LATER, now()])?;
        let [sent, there] = receive_message(link)?;
        all.extend([there, now() - sent]);
    }
    Ok(all)
}

fn send_message(link: &mut impl Link, words: [u64; 2]) -> Outcome<()> {
    link.send(MESSAGE, |bytes| {
        for (bytes, word) in iter::zip(bytes.as_chunks_mut().0, words) {
            *bytes = word.to_le_bytes();
        }
    })
}

fn receive_message(link: &mut impl Link) -> Outcome<[u64; 2]> {
    let mut words = [0; 2];
    link.receive(MESSAGE, |bytes| {
        for (word, bytes) in iter::zip(&mut words, bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
    })?;
    Ok(words)
}

/// Fills memory with words that keep counting: no block is like one that was in its slot before.
fn fill(bytes: &mut [u8], next: &mut u64) {
    let words = bytes.as_chunks_mut().0;
    let first = *next;
    *next += words.len() as u64;
    for (word, value) in iter::zip(words, first..) {
        *word = value.to_le_bytes();
    }
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.as_chunks().0.iter().fold(0, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word)))
}

/// Returns the time in nanoseconds, on a clock that all processes share.
fn now() -> u64 {
    Duration::try_from(clock_gettime(ClockId::Monotonic)).expect("it began with zero").as_nanos() as u64
}

/// Lets time pass without sleeping, so that only the receiver has to be woken up.
fn pause() {
    let begin = Instant::now();
    while begin.elapsed() < PAUSE {
        spin_loop();
    }
}
