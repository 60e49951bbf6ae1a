//! The end that drains blocks.

use crate::block::{FilledBlock, Lender};
use crate::end::Attached;
use crate::error::PipeError;
use crate::layout::{self, Geometry, Identity, store_bytes};
use crate::memory::Region;
use crate::monitor::Monitor;
use crate::reason::Reason;
use crate::ring::{Drainer, Extent, Next, ResumePoint, Stage, Trailer};
use crate::sync::{Ordering, step};
use crate::sys::Side;
use crate::window::{Settled, Window};
use std::cell::RefCell;
use std::time::Duration;

/// The end that receives filled blocks and releases them. Returned by `join` to the second process and by
/// `join_as_consumer`, once the producer is ready, and to the replacement of a dead consumer.
///
/// Dropping it without a verdict is like being killed: the producer reports that its peer died, or, before
/// [`begin`](Self::begin), waits for another consumer. It must not live across a `fork`, or the child would share the
/// seat.
#[derive(Debug)]
pub struct Consumer {
    end: Attached,
    region: Region,
    origin: Identity,
    predecessor: Option<Identity>,
    state: RefCell<ConsumerState>,
}

#[derive(Debug)]
struct ConsumerState {
    begun: bool,
    drainer: Drainer,
    window: Window<Extent>,
    trailer: Option<Trailer>,
}

impl Consumer {
    pub(crate) fn new(end: Attached, region: Region, predecessor: Option<Identity>) -> Self {
        let origin = layout::load_identity(&end.shared.header().origin);
        let state = ConsumerState {
            begun: false,
            drainer: Drainer::new(0, 0),
            window: Window::starting_at(0),
            trailer: None,
        };
        Self { end, region, origin, predecessor, state: RefCell::new(state) }
    }

    /// Returns the target that a dead consumer had declared, if this end replaces it. [`abort`](Self::abort) unless you
    /// can continue with that very target. Only with [`Pipe::replace_within`](crate::Pipe::replace_within).
    pub fn predecessor(&self) -> Option<&Identity> {
        self.predecessor.as_ref()
    }

    /// Returns whether a dead predecessor had announced that it was committing: its result may be final already.
    pub fn predecessor_was_committing(&self) -> bool {
        self.predecessor.is_some()
            && self.end.ring().verdict.stage(self.end.generation) == Ok(Stage::Committing)
    }

    /// Returns the user id of the producer's process, as the kernel knows it: the owner of a file about this pairing
    /// and this end that nobody else can have written. Outside a directory shared by several users
    /// ([`Pipe::in_directory`](crate::Pipe::in_directory)) only this user can join. `None` on Windows, and if there is
    /// no producer (it may just have died). Blocks for half a second at most, while a producer is joining.
    ///
    /// It identifies who joined; everybody else who can enter the directory can still read and change the blocks.
    ///
    /// # Errors
    /// [`PipeError::Io`] if the peer has not identified itself, or not truthfully. This error does not end the pipe:
    /// the caller may [`abort`](Self::abort).
    pub fn peer_user(&self) -> Result<Option<u32>, PipeError> {
        self.end.ensure_open()?;
        self.end.peer_user()
    }

    /// Returns the origin that the producer declared: the identity of what it sends.
    pub fn origin(&self) -> &Identity {
        &self.origin
    }

    /// Returns the block size and count that the producer chose.
    pub fn geometry(&self) -> Geometry {
        self.region.geometry()
    }

    /// Declares what this end works on, before it changes anything, and where the stream should begin (a producer that
    /// does not call [`start`](crate::Producer::start) can only begin at 0). Returns where it does begin: a replacement
    /// keeps its predecessor's target and resumes after the last block that was released. Does not block.
    ///
    /// From this call on the death of this end ends the pipe, or requires a replacement; before it, the producer waits
    /// for another consumer. Without this call, the first [`filled_block`](Self::filled_block) begins with zeros.
    ///
    /// # Errors
    /// [`PipeError::Misuse`] if called a second time; [`PipeError::Corrupt`], [`PipeError::Over`].
    pub fn begin(&self, target: &Identity, at: ResumePoint) -> Result<ResumePoint, PipeError> {
        self.end.ensure_open()?;
        let mut state = self.state.borrow_mut();
        if state.begun {
            return Err(PipeError::Misuse("the consumer has begun already"));
        }
        let (ring, geometry) = (self.end.ring(), self.geometry());
        let (blocks, block_size) = (geometry.blocks() as u64, geometry.block_size() as u64);
        let (drainer, point) = if self.predecessor.is_none() {
            ring.set_start(at);
            store_bytes(&self.end.shared.header().target, target);
            step();
            (Drainer::at_start(at, blocks, block_size), at)
        } else {
            let resumed = Drainer::resumed(ring, blocks, block_size);
            self.end.conclude(resumed.map_err(PipeError::from))?
        };
        state.begun = true;
        state.window = Window::starting_at(drainer.released());
        state.drainer = drainer;
        // Release: start and target are stored before `begun`; pairs with the acquires in `has_begun` and
        // `Shared::target`.
        ring.consumer.begun.store(1, Ordering::Release);
        step();
        self.end.wake_peer();
        Ok(point)
    }

    /// Returns the next filled block, in order, or `None` after the last one. Blocks until there is one.
    ///
    /// While it waits it notices within 50 ms that the producer has been killed; blocks that were sent before come
    /// first. It waits for a producer that is stopped.
    ///
    /// # Errors
    /// See [`PipeError`]. [`PipeError::Misuse`] when the caller holds all blocks, or one that holds up the others.
    pub fn filled_block(&self) -> Result<Option<FilledBlock<'_>>, PipeError> {
        self.end.ensure_open()?;
        if !self.state.borrow().begun {
            self.begin(&[0; 128], ResumePoint::default())?;
        }
        let mut state = self.state.borrow_mut();
        let ConsumerState { drainer, window, trailer, .. } = &mut *state;
        if let Some((n, extent)) = window.hand_out_again() {
            return Ok(Some(FilledBlock::new(self, n, extent)));
        }
        if trailer.is_some() {
            return Ok(None);
        }
        if window.len() == self.geometry().blocks() {
            return Err(PipeError::Misuse("all blocks are held: release one first"));
        }
        let (ring, n) = (self.end.ring(), window.next());
        let poll = || match self.end.verdict() {
            Some(Ok(())) => Some(Err(PipeError::Corrupt("complete without the consumer"))),
            Some(Err(error)) => Some(Err(error)),
            None => match drainer.next(ring, self.region.slots(), n) {
                Ok(Next::Nothing) => self.end.reject_early_commit(),
                Ok(next) => Some(Ok(next)),
                Err(violation) => Some(Err(violation.into())),
            },
        };
        match self.end.conclude(self.end.wait_for_block(poll, |alone| self.absent(n, alone)))? {
            Next::Filled(extent) => {
                let n = window.hand_out(extent);
                Ok(Some(FilledBlock::new(self, n, extent)))
            }
            Next::End(end) => {
                *trailer = Some(end);
                Ok(None)
            }
            Next::Nothing => unreachable!("the wait continues while there is nothing"),
        }
    }

    /// Checks that this end can continue, for callers that are waiting for something else, such as the place where they
    /// store the data. Call it about every 50 ms of such a wait. Does not block.
    ///
    /// A producer that died after it had stored its trailer does not count as an error.
    ///
    /// # Errors
    /// As [`filled_block`](Self::filled_block) at the end of the stream: the producer aborted or was killed, or this
    /// process was interrupted.
    pub fn check(&self) -> Result<(), PipeError> {
        self.end.ensure_open()?;
        self.end.wake_if_left_asleep();
        // No block has this number, so blocks that were sent are no reason to wait for a producer that died before it
        // stored its trailer.
        self.end.conclude(self.end.check(|alone| self.absent(u64::MAX, alone)))
    }

    /// Returns the producer's trailer: the length of the stream in bytes and the producer's digest. `None` until
    /// [`filled_block`](Self::filled_block) has returned `None`.
    pub fn trailer(&self) -> Option<Trailer> {
        self.state.borrow().trailer
    }

    /// Announces that the result is about to become final (a rename, a reply). After this the producer can no longer
    /// abort, and only [`Committing::complete`] or [`Committing::abort`] end the pipe. Does not block.
    ///
    /// # Errors
    /// [`PipeError::Aborted`] if the producer aborted first, [`PipeError::Misuse`] before the last block has been
    /// released.
    pub fn commit(&mut self) -> Result<Committing<'_>, PipeError> {
        self.end.ensure_open()?;
        let state = self.state.get_mut();
        if state.trailer.is_none() || state.window.len() > 0 {
            return Err(PipeError::Misuse("cannot commit: there are blocks left to drain"));
        }
        let announced = self.predecessor_was_committing();
        if !announced && self.end.advance(Stage::Undecided, Stage::Committing).is_err() {
            let verdict =
                self.end.verdict().unwrap_or(Err(PipeError::Corrupt("another process is committing")));
            self.end.conclude(verdict)?;
            return self.end.conclude(Err(PipeError::Corrupt("complete without the consumer")));
        }
        Ok(Committing { consumer: self })
    }

    /// Aborts the pipe with a reason that the producer receives. Returns the verdict, which names whichever end aborted
    /// first. Does not block.
    ///
    /// A replacement can abort even if its predecessor was committing; its reason should then say what became of the
    /// result.
    pub fn abort(&self, reason: &Reason) -> PipeError {
        let committing = self.predecessor_was_committing();
        self.end_by_abort(if committing { Stage::Committing } else { Stage::Undecided }, reason)
    }

    /// Returns a view of the pipe for another thread.
    pub fn monitor(&self) -> Monitor {
        Monitor::new(&self.end.shared, &self.end.seats, self.end.side)
    }

    /// Decides what a free producer's seat means to a wait for block `n`: nothing, as long as something that the
    /// producer sent is left.
    fn absent<T>(&self, n: u64, alone: Duration) -> Result<Option<T>, PipeError> {
        let ring = self.end.ring();
        let more = || ring.producer.filled.load(Ordering::Acquire) > n || ring.trailer().is_some();
        // The producer has been ready, so the time limit is that for a replacement and not the connect timeout.
        let gone = !self.end.may_wait(alone, true) && self.end.give_up_on_peer(more)?;
        if gone { Err(PipeError::PeerDied) } else { Ok(None) }
    }

    fn end_by_abort(&self, from: Stage, reason: &Reason) -> PipeError {
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

impl Lender for Consumer {
    fn region(&self) -> &Region {
        &self.region
    }

    fn settle(&self, n: u64, settled: Settled) {
        let mut state = self.state.borrow_mut();
        let ConsumerState { drainer, window, .. } = &mut *state;
        window.settle(n, settled);
        while let Some(Settled { length, kind, sum }) = window.pop() {
            drainer.release(self.end.ring(), kind.stream_length(length), sum);
            self.end.wake_producer(|| drainer.is_running_low(self.end.ring()));
        }
    }

    fn put_back(&self, n: u64) {
        self.state.borrow_mut().window.put_back(n);
    }
}

/// A consumer whose result is becoming final: the producer can only wait for its verdict now.
///
/// If it is dropped (or killed) at this point, the producer gets [`PipeError::DiedCommitting`] and has to inspect the
/// result itself.
#[derive(Debug)]
pub struct Committing<'a> {
    consumer: &'a mut Consumer,
}

impl Committing<'_> {
    /// Leaves a remark that the producer should read although everything is complete
    /// ([`Producer::remark`](crate::Producer::remark)).
    pub fn remark(&self, remark: &Reason) {
        self.consumer.end.shared.set_reason(Side::Consumer, remark);
    }

    /// Declares the result final: both sides end *complete*. Does not block.
    ///
    /// # Errors
    /// [`PipeError::Corrupt`] if another process has changed the verdict.
    pub fn complete(self) -> Result<(), PipeError> {
        let end = &self.consumer.end;
        let moved = end.advance(Stage::Committing, Stage::Complete);
        end.conclude(moved.map_err(|_| PipeError::Corrupt("the verdict changed while committing")))?;
        end.leave();
        Ok(())
    }

    /// Aborts because the result could not be made final, and is not: both sides end with this reason. Does not block.
    pub fn abort(self, reason: &Reason) -> PipeError {
        self.consumer.end_by_abort(Stage::Committing, reason)
    }
}
