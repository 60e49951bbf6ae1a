//! What a pipe looks like from outside, for messages and progress. Disturbs nobody and decides nothing.

use crate::layout::{self, Geometry};
use crate::memory::Shared;
use crate::ring::{Stage, Trailer};
use crate::sync::Ordering;
use crate::sys::{Seats, Side, forks};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

/// What the two ends of a pipe are doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The producer is getting ready, or none has come yet.
    Opening,
    /// The producer is ready, and one of the two ends has no process: no consumer has come yet, or a process has died
    /// and was not replaced yet.
    Alone,
    /// Both processes are there, and blocks are being transferred.
    Moving,
    /// The producer has sent everything and waits for the consumer's verdict.
    Finishing,
    /// The consumer is making its result final; the producer can no longer abort.
    Committing,
    /// The verdict is known.
    Over,
}

/// The state of a pipe at one moment. The numbers are read one after another and may be a moment apart.
///
/// # Examples
/// ```
/// use blockpipe::{Pipe, Side};
///
/// # mod setup { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/setup.rs")); }
/// # let name = setup::name();
/// # let (producer, consumer) = setup::pair_of(&Pipe::named(&name));
/// let there = Pipe::named(&name).inspect()?.expect("a pair under this name");
/// if there.is_dead() {
///     println!("both processes were killed after {} bytes", there.released);
/// } else if let Some((Side::Producer, time)) = there.waits {
///     println!("process {} has waited for {} s", there.producer, time.as_secs());
/// }
/// # assert!(!there.is_dead());
/// # Ok::<(), blockpipe::JoinError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// The random number of this pairing.
    pub generation: u64,
    /// The first 508 bytes of the name.
    pub name: Vec<u8>,
    /// The first 1276 bytes of the tag.
    pub tag: Vec<u8>,
    /// What the two ends are doing.
    pub phase: Phase,
    /// The producer's process id, as it reported it; 0 if none has come yet. For display only.
    pub producer: u32,
    /// True if the producer is alive. If not, its peer is about to notice, or waits for a replacement.
    pub producer_alive: bool,
    /// The process id of the consumer that holds the other end, as it reported it; `None` while there is none, because
    /// none has come yet, or it has died. For display only.
    pub consumer: Option<u32>,
    /// The user ids of producer and consumer, as the kernel knows them. Not filled in by a [`Monitor`].
    pub users: [Option<u32>; 2],
    /// The progress that the producer's last [`ResumePoint`](crate::ResumePoint) shows: bytes sent so far.
    pub sent: u64,
    /// As `sent`, of the consumer: bytes released so far.
    pub released: u64,
    /// Blocks that are waiting for the consumer now.
    pub waiting_blocks: u64,
    /// The block size and count, once the producer is ready.
    pub geometry: Option<Geometry>,
    /// The side that is asleep now because the other one is slower.
    pub asleep: Option<Side>,
    /// The side that has been waiting for the other one, or for a peer to come, and for how long. Waits under about
    /// 50 ms are not shown, and the time is that of the system's clock.
    pub waits: Option<(Side, Duration)>,
    /// How long the producer has waited for empty blocks so far, and the consumer for filled ones, as each reports.
    /// Waits under a microsecond may be missing.
    pub waited: [Duration; 2],
    /// The producer's hello, once it is ready.
    pub producer_hello: Option<Vec<u8>>,
    /// The consumer's hello, once it has begun.
    pub consumer_hello: Option<Vec<u8>>,
    /// The producer's trailer, once it is stored.
    pub trailer: Option<Trailer>,
}

impl Snapshot {
    /// Returns whether both sides are gone: the pipe was left over by a killed pair. See the [example](#examples).
    pub fn is_dead(&self) -> bool {
        !self.producer_alive && self.consumer.is_none()
    }

    /// Names the processes that hold the two ends, for messages.
    pub(crate) fn holders(&self) -> String {
        let producer = self.producer_alive.then(|| format!("process {} is the producer", self.producer));
        let consumer = self.consumer.map(|id| format!("process {id} is the consumer"));
        [producer, consumer].into_iter().flatten().collect::<Vec<_>>().join(" and ")
    }

    pub(crate) fn with_users(mut self, shared: &Shared, seats: &Seats) -> Self {
        let generation = shared.header().generation.load(Ordering::Relaxed);
        let alive = [(Side::Producer, self.producer_alive), (Side::Consumer, self.consumer.is_some())];
        self.users = alive.map(|(side, alive)| {
            let user = || seats.peer_card(side, generation).ok()?.user;
            if alive { user() } else { None }
        });
        self
    }

    pub(crate) fn take(shared: &Shared, producer_held: bool, consumer_held: bool) -> Self {
        let header = shared.header();
        let ring = &header.ring;
        let state = header.state.load(Ordering::Acquire);
        let verdict = ring.verdict.stage(header.generation.load(Ordering::Relaxed));
        let phase = match (state, verdict) {
            (layout::OVER, _)
            | (_, Ok(Stage::Complete | Stage::AbortedByProducer | Stage::AbortedByConsumer)) => Phase::Over,
            (_, Ok(Stage::Committing)) => Phase::Committing,
            (layout::OPENING, _) => Phase::Opening,
            _ if ring.trailer().is_some() => Phase::Finishing,
            _ if producer_held && consumer_held => Phase::Moving,
            _ => Phase::Alone,
        };
        let (sent, released) = ring.positions();
        let geometry = Geometry::checked(
            header.block_size.load(Ordering::Relaxed),
            header.blocks.load(Ordering::Relaxed),
        );
        let sleeps = |side: &Side| ring.parked[*side as usize].load(Ordering::Relaxed) == 1;
        let asleep = [Side::Producer, Side::Consumer].into_iter().find(sleeps);
        Self {
            generation: header.generation.load(Ordering::Relaxed),
            name: header.name.get(),
            tag: header.tag.get(),
            phase,
            producer: header.producer_pid.load(Ordering::Relaxed),
            producer_alive: producer_held,
            consumer: consumer_held.then(|| header.consumer_pid.load(Ordering::Relaxed)),
            users: [None; 2],
            sent,
            released,
            waiting_blocks: waiting_blocks(header),
            geometry,
            asleep,
            waits: [(Side::Producer, producer_held), (Side::Consumer, consumer_held)].into_iter().find_map(
                |(side, held)| {
                    let since = header.waits_since[side as usize].load(Ordering::Relaxed);
                    let waits = held && since != 0 && phase != Phase::Over;
                    waits.then(|| (side, Duration::from_millis(now().saturating_sub(since))))
                },
            ),
            waited: header.waited.each_ref().map(|sum| Duration::from_nanos(sum.load(Ordering::Relaxed))),
            producer_hello: (state == layout::READY).then(|| header.producer_hello.get()),
            consumer_hello: shared.consumer_hello(),
            trailer: ring.trailer(),
        }
    }
}

fn waiting_blocks(header: &layout::Header) -> u64 {
    let filled = header.ring.producer.filled.load(Ordering::Relaxed);
    filled.saturating_sub(header.ring.consumer.emptied.load(Ordering::Relaxed))
}

/// Returns the milliseconds since 1970.
pub(crate) fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    now.as_millis() as u64
}

/// A view of a pipe for another thread of a process that holds one of its ends.
///
/// It keeps no seat: once the end is gone, it shows only [`Phase::Over`].
///
/// # Examples
/// ```
/// # mod setup { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/setup.rs")); }
/// # let (mut producer, consumer) = setup::pair();
/// # setup::send(&mut producer, &["hello"]);
/// let monitor = producer.monitor();
/// let progress = std::thread::spawn(move || {
///     println!("{} bytes so far, {} blocks wait", monitor.snapshot().sent, monitor.waiting_blocks());
///     # (monitor.snapshot().sent, monitor.waiting_blocks())
/// });
/// # assert_eq!(progress.join().unwrap(), (5, 1));
/// # Ok::<(), blockpipe::PipeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Monitor {
    shared: Arc<Shared>,
    seats: Weak<Seats>,
    own: Side,
    forks: u32,
}

impl Monitor {
    pub(crate) fn new(shared: &Arc<Shared>, seats: &Arc<Seats>, own: Side) -> Self {
        Self { shared: Arc::clone(shared), seats: Arc::downgrade(seats), own, forks: forks() }
    }

    /// Returns how many blocks wait for the consumer now: two loads from shared memory, no system call. See the
    /// [example](#examples).
    ///
    /// # Panics
    /// In a forked child: only the parent has the memory.
    pub fn waiting_blocks(&self) -> u64 {
        self.assert_not_forked();
        waiting_blocks(self.shared.header())
    }

    /// Returns the process id of the process at the other end, as it reported it; `None` while there is none, because
    /// none has come yet, or it has died, or this end is gone. Another id than before means that the peer was replaced.
    /// One system call. Example: [`Producer`](crate::Producer#noticing-that-the-peer-is-being-replaced).
    ///
    /// # Panics
    /// In a forked child: only the parent has the memory.
    pub fn peer(&self) -> Option<u32> {
        self.assert_not_forked();
        let header = self.shared.header();
        let id = match self.own {
            Side::Producer => &header.consumer_pid,
            Side::Consumer => &header.producer_pid,
        };
        let is_there = self.seats.upgrade()?.is_held(self.own.other()).unwrap_or(false);
        is_there.then(|| id.load(Ordering::Relaxed))
    }

    fn assert_not_forked(&self) {
        assert!(
            self.forks == forks(),
            "a monitor was used in a forked child: only the parent has its memory"
        );
    }

    /// Returns the current state of the pipe. Never blocks. See the [example](#examples).
    ///
    /// It takes a system call and copies name, tag and hellos, about a microsecond in all, so do it for each message to
    /// people rather than for each block.
    ///
    /// # Panics
    /// In a forked child: only the parent has the memory.
    pub fn snapshot(&self) -> Snapshot {
        self.assert_not_forked();
        let seats = self.seats.upgrade();
        let held = |side| {
            seats.as_ref().is_some_and(|seats| self.own == side || seats.is_held(side).unwrap_or(false))
        };
        let snapshot = Snapshot::take(&self.shared, held(Side::Producer), held(Side::Consumer));
        // An end that was dropped without a verdict could not mark the pipe as over.
        let phase = if seats.is_some() { snapshot.phase } else { Phase::Over };
        Snapshot { phase, ..snapshot }
    }
}
