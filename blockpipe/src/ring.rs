//! The protocol between the two ends: two counters, two resume points each, a trailer and a verdict.
//!
//! The order of stores is the one that `docs/protocol.md` argues for and that an exhaustive search found no fault in.
//! Nothing here knows that the words lie in shared memory, so a model checker can drive it.
//!
//! Every word that the peer writes is read once, into a local, and checked before it is used.

use crate::sync::{AtomicU32, AtomicU64, Bell, Ordering, fence, step};
use crate::words::{Words, to_bytes, to_words};
use std::time::Duration;

/// A point from which a stream can be resumed, in the application's own terms. Only the first eight bytes mean anything
/// to the library: the progress so far in bytes, as a native-endian number, for display.
pub type ResumePoint = [u8; 8 * POINT_WORDS];

/// Bytes that the producer sends at the end of the stream, in the application's own terms.
pub type Trailer = [u8; 8 * TRAILER_WORDS];

/// Bytes that the producer sends with one block, in the application's own terms.
pub type BlockHeader = [u8; 8 * HEADER_WORDS];

// The model checker tries every order of these stores, so it gets as few as are needed to see one half of a value.
const POINT_WORDS: usize = if cfg!(loom) { 2 } else { 4 };
const TRAILER_WORDS: usize = if cfg!(loom) { 1 } else { 8 };
const HEADER_WORDS: usize = if cfg!(loom) { 1 } else { 5 };

/// A resume point as words; the first one is the progress.
type Point = [u64; POINT_WORDS];

/// The words that only the producer writes.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct ProducerLine {
    /// Blocks sent so far. Block `n` lies in slot `n mod count`.
    pub filled: AtomicU64,
    /// 1 if the producer keeps its seat when the consumer dies, and waits for a replacement.
    pub allows_replacement: AtomicU32,
    /// The number of blocks plus one; 0 means that more may come. Stored after the trailer and after the last `filled`.
    /// Beside `filled`, because a waiting consumer polls both, and the next cache line changes with every second block.
    pub closed: AtomicU64,
    /// Where a replacement of this side would resume. The counter's last bit selects the valid one, so that the one store
    /// that moves the counter commits block and resume point together; whether a kill comes before or after it, the
    /// selected one is right.
    pub resume_points: [Words<POINT_WORDS>; 2],
    pub trailer: Words<TRAILER_WORDS>,
}

/// The words that only the consumer writes.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct ConsumerLine {
    /// Blocks released so far.
    pub emptied: AtomicU64,
    /// Not 0 once the consumer has stored what it works on: from here on its death ends the pipe.
    pub begun: AtomicU32,
    /// 1 if the consumer keeps its seat when the producer dies, and waits for a replacement.
    pub allows_replacement: AtomicU32,
    /// As the producer's. Until block 0 is released, the first one is where the consumer wants the stream to begin.
    pub resume_points: [Words<POINT_WORDS>; 2],
}

/// How the pipe ends, in one word that is moved by compare-and-swap only: `generation << 8 | stage`.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct VerdictWord(AtomicU64);

/// What the two ends share besides the blocks.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Ring {
    pub producer: ProducerLine,
    pub consumer: ConsumerLine,
    // These words are read all the time and rarely written, so they do not share a cache line with the counters.
    pub verdict: VerdictWord,
    /// For the producer and the consumer: 1 while it sleeps or is about to. The end that wakes it stores 0.
    pub parked: [AtomicU32; 2],
}

/// The descriptor of a block. Written by the block's owner before the counter that gives the block away.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Slot {
    number: AtomicU64,
    length: AtomicU64,
    header: Words<HEADER_WORDS>,
}

impl Slot {
    /// Returns the header of a block that this side holds.
    pub(crate) fn header(&self) -> BlockHeader {
        to_bytes(self.header.load())
    }
}

/// The limit of a stream, in blocks. Up to here, what a correct end adds to a number that it read never overflows.
const MAX_BLOCKS: u64 = u64::MAX >> 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Undecided,
    /// The consumer is making its result final; the producer can no longer abort.
    Committing,
    Complete,
    AbortedByProducer,
    AbortedByConsumer,
}

/// The peer wrote something that no correct peer writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProtocolViolation(pub &'static str);

/// The next item that a consumer finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A block with this many bytes: a checked number.
    Filled(u64),
    Nothing,
    /// The trailer is stored. (If it were part of this type, each block would cost a copy of that size.)
    End,
}

impl Ring {
    /// Sets the verdict to undecided for this generation. Everything else is zero in a new pipe, which is right.
    pub(crate) fn init_verdict(&self, generation: u64) {
        self.verdict.0.store(VerdictWord::word(generation, Stage::Undecided), Ordering::Release);
    }

    /// Returns the bytes sent and the bytes released, for display: the two may be a moment apart.
    pub(crate) fn positions(&self) -> (u64, u64) {
        let sent = self.sent_point(self.producer.filled.load(Ordering::Acquire));
        let released = self.released_point(self.consumer.emptied.load(Ordering::Acquire));
        (sent[0], released[0])
    }

    /// Returns the producer's resume point after `filled` blocks; before the first one, where the stream begins.
    fn sent_point(&self, filled: u64) -> Point {
        let points = if filled == 0 { &self.consumer.resume_points } else { &self.producer.resume_points };
        points[(filled % 2) as usize].load()
    }

    fn released_point(&self, emptied: u64) -> Point {
        self.consumer.resume_points[(emptied % 2) as usize].load()
    }

    /// Returns the producer's trailer, once it is stored.
    pub(crate) fn trailer(&self) -> Option<Trailer> {
        self.closed_after().map(|_| self.stored_trailer())
    }

    /// Returns the trailer, which the caller knows is stored; see [`trailer`](Self::trailer).
    pub(crate) fn stored_trailer(&self) -> Trailer {
        to_bytes(self.producer.trailer.load())
    }

    /// Returns the number of blocks in the whole stream, once the producer has closed it.
    pub(crate) fn closed_after(&self) -> Option<u64> {
        self.producer.closed.load(Ordering::Acquire).checked_sub(1)
    }

    /// Stores where the consumer wants the stream to begin. Comes before its hello and before `begun`.
    pub(crate) fn set_start(&self, point: &ResumePoint) {
        self.consumer.resume_points[0].store(to_words(point));
    }

    /// Reads and checks both counters, for an end that finds them as its predecessor left them.
    fn counters(&self, slots: u64) -> Result<(u64, u64), ProtocolViolation> {
        let emptied = self.consumer.emptied.load(Ordering::Acquire);
        // After `emptied`, so that it cannot be the smaller one while both sides are correct.
        let filled = self.producer.filled.load(Ordering::Acquire);
        if emptied > filled || filled - emptied > slots {
            return Err(ProtocolViolation("the counters are further apart than there are blocks"));
        }
        if filled > MAX_BLOCKS {
            return Err(ProtocolViolation("the counters are beyond the limit of a stream"));
        }
        Ok((filled, emptied))
    }
}

impl VerdictWord {
    fn word(generation: u64, stage: Stage) -> u64 {
        let code = match stage {
            Stage::Undecided => 0,
            Stage::Committing => 1,
            Stage::Complete => 2,
            Stage::AbortedByProducer => 3,
            Stage::AbortedByConsumer => 4,
        };
        generation << 8 | code
    }

    /// Returns the stage of this generation; stray bytes would have to match the generation to forge one.
    pub(crate) fn stage(&self, generation: u64) -> Result<Stage, ProtocolViolation> {
        let word = self.0.load(Ordering::Acquire);
        if word >> 8 != generation {
            return Err(ProtocolViolation("the verdict belongs to another pairing"));
        }
        match word & 0xff {
            0 => Ok(Stage::Undecided),
            1 => Ok(Stage::Committing),
            2 => Ok(Stage::Complete),
            3 => Ok(Stage::AbortedByProducer),
            4 => Ok(Stage::AbortedByConsumer),
            _ => Err(ProtocolViolation("the verdict is invalid")),
        }
    }

    /// Moves the word from one stage to another. If it is not at `from`, returns the stage that it holds instead.
    pub(crate) fn advance(&self, generation: u64, from: Stage, to: Stage) -> Result<(), Stage> {
        let (old, new) = (Self::word(generation, from), Self::word(generation, to));
        match self.0.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(()),
            // Stray bytes count as undecided: they decide nothing that this side could trust.
            Err(_) => Err(self.stage(generation).unwrap_or(Stage::Undecided)),
        }
    }
}

/// The producer's private half: what it knows for certain, whatever the shared words say later.
#[derive(Debug)]
pub(crate) struct Filler {
    slots: u64,
    filled: u64,
    emptied: u64,
    point: Point,
}

impl Filler {
    pub(crate) fn new(slots: u64) -> Self {
        Self { slots, filled: 0, emptied: 0, point: Point::default() }
    }

    /// Starts where the consumer wants the stream to begin. Nothing has been sent, whatever the counters say.
    pub(crate) fn at_start(ring: &Ring, slots: u64) -> Self {
        Self { point: ring.sent_point(0), ..Self::new(slots) }
    }

    /// Resumes after the last block that a dead producer sent; before the first one, where the consumer wants the
    /// stream to begin.
    pub(crate) fn resumed(ring: &Ring, slots: u64) -> Result<Self, ProtocolViolation> {
        let (filled, emptied) = ring.counters(slots)?;
        Ok(Self { slots, filled, emptied, point: ring.sent_point(filled) })
    }

    #[cfg(feature = "readiness")]
    pub(crate) fn slots(&self) -> u64 {
        self.slots
    }

    /// Returns the number of the next block to be sent.
    pub(crate) fn sent(&self) -> u64 {
        self.filled
    }

    /// Returns the resume point after the last block that was sent.
    pub(crate) fn point(&self) -> ResumePoint {
        to_bytes(self.point)
    }

    /// Returns whether block `n` may be filled now.
    pub(crate) fn owns(&mut self, ring: &Ring, n: u64) -> Result<bool, ProtocolViolation> {
        if n - self.emptied < self.slots {
            return Ok(true);
        }
        // Acquire: pairs with the release in `Drainer::release`; the consumer no longer touches the bytes.
        let emptied = ring.consumer.emptied.load(Ordering::Acquire);
        if emptied < self.emptied || emptied > self.filled {
            return Err(ProtocolViolation("the consumer released a block that it did not have"));
        }
        self.emptied = emptied;
        Ok(n - emptied < self.slots)
    }

    /// Describes block `n`, which this side owns and may send later.
    pub(crate) fn describe(&self, slots: &[Slot], n: u64, length: u64, header: &BlockHeader) {
        let slot = &slots[(n % self.slots) as usize];
        slot.number.store(n, Ordering::Relaxed);
        step();
        slot.length.store(length, Ordering::Relaxed);
        step();
        slot.header.store(to_words(header));
    }

    /// Sends the oldest unsent block, which has been described: stores the resume point, then the counter. Without a
    /// resume point of the caller, the last one advances by `length`.
    pub(crate) fn send(&mut self, ring: &Ring, length: u64, point: Option<ResumePoint>) {
        match point {
            Some(point) => self.point = to_words(&point),
            None => self.point[0] = self.point[0].saturating_add(length),
        }
        self.filled += 1;
        ring.producer.resume_points[(self.filled % 2) as usize].store(self.point);
        // Release: bytes, descriptor and resume point are stored before the counter; pairs with `Drainer::next`.
        ring.producer.filled.store(self.filled, Ordering::Release);
        step();
        order_before_next_point();
    }

    /// Stores the trailer, after which nothing more is sent: its bytes, then the number of blocks.
    pub(crate) fn close(&self, ring: &Ring, trailer: &Trailer) {
        ring.producer.trailer.store(to_words(trailer));
        ring.producer.closed.store(self.filled + 1, Ordering::Release);
        step();
    }
}

/// Orders the counter that was just stored before the next resume point, which overwrites the copy that the counter's
/// previous value selects.
///
/// A release store orders only what comes before it: the stores of the next point could move ahead of it. A kill in
/// between would leave the old counter, and a later point in the copy that it selects. A replacement itself needs no
/// fence: it takes the dead process's seat, and the kernel frees that lock after everything that the process did.
fn order_before_next_point() {
    fence(Ordering::Release);
}

/// The consumer's private half: what it knows for certain, whatever the shared words say later.
#[derive(Debug)]
pub(crate) struct Drainer {
    slots: u64,
    block_size: u64,
    /// A sleeping producer is woken when at most this many full blocks are left.
    low: u64,
    filled: u64,
    emptied: u64,
    point: Point,
}

impl Drainer {
    pub(crate) fn new(slots: u64, block_size: u64) -> Self {
        // At least one is left to work on until the producer is awake.
        let low = (slots / 4).max(1);
        Self { slots, block_size, low, filled: 0, emptied: 0, point: Point::default() }
    }

    /// Starts where this end wants the stream to begin. Nothing has been released, whatever the counters say.
    pub(crate) fn at_start(start: ResumePoint, slots: u64, block_size: u64) -> Self {
        Self { point: to_words(&start), ..Self::new(slots, block_size) }
    }

    /// Resumes after the last block that a dead consumer released; before the first one, where that consumer wanted the
    /// stream to begin.
    pub(crate) fn resumed(ring: &Ring, slots: u64, block_size: u64) -> Result<Self, ProtocolViolation> {
        let (filled, emptied) = ring.counters(slots)?;
        Ok(Self { filled, emptied, point: ring.released_point(emptied), ..Self::new(slots, block_size) })
    }

    /// Returns the number of the next block to be released.
    pub(crate) fn released(&self) -> u64 {
        self.emptied
    }

    /// Returns the resume point after the last block that was released.
    pub(crate) fn point(&self) -> ResumePoint {
        to_bytes(self.point)
    }

    /// Returns what block `n` is.
    pub(crate) fn next(&mut self, ring: &Ring, slots: &[Slot], n: u64) -> Result<Next, ProtocolViolation> {
        if !self.is_filled(ring, n)? {
            // The trailer is stored after the last `filled`, so once it is seen, one more check of `filled` is final.
            let Some(blocks) = ring.closed_after() else { return Ok(Next::Nothing) };
            if !self.is_filled(ring, n)? {
                let wrong = ProtocolViolation("the trailer counts other blocks than were sent");
                return if blocks == n { Ok(Next::End) } else { Err(wrong) };
            }
        }
        self.length(slots, n).map(Next::Filled)
    }

    /// Returns the length of block `n`, which has been filled.
    pub(crate) fn length(&self, slots: &[Slot], n: u64) -> Result<u64, ProtocolViolation> {
        let slot = &slots[(n % self.slots) as usize];
        let (number, length) = (slot.number.load(Ordering::Relaxed), slot.length.load(Ordering::Relaxed));
        if number != n || length > self.block_size {
            return Err(ProtocolViolation("a block's descriptor is out of range"));
        }
        Ok(length)
    }

    /// Returns how many blocks from `n` on are filled now.
    pub(crate) fn filled_from(&mut self, ring: &Ring, n: u64) -> Result<u64, ProtocolViolation> {
        self.is_filled(ring, u64::MAX)?; // always reads the counter
        Ok(self.filled.saturating_sub(n))
    }

    fn is_filled(&mut self, ring: &Ring, n: u64) -> Result<bool, ProtocolViolation> {
        if self.filled > n {
            return Ok(true);
        }
        // Acquire: pairs with the release in `Filler::send`; bytes and descriptor are there.
        let filled = ring.producer.filled.load(Ordering::Acquire);
        if filled < self.filled || filled - self.emptied > self.slots {
            return Err(ProtocolViolation("the producer sent a block that it did not have"));
        }
        self.filled = filled;
        Ok(filled > n)
    }

    /// Returns whether the full blocks are running out, so that a sleeping producer has to be woken now. (A consumer
    /// that is about to sleep wakes a producer that it left asleep.)
    pub(crate) fn is_running_low(&self, ring: &Ring) -> bool {
        ring.producer.filled.load(Ordering::Relaxed).wrapping_sub(self.emptied) <= self.low
    }

    /// Releases the oldest block: stores the resume point, then the counter. Without a resume point of the caller, the
    /// last one advances by `length`.
    pub(crate) fn release(&mut self, ring: &Ring, length: u64, point: Option<ResumePoint>) {
        match point {
            Some(point) => self.point = to_words(&point),
            None => self.point[0] = self.point[0].saturating_add(length),
        }
        self.emptied += 1;
        ring.consumer.resume_points[(self.emptied % 2) as usize].store(self.point);
        // Release: all use of the bytes comes before the counter; pairs with `Filler::owns`.
        ring.consumer.emptied.store(self.emptied, Ordering::Release);
        step();
        order_before_next_point();
    }
}

/// Polls, sleeps up to `limit` if there is nothing, then polls once more.
///
/// `parked` is this side's word. The fence pairs with the one in [`wake`]: either the sleeper's last poll sees the
/// change, or the side that made the change sees the sleeper.
pub(crate) fn park<T>(
    parked: &AtomicU32,
    bell: &Bell,
    limit: Duration,
    mut poll: impl FnMut() -> Option<T>,
) -> Option<T> {
    parked.store(1, Ordering::Relaxed);
    fence(Ordering::SeqCst);
    let mut found = poll();
    if found.is_none() {
        bell.sleep(parked, limit);
        found = poll();
    }
    parked.store(0, Ordering::Relaxed);
    found
}

/// Waits until one of the three finds something: `before` each round what ends the wait for this side's own reasons,
/// `round` polls and [parks](park), `after` it what is true although nobody rings, such as a death.
pub(crate) fn wait<T>(
    mut before: impl FnMut() -> Option<T>,
    mut round: impl FnMut() -> Option<T>,
    mut after: impl FnMut() -> Option<T>,
) -> T {
    loop {
        if let Some(found) = before().or_else(&mut round).or_else(&mut after) {
            return found;
        }
    }
}

/// Wakes the sleeper of this word if it sleeps and `should_wake` agrees. Returns whether it was left asleep.
pub(crate) fn wake(parked: &AtomicU32, bell: &Bell, should_wake: impl FnOnce() -> bool) -> bool {
    fence(Ordering::SeqCst);
    let sleeps = parked.load(Ordering::Relaxed) == 1;
    if sleeps && should_wake() {
        if parked.swap(0, Ordering::Relaxed) == 1 {
            bell.ring(parked);
        }
        return false;
    }
    sleeps
}

#[cfg(all(test, loom))]
#[allow(unsafe_code, reason = "the model's blocks are cells, so that an unordered access to one is seen")]
mod loom_tests;
