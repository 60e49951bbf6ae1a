//! The protocol between the two ends: two counters, two resume points each, a trailer and a verdict.
//!
//! The order of stores is the one that `docs/protocol.md` argues for and that an exhaustive search found no fault in.
//! Nothing here knows that the words lie in shared memory, so a model checker can drive it.
//!
//! Every word that the peer writes is read once, into a local, and checked before it is used.

use crate::sync::{AtomicU32, AtomicU64, Bell, Ordering, fence, step};
use std::time::Duration;

/// A point from which a stream can be resumed: the number of bytes before it, and the caller's running checksum of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResumePoint {
    /// The offset in bytes from the start of the stream.
    pub position: u64,
    /// The checksum as it was passed to `send`, `release` or `begin`; 0 if the caller keeps none.
    pub sum: u64,
}

/// A resume point in shared memory: where a replacement of this side would resume.
///
/// Each side keeps two. The counter's last bit selects the valid one, so that the one store that moves the counter
/// commits block, checksum and position together; whether a kill comes before or after it, the selected pair is right.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct ResumePointWords {
    sum: AtomicU64,
    position: AtomicU64,
}

/// The words that only the producer writes.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct ProducerLine {
    /// Blocks sent so far. Block `n` lies in slot `n mod count`.
    pub filled: AtomicU64,
    /// 1 if the producer keeps its seat when the consumer dies, and waits for a replacement.
    pub allows_replacement: AtomicU32,
    pub resume_points: [ResumePointWords; 2],
    pub trailer_digest: [AtomicU64; 4],
    /// Length plus one; 0 means that more may come. Stored after the digest and after the last `filled`.
    pub trailer_length: AtomicU64,
}

/// The words that only the consumer writes.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct ConsumerLine {
    /// Blocks released so far.
    pub emptied: AtomicU64,
    /// Not 0 once the consumer has stored what it works on: from here on its death ends the pipe.
    pub begun: AtomicU32,
    /// Until block 0 is released, the first one is where the consumer wants the stream to begin.
    pub resume_points: [ResumePointWords; 2],
    /// 1 if the consumer keeps its seat when the producer dies, and waits for a replacement.
    pub allows_replacement: AtomicU32,
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
    offset: AtomicU64,
    length: AtomicU64,
    kind: AtomicU32,
}

/// The kind of content that a block has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Bytes of the stream.
    Data = 1,
    /// A run of zeros of the stream with no payload.
    Hole = 2,
    /// Bytes that are not part of the stream and do not make it longer.
    OutOfBand = 3,
}

impl Kind {
    fn from_code(code: u32) -> Result<Self, ProtocolViolation> {
        let all = [Self::Data, Self::Hole, Self::OutOfBand];
        let kind = all.into_iter().find(|kind| *kind as u32 == code);
        kind.ok_or(ProtocolViolation("a block is of a kind that this version does not know"))
    }

    /// Returns by how much a block of this kind and length extends the stream.
    pub(crate) fn stream_length(self, length: u64) -> u64 {
        if self == Self::OutOfBand { 0 } else { length }
    }
}

/// The limit of a stream, in bytes and in blocks. Up to here, what a correct end adds to a number that it read never
/// overflows.
const MAX_POSITION: u64 = u64::MAX >> 1;

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

/// The length and digest that the producer sends after the last block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trailer {
    /// The number of bytes in the whole stream.
    pub length: u64,
    /// The producer's digest of them, as it was passed to `close`.
    pub digest: [u8; 32],
}

/// The extent of a filled block in the stream, checked: only a hole is longer than a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub offset: u64,
    pub length: u64,
    pub kind: Kind,
}

/// What a consumer finds next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Filled(Extent),
    Nothing,
    End(Trailer),
}

impl ResumePoint {
    /// Rejects a resume point that no correct peer can have stored.
    fn checked(self) -> Result<Self, ProtocolViolation> {
        if self.position <= MAX_POSITION {
            Ok(self)
        } else {
            Err(ProtocolViolation("a resume point is beyond the limit of a stream"))
        }
    }
}

impl ResumePointWords {
    fn store(&self, point: ResumePoint) {
        self.sum.store(point.sum, Ordering::Relaxed);
        step();
        self.position.store(point.position, Ordering::Relaxed);
        step();
    }

    fn load(&self) -> ResumePoint {
        ResumePoint { position: self.position.load(Ordering::Relaxed), sum: self.sum.load(Ordering::Relaxed) }
    }
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
        (sent.position, released.position)
    }

    /// Returns the producer's resume point after `filled` blocks; before the first one, where the stream begins.
    fn sent_point(&self, filled: u64) -> ResumePoint {
        let points = if filled == 0 { &self.consumer.resume_points } else { &self.producer.resume_points };
        points[(filled % 2) as usize].load()
    }

    fn released_point(&self, emptied: u64) -> ResumePoint {
        self.consumer.resume_points[(emptied % 2) as usize].load()
    }

    /// Returns the producer's trailer, once it is stored.
    pub(crate) fn trailer(&self) -> Option<Trailer> {
        let length = self.producer.trailer_length.load(Ordering::Acquire).checked_sub(1)?;
        let mut digest = [0; 32];
        for (to, from) in digest.chunks_exact_mut(8).zip(&self.producer.trailer_digest) {
            to.copy_from_slice(&from.load(Ordering::Relaxed).to_le_bytes());
        }
        Some(Trailer { length, digest })
    }

    /// Stores where the consumer wants the stream to begin. Comes before the target and before `begun`.
    pub(crate) fn set_start(&self, point: ResumePoint) {
        self.consumer.resume_points[0].store(point);
    }

    /// Reads and checks both counters, for an end that finds them as its predecessor left them.
    fn counters(&self, slots: u64) -> Result<(u64, u64), ProtocolViolation> {
        let emptied = self.consumer.emptied.load(Ordering::Acquire);
        // After `emptied`, so that it cannot be the smaller one while both sides are correct.
        let filled = self.producer.filled.load(Ordering::Acquire);
        if emptied > filled || filled - emptied > slots {
            return Err(ProtocolViolation("the counters are further apart than there are blocks"));
        }
        if filled > MAX_POSITION {
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
    position: u64,
}

impl Filler {
    pub(crate) fn new(slots: u64) -> Self {
        Self { slots, filled: 0, emptied: 0, position: 0 }
    }

    /// Starts where the consumer wants the stream to begin. Nothing has been sent, whatever the counters say.
    pub(crate) fn at_start(ring: &Ring, slots: u64) -> Result<(Self, ResumePoint), ProtocolViolation> {
        let point = ring.sent_point(0).checked()?;
        Ok((Self { position: point.position, ..Self::new(slots) }, point))
    }

    /// Resumes after the last block that a dead producer sent; before the first one, where the consumer wants the
    /// stream to begin.
    pub(crate) fn resumed(ring: &Ring, slots: u64) -> Result<(Self, ResumePoint), ProtocolViolation> {
        let (filled, emptied) = ring.counters(slots)?;
        let point = ring.sent_point(filled).checked()?;
        Ok((Self { slots, filled, emptied, position: point.position }, point))
    }

    /// Returns the number of the next block to be sent.
    pub(crate) fn sent(&self) -> u64 {
        self.filled
    }

    /// Returns whether block `n` is the producer's to fill. `n` is at least the number of blocks sent.
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

    /// Sends the oldest unsent block: stores descriptor, resume point, then the counter.
    pub(crate) fn send(&mut self, ring: &Ring, slots: &[Slot], length: u64, kind: Kind, sum: u64) {
        let slot = &slots[(self.filled % self.slots) as usize];
        slot.offset.store(self.position, Ordering::Relaxed);
        step();
        slot.length.store(length, Ordering::Relaxed);
        step();
        slot.kind.store(kind as u32, Ordering::Relaxed);
        step();
        // Saturates if the caller's hole, or a predecessor's resume point, was too long; the consumer rejects it.
        self.position = self.position.saturating_add(kind.stream_length(length)).min(u64::MAX - 1);
        self.filled += 1;
        let point = &ring.producer.resume_points[(self.filled % 2) as usize];
        point.store(ResumePoint { position: self.position, sum });
        // Release: bytes, descriptor and resume point are stored before the counter; pairs with `Drainer::next`.
        ring.producer.filled.store(self.filled, Ordering::Release);
        step();
    }

    /// Stores the trailer, after which nothing more is sent: the digest, then the length.
    pub(crate) fn close(&self, ring: &Ring, digest: &[u8; 32]) {
        for (to, from) in ring.producer.trailer_digest.iter().zip(digest.chunks_exact(8)) {
            to.store(u64::from_le_bytes(from.try_into().expect("eight bytes")), Ordering::Relaxed);
            step();
        }
        ring.producer.trailer_length.store(self.position + 1, Ordering::Release);
        step();
    }
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
    /// The offset at which the next block must begin.
    expected: u64,
    position: u64,
}

impl Drainer {
    pub(crate) fn new(slots: u64, block_size: u64) -> Self {
        // At least one is left to work on until the producer is awake.
        let low = (slots / 4).max(1);
        Self { slots, block_size, low, filled: 0, emptied: 0, expected: 0, position: 0 }
    }

    /// Starts where this end wants the stream to begin. Nothing has been released, whatever the counters say.
    pub(crate) fn at_start(start: ResumePoint, slots: u64, block_size: u64) -> Self {
        Self { expected: start.position, position: start.position, ..Self::new(slots, block_size) }
    }

    /// Resumes after the last block that a dead consumer released; before the first one, where that consumer wanted the
    /// stream to begin.
    pub(crate) fn resumed(
        ring: &Ring,
        slots: u64,
        block_size: u64,
    ) -> Result<(Self, ResumePoint), ProtocolViolation> {
        let (filled, emptied) = ring.counters(slots)?;
        let point = ring.released_point(emptied).checked()?;
        let position = point.position;
        Ok((Self { filled, emptied, expected: position, position, ..Self::new(slots, block_size) }, point))
    }

    /// Returns the number of the next block to be released.
    pub(crate) fn released(&self) -> u64 {
        self.emptied
    }

    /// Returns what block `n` is. `n` must go up by one after each `Filled`.
    pub(crate) fn next(&mut self, ring: &Ring, slots: &[Slot], n: u64) -> Result<Next, ProtocolViolation> {
        if !self.is_filled(ring, n)? {
            // The trailer is stored after the last `filled`, so once it is seen, one more check of `filled` is final.
            let Some(trailer) = ring.trailer() else { return Ok(Next::Nothing) };
            if !self.is_filled(ring, n)? {
                return if trailer.length == self.expected {
                    Ok(Next::End(trailer))
                } else {
                    Err(ProtocolViolation("the trailer's length is not the length of the blocks"))
                };
            }
        }
        let slot = &slots[(n % self.slots) as usize];
        let (offset, length) = (slot.offset.load(Ordering::Relaxed), slot.length.load(Ordering::Relaxed));
        let kind = Kind::from_code(slot.kind.load(Ordering::Relaxed))?;
        if kind != Kind::Hole && length > self.block_size || offset != self.expected {
            return Err(ProtocolViolation("a block's descriptor is out of range"));
        }
        let end = offset.checked_add(kind.stream_length(length)).filter(|end| *end <= MAX_POSITION);
        self.expected = end.ok_or(ProtocolViolation("the stream is longer than the limit"))?;
        Ok(Next::Filled(Extent { offset, length, kind }))
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

    /// Releases the oldest block, which holds `length` bytes of the stream: stores the resume point, then the counter.
    pub(crate) fn release(&mut self, ring: &Ring, length: u64, sum: u64) {
        self.position += length;
        self.emptied += 1;
        let point = &ring.consumer.resume_points[(self.emptied % 2) as usize];
        point.store(ResumePoint { position: self.position, sum });
        // Release: all use of the bytes comes before the counter; pairs with `Filler::owns`.
        ring.consumer.emptied.store(self.emptied, Ordering::Release);
        step();
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

/// Wakes the other side if it sleeps and `should_wake` agrees. Returns whether the other side was left asleep. `parked`
/// is the other side's word.
///
/// Crash recovery also relies on the fence: it orders the counter that was just stored before the next block's resume
/// point, which overwrites the one that the previous counter selects.
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
