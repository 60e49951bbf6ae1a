//! The end that fills blocks.

use crate::block::{EmptyBlock, Trust, UntrustedPeer};
use crate::end::Attached;
use crate::error::PipeError;
use crate::held::Held;
use crate::layout::{Geometry, MAX_HELLO, OPENING, READY};
use crate::memory::Region;
use crate::monitor::Monitor;
use crate::nudge::Canceller;
#[cfg(feature = "readiness")]
use crate::readiness::Watch;
use crate::reason::Reason;
use crate::ring::{Filler, ResumePoint, Stage, Trailer};
use crate::sync::{Ordering, step};
#[cfg(feature = "readiness")]
use crate::sys::Readiness;
use crate::sys::Side;
use crate::wait::Limit;
use std::marker::PhantomData;
use std::time::Duration;

/// The end that fills blocks and sends them. Returned by `join` to the first process, by `join_as_producer`, and to the
/// replacement of a dead producer.
///
/// Dropping it without [`finish`](Self::finish), [`close`](Self::close) or [`abort`](Self::abort) is like being killed:
/// the consumer reports that its peer died. If it is dropped while some of its blocks are held, the pipe is aborted.
///
/// A forked child cannot use it, and does no harm by dropping it: every call returns [`PipeError::Forked`] there. The
/// child shares the seat until it drops its copy, ends, or calls `exec`; until then the consumer takes this end for alive.
#[doc = include_str!("../docs/producer.md")]
#[derive(Debug)]
pub struct Producer<T: Trust = UntrustedPeer> {
    pub(crate) end: Attached,
    predecessor: Option<Vec<u8>>,
    filler: Filler,
    /// Once it is ready.
    held: Option<Held>,
    #[cfg(feature = "readiness")]
    watch: Option<Watch>,
    trust: PhantomData<T>,
}

impl<T: Trust> Producer<T> {
    pub(crate) fn new(end: Attached, predecessor: Option<Vec<u8>>) -> Self {
        Self {
            end,
            predecessor,
            filler: Filler::new(0),
            held: None,
            #[cfg(feature = "readiness")]
            watch: None,
            trust: PhantomData,
        }
    }

    /// Returns the hello of the dead producer that this end replaces: what it passed to [`ready`](Self::ready).
    /// [`abort`](Self::abort) unless you can resend the identical stream, or continue a live one. Only with
    /// [`Pipe::replace_within`](crate::Pipe::replace_within). Example: [resuming](#resuming).
    pub fn predecessor(&self) -> Option<&[u8]> {
        self.predecessor.as_deref()
    }

    /// Returns the consumer's hello, what it passed to [`Consumer::begin`](crate::Consumer::begin), once it has
    /// begun; also after an error has ended this end. Example: [getting ready](#getting-ready).
    ///
    /// # Errors
    /// [`PipeError::Forked`].
    pub fn peer_hello(&self) -> Result<Option<Vec<u8>>, PipeError> {
        match self.end.ensure_open() {
            Ok(()) | Err(PipeError::Over) => Ok(self.end.shared.consumer_hello()),
            Err(error) => Err(error),
        }
    }

    /// Returns the user id of the consumer's process, as the kernel knows it: the owner of a file that names this
    /// pairing and this end, and that nobody else can have written. In this user's own directory this is always the
    /// caller's user. `None` on Windows, and for a user that has no number in this process's user namespace.
    ///
    /// Call it after [`start`](Self::start), which identifies the consumer, and again before [`close`](Self::close):
    /// while that very process lives it returns the same user. After that it fails with [`PipeError::PeerDied`], no
    /// matter who holds the seat. With [`Pipe::replace_within`](crate::Pipe::replace_within), it waits for a
    /// replacement instead and returns its user; compare the two. (A process whose user has no number is never
    /// replaced.) Without `replace_within`, it blocks for at most half a second.
    ///
    /// Everybody who can enter the [directory](crate::Pipe#sharing-a-directory) can still read and change the blocks.
    ///
    /// # Errors
    /// [`PipeError::CallFailed`] if the peer has not identified itself, or not truthfully: the caller may
    /// [`abort`](Self::abort). [`PipeError::Misuse`] if there is no consumer yet. As [`check`](Self::check).
    pub fn peer_user(&self) -> Result<Option<u32>, PipeError> {
        self.end.ensure_open()?;
        self.end.peer_user()
    }

    /// Returns the block size and count, once this end is [ready](Self::ready); before, those of the dead producer that
    /// it replaces. Example: [getting ready](#getting-ready).
    pub fn geometry(&self) -> Option<Geometry> {
        match &self.held {
            Some(held) => Some(held.region().geometry()),
            None => self.predecessor.as_ref().and_then(|_| self.end.geometry()),
        }
    }

    /// Reserves the memory and lets the consumer in. `hello` describes what will be sent, in at most 1024 bytes. The
    /// consumer gets it from [`Consumer::peer_hello`](crate::Consumer::peer_hello), and a replacement from
    /// [`predecessor`](Self::predecessor), to check that its source is still the same. A replacement may call this, too,
    /// with the same geometry; its own hello is ignored.
    ///
    /// Call it once the source is open. Without it, the first block makes this end ready, with the blocks of
    /// [`Pipe::blocks`](crate::Pipe::blocks) and an empty hello.
    ///
    /// From this call on the pipe takes up 64 KiB of shared memory, 64 bytes per block (rounded up to 64 KiB), and the
    /// blocks. Blocks until the system has provided the memory. Example: [getting ready](#getting-ready).
    ///
    /// # Errors
    /// [`PipeError::CallFailed`] if there is not enough space: the caller may try a smaller geometry, or abort.
    /// [`PipeError::OtherGeometry`] if the dead producer that this one replaces had another
    /// geometry. [`PipeError::Aborted`] if the consumer has aborted meanwhile, [`PipeError::Misuse`] if this end is
    /// ready already, or if the hello is too long.
    pub fn ready(&mut self, geometry: Geometry, hello: &[u8]) -> Result<(), PipeError> {
        self.end.ensure_open()?;
        if self.held.is_some() {
            return Err(PipeError::Misuse("the producer is ready already"));
        }
        if hello.len() > MAX_HELLO {
            return Err(PipeError::Misuse("a hello has at most 1024 bytes"));
        }
        if self.predecessor.is_some() {
            return self.take_over(geometry);
        }
        let length = geometry.region_length();
        let segment = self
            .end
            .seats
            .create_region(self.end.generation, length)
            .map_err(PipeError::call("reserving the blocks in shared memory"))?;
        let header = self.end.shared.header();
        header.block_size.store(geometry.block_size() as u64, Ordering::Relaxed);
        header.blocks.store(geometry.blocks() as u64, Ordering::Relaxed);
        header.producer_hello.set(hello);
        step();
        // Only from OPENING: a consumer that was interrupted may have ended the pipe meanwhile.
        // Release: geometry and hello are stored before READY; pairs with the consumer's acquire in `join`.
        let ready = header.state.compare_exchange(OPENING, READY, Ordering::Release, Ordering::Relaxed);
        if ready.is_err() {
            let verdict = match self.end.verdict() {
                Some(Err(error)) => error,
                Some(Ok(())) => PipeError::Corrupt("complete before it began"),
                None => PipeError::PeerDied,
            };
            return self.end.conclude(Err(verdict));
        }
        step();
        self.end.wake_peer();
        self.continue_with(Region::new(segment, geometry), Filler::new(geometry.blocks() as u64));
        Ok(())
    }

    fn take_over(&mut self, geometry: Geometry) -> Result<(), PipeError> {
        let there = self.end.geometry().ok_or(PipeError::Corrupt("the geometry is invalid"));
        let there = self.end.conclude(there)?;
        if there != geometry {
            return Err(PipeError::OtherGeometry(there));
        }
        let region = self.end.open_region().and_then(|region| region.ok_or(PipeError::PeerDied));
        let region = self.end.conclude(region)?;
        let filler = Filler::resumed(self.end.ring(), there.blocks() as u64);
        let filler = self.end.conclude(filler.map_err(PipeError::from))?;
        self.continue_with(region, filler);
        Ok(())
    }

    /// Makes this end ready if it is not, with what the builder says.
    fn make_ready(&mut self) -> Result<(), PipeError> {
        if self.held.is_some() {
            return Ok(());
        }
        let geometry = self.end.options().geometry.or_else(|| self.geometry()).unwrap_or_default();
        self.ready(geometry, b"")
    }

    fn continue_with(&mut self, region: Region, filler: Filler) {
        self.held = Some(Held::new(region, &self.end.nudge, filler.sent()));
        self.filler = filler;
    }

    /// Returns where the stream begins, for producers that can start in the middle: at zeros, or where the consumer
    /// asked for ([`Consumer::begin`](crate::Consumer::begin)), or, for a replacement, after the last block that its
    /// predecessor sent. Blocks until a consumer has begun.
    ///
    /// Without this call the stream begins at zeros, and blocks may be filled before a consumer has come. Example:
    /// [starting in the middle](#starting-in-the-middle).
    ///
    /// # Errors
    /// See [`PipeError`]. [`PipeError::Misuse`] after the first block.
    pub fn start(&mut self) -> Result<ResumePoint, PipeError> {
        self.end.ensure_open()?;
        self.make_ready()?;
        let held = self.held.as_ref().expect("it is ready");
        let is_first = self.predecessor.is_some() || self.filler.sent() == 0;
        if held.window.next() != self.filler.sent() || !is_first {
            return Err(PipeError::Misuse("blocks have been handed out already"));
        }
        let poll = || match verdict_before_the_end(&self.end, self.predecessor.is_some()) {
            Some(verdict) => Some(verdict),
            None if self.end.has_begun() => Some(Ok(())),
            None => self.end.reject_early_commit(),
        };
        self.end.conclude(self.end.wait(poll, |alone| absent(&self.end, alone).map(|()| None)))?;
        if self.predecessor.is_none() {
            self.filler = Filler::at_start(self.end.ring(), held.region().geometry().blocks() as u64);
        }
        Ok(self.filler.point())
    }

    /// Returns the next empty block. Once all [`blocks`](Geometry::blocks) have been handed out, blocks until the consumer
    /// releases one.
    ///
    /// While it waits it notices within 50 ms that the consumer has been killed; it waits for one that is stopped. A
    /// sleeping producer is woken once for several blocks if they are released in quick succession, and in any case
    /// before the consumer itself waits for a block; every 50 ms it checks on its own. Example: [sending](#sending).
    ///
    /// # Errors
    /// See [`PipeError`]. [`PipeError::Misuse`] when the caller holds all blocks, or one that holds up the others, and
    /// after [`close`](Self::close).
    pub fn empty_block(&mut self) -> Result<EmptyBlock<T>, PipeError> {
        let block = self.next_block(Limit::None)?;
        Ok(block.expect("a wait without a limit ends only with a block"))
    }

    /// Returns the next empty block, or `None` if there is none now. Example: [dropping frames](#dropping-frames).
    ///
    /// # Errors
    /// As [`empty_block`](Self::empty_block). A death is noticed once calls have found no block for 50 ms.
    pub fn try_empty_block(&mut self) -> Result<Option<EmptyBlock<T>>, PipeError> {
        self.next_block(Limit::Now)
    }

    /// Returns the next empty block, or `None` if there is none within this time.
    /// Example: [waiting for a limited time](#waiting-for-a-limited-time).
    ///
    /// # Errors
    /// As [`empty_block`](Self::empty_block).
    pub fn empty_block_timeout(&mut self, time: Duration) -> Result<Option<EmptyBlock<T>>, PipeError> {
        self.next_block(Limit::after(time))
    }

    fn next_block(&mut self, limit: Limit) -> Result<Option<EmptyBlock<T>>, PipeError> {
        self.end.ensure_open()?;
        self.make_ready()?;
        if self.end.may_become_final.get() {
            return Err(PipeError::Misuse("the stream is closed"));
        }
        let held = self.held.as_mut().expect("it is ready");
        held.take_returned(|_| unreachable!("an empty block is sent by a call"));
        if let Some(n) = held.window.hand_out_again() {
            return Ok(Some(EmptyBlock::new(held.lend(), n)));
        }
        // With all blocks in the caller's hands there can be no other, but the pipe may have ended.
        let is_full = held.is_full();
        let wait = if is_full { Limit::Now } else { limit };
        let (end, n, replaces) = (&self.end, held.window.next(), self.predecessor.is_some());
        let (filler, nudge) = (&mut self.filler, &self.end.nudge);
        let poll = || match verdict_before_the_end(end, replaces) {
            Some(verdict) => Some(verdict.map(|()| true)),
            None => match filler.owns(end.ring(), n) {
                Ok(true) => Some(Ok(true)),
                Ok(false) if nudge.any_returned() => Some(Ok(false)),
                Ok(false) => end.reject_early_commit(),
                Err(violation) => Some(Err(violation.into())),
            },
        };
        let waited = end.wait_for_block(wait, poll, |alone| absent(end, alone).map(|()| None));
        match self.end.conclude(waited)? {
            Some(true) => {}
            // A block has come back, and is handed out again.
            Some(false) => return self.next_block(limit),
            None if is_full => return Err(PipeError::Misuse("all blocks are held: send one first")),
            None => {
                #[cfg(feature = "readiness")]
                self.watch.as_ref().inspect(|watch| watch.wait_for(n));
                return Ok(None);
            }
        }
        let n = held.window.hand_out();
        Ok(Some(EmptyBlock::new(held.lend(), n)))
    }

    /// Sends the first `length` bytes of the block to the consumer. Does not block.
    ///
    /// Several blocks may be held at once and sent in any order. The consumer gets them in the order in which they were
    /// handed out, so a block that is still held holds up the later ones. Example: [sending](#sending).
    ///
    /// # Errors
    /// [`PipeError::Misuse`] if `length` is larger than the block, or if it belongs to another end; the block then
    /// counts as dropped. [`PipeError::Over`] if the pipe has ended, [`PipeError::Forked`].
    pub fn send(&mut self, block: EmptyBlock<T>, length: usize) -> Result<(), PipeError> {
        self.give(block, length, None)
    }

    /// Sends the block as [`send`](Self::send) does, and stores where a replacement would have to resume after it. The
    /// replacement gets that point from [`start`](Self::start). [`send`](Self::send) keeps the previous point, and adds
    /// `length` to its progress. Example: [resuming](#resuming).
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_with(
        &mut self,
        block: EmptyBlock<T>,
        length: usize,
        point: &ResumePoint,
    ) -> Result<(), PipeError> {
        self.give(block, length, Some(point))
    }

    fn give(
        &mut self,
        block: EmptyBlock<T>,
        length: usize,
        point: Option<&ResumePoint>,
    ) -> Result<(), PipeError> {
        self.end.ensure_open()?;
        let Some(held) = self.held.as_mut().filter(|held| block.belongs_to(&held.memory)) else {
            return Err(PipeError::Misuse("the block belongs to another end"));
        };
        if length > block.capacity() {
            return Err(PipeError::Misuse("the block is shorter than the length that is to be sent"));
        }
        let (memory, n, header) = block.into_parts();
        self.filler.describe(memory.region.slots(), n, length as u64, &header);
        let settled = held.settle(memory, n, length as u64, point);
        held.give(settled, |block| {
            self.filler.send(self.end.ring(), block.length, block.point);
            self.end.wake_peer();
        });
        Ok(())
    }

    /// Checks that this end can continue, for callers that wait for something else, such as their source. Call it about
    /// every 50 ms. Does not block. Example: [waiting for something else](#waiting-for-something-else).
    ///
    /// # Errors
    /// As [`empty_block`](Self::empty_block): the consumer aborted or was killed, or this process was interrupted.
    pub fn check(&self) -> Result<(), PipeError> {
        self.end.ensure_open()?;
        let checked = self.end.abort_if_interrupted().and_then(|()| match self.end.reject_early_commit() {
            // If the trailer is stored, by this producer or a dead one, the consumer may commit.
            Some(rejected) if !self.has_trailer() => rejected,
            _ => self.end.check(|alone| absent(&self.end, alone).map(|()| None)),
        });
        self.end.conclude(checked)
    }

    /// Ends the stream and waits for the consumer's verdict: `Ok` means *complete* on both sides. Blocks until the
    /// consumer has decided, however long its work takes. Example: [sending](#sending).
    ///
    /// # Errors
    /// See [`PipeError`]. [`PipeError::Misuse`] while a block is held, and if a block was dropped unsent while later
    /// ones were sent. After [`PipeError::Canceled`] another call continues to wait.
    pub fn finish(&mut self) -> Result<(), PipeError> {
        self.close(b"")
    }

    /// Ends the stream as [`finish`](Self::finish) does, with a trailer: at most 64 bytes, followed by zeros, which the
    /// consumer [gets](crate::Consumer::trailer). Example: [ending with a trailer](#ending-with-a-trailer).
    ///
    /// # Errors
    /// As [`finish`](Self::finish); [`PipeError::Misuse`] if the trailer is too long.
    pub fn close(&mut self, trailer: &[u8]) -> Result<(), PipeError> {
        self.end.ensure_open()?;
        self.make_ready()?;
        let mut bytes = Trailer::from([0; _]);
        let Some(used) = bytes.get_mut(..trailer.len()) else {
            return Err(PipeError::Misuse("a trailer has at most 64 bytes"));
        };
        used.copy_from_slice(trailer);
        let held = self.held.as_mut().expect("it is ready");
        held.take_returned(|_| unreachable!("an empty block is sent by a call"));
        if held.window.any_lent() {
            return Err(PipeError::Misuse("cannot close: a block is held that was not sent"));
        }
        if held.window.any_settled() {
            return Err(PipeError::Misuse("cannot close: an earlier block was dropped unsent"));
        }
        if !self.end.may_become_final.replace(true) {
            self.filler.close(self.end.ring(), &bytes);
            self.end.wake_peer();
        }
        self.await_verdict()
    }

    /// Returns the consumer's [remark](crate::Committing::remark), once [`close`](Self::close) has returned `Ok`. Its code
    /// is 0 if there is none. Example: [ending with a trailer](#ending-with-a-trailer).
    ///
    /// Trust only codes that consumers never abort with: a dead consumer may have left a reason to abort. Empty in a
    /// forked child.
    pub fn remark(&self) -> Reason {
        if self.end.is_of_this_process() {
            self.end.shared.reason(Side::Consumer)
        } else {
            Reason::new(0, "")
        }
    }

    /// Aborts the pipe with a reason that the consumer receives. Returns the verdict: an error that names the end that
    /// aborted first, or `Ok` if the consumer had completed. Blocks only while it commits. Example: [aborting](#aborting).
    ///
    /// # Errors
    /// [`PipeError::Aborted`], unless the consumer completed, or died while committing.
    pub fn abort(&self, reason: &Reason) -> Result<(), PipeError> {
        self.end.ensure_open()?;
        match self.end.try_abort(Stage::Undecided, reason) {
            Ok(aborted) => self.end.conclude(Err(aborted)),
            // No correct consumer commits before there is a trailer, so this claim is not waited for.
            Err(Stage::Committing | Stage::Complete) if !self.has_trailer() => {
                self.end.conclude(Err(PipeError::Corrupt("committing before everything was sent")))
            }
            Err(_) => self.await_verdict(),
        }
    }

    /// Returns a view of the pipe for another thread. Example: [`Monitor`].
    pub fn monitor(&self) -> Monitor {
        Monitor::new(&self.end.shared, &self.end.seats, self.end.side)
    }

    /// Returns a handle that ends a wait of this end from another thread. Example: [canceling](#canceling-a-wait).
    pub fn canceller(&self) -> Canceller {
        self.end.canceller()
    }

    /// Returns a descriptor that is readable while [`try_empty_block`](Self::try_empty_block) may find something:
    /// see [`Readiness`]. Needs the feature `readiness`; not supported on Windows.
    ///
    /// # Errors
    /// [`PipeError::CallFailed`] if the descriptor or the thread cannot be made; [`PipeError::Over`],
    /// [`PipeError::Forked`]; those of [`ready`](Self::ready).
    #[cfg(feature = "readiness")]
    pub fn readiness(&mut self) -> Result<Readiness, PipeError> {
        self.end.ensure_open()?;
        self.make_ready()?;
        if self.watch.is_none() {
            self.watch = Some(Watch::start(&self.end, self.filler.slots())?);
        }
        Ok(self.watch.as_ref().expect("it was just started").readiness())
    }

    fn has_trailer(&self) -> bool {
        self.end.may_become_final.get() || self.predecessor.is_some() && self.end.ring().trailer().is_some()
    }

    fn await_verdict(&self) -> Result<(), PipeError> {
        let waited = self.end.wait(|| self.end.verdict(), |alone| absent(&self.end, alone).map(|()| None));
        let verdict = self.end.conclude(waited);
        if !matches!(verdict, Err(PipeError::Canceled)) {
            self.end.leave();
        }
        verdict
    }
}

impl<T: Trust> Drop for Producer<T> {
    fn drop(&mut self) {
        #[cfg(feature = "readiness")]
        self.watch.as_ref().filter(|_| self.end.is_of_this_process()).inspect(|watch| watch.end());
        if let (Ok(()), Some(held)) = (self.end.ensure_open(), &mut self.held) {
            held.take_returned(|_| unreachable!("an empty block is sent by a call"));
            if held.window.any_lent() {
                self.end.drop_with_blocks();
            }
        }
    }
}

/// Returns the verdict as it looks to a producer that has not sent everything.
fn verdict_before_the_end(end: &Attached, replaces: bool) -> Option<Result<(), PipeError>> {
    match end.verdict()? {
        // The dead predecessor had stored its trailer, and the consumer completed without a successor.
        Ok(()) if replaces && end.ring().trailer().is_some() => Some(Ok(())),
        Ok(()) => Some(Err(PipeError::Corrupt("complete before everything was sent"))),
        Err(error) => Some(Err(error)),
    }
}

/// Decides what a free consumer's seat means: no consumer has come yet, or one died.
fn absent(end: &Attached, alone: Duration) -> Result<(), PipeError> {
    if end.waits_for_peer(alone, end.has_begun())? || !end.give_up_on_peer(|| false)? {
        return Ok(());
    }
    // The pipe is over, so these words are final. Nobody reads the verdict after us: if the consumer left it at
    // *committing*, it stays there.
    Err(match (end.ring().verdict.stage(end.generation)?, end.has_begun()) {
        (Stage::Committing, _) => PipeError::DiedCommitting,
        (_, true) => PipeError::PeerDied,
        (_, false) => PipeError::NoPeer,
    })
}
