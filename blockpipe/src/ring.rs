//! The protocol between the two ends: two counters, two marks each, a trailer and a verdict.
//!
//! The order of stores is the one that `docs/protocol.md` argues for and that an exhaustive search found no
//! fault in. Nothing here knows that the words lie in shared memory, so a model checker can drive it.
//!
//! Every word that the partner writes is read once, into a local, and checked before it is used.

use crate::sync::{AtomicU32, AtomicU64, Bell, Ordering, fence, step};
use std::time::Duration;

/// A place in the stream from which somebody can go on: how many bytes come before it, and the caller's running
/// checksum of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResumePoint {
    /// In bytes from the start of the stream.
    pub position: u64,
    /// As it was given to `send`, `release` or `begin`; 0 if the caller keeps none.
    pub sum: u64,
}

/// Where a replacement of this side would go on, in shared memory.
///
/// Each side keeps two. The counter's last bit says which one counts, so the one store that moves the counter
/// commits block, checksum and position together; a kill on either side of it leaves a right pair.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct MarkWords {
    sum: AtomicU64,
    position: AtomicU64,
}

/// Written by the producer only.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct ProducerLine {
    /// Blocks sent so far. Block `n` lies in slot `n mod count`.
    pub filled: AtomicU64,
    /// 1 if the producer keeps its place when the consumer dies, and waits for another.
    pub admits: AtomicU32,
    marks: [MarkWords; 2],
    trailer_digest: [AtomicU64; 4],
    /// Length plus one; 0 means that more may come. Stored after the digest and after the last `filled`.
    trailer_length: AtomicU64,
}

/// Written by the consumer only.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct ConsumerLine {
    /// Blocks given back so far.
    pub emptied: AtomicU64,
    /// Not 0 once the consumer has stored what it works on: from here on its death is a death of the pipe.
    pub begun: AtomicU32,
    /// The first one says, until block 0 is given back, where the consumer wants the stream to begin.
    marks: [MarkWords; 2],
    /// As the producer's.
    pub admits: AtomicU32,
}

/// One word, moved by compare-and-swap only: `generation << 8 | stage`.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct VerdictWord(AtomicU64);

/// What the two ends share besides the blocks.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Ring {
    pub producer: ProducerLine,
    pub consumer: ConsumerLine,
    // What both look at all the time and nobody often writes to: not in a line with what changes with every block.
    pub verdict: VerdictWord,
    /// Of the producer and of the consumer: 1 while it sleeps or is about to; whoever rings puts it back to 0.
    pub parked: [AtomicU32; 2],
}

/// What a block holds. Written by its owner before the counter that gives it away.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Slot {
    offset: AtomicU64,
    length: AtomicU64,
    kind: AtomicU32,
}

/// What is in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Bytes of the stream.
    Data = 1,
    /// So many zeros of the stream that are nowhere.
    Hole = 2,
    /// Bytes beside the stream, which does not get longer by them.
    Aside = 3,
}

impl Kind {
    fn found(number: u32) -> Result<Self, Nonsense> {
        let all = [Self::Data, Self::Hole, Self::Aside];
        let kind = all.into_iter().find(|kind| *kind as u32 == number);
        kind.ok_or(Nonsense("a block is of a kind that this version does not know"))
    }

    /// How much longer the stream is behind a block of this kind and length.
    pub(crate) fn of_the_stream(self, length: u64) -> u64 {
        if self == Self::Aside { 0 } else { length }
    }
}

/// No stream gets further, in bytes or in blocks, so that what an honest end adds to a number that it found never
/// overflows.
const FURTHEST: u64 = u64::MAX >> 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Undecided,
    /// The consumer makes its result final; nobody else may abort any more.
    Committing,
    Complete,
    AbortedByProducer,
    AbortedByConsumer,
}

/// The partner wrote something that no correct partner writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Nonsense(pub &'static str);

/// The producer's last word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trailer {
    /// Bytes in the whole stream.
    pub length: u64,
    /// What the producer said about them, as it was given to `close`.
    pub digest: [u8; 32],
}

/// A filled block as its descriptor gives it, checked: only a hole is longer than a block.
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
    /// Found in shared memory: whether it can be.
    fn possible(self) -> Result<Self, Nonsense> {
        if self.position <= FURTHEST {
            Ok(self)
        } else {
            Err(Nonsense("a mark is further than any stream gets"))
        }
    }
}

impl MarkWords {
    fn store(&self, mark: ResumePoint) {
        self.sum.store(mark.sum, Ordering::Relaxed);
        step();
        self.position.store(mark.position, Ordering::Relaxed);
        step();
    }

    fn load(&self) -> ResumePoint {
        ResumePoint { position: self.position.load(Ordering::Relaxed), sum: self.sum.load(Ordering::Relaxed) }
    }
}

impl Ring {
    /// Makes the verdict this generation's. Everything else is zero in a new pipe, which is right.
    pub(crate) fn begin(&self, generation: u64) {
        self.verdict.0.store(VerdictWord::word(generation, Stage::Undecided), Ordering::Release);
    }

    /// Bytes sent and bytes given back, for display: the two may be a moment apart.
    pub(crate) fn positions(&self) -> (u64, u64) {
        let sent = self.sent_up_to(self.producer.filled.load(Ordering::Acquire));
        let done = self.done_up_to(self.consumer.emptied.load(Ordering::Acquire));
        (sent.position, done.position)
    }

    /// The mark behind the last of `filled` blocks; before the first one, where the stream begins.
    fn sent_up_to(&self, filled: u64) -> ResumePoint {
        let marks = if filled == 0 { &self.consumer.marks } else { &self.producer.marks };
        marks[(filled % 2) as usize].load()
    }

    fn done_up_to(&self, emptied: u64) -> ResumePoint {
        self.consumer.marks[(emptied % 2) as usize].load()
    }

    /// The producer's last word, once it has said it.
    pub(crate) fn trailer(&self) -> Option<Trailer> {
        let length = self.producer.trailer_length.load(Ordering::Acquire).checked_sub(1)?;
        let mut digest = [0; 32];
        for (to, from) in digest.chunks_exact_mut(8).zip(&self.producer.trailer_digest) {
            to.copy_from_slice(&from.load(Ordering::Relaxed).to_le_bytes());
        }
        Some(Trailer { length, digest })
    }

    /// The consumer says where the stream begins. Comes before the target and before `begun`.
    pub(crate) fn begin_at(&self, mark: ResumePoint) {
        self.consumer.marks[0].store(mark);
    }

    /// What both counters say, for an end that finds them as somebody left them.
    fn counters(&self, slots: u64) -> Result<(u64, u64), Nonsense> {
        let emptied = self.consumer.emptied.load(Ordering::Acquire);
        // After `emptied`, so that it cannot be the smaller one while both sides are honest.
        let filled = self.producer.filled.load(Ordering::Acquire);
        if emptied > filled || filled - emptied > slots {
            return Err(Nonsense("the counters are further apart than there are blocks"));
        }
        if filled > FURTHEST {
            return Err(Nonsense("the counters are further than any stream gets"));
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

    /// The stage of this generation; stray bytes would have to know the generation to forge one.
    pub(crate) fn stage(&self, generation: u64) -> Result<Stage, Nonsense> {
        let word = self.0.load(Ordering::Acquire);
        if word >> 8 != generation {
            return Err(Nonsense("the verdict belongs to another pairing"));
        }
        match word & 0xff {
            0 => Ok(Stage::Undecided),
            1 => Ok(Stage::Committing),
            2 => Ok(Stage::Complete),
            3 => Ok(Stage::AbortedByProducer),
            4 => Ok(Stage::AbortedByConsumer),
            _ => Err(Nonsense("the verdict is none that exists")),
        }
    }

    /// Moves the word; what it holds instead if somebody was first.
    pub(crate) fn advance(&self, generation: u64, from: Stage, to: Stage) -> Result<(), Stage> {
        let (old, new) = (Self::word(generation, from), Self::word(generation, to));
        match self.0.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(()),
            // Foreign bytes count as undecided: nothing was decided that this side could trust.
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

    /// Begins where the consumer said that the stream begins. Nobody has sent anything, whatever the counters say.
    pub(crate) fn beginning(ring: &Ring, slots: u64) -> Result<(Self, ResumePoint), Nonsense> {
        let mark = ring.sent_up_to(0).possible()?;
        Ok((Self { position: mark.position, ..Self::new(slots) }, mark))
    }

    /// Goes on behind the last block that a dead producer sent; before the first one, where the consumer said that
    /// the stream begins.
    pub(crate) fn going_on(ring: &Ring, slots: u64) -> Result<(Self, ResumePoint), Nonsense> {
        let (filled, emptied) = ring.counters(slots)?;
        let mark = ring.sent_up_to(filled).possible()?;
        Ok((Self { slots, filled, emptied, position: mark.position }, mark))
    }

    /// The number of the next block to be sent.
    pub(crate) fn sent(&self) -> u64 {
        self.filled
    }

    /// Whether block `n` is the producer's to fill. `n` is at least the number of blocks sent.
    pub(crate) fn owns(&mut self, ring: &Ring, n: u64) -> Result<bool, Nonsense> {
        if n - self.emptied < self.slots {
            return Ok(true);
        }
        // Acquire: pairs with the release in `Drainer::confirm`; the consumer is done with the bytes.
        let emptied = ring.consumer.emptied.load(Ordering::Acquire);
        if emptied < self.emptied || emptied > self.filled {
            return Err(Nonsense("the consumer gave back a block that it did not have"));
        }
        self.emptied = emptied;
        Ok(n - emptied < self.slots)
    }

    /// Gives the oldest unsent block away: descriptor, mark, then the counter.
    pub(crate) fn send(&mut self, ring: &Ring, slots: &[Slot], length: u64, kind: Kind, sum: u64) {
        let slot = &slots[(self.filled % self.slots) as usize];
        slot.offset.store(self.position, Ordering::Relaxed);
        step();
        slot.length.store(length, Ordering::Relaxed);
        step();
        slot.kind.store(kind as u32, Ordering::Relaxed);
        step();
        // Too long for any stream if the caller's hole or a dead one's mark was: the consumer will say so.
        self.position = self.position.saturating_add(kind.of_the_stream(length)).min(u64::MAX - 1);
        self.filled += 1;
        ring.producer.marks[(self.filled % 2) as usize].store(ResumePoint { position: self.position, sum });
        // Release: bytes, descriptor and mark come before the counter; pairs with `Drainer::next`.
        ring.producer.filled.store(self.filled, Ordering::Release);
        step();
    }

    /// Says that nothing more will come: digest, then length.
    pub(crate) fn close(&self, ring: &Ring, digest: &[u8; 32]) {
        for (to, from) in ring.producer.trailer_digest.iter().zip(digest.chunks_exact(8)) {
            to.store(u64::from_le_bytes(from.try_into().expect("eight bytes")), Ordering::Relaxed);
            step();
        }
        ring.producer.trailer_length.store(self.position + 1, Ordering::Release);
        step();
    }
}

/// The consumer's private half.
#[derive(Debug)]
pub(crate) struct Drainer {
    slots: u64,
    block_size: u64,
    /// With so few full blocks left, a producer that sleeps is woken.
    few: u64,
    filled: u64,
    emptied: u64,
    /// Where block `taken` must begin.
    expected: u64,
    position: u64,
}

impl Drainer {
    pub(crate) fn new(slots: u64, block_size: u64) -> Self {
        // One is left to work on until the producer is awake.
        let few = (slots / 4).max(1);
        Self { slots, block_size, few, filled: 0, emptied: 0, expected: 0, position: 0 }
    }

    /// Begins where this end says. Nobody has given anything back, whatever the counters say.
    pub(crate) fn beginning(at: ResumePoint, slots: u64, block_size: u64) -> Self {
        Self { expected: at.position, position: at.position, ..Self::new(slots, block_size) }
    }

    /// Goes on behind the last block that a dead consumer gave back; before the first one, where that one said that
    /// the stream begins.
    pub(crate) fn going_on(
        ring: &Ring,
        slots: u64,
        block_size: u64,
    ) -> Result<(Self, ResumePoint), Nonsense> {
        let (filled, emptied) = ring.counters(slots)?;
        let mark = ring.done_up_to(emptied).possible()?;
        let position = mark.position;
        Ok((Self { filled, emptied, expected: position, position, ..Self::new(slots, block_size) }, mark))
    }

    /// The number of the next block to be given back.
    pub(crate) fn given_back(&self) -> u64 {
        self.emptied
    }

    /// What block `n` is. `n` must go up by one after each `Filled`.
    pub(crate) fn next(&mut self, ring: &Ring, slots: &[Slot], n: u64) -> Result<Next, Nonsense> {
        if !self.has(ring, n)? {
            // Trailer is stored after the last `filled`, so once it is seen, one more look at `filled` is final.
            let Some(trailer) = ring.trailer() else { return Ok(Next::Nothing) };
            if !self.has(ring, n)? {
                return if trailer.length == self.expected {
                    Ok(Next::End(trailer))
                } else {
                    Err(Nonsense("the producer's length is not the length of its blocks"))
                };
            }
        }
        let slot = &slots[(n % self.slots) as usize];
        let (offset, length) = (slot.offset.load(Ordering::Relaxed), slot.length.load(Ordering::Relaxed));
        let kind = Kind::found(slot.kind.load(Ordering::Relaxed))?;
        if kind != Kind::Hole && length > self.block_size || offset != self.expected {
            return Err(Nonsense("a block's descriptor is out of range"));
        }
        let end = offset.checked_add(kind.of_the_stream(length)).filter(|end| *end <= FURTHEST);
        self.expected = end.ok_or(Nonsense("the stream is longer than any gets"))?;
        Ok(Next::Filled(Extent { offset, length, kind }))
    }

    fn has(&mut self, ring: &Ring, n: u64) -> Result<bool, Nonsense> {
        if self.filled > n {
            return Ok(true);
        }
        // Acquire: pairs with the release in `Filler::send`; bytes and descriptor are there.
        let filled = ring.producer.filled.load(Ordering::Acquire);
        if filled < self.filled || filled - self.emptied > self.slots {
            return Err(Nonsense("the producer sent a block that it did not have"));
        }
        self.filled = filled;
        Ok(filled > n)
    }

    /// Whether there is so little left to work on that a producer that sleeps has to be woken now. A consumer that is
    /// about to sleep itself wakes whom it has left asleep.
    pub(crate) fn has_few(&self, ring: &Ring) -> bool {
        ring.producer.filled.load(Ordering::Relaxed).wrapping_sub(self.emptied) <= self.few
    }

    /// Gives the oldest block back, which had so much of the stream: mark, then the counter.
    pub(crate) fn confirm(&mut self, ring: &Ring, length: u64, sum: u64) {
        self.position += length;
        self.emptied += 1;
        ring.consumer.marks[(self.emptied % 2) as usize].store(ResumePoint { position: self.position, sum });
        // Release: whatever was done with the bytes comes before the counter; pairs with `Filler::owns`.
        ring.consumer.emptied.store(self.emptied, Ordering::Release);
        step();
    }
}

/// Looks, sleeps at most `limit` if there is nothing, then looks once more.
///
/// `parked` is this side's word. The fence pairs with the one in [`wake`]: either the sleeper's last look sees
/// the change, or the one who made it sees the sleeper.
pub(crate) fn park<T>(
    parked: &AtomicU32,
    bell: &Bell,
    limit: Duration,
    mut look: impl FnMut() -> Option<T>,
) -> Option<T> {
    parked.store(1, Ordering::Relaxed);
    fence(Ordering::SeqCst);
    let mut found = look();
    if found.is_none() {
        bell.sleep(parked, limit);
        found = look();
    }
    parked.store(0, Ordering::Relaxed);
    found
}

/// Rings for the other side if it sleeps and it is `worth` it; whether it is left asleep. `parked` is the other
/// side's word.
pub(crate) fn wake(parked: &AtomicU32, bell: &Bell, worth: impl FnOnce() -> bool) -> bool {
    fence(Ordering::SeqCst);
    let sleeps = parked.load(Ordering::Relaxed) == 1;
    if sleeps && worth() {
        if parked.swap(0, Ordering::Relaxed) == 1 {
            bell.ring(parked);
        }
        return false;
    }
    sleeps
}

#[cfg(all(test, loom))]
#[allow(unsafe_code, reason = "the model's blocks are cells, so that an unordered access to one is seen")]
mod loom_tests {
    use super::*;
    use crate::sync::kill;
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    const SLOTS: u64 = 2;
    const GENERATION: u64 = 7;

    /// What two processes would map, with blocks and reasons that hold one number each.
    struct Shared {
        ring: Ring,
        slots: [Slot; SLOTS as usize],
        blocks: [UnsafeCell<u64>; SLOTS as usize],
        reasons: [UnsafeCell<u64>; 2],
        bells: [Bell; 2],
    }

    // SAFETY: the cells are what the protocol must keep apart; loom fails the test when two accesses are unordered.
    unsafe impl Sync for Shared {}
    // SAFETY: as above.
    unsafe impl Send for Shared {}

    const PRODUCER: usize = 0;
    const CONSUMER: usize = 1;

    impl Shared {
        fn new() -> Arc<Self> {
            let word = || AtomicU64::new(0);
            let mark = || MarkWords { sum: word(), position: word() };
            let slot = || Slot { offset: word(), length: word(), kind: AtomicU32::new(0) };
            let ring = Ring {
                producer: ProducerLine {
                    filled: word(),
                    admits: AtomicU32::new(0),
                    marks: [mark(), mark()],
                    trailer_digest: [word(), word(), word(), word()],
                    trailer_length: word(),
                },
                consumer: ConsumerLine {
                    emptied: word(),
                    begun: AtomicU32::new(0),
                    marks: [mark(), mark()],
                    admits: AtomicU32::new(0),
                },
                verdict: VerdictWord(word()),
                parked: [AtomicU32::new(0), AtomicU32::new(0)],
            };
            ring.begin(GENERATION);
            Arc::new(Self {
                ring,
                slots: [slot(), slot()],
                blocks: [UnsafeCell::new(0), UnsafeCell::new(0)],
                reasons: [UnsafeCell::new(0), UnsafeCell::new(0)],
                bells: [Bell::default(), Bell::default()],
            })
        }

        fn parked(&self, side: usize) -> &AtomicU32 {
            &self.ring.parked[side]
        }

        /// As `Attached::wait` does it, but without a time limit: a lost ring is a deadlock, which loom reports.
        fn wait<T>(&self, side: usize, mut look: impl FnMut() -> Option<T>) -> T {
            loop {
                if let Some(found) = park(self.parked(side), &self.bells[side], Duration::ZERO, &mut look) {
                    return found;
                }
            }
        }

        fn wake_other(&self, side: usize) {
            wake(self.parked(1 - side), &self.bells[1 - side], || true);
        }

        fn put(cell: &UnsafeCell<u64>, value: u64) {
            // SAFETY: `self` holds the cell, and loom has checked that no other access is unordered to this one.
            cell.with_mut(|cell| unsafe { *cell = value });
        }

        fn get(cell: &UnsafeCell<u64>) -> u64 {
            // SAFETY: as in `put`.
            cell.with(|cell| unsafe { *cell })
        }
    }

    /// Lengths differ, so that a descriptor of another block never fits.
    fn length(n: u64) -> u64 {
        n + 1
    }

    fn content(n: u64) -> u64 {
        100 + n
    }

    /// The checksum after block `n`, from the sum before it and the block's content; the order matters.
    fn add(sum: u64, content: u64) -> u64 {
        sum * 3 + content
    }

    fn digest(sum: u64) -> [u8; 32] {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&sum.to_le_bytes());
        digest
    }

    /// As a first producer or a replacement: from wherever the ring says.
    fn produce(shared: &Shared, count: u64) {
        let (mut filler, mark) = Filler::going_on(&shared.ring, SLOTS).unwrap();
        let sums: Vec<u64> =
            (0..count).fold(vec![0], |sums, n| [&sums[..], &[add(sums[n as usize], content(n))]].concat());
        let begins = filler.sent();
        assert_eq!(mark, ResumePoint { position: (0..begins).map(length).sum(), sum: sums[begins as usize] });
        for n in begins..count {
            shared.wait(PRODUCER, || filler.owns(&shared.ring, n).unwrap().then_some(()));
            // With at most one block more to come, the consumer's mark of what is known here stays as it is.
            let mark = &shared.ring.consumer.marks[(filler.emptied % 2) as usize];
            if filler.emptied + 1 >= n {
                assert_eq!(mark.sum.load(Ordering::Relaxed), sums[filler.emptied as usize]);
            }
            Shared::put(&shared.blocks[(n % SLOTS) as usize], content(n));
            filler.send(&shared.ring, &shared.slots, length(n), Kind::Data, sums[n as usize + 1]);
            shared.wake_other(PRODUCER);
        }
        filler.close(&shared.ring, &digest(sums[count as usize]));
        shared.wake_other(PRODUCER);
    }

    /// As a first consumer or a replacement: from wherever the ring says.
    fn consume(shared: &Shared, count: u64) {
        consume_late(shared, count, 0);
    }

    /// Gives each block back when it has so many later ones.
    fn consume_late(shared: &Shared, count: u64, held: u64) {
        let (mut drainer, mark) = Drainer::going_on(&shared.ring, SLOTS, length(count)).unwrap();
        // There are too few blocks here for it to be seen otherwise that nobody is woken for each.
        drainer.few = 0;
        let ResumePoint { mut sum, mut position } = mark;
        let mut left_asleep = false;
        for n in drainer.given_back().. {
            if left_asleep {
                shared.wake_other(CONSUMER);
            }
            let next =
                shared.wait(CONSUMER, || match drainer.next(&shared.ring, &shared.slots, n).unwrap() {
                    Next::Nothing => None,
                    next => Some(next),
                });
            let (up_to, trailer) = match next {
                Next::Filled(extent) => {
                    let offset = (0..n).map(length).sum();
                    assert_eq!(extent, Extent { offset, length: length(n), kind: Kind::Data });
                    ((n + 1).saturating_sub(held), None)
                }
                Next::End(trailer) => (n, Some(trailer)),
                Next::Nothing => unreachable!("the wait goes on"),
            };
            while drainer.given_back() < up_to {
                let n = drainer.given_back();
                sum = add(sum, Shared::get(&shared.blocks[(n % SLOTS) as usize]));
                position += length(n);
                // The producer cannot have sent the block that overwrites this mark before this one is confirmed.
                let mark = &shared.ring.producer.marks[((n + 1) % 2) as usize];
                let marked = (mark.sum.load(Ordering::Relaxed), mark.position.load(Ordering::Relaxed));
                assert!(held > 0 || marked == (sum, position));
                drainer.confirm(&shared.ring, length(n), sum);
                let (parked, bell) = (shared.parked(PRODUCER), &shared.bells[PRODUCER]);
                left_asleep = wake(parked, bell, || drainer.has_few(&shared.ring));
            }
            if let Some(trailer) = trailer {
                assert_eq!((n, trailer), (count, Trailer { length: position, digest: digest(sum) }));
                return;
            }
        }
    }

    /// Two ends at once, from the first block to the last word.
    fn hand_over(count: u64, held: u64) {
        let shared = Shared::new();
        let producer = thread::spawn({
            let shared = Arc::clone(&shared);
            move || produce(&shared, count)
        });
        consume_late(&shared, count, held);
        producer.join().unwrap();
    }

    #[test]
    fn a_block_arrives_whole_in_every_order_of_steps() {
        loom::model(|| hand_over(1, 0));
    }

    /// Four blocks in two slots: each slot and each mark is used again, and the producer has to wait.
    ///
    /// At most three preemptions (or `LOOM_MAX_PREEMPTIONS`), because all orders of so many steps are out of reach.
    /// Taking any one ordering away from the ring shows with two.
    #[test]
    fn blocks_arrive_whole_once_and_in_order() {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = builder.preemption_bound.or(Some(3));
        builder.check(|| hand_over(4, 0));
    }

    /// A producer that nobody has woken yet and a consumer that waits with blocks in its hands do not sleep both.
    #[test]
    fn a_consumer_that_is_about_to_sleep_wakes_whom_it_has_left_asleep() {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = builder.preemption_bound.or(Some(2));
        builder.check(|| hand_over(4, 1));
    }

    /// One side is killed before any of its steps, and another takes its place; the kernel gives a dead one's seat
    /// away only afterwards. The other side goes on meanwhile.
    fn replace(side: usize, at: u32, count: u64) -> bool {
        let shared = Shared::new();
        let work = [produce, consume];
        let (mortal, other) = (work[side], work[1 - side]);
        let dies = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let ended = kill::at_step(at, || mortal(&shared, count));
                if !ended {
                    mortal(&shared, count);
                }
                ended
            }
        });
        other(&shared, count);
        dies.join().unwrap()
    }

    #[test]
    fn a_replacement_goes_on_wherever_the_one_before_was_killed() {
        for side in [PRODUCER, CONSUMER] {
            let mut at = 0;
            loop {
                let mut builder = loom::model::Builder::new();
                builder.preemption_bound = builder.preemption_bound.or(Some(2));
                let ended = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
                let seen = std::sync::Arc::clone(&ended);
                builder.check(move || {
                    seen.store(replace(side, at, 3), std::sync::atomic::Ordering::Relaxed);
                });
                if ended.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                at += 1;
            }
            // Seven or more stores for each of three blocks.
            println!("side {side}: {at} steps");
            assert!(at >= 9, "only {at} steps");
        }
    }

    /// What one side does about the end of the pipe.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Wish {
        Commit,
        Abort,
        /// Sleeps until somebody has said how it ends.
        Await,
    }

    /// How it ended as this side sees it, and whether this side made it so.
    fn end(shared: &Shared, side: usize, wish: Wish) -> (Stage, bool) {
        let verdict = &shared.ring.verdict;
        let advance = |from, to| {
            let moved = verdict.advance(GENERATION, from, to).is_ok();
            if moved {
                shared.wake_other(side);
            }
            moved
        };
        let aborted = [Stage::AbortedByProducer, Stage::AbortedByConsumer];
        let made = match wish {
            Wish::Commit => {
                advance(Stage::Undecided, Stage::Committing) && {
                    assert!(
                        advance(Stage::Committing, Stage::Complete),
                        "committing is nobody else's to change"
                    );
                    true
                }
            }
            Wish::Abort => {
                Shared::put(&shared.reasons[side], 1 + side as u64);
                advance(Stage::Undecided, aborted[side])
            }
            Wish::Await => false,
        };
        let stage = shared.wait(side, || match verdict.stage(GENERATION).unwrap() {
            Stage::Undecided | Stage::Committing => None,
            stage => Some(stage),
        });
        if let Some(by) = aborted.iter().position(|aborted| *aborted == stage) {
            assert_eq!(Shared::get(&shared.reasons[by]), 1 + by as u64);
        }
        (stage, made)
    }

    #[test]
    fn there_is_one_verdict_and_both_sides_see_it_in_every_order_of_steps() {
        let wishes = [
            (Wish::Abort, Wish::Commit),
            (Wish::Abort, Wish::Abort),
            (Wish::Abort, Wish::Await),
            (Wish::Await, Wish::Commit),
            (Wish::Await, Wish::Abort),
        ];
        for (producer_wish, consumer_wish) in wishes {
            loom::model(move || {
                let shared = Shared::new();
                let producer = thread::spawn({
                    let shared = Arc::clone(&shared);
                    move || end(&shared, PRODUCER, producer_wish)
                });
                let (seen, made) = end(&shared, CONSUMER, consumer_wish);
                let (producer_seen, producer_made) = producer.join().unwrap();
                assert_eq!(seen, producer_seen);
                assert!(made != producer_made, "exactly one side makes the verdict");
                let expected = match (producer_made, consumer_wish) {
                    (true, _) => Stage::AbortedByProducer,
                    (false, Wish::Commit) => Stage::Complete,
                    (false, _) => Stage::AbortedByConsumer,
                };
                assert_eq!(seen, expected);
            });
        }
    }
}
