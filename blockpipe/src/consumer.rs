//! The end that drains blocks.

use crate::Side;
use crate::block::FilledBlock;
use crate::end::Attached;
use crate::error::{PipeError, Reason};
use crate::layout::{self, Geometry, Identity, store_bytes};
use crate::memory::Region;
use crate::monitor::Monitor;
use crate::ring::{Drainer, Extent, Next, ResumePoint, Stage, Trailer};
use crate::sync::{Ordering, step};
use crate::window::{Settled, Window};
use std::cell::RefCell;
use std::time::Duration;

/// The end that takes filled blocks and gives them back. Got by being the second to arrive, or by asking
/// for it, once the producer is ready; or by taking a dead one's place.
///
/// Dropping it without a verdict is like being killed: the producer is told that its partner died, or, before
/// [`begin`](Self::begin), waits for another. It must not live across a `fork`: a child would keep the seat.
#[derive(Debug)]
pub struct Consumer {
    end: Attached,
    region: Region,
    origin: Identity,
    predecessor: Option<Identity>,
    turn: RefCell<Turn>,
}

#[derive(Debug)]
struct Turn {
    begun: bool,
    drainer: Drainer,
    window: Window<Extent>,
    trailer: Option<Trailer>,
}

impl Consumer {
    pub(crate) fn new(end: Attached, region: Region, predecessor: Option<Identity>) -> Self {
        let origin = layout::load_identity(&end.shared.header().origin);
        let turn =
            Turn { begun: false, drainer: Drainer::new(0, 0), window: Window::starting_at(0), trailer: None };
        Self { end, region, origin, predecessor, turn: RefCell::new(turn) }
    }

    /// What a dead consumer said that it works on, if this end takes its place: whoever cannot go on with the very
    /// same has to [`abort`](Self::abort). Only with [`Pipe::replace_within`](crate::Pipe::replace_within).
    pub fn predecessor(&self) -> Option<&Identity> {
        self.predecessor.as_ref()
    }

    /// Whether a dead predecessor had announced that its result is about to become final: it may be so already.
    pub fn predecessor_was_committing(&self) -> bool {
        self.predecessor.is_some()
            && self.end.ring().verdict.stage(self.end.generation) == Ok(Stage::Committing)
    }

    /// The user that the partner belongs to, as far as the kernel knows: the owner of a file that nobody else can have
    /// written, about this pairing and this end. Without a directory of others ([`Pipe::in_directory`](crate::Pipe::in_directory))
    /// only this user can come. `None` on Windows, and if nobody is there (it may have died just now).
    /// Blocks for half a second at most, while somebody sits down.
    ///
    /// It tells who sat down. Whoever else can enter the directory can still read and change what passes.
    ///
    /// # Errors
    /// [`PipeError::Io`] if the partner has not said who it is, or said something that is not true. This one error ends
    /// nothing: the caller may [`abort`](Self::abort).
    pub fn peer_user(&self) -> Result<Option<u32>, PipeError> {
        self.end.still_on()?;
        self.end.peer_user()
    }

    /// What the producer said that it sends.
    pub fn origin(&self) -> &Identity {
        &self.origin
    }

    /// How the producer cut the memory.
    pub fn geometry(&self) -> Geometry {
        self.region.geometry()
    }

    /// Says what this end works on, before it changes anything, and where the stream shall begin (a producer that
    /// does not [`start`](crate::Producer::start) can only begin at 0). Returns where it does: a replacement keeps
    /// its predecessor's target, and goes on behind the last block that was given back. Does not block.
    ///
    /// From here on the death of this end is one of the pipe, or needs a replacement; before, the producer waits for
    /// another consumer. The first [`filled_block`](Self::filled_block) begins with zeros if it was not done before.
    ///
    /// # Errors
    /// [`PipeError::Misuse`] if it was done before; [`PipeError::Corrupt`], [`PipeError::Over`].
    pub fn begin(&self, target: &Identity, at: ResumePoint) -> Result<ResumePoint, PipeError> {
        self.end.still_on()?;
        let mut turn = self.turn.borrow_mut();
        if turn.begun {
            return Err(PipeError::Misuse("the consumer has begun already"));
        }
        let (ring, geometry) = (self.end.ring(), self.geometry());
        let (blocks, block_size) = (geometry.blocks() as u64, geometry.block_size() as u64);
        let (drainer, mark) = if self.predecessor.is_none() {
            ring.begin_at(at);
            store_bytes(&self.end.shared.header().target, target);
            step();
            (Drainer::beginning(at, blocks, block_size), at)
        } else {
            let going_on = Drainer::going_on(ring, blocks, block_size);
            self.end.conclude(going_on.map_err(PipeError::from))?
        };
        turn.begun = true;
        turn.window = Window::starting_at(drainer.given_back());
        turn.drainer = drainer;
        // Release: mark and target come before `begun`; pairs with the acquires in `begun` and `Shared::target`.
        ring.consumer.begun.store(1, Ordering::Release);
        step();
        self.end.wake_partner();
        Ok(mark)
    }

    /// The next filled block, in order; `None` after the last one. Blocks until there is one.
    ///
    /// A killed producer is noticed within 50 ms of such waiting; what it had sent comes first. A stopped one is
    /// waited for.
    ///
    /// # Errors
    /// See [`PipeError`]. [`PipeError::Misuse`] when all blocks are in the caller's hands or held up by one that is.
    pub fn filled_block(&self) -> Result<Option<FilledBlock<'_>>, PipeError> {
        self.end.still_on()?;
        if !self.turn.borrow().begun {
            self.begin(&[0; 128], ResumePoint::default())?;
        }
        let mut turn = self.turn.borrow_mut();
        let Turn { drainer, window, trailer, .. } = &mut *turn;
        if let Some((n, extent)) = window.hand_out_again() {
            return Ok(Some(FilledBlock::new(self, n, extent)));
        }
        if trailer.is_some() {
            return Ok(None);
        }
        if window.len() == self.geometry().blocks() {
            return Err(PipeError::Misuse("all blocks are held: give one back first"));
        }
        let (ring, n) = (self.end.ring(), window.next());
        let look = || match self.end.verdict() {
            Some(Ok(())) => Some(Err(PipeError::Corrupt("complete without the consumer"))),
            Some(Err(error)) => Some(Err(error)),
            None => match drainer.next(ring, self.region.slots(), n) {
                Ok(Next::Nothing) => self.end.not_yet(),
                Ok(next) => Some(Ok(next)),
                Err(nonsense) => Some(Err(nonsense.into())),
            },
        };
        match self.end.conclude(self.end.wait_for_block(look, |alone| self.absent(n, alone)))? {
            Next::Filled(extent) => {
                let n = window.hand_out(extent);
                Ok(Some(FilledBlock::new(self, n, extent)))
            }
            Next::End(end) => {
                *trailer = Some(end);
                Ok(None)
            }
            Next::Nothing => unreachable!("the wait goes on while there is nothing"),
        }
    }

    /// Whether this end can go on, for a caller that is kept waiting by something else: the place where it puts what
    /// comes. Call it every 50 ms or so of such waiting. Does not block.
    ///
    /// A producer that died is no obstacle if it had said its last word before.
    ///
    /// # Errors
    /// What [`filled_block`](Self::filled_block) would say at its end: the producer gave up or was killed, somebody interrupted
    /// this process.
    pub fn check(&self) -> Result<(), PipeError> {
        self.end.still_on()?;
        self.end.leave_nobody_asleep();
        // No block is later than this one: what is left without a last word is not waited for.
        self.end.conclude(self.end.check(|alone| self.absent(u64::MAX, alone)))
    }

    /// The producer's last word: length of the stream in bytes and the producer's digest. `None` until
    /// [`filled_block`](Self::filled_block) has returned `None`.
    pub fn trailer(&self) -> Option<Trailer> {
        self.turn.borrow().trailer
    }

    /// Announces that the result is about to become final (a rename, a reply). From here on the producer cannot
    /// abort, and only [`Committing::complete`] or [`Committing::abort`] end the pipe. Does not block.
    ///
    /// # Errors
    /// [`PipeError::Aborted`] if the producer gave up first, [`PipeError::Misuse`] before the last block was
    /// given back.
    pub fn commit(&mut self) -> Result<Committing<'_>, PipeError> {
        self.end.still_on()?;
        let turn = self.turn.get_mut();
        if turn.trailer.is_none() || turn.window.len() > 0 {
            return Err(PipeError::Misuse("there are blocks still to be drained"));
        }
        let announced = self.predecessor_was_committing();
        if !announced && self.end.advance(Stage::Undecided, Stage::Committing).is_err() {
            let verdict =
                self.end.verdict().unwrap_or(Err(PipeError::Corrupt("somebody else is committing")));
            self.end.conclude(verdict)?;
            return self.end.conclude(Err(PipeError::Corrupt("complete without the consumer")));
        }
        Ok(Committing { consumer: self })
    }

    /// Gives up, and tells the producer why. Returns the verdict, with whoever was first to give up.
    /// Does not block. A replacement can do so even when its predecessor was committing: what became of the result
    /// is for its reason to say.
    pub fn abort(&self, reason: &Reason) -> PipeError {
        let committing = self.predecessor_was_committing();
        self.end_by_abort(if committing { Stage::Committing } else { Stage::Undecided }, reason)
    }

    /// A view of the pipe for another thread.
    pub fn monitor(&self) -> Monitor {
        Monitor::new(&self.end.shared, &self.end.seats, self.end.side)
    }

    /// What a free producer's seat means to whoever waits for this block: nothing, as long as there is something left
    /// that it had sent.
    fn absent<T>(&self, n: u64, alone: Duration) -> Result<Option<T>, PipeError> {
        let ring = self.end.ring();
        let more = || ring.producer.filled.load(Ordering::Acquire) > n || ring.trailer().is_some();
        // It was there and ready: nobody waits for it as for one that has not come yet.
        let gone = !self.end.patient(alone, true) && self.end.give_up(more)?;
        if gone { Err(PipeError::PeerDied) } else { Ok(None) }
    }

    fn end_by_abort(&self, from: Stage, reason: &Reason) -> PipeError {
        if let Err(over) = self.end.still_on() {
            return over;
        }
        let verdict = self.end.try_abort(from, reason).unwrap_or_else(|_| match self.end.verdict() {
            Some(Err(error)) => error,
            _ => PipeError::Corrupt("complete without the consumer"),
        });
        self.end.leave();
        verdict
    }

    pub(crate) fn region(&self) -> &Region {
        &self.region
    }

    pub(crate) fn release(&self, n: u64, settled: Settled) {
        let mut turn = self.turn.borrow_mut();
        let Turn { drainer, window, .. } = &mut *turn;
        window.settle(n, settled);
        while let Some(Settled { length, kind, sum }) = window.pop() {
            drainer.confirm(self.end.ring(), kind.of_the_stream(length), sum);
            self.end.wake_producer(|| drainer.has_few(self.end.ring()));
        }
    }

    pub(crate) fn put_back(&self, n: u64) {
        self.turn.borrow_mut().window.put_back(n);
    }
}

/// A consumer whose result is becoming final: the producer can only wait for its word now.
///
/// Dropped (or killed) here, the producer is told [`PipeError::DiedCommitting`] and has to look for itself.
#[derive(Debug)]
pub struct Committing<'a> {
    consumer: &'a mut Consumer,
}

impl Committing<'_> {
    /// Something that the producer should know though everything is complete
    /// ([`Producer::remark`](crate::Producer::remark)).
    pub fn remark(&self, remark: &Reason) {
        self.consumer.end.shared.set_reason(Side::Consumer, remark);
    }

    /// The result is final: both sides end *complete*. Does not block.
    ///
    /// # Errors
    /// [`PipeError::Corrupt`] if something else has written the verdict.
    pub fn complete(self) -> Result<(), PipeError> {
        let end = &self.consumer.end;
        let moved = end.advance(Stage::Committing, Stage::Complete);
        end.conclude(moved.map_err(|_| PipeError::Corrupt("the verdict changed while committing")))?;
        end.leave();
        Ok(())
    }

    /// The result could not be made final, and is not: both sides end with this reason. Does not block.
    pub fn abort(self, reason: &Reason) -> PipeError {
        self.consumer.end_by_abort(Stage::Committing, reason)
    }
}
