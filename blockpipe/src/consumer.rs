//! The end that drains blocks.

use crate::block::{FilledBlock, Trust, UntrustedPeer};
use crate::end::Attached;
use crate::error::PipeError;
use crate::held::Held;
use crate::layout::{Geometry, MAX_HELLO};
use crate::memory::Region;
use crate::monitor::Monitor;
use crate::nudge::Canceller;
#[cfg(feature = "readiness")]
use crate::readiness::Watch;
use crate::reason::Reason;
use crate::ring::{Drainer, Next, ResumePoint, Stage, Trailer};
use crate::sync::{Ordering, step};
#[cfg(feature = "readiness")]
use crate::sys::Readiness;
use crate::wait::Limit;
use crate::window::Settled;
use std::marker::PhantomData;
use std::time::Duration;

/// The end that receives filled blocks and releases them. Returned by `join` to the second process and by
/// `join_as_consumer`, once the producer is ready, and to the replacement of a dead consumer.
///
/// Dropping it without a verdict is like being killed: the producer reports that its peer died, or, before
/// [`begin`](Self::begin), waits for another consumer. If it is dropped while some of its blocks are held, the pipe is
/// aborted.
///
/// A forked child cannot use it, and does no harm by dropping it: every call returns [`PipeError::Forked`] there. The
/// child shares the seat until it drops its copy, ends, or calls `exec`; until then the producer takes this end for alive.
#[doc = include_str!("../docs/consumer.md")]
#[derive(Debug)]
pub struct Consumer<T: Trust = UntrustedPeer> {
    pub(crate) end: Attached,
    predecessor: Option<Vec<u8>>,
    peer_hello: Vec<u8>,
    begun: bool,
    drainer: Drainer,
    held: Held,
    trailer: Option<Trailer>,
    #[cfg(feature = "readiness")]
    watch: Option<Watch>,
    trust: PhantomData<T>,
}

impl<T: Trust> Consumer<T> {
    pub(crate) fn new(end: Attached, region: Region, predecessor: Option<Vec<u8>>) -> Self {
        Self {
            peer_hello: end.shared.header().producer_hello.get(),
            begun: false,
            drainer: Drainer::new(0, 0),
            held: Held::new(region, &end.nudge, 0),
            trailer: None,
            #[cfg(feature = "readiness")]
            watch: None,
            trust: PhantomData,
            end,
            predecessor,
        }
    }

    /// Returns the hello of the dead consumer that this end replaces: what it passed to [`begin`](Self::begin).
    /// [`abort`](Self::abort) unless you can continue with that very target. Only with
    /// [`Pipe::replace_within`](crate::Pipe::replace_within). Example: [resuming](#resuming).
    pub fn predecessor(&self) -> Option<&[u8]> {
        self.predecessor.as_deref()
    }

    /// Returns whether a dead predecessor had announced that it was committing: its result may be final already.
    /// Example: [making the result final](#making-the-result-final).
    pub fn predecessor_was_committing(&self) -> bool {
        self.predecessor.is_some()
            && self.end.ensure_open().is_ok()
            && self.end.ring().verdict.stage(self.end.generation) == Ok(Stage::Committing)
    }

    /// Returns the user id of the producer's process, as the kernel knows it: the owner of a file that names this
    /// pairing and this end, and that nobody else can have written. In this user's own directory this is always the
    /// caller's user. `None` on Windows, and for a user that has no number in this process's user namespace.
    ///
    /// The first call identifies the producer. Call it again before [`commit`](Self::commit): while that very process
    /// lives it returns the same user. After that it fails with [`PipeError::PeerDied`], no matter who holds the seat
    /// and what that process has sent. With [`Pipe::replace_within`](crate::Pipe::replace_within), it waits for a
    /// replacement instead and returns its user; compare the two. (A process whose user has no number is never
    /// replaced.) Without `replace_within`, it blocks for at most half a second.
    ///
    /// Everybody who can enter the directory can still read and change the blocks. Example:
    /// [`Pipe`](crate::Pipe#sharing-a-directory).
    ///
    /// # Errors
    /// [`PipeError::CallFailed`] if the peer has not identified itself, or not truthfully: the caller may
    /// [`abort`](Self::abort). As [`check`](Self::check).
    pub fn peer_user(&self) -> Result<Option<u32>, PipeError> {
        self.end.ensure_open()?;
        self.end.peer_user()
    }

    /// Returns the producer's hello: what it passed to [`Producer::ready`](crate::Producer::ready).
    /// Example: [beginning](#beginning).
    pub fn peer_hello(&self) -> &[u8] {
        &self.peer_hello
    }

    /// Returns the block size and count that the producer chose. Example: [beginning](#beginning).
    pub fn geometry(&self) -> Geometry {
        self.held.region().geometry()
    }

    /// Declares what this end works on, before it changes anything, and where the stream should begin. `hello` has at
    /// most 1024 bytes; the producer gets them from [`Producer::peer_hello`](crate::Producer::peer_hello). Returns where
    /// the stream does begin: at `at`, or, for a replacement, after the last block that was released (it keeps its
    /// predecessor's hello). A producer that does not call [`start`](crate::Producer::start) ignores `at`, so ask such a
    /// producer only for zeros. Does not block.
    ///
    /// From this call on the death of this end ends the pipe, or requires a replacement; before it, the producer waits
    /// for another consumer. Without this call, the first block begins with an empty hello and zeros.
    /// Example: [beginning](#beginning).
    ///
    /// # Errors
    /// [`PipeError::Misuse`] if called a second time, or if the hello is too long; [`PipeError::Corrupt`],
    /// [`PipeError::Over`], [`PipeError::Forked`].
    pub fn begin(&mut self, hello: &[u8], at: ResumePoint) -> Result<ResumePoint, PipeError> {
        self.end.ensure_open()?;
        if self.begun {
            return Err(PipeError::Misuse("the consumer has begun already"));
        }
        if hello.len() > MAX_HELLO {
            return Err(PipeError::Misuse("a hello has at most 1024 bytes"));
        }
        let (ring, geometry) = (self.end.ring(), self.geometry());
        let (blocks, block_size) = (geometry.blocks() as u64, geometry.block_size() as u64);
        self.drainer = if self.predecessor.is_none() {
            ring.set_start(&at);
            self.end.shared.header().consumer_hello.set(hello);
            step();
            Drainer::at_start(at, blocks, block_size)
        } else {
            let resumed = Drainer::resumed(ring, blocks, block_size);
            self.end.conclude(resumed.map_err(PipeError::from))?
        };
        self.begun = true;
        self.held.start_at(self.drainer.released());
        // Release: start and hello are stored before `begun`; pairs with the acquires in `has_begun` and
        // `Shared::consumer_hello`.
        ring.consumer.begun.store(1, Ordering::Release);
        step();
        self.end.wake_peer();
        Ok(self.drainer.point())
    }

    fn make_begun(&mut self) -> Result<(), PipeError> {
        if self.begun { Ok(()) } else { self.begin(b"", ResumePoint::from([0; _])).map(drop) }
    }

    /// Returns the next filled block, in order, or `None` after the last one. Blocks until there is one.
    ///
    /// While it waits it notices within 50 ms that the producer has been killed; blocks that were sent before come
    /// first. It waits for a producer that is stopped. Example: [receiving](#receiving).
    ///
    /// # Errors
    /// See [`PipeError`]. [`PipeError::Misuse`] when the caller holds all blocks, or one that holds up the others, and
    /// when the same block was dropped twice in a row: it would be handed out for ever. (The call after that hands it
    /// out once more.)
    pub fn filled_block(&mut self) -> Result<Option<FilledBlock<T>>, PipeError> {
        self.next_block(Limit::None)
    }

    /// Returns the next filled block, or `None` if there is none now. [`is_at_end`](Self::is_at_end) returns whether that
    /// was the end of the stream. Does not block. Example: [waiting for a limited time](#waiting-for-a-limited-time).
    ///
    /// # Errors
    /// As [`filled_block`](Self::filled_block). A death is noticed once calls have found no block for 50 ms.
    pub fn try_filled_block(&mut self) -> Result<Option<FilledBlock<T>>, PipeError> {
        self.next_block(Limit::Now)
    }

    /// Returns the next filled block, or `None` if there is none within this time. [`is_at_end`](Self::is_at_end) returns
    /// whether it was the end of the stream.
    /// Example: [waiting for a limited time](#waiting-for-a-limited-time).
    ///
    /// # Errors
    /// As [`filled_block`](Self::filled_block).
    pub fn filled_block_timeout(&mut self, time: Duration) -> Result<Option<FilledBlock<T>>, PipeError> {
        self.next_block(Limit::after(time))
    }

    /// Returns whether the last block has been handed out, and the producer has closed the stream.
    /// Example: [waiting for a limited time](#waiting-for-a-limited-time).
    pub fn is_at_end(&self) -> bool {
        self.trailer.is_some()
    }

    fn next_block(&mut self, limit: Limit) -> Result<Option<FilledBlock<T>>, PipeError> {
        loop {
            let block = self.next_or_returned(limit)?;
            if block.is_some() || self.is_at_end() || !self.end.nudge.any_returned() {
                return Ok(block);
            }
        }
    }

    /// As `next_block`, but also returns `None` when a block has come back in the meantime, to be handed out again.
    fn next_or_returned(&mut self, limit: Limit) -> Result<Option<FilledBlock<T>>, PipeError> {
        self.end.ensure_open()?;
        self.make_begun()?;
        self.take_returned();
        if self.held.window.take_dropped_twice() {
            return Err(PipeError::Misuse("a block was dropped twice: release it when it is dealt with"));
        }
        if let Some(n) = self.held.window.hand_out_again() {
            let length = self.drainer.length(self.held.region().slots(), n).map_err(PipeError::from);
            let length = self.end.conclude(length)?;
            return Ok(Some(self.lend(n, length)));
        }
        if self.is_at_end() {
            return Ok(None);
        }
        // With all blocks in the caller's hands there can be no other, but the stream may have ended.
        let is_full = self.held.is_full();
        let limit = if is_full { Limit::Now } else { limit };
        let (end, ring, n) = (&self.end, self.end.ring(), self.held.window.next());
        let (drainer, held) = (&mut self.drainer, &self.held);
        let poll = || match end.verdict() {
            Some(Ok(())) => Some(Err(PipeError::Corrupt("complete without the consumer"))),
            Some(Err(error)) => Some(Err(error)),
            None => match drainer.next(ring, held.region().slots(), n) {
                Ok(Next::Nothing) if end.nudge.any_returned() => Some(Ok(Next::Nothing)),
                Ok(Next::Nothing) => end.reject_early_commit(),
                Ok(next) => Some(Ok(next)),
                Err(violation) => Some(Err(violation.into())),
            },
        };
        let waited = end.wait_for_block(limit, poll, |alone| absent(end, n, alone).map(|()| None));
        match self.end.conclude(waited)? {
            Some(Next::Filled(length)) => {
                let n = self.held.window.hand_out();
                Ok(Some(self.lend(n, length)))
            }
            Some(Next::End) => {
                self.trailer = Some(ring.stored_trailer());
                Ok(None)
            }
            None if is_full => Err(PipeError::Misuse("all blocks are held: release one first")),
            Some(Next::Nothing) | None => {
                #[cfg(feature = "readiness")]
                self.watch.as_ref().inspect(|watch| watch.wait_for(n));
                Ok(None)
            }
        }
    }

    fn lend(&mut self, n: u64, length: u64) -> FilledBlock<T> {
        FilledBlock::new(self.held.lend(), n, length as usize)
    }

    /// Returns whether a block has been handed out that has not been released, or has not got its turn.
    pub(crate) fn holds_blocks(&mut self) -> bool {
        self.take_returned();
        self.held.window.len() > 0
    }

    /// Takes back the blocks that came back by themselves.
    fn take_returned(&mut self) {
        let Self { held, drainer, end, .. } = self;
        held.take_returned(|block| release(end, drainer, block));
    }

    /// Releases the block to the producer: its bytes have been dealt with. Does not block.
    ///
    /// Several blocks may be held at once and released in any order; the producer gets them back in stream order.
    /// Example: [receiving](#receiving).
    ///
    /// # Errors
    /// [`PipeError::Misuse`] if the block belongs to another end; it then counts as dropped. [`PipeError::Over`] if the
    /// pipe has ended, [`PipeError::Forked`].
    pub fn release(&mut self, block: FilledBlock<T>) -> Result<(), PipeError> {
        self.take(block, None)
    }

    /// Releases the block as [`release`](Self::release) does, and stores where a replacement would have to resume after
    /// it. The replacement gets that point from [`begin`](Self::begin). [`release`](Self::release) keeps the previous
    /// point, and adds the block's length to its progress. Example: [resuming](#resuming).
    ///
    /// # Errors
    /// As [`release`](Self::release).
    pub fn release_with(&mut self, block: FilledBlock<T>, point: &ResumePoint) -> Result<(), PipeError> {
        self.take(block, Some(point))
    }

    fn take(&mut self, block: FilledBlock<T>, point: Option<&ResumePoint>) -> Result<(), PipeError> {
        self.end.ensure_open()?;
        if !block.belongs_to(&self.held.memory) {
            return Err(PipeError::Misuse("the block belongs to another end"));
        }
        let (memory, n, length) = block.into_parts();
        let Self { held, drainer, end, .. } = self;
        let settled = held.settle(memory, n, length as u64, point);
        held.give(settled, |block| release(end, drainer, block));
        Ok(())
    }

    /// Releases all blocks that are filled now except the newest one, without handing them out: for a live stream, where
    /// only the latest block is of interest. Returns how many blocks it has skipped. Does not block.
    ///
    /// A producer that drops new blocks while all are full ([`try_empty_block`](crate::Producer::try_empty_block)) makes
    /// the newest one as old as this end's previous call: then use [`skip_all`](Self::skip_all).
    /// Example: [showing only the latest frame](#showing-only-the-latest-frame).
    ///
    /// # Errors
    /// [`PipeError::Misuse`] while a block is held; [`PipeError::Corrupt`], [`PipeError::Over`], [`PipeError::Forked`].
    pub fn skip_to_latest(&mut self) -> Result<u64, PipeError> {
        self.skip_except(1)
    }

    /// Releases all filled blocks without returning them: the next block that is returned will have been sent after
    /// this call. Returns how many blocks were skipped; the last one of the stream may be among them. Does not block.
    /// Example: [showing a fresh frame](#showing-a-fresh-frame).
    ///
    /// # Errors
    /// As [`skip_to_latest`](Self::skip_to_latest).
    pub fn skip_all(&mut self) -> Result<u64, PipeError> {
        self.skip_except(0)
    }

    /// Releases the filled blocks except for the newest `kept`.
    fn skip_except(&mut self, kept: u64) -> Result<u64, PipeError> {
        self.end.ensure_open()?;
        self.make_begun()?;
        self.take_returned();
        if self.held.window.any_lent() {
            return Err(PipeError::Misuse("cannot skip: a block is held"));
        }
        let first = self.held.window.first();
        let filled = self.drainer.filled_from(self.end.ring(), first).map_err(PipeError::from);
        // Only those of this moment: a producer may send blocks as fast as they are skipped.
        let end = first + self.end.conclude(filled)?.saturating_sub(kept);
        let mut skipped = 0;
        while self.held.window.first() < end {
            let n = self.held.window.first();
            let length = self.drainer.length(self.held.region().slots(), n).map_err(PipeError::from);
            let length = self.end.conclude(length)?;
            if self.held.window.len() == 0 {
                self.held.window.hand_out();
            }
            let Self { held, drainer, end, .. } = self;
            let settled = held.window.settle(n, Settled { length, point: None });
            held.give(settled, |block| release(end, drainer, block));
            skipped += 1;
        }
        Ok(skipped)
    }

    /// Checks that this end can continue, for callers that wait for something else, such as the disk. Call it about every
    /// 50 ms. Does not block.
    ///
    /// A producer that died after it had stored its trailer does not count as an error.
    /// Example: [waiting for something else](#waiting-for-something-else).
    ///
    /// # Errors
    /// As [`filled_block`](Self::filled_block) at the end of the stream: the producer aborted or was killed, or this
    /// process was interrupted.
    pub fn check(&self) -> Result<(), PipeError> {
        self.end.ensure_open()?;
        self.end.wake_if_left_asleep();
        // No block has this number, so blocks that were sent are no reason to wait for a producer that died before it
        // stored its trailer.
        let absent = |alone| absent(&self.end, u64::MAX, alone).map(|()| None);
        self.end.conclude(self.end.check(absent))
    }

    /// Returns the producer's trailer: what it passed to [`Producer::close`](crate::Producer::close), followed by zeros.
    /// `None` until the [end](Self::is_at_end) of the stream. Example:
    /// [`Producer`](crate::Producer#ending-with-a-trailer).
    pub fn trailer(&self) -> Option<&Trailer> {
        self.trailer.as_ref()
    }

    /// Aborts the pipe with a reason that the producer receives. Returns the verdict, which names whichever end aborted
    /// first. Does not block.
    ///
    /// A replacement can abort even if its predecessor was committing; its reason should then say what became of the
    /// result. Example: [aborting](#aborting).
    pub fn abort(&self, reason: &Reason) -> PipeError {
        self.end_by_abort(if self.is_committing() { Stage::Committing } else { Stage::Undecided }, reason)
    }

    /// Returns a view of the pipe for another thread. Example: [`Monitor`].
    pub fn monitor(&self) -> Monitor {
        Monitor::new(&self.end.shared, &self.end.seats, self.end.side)
    }

    /// Returns a handle that ends a wait of this end from another thread. Example: [canceling](#canceling-a-wait).
    pub fn canceller(&self) -> Canceller {
        self.end.canceller()
    }

    /// Returns a descriptor that is readable while [`try_filled_block`](Self::try_filled_block) may find something:
    /// see [`Readiness`]. Needs the feature `readiness`; not supported on Windows.
    ///
    /// # Errors
    /// [`PipeError::CallFailed`] if the descriptor or the thread cannot be made; [`PipeError::Over`], [`PipeError::Forked`].
    #[cfg(feature = "readiness")]
    pub fn readiness(&mut self) -> Result<Readiness, PipeError> {
        self.end.ensure_open()?;
        if self.watch.is_none() {
            self.watch = Some(Watch::start(&self.end, 0)?);
        }
        Ok(self.watch.as_ref().expect("it was just started").readiness())
    }

    pub(crate) fn is_committing(&self) -> bool {
        self.end.may_become_final.get() || self.predecessor_was_committing()
    }

    pub(crate) fn end_by_abort(&self, from: Stage, reason: &Reason) -> PipeError {
        if let Err(over) = self.end.ensure_open() {
            return over;
        }
        let verdict = self.end.try_abort(from, reason).unwrap_or_else(|_| match self.end.verdict() {
            Some(Err(error)) => error,
            _ => PipeError::Corrupt("complete without the consumer"),
        });
        self.end.leave();
        verdict
    }
}

impl<T: Trust> Drop for Consumer<T> {
    fn drop(&mut self) {
        #[cfg(feature = "readiness")]
        self.watch.as_ref().filter(|_| self.end.is_of_this_process()).inspect(|watch| watch.end());
        if self.end.ensure_open().is_ok() {
            self.take_returned();
            if self.held.window.any_lent() {
                self.end.drop_with_blocks();
            }
        }
    }
}

/// Gives a block back to the producer.
fn release(end: &Attached, drainer: &mut Drainer, block: Settled) {
    drainer.release(end.ring(), block.length, block.point);
    end.wake_producer(|| drainer.is_running_low(end.ring()));
}

/// Decides what a free producer's seat means to a wait for block `n`: nothing, as long as something that the producer
/// sent is left.
fn absent(end: &Attached, n: u64, alone: Duration) -> Result<(), PipeError> {
    let ring = end.ring();
    let more = || ring.producer.filled.load(Ordering::Acquire) > n || ring.trailer().is_some();
    // The producer has been ready, so the time limit is that for a replacement and not the connect timeout.
    if more() || end.waits_for_peer(alone, true)? || !end.give_up_on_peer(more)? {
        return Ok(());
    }
    Err(PipeError::PeerDied)
}
