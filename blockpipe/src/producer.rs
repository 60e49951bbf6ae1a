//! The end that fills blocks.

use crate::block::{EmptyBlock, Lender};
use crate::end::Attached;
use crate::error::PipeError;
use crate::layout::{Geometry, Identity, OPENING, READY, store_bytes};
use crate::memory::Region;
use crate::monitor::Monitor;
use crate::reason::Reason;
use crate::ring::{Filler, ResumePoint, Stage};
use crate::sync::{Ordering, step};
use crate::sys::Side;
use crate::window::{Settled, Window};
use std::cell::RefCell;
use std::time::Duration;

/// The end that fills blocks and sends them. Returned by `join` to the first process, by `join_as_producer`, and to the
/// replacement of a dead producer.
///
/// Dropping it without [`close`](Self::close) or [`abort`](Self::abort) is like being killed: the consumer reports that
/// its peer died. It must not live across a `fork`, or the child would share the seat.
#[derive(Debug)]
pub struct Producer {
    end: Attached,
    predecessor: Option<Identity>,
    region: Option<Region>,
    state: RefCell<ProducerState>,
}

#[derive(Debug)]
struct ProducerState {
    filler: Filler,
    window: Window<()>,
    closed: bool,
}

impl Producer {
    pub(crate) fn new(end: Attached, predecessor: Option<Identity>) -> Self {
        let state = ProducerState { filler: Filler::new(0), window: Window::starting_at(0), closed: false };
        Self { end, predecessor, region: None, state: RefCell::new(state) }
    }

    /// Returns the origin that a dead producer had declared, if this end replaces it. [`abort`](Self::abort) unless you
    /// can resend the identical stream. Only with [`Pipe::replace_within`](crate::Pipe::replace_within).
    pub fn predecessor(&self) -> Option<&Identity> {
        self.predecessor.as_ref()
    }

    /// Returns the user id of the consumer's process, as the kernel knows it: the owner of a file about this pairing
    /// and this end that nobody else can have written. Outside a directory shared by several users
    /// ([`Pipe::in_directory`](crate::Pipe::in_directory)) only this user can join. `None` on Windows, and if there is
    /// no consumer (it may just have died). Blocks for half a second at most, while a consumer is joining.
    ///
    /// Call it after [`start`](Self::start), when there is a consumer. It identifies who joined; everybody else who can
    /// enter the directory can still read and change the blocks.
    ///
    /// # Errors
    /// [`PipeError::Io`] if the peer has not identified itself, or not truthfully. This error does not end the pipe:
    /// the caller may [`abort`](Self::abort).
    pub fn peer_user(&self) -> Result<Option<u32>, PipeError> {
        self.end.ensure_open()?;
        self.end.peer_user()
    }

    /// Reserves the memory and lets the consumer in. `origin` identifies what will be sent, so that others can check
    /// later that it is still the same; all zero to say nothing.
    ///
    /// A replacement takes over its predecessor's memory and origin, and both arguments are ignored.
    ///
    /// From this call on the pipe takes up 64 KiB of shared memory, 64 bytes per block (rounded up to 64 KiB), and the
    /// blocks. Blocks until the system has provided the memory.
    ///
    /// # Errors
    /// [`PipeError::Io`] if there is not enough space. This error does not end the pipe: the caller may try a smaller
    /// geometry, or abort. [`PipeError::Aborted`] if the consumer has aborted meanwhile, [`PipeError::Misuse`] if called
    /// again after it has succeeded.
    pub fn ready(&mut self, geometry: Geometry, origin: &Identity) -> Result<(), PipeError> {
        self.end.ensure_open()?;
        if self.region.is_some() {
            return Err(PipeError::Misuse("the producer is ready already"));
        }
        if self.predecessor.is_some() {
            let region = self.end.open_region().and_then(|region| region.ok_or(PipeError::PeerDied));
            let region = self.end.conclude(region)?;
            let resumed = Filler::resumed(self.end.ring(), region.geometry().blocks() as u64);
            return self.proceed(region, resumed.map_err(PipeError::from)).map(drop);
        }
        let length = geometry.region_length();
        let segment = self
            .end
            .seats
            .create_region(self.end.generation, length)
            .map_err(PipeError::io("reserving the blocks in shared memory"))?;
        let header = self.end.shared.header();
        header.block_size.store(geometry.block_size() as u64, Ordering::Relaxed);
        header.blocks.store(geometry.blocks() as u64, Ordering::Relaxed);
        store_bytes(&header.origin, origin);
        step();
        // Only from OPENING: a consumer that was interrupted may have ended the pipe meanwhile.
        // Release: geometry and origin are stored before READY; pairs with the consumer's acquire in `join`.
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
        self.region = Some(Region::new(segment, geometry));
        self.state.get_mut().filler = Filler::new(geometry.blocks() as u64);
        Ok(())
    }

    /// Returns where the stream begins, for producers that can start in the middle: at 0, or where the consumer asked
    /// for ([`Consumer::begin`](crate::Consumer::begin)), or, for a replacement, after the last block that its
    /// predecessor sent. Blocks until a consumer has begun.
    ///
    /// Without this call the stream begins at 0, and blocks may be filled before a consumer has come.
    ///
    /// # Errors
    /// See [`PipeError`]. [`PipeError::Misuse`] before [`ready`](Self::ready) and after the first block.
    pub fn start(&mut self) -> Result<ResumePoint, PipeError> {
        self.end.ensure_open()?;
        let Some(region) = self.region.take() else {
            return Err(PipeError::Misuse("the producer is not ready yet"));
        };
        let state = self.state.get_mut();
        if state.window.next() != state.filler.sent() || self.predecessor.is_none() && state.filler.sent() > 0
        {
            self.region = Some(region);
            return Err(PipeError::Misuse("blocks have been handed out already"));
        }
        let poll = || match self.end.verdict() {
            // The dead predecessor had stored its trailer, and the consumer completed without a successor.
            Some(Ok(())) if self.predecessor.is_some() && self.end.ring().trailer().is_some() => Some(Ok(())),
            Some(Ok(())) => Some(Err(PipeError::Corrupt("complete before everything was sent"))),
            Some(Err(error)) => Some(Err(error)),
            None if self.end.has_begun() => Some(Ok(())),
            None => self.end.reject_early_commit(),
        };
        self.end.conclude(self.end.wait(poll, |alone| self.absent(alone)))?;
        let (ring, blocks) = (self.end.ring(), region.geometry().blocks() as u64);
        let filler = match self.predecessor {
            None => Filler::at_start(ring, blocks),
            Some(_) => Filler::resumed(ring, blocks),
        };
        self.proceed(region, filler.map_err(PipeError::from))
    }

    fn proceed(
        &mut self,
        region: Region,
        filler: Result<(Filler, ResumePoint), PipeError>,
    ) -> Result<ResumePoint, PipeError> {
        let (filler, point) = self.end.conclude(filler)?;
        let window = Window::starting_at(filler.sent());
        self.region = Some(region);
        *self.state.get_mut() = ProducerState { filler, window, closed: false };
        Ok(point)
    }

    /// Returns the next empty block. Once [`blocks`](Geometry::blocks) of them have been handed out, blocks until the
    /// consumer releases one.
    ///
    /// While it waits it notices within 50 ms that the consumer has been killed; it waits for one that is stopped. A
    /// sleeping producer is woken once for several blocks if they are released in quick succession, and in any case
    /// before the consumer itself waits for a block; every 50 ms it checks on its own.
    ///
    /// # Errors
    /// See [`PipeError`]. [`PipeError::Misuse`] before [`ready`](Self::ready), and when the caller holds all blocks, or
    /// one that holds up the others.
    pub fn empty_block(&self) -> Result<EmptyBlock<'_>, PipeError> {
        self.end.ensure_open()?;
        let Some(region) = &self.region else {
            return Err(PipeError::Misuse("the producer is not ready yet"));
        };
        let mut state = self.state.borrow_mut();
        if let Some((n, ())) = state.window.hand_out_again() {
            return Ok(EmptyBlock::new(self, n));
        }
        if state.window.len() == region.geometry().blocks() {
            return Err(PipeError::Misuse("all blocks are held: send one first"));
        }
        let n = state.window.next();
        let poll = || match self.end.verdict() {
            // The dead predecessor had stored its trailer, and the consumer completed without a successor.
            Some(Ok(())) if self.predecessor.is_some() && self.end.ring().trailer().is_some() => Some(Ok(())),
            Some(Ok(())) => Some(Err(PipeError::Corrupt("complete before everything was sent"))),
            Some(Err(error)) => Some(Err(error)),
            None => match state.filler.owns(self.end.ring(), n) {
                Ok(true) => Some(Ok(())),
                Ok(false) => self.end.reject_early_commit(),
                Err(violation) => Some(Err(violation.into())),
            },
        };
        self.end.conclude(self.end.wait_for_block(poll, |alone| self.absent(alone)))?;
        let n = state.window.hand_out(());
        Ok(EmptyBlock::new(self, n))
    }

    /// Checks that this end can continue, for callers that are waiting for something else, such as the source of what
    /// they send. Call it about every 50 ms of such a wait. Does not block.
    ///
    /// # Errors
    /// As [`empty_block`](Self::empty_block): the consumer aborted or was killed, or this process was interrupted.
    pub fn check(&self) -> Result<(), PipeError> {
        self.end.ensure_open()?;
        let checked = match self.end.reject_early_commit() {
            // If the trailer is stored, by this producer or a dead one, the consumer may commit.
            Some(rejected) if !self.is_closed() => rejected,
            _ => self.end.check(|alone| self.absent(alone)),
        };
        self.end.conclude(checked)
    }

    /// Ends the stream and waits for the consumer's verdict: `Ok` means *complete* on both sides.
    ///
    /// `digest` is stored in the trailer for the consumer to compare with its own result; zeros if you keep none.
    /// Blocks until the consumer has decided, however long its work takes.
    ///
    /// # Errors
    /// See [`PipeError`]. [`PipeError::Misuse`] before [`ready`](Self::ready), and if a block was dropped unsent while
    /// later ones were sent.
    pub fn close(&mut self, digest: &[u8; 32]) -> Result<(), PipeError> {
        self.end.ensure_open()?;
        if self.region.is_none() {
            return Err(PipeError::Misuse("the producer is not ready yet"));
        }
        let state = self.state.get_mut();
        if state.window.any_settled() {
            return Err(PipeError::Misuse("cannot close: an earlier block was dropped unsent"));
        }
        state.closed = true;
        state.filler.close(self.end.ring(), digest);
        self.end.wake_peer();
        self.await_verdict()
    }

    /// Returns the remark that the consumer left when it completed
    /// ([`Committing::remark`](crate::Committing::remark)), once [`close`](Self::close) has returned `Ok`. Its code is 0
    /// if there is none.
    ///
    /// Trust only codes that consumers never abort with: a dead consumer may have left the reason with which it was
    /// about to abort.
    pub fn remark(&self) -> Reason {
        self.end.shared.reason(Side::Consumer)
    }

    /// Aborts the pipe with a reason that the consumer receives. Returns the verdict: an error that names whichever end
    /// aborted first, or `Ok` if the consumer had completed already. Blocks only while the consumer is committing.
    ///
    /// # Errors
    /// [`PipeError::Aborted`], unless the consumer completed, or died while committing.
    pub fn abort(&self, reason: &Reason) -> Result<(), PipeError> {
        self.end.ensure_open()?;
        match self.end.try_abort(Stage::Undecided, reason) {
            Ok(aborted) => self.end.conclude(Err(aborted)),
            // No correct consumer commits before there is a trailer, so this claim is not waited for.
            Err(Stage::Committing | Stage::Complete) if !self.is_closed() => {
                self.end.conclude(Err(PipeError::Corrupt("committing before everything was sent")))
            }
            Err(_) => self.await_verdict(),
        }
    }

    /// Returns a view of the pipe for another thread.
    pub fn monitor(&self) -> Monitor {
        Monitor::new(&self.end.shared, &self.end.seats, self.end.side)
    }

    fn is_closed(&self) -> bool {
        self.state.borrow().closed || self.predecessor.is_some() && self.end.ring().trailer().is_some()
    }

    fn await_verdict(&self) -> Result<(), PipeError> {
        let verdict = self.end.conclude(self.end.wait(|| self.end.verdict(), |alone| self.absent(alone)));
        self.end.leave();
        verdict
    }

    /// Decides what a free consumer's seat means: no consumer has come yet, or one died.
    fn absent<T>(&self, alone: Duration) -> Result<Option<T>, PipeError> {
        if self.end.may_wait(alone, self.end.has_begun()) || !self.end.give_up_on_peer(|| false)? {
            return Ok(None);
        }
        // The pipe is over, so these words are final. Nobody reads the verdict after us: if the consumer left it at
        // *committing*, it stays there.
        Err(match (self.end.ring().verdict.stage(self.end.generation)?, self.end.has_begun()) {
            (Stage::Committing, _) => PipeError::DiedCommitting,
            (_, true) => PipeError::PeerDied,
            (_, false) => PipeError::NoPeer,
        })
    }
}

impl Lender for Producer {
    fn region(&self) -> &Region {
        self.region.as_ref().expect("blocks exist only after `ready`")
    }

    fn settle(&self, n: u64, settled: Settled) {
        let mut state = self.state.borrow_mut();
        let ProducerState { filler, window, .. } = &mut *state;
        window.settle(n, settled);
        while let Some(Settled { length, kind, sum }) = window.pop() {
            filler.send(self.end.ring(), self.region().slots(), length, kind, sum);
            self.end.wake_peer();
        }
    }

    fn put_back(&self, n: u64) {
        self.state.borrow_mut().window.put_back(n);
    }
}
