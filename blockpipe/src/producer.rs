//! The end that fills blocks.

use crate::Side;
use crate::block::EmptyBlock;
use crate::end::{Attached, io};
use crate::error::{PipeError, Reason};
use crate::layout::{Geometry, Identity, OPENING, READY, store_bytes};
use crate::memory::Region;
use crate::monitor::Monitor;
use crate::ring::{Filler, ResumePoint, Stage};
use crate::sync::{Ordering, step};
use crate::window::{Settled, Window};
use std::cell::RefCell;
use std::time::Duration;

/// The end that fills blocks and sends them. Got by being the first to arrive, by asking for it, or by taking a
/// dead one's place.
///
/// Dropping it without [`close`](Self::close) or [`abort`](Self::abort) is like being killed: the consumer is told
/// that its partner died. It must not live across a `fork`: a child would keep the seat.
#[derive(Debug)]
pub struct Producer {
    end: Attached,
    predecessor: Option<Identity>,
    region: Option<Region>,
    turn: RefCell<Turn>,
}

#[derive(Debug)]
struct Turn {
    filler: Filler,
    window: Window<()>,
    closed: bool,
}

impl Producer {
    pub(crate) fn new(end: Attached, predecessor: Option<Identity>) -> Self {
        let turn =
            RefCell::new(Turn { filler: Filler::new(0), window: Window::starting_at(0), closed: false });
        Self { end, predecessor, region: None, turn }
    }

    /// What a dead producer said that it sends, if this end takes its place: whoever cannot send the very same
    /// has to [`abort`](Self::abort). Only with [`Pipe::replace_within`](crate::Pipe::replace_within).
    pub fn predecessor(&self) -> Option<&Identity> {
        self.predecessor.as_ref()
    }

    /// The user that the partner belongs to, as far as the kernel knows: the owner of a file that nobody else can have
    /// written, about this pairing and this end. Without a directory of others ([`Pipe::in_directory`](crate::Pipe::in_directory))
    /// only this user can come. `None` on Windows, and if nobody is there (it may have died just now).
    /// Blocks for half a second at most, while somebody sits down.
    ///
    /// It tells who sat down, and is to be asked for after [`start`](Self::start), when there is somebody. Whoever else can enter the directory can still read and change what passes.
    ///
    /// # Errors
    /// [`PipeError::Io`] if the partner has not said who it is, or said something that is not true. This one error ends
    /// nothing: the caller may [`abort`](Self::abort).
    pub fn peer_user(&self) -> Result<Option<u32>, PipeError> {
        self.end.still_on()?;
        self.end.peer_user()
    }

    /// Reserves the memory and lets the consumer in. `origin` says what will be sent, for whoever has to check
    /// later that it is still the same; all zero if nothing needs to be said.
    ///
    /// A replacement takes over its predecessor's memory and origin: both arguments are without effect then.
    ///
    /// Shared memory in use from here on: 64 KiB, 64 bytes per block (rounded up to 64 KiB), and the blocks.
    /// Blocks while the system makes the memory.
    ///
    /// # Errors
    /// [`PipeError::Io`] if there is no space. This one error ends nothing: a smaller geometry may be tried, or
    /// the pipe aborted. [`PipeError::Aborted`] if the consumer has given up meanwhile, [`PipeError::Misuse`] when
    /// called again after it worked.
    pub fn ready(&mut self, geometry: Geometry, origin: &Identity) -> Result<(), PipeError> {
        self.end.still_on()?;
        if self.region.is_some() {
            return Err(PipeError::Misuse("the producer is ready already"));
        }
        if self.predecessor.is_some() {
            let region = self.end.open_region().and_then(|region| region.ok_or(PipeError::PeerDied));
            let region = self.end.conclude(region)?;
            let going_on = Filler::going_on(self.end.ring(), region.geometry().blocks() as u64);
            return self.go_on(region, going_on.map_err(PipeError::from)).map(drop);
        }
        let length = geometry.region_length();
        let segment = self
            .end
            .seats
            .create_region(self.end.generation, length)
            .map_err(io("reserving the blocks in shared memory"))?;
        let header = self.end.shared.header();
        header.block_size.store(geometry.block_size() as u64, Ordering::Relaxed);
        header.blocks.store(geometry.blocks() as u64, Ordering::Relaxed);
        store_bytes(&header.origin, origin);
        step();
        // Only from OPENING: a consumer that was interrupted may have ended the pipe meanwhile.
        // Release: geometry and origin come before READY; pairs with the consumer's acquire in `join`.
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
        self.end.wake_partner();
        self.region = Some(Region::new(segment, geometry));
        self.turn.get_mut().filler = Filler::new(geometry.blocks() as u64);
        Ok(())
    }

    /// Where the stream begins, for those who can go on in the middle: at 0, or where the consumer wants it to
    /// ([`Consumer::begin`](crate::Consumer::begin)), or, for a replacement, behind the last block that its
    /// predecessor sent. Blocks until a consumer has begun.
    ///
    /// Without this call the stream begins at 0, and blocks may be filled before anybody has come.
    ///
    /// # Errors
    /// See [`PipeError`]. [`PipeError::Misuse`] before [`ready`](Self::ready) and after the first block.
    pub fn start(&mut self) -> Result<ResumePoint, PipeError> {
        self.end.still_on()?;
        let Some(region) = self.region.take() else {
            return Err(PipeError::Misuse("the producer is not ready yet"));
        };
        let turn = self.turn.get_mut();
        if turn.window.next() != turn.filler.sent() || self.predecessor.is_none() && turn.filler.sent() > 0 {
            self.region = Some(region);
            return Err(PipeError::Misuse("blocks were taken before"));
        }
        let look = || match self.end.verdict() {
            // A dead predecessor had said its last word, and the consumer completed without its successor.
            Some(Ok(())) if self.predecessor.is_some() && self.end.ring().trailer().is_some() => Some(Ok(())),
            Some(Ok(())) => Some(Err(PipeError::Corrupt("complete before everything was sent"))),
            Some(Err(error)) => Some(Err(error)),
            None if self.end.begun() => Some(Ok(())),
            None => self.end.not_yet(),
        };
        self.end.conclude(self.end.wait(look, |alone| self.absent(alone)))?;
        let (ring, blocks) = (self.end.ring(), region.geometry().blocks() as u64);
        let going_on = match self.predecessor {
            None => Filler::beginning(ring, blocks),
            Some(_) => Filler::going_on(ring, blocks),
        };
        self.go_on(region, going_on.map_err(PipeError::from))
    }

    fn go_on(
        &mut self,
        region: Region,
        going_on: Result<(Filler, ResumePoint), PipeError>,
    ) -> Result<ResumePoint, PipeError> {
        let (filler, mark) = self.end.conclude(going_on)?;
        let window = Window::starting_at(filler.sent());
        self.region = Some(region);
        *self.turn.get_mut() = Turn { filler, window, closed: false };
        Ok(mark)
    }

    /// The next empty block. Blocks until the consumer has given one back, after the first
    /// [`blocks`](Geometry::blocks) ones.
    ///
    /// A killed consumer is noticed within 50 ms of such waiting; a stopped one is waited for. A producer that has gone
    /// to sleep is woken for several blocks at once if they come back fast, and for those before the consumer itself
    /// waits for a block; it looks by itself every 50 ms.
    ///
    /// # Errors
    /// See [`PipeError`]. [`PipeError::Misuse`] before [`ready`](Self::ready), and when all blocks are in the
    /// caller's hands or held up by one that is.
    pub fn empty_block(&self) -> Result<EmptyBlock<'_>, PipeError> {
        self.end.still_on()?;
        let Some(region) = &self.region else {
            return Err(PipeError::Misuse("the producer is not ready yet"));
        };
        let mut turn = self.turn.borrow_mut();
        if let Some((n, ())) = turn.window.hand_out_again() {
            return Ok(EmptyBlock::new(self, n));
        }
        if turn.window.len() == region.geometry().blocks() {
            return Err(PipeError::Misuse("all blocks are held: send one first"));
        }
        let n = turn.window.next();
        let look = || match self.end.verdict() {
            // A dead predecessor had said its last word, and the consumer completed without its successor.
            Some(Ok(())) if self.predecessor.is_some() && self.end.ring().trailer().is_some() => Some(Ok(())),
            Some(Ok(())) => Some(Err(PipeError::Corrupt("complete before everything was sent"))),
            Some(Err(error)) => Some(Err(error)),
            None => match turn.filler.owns(self.end.ring(), n) {
                Ok(true) => Some(Ok(())),
                Ok(false) => self.end.not_yet(),
                Err(nonsense) => Some(Err(nonsense.into())),
            },
        };
        self.end.conclude(self.end.wait_for_block(look, |alone| self.absent(alone)))?;
        let n = turn.window.hand_out(());
        Ok(EmptyBlock::new(self, n))
    }

    /// Whether this end can go on, for a caller that is kept waiting by something else: the source of what it sends.
    /// Call it every 50 ms or so of such waiting. Does not block.
    ///
    /// # Errors
    /// What [`empty_block`](Self::empty_block) would say: the consumer gave up or was killed, somebody interrupted
    /// this process.
    pub fn check(&self) -> Result<(), PipeError> {
        self.end.still_on()?;
        let checked = match self.end.not_yet() {
            // Unless a dead predecessor had said the last word.
            Some(nonsense) if !self.closed() => nonsense,
            _ => self.end.check(|alone| self.absent(alone)),
        };
        self.end.conclude(checked)
    }

    /// Says that nothing more will come, and waits for the consumer's word: `Ok` means *complete* on both sides.
    ///
    /// `digest` is what the caller says about the whole stream, which the consumer may compare with its own result;
    /// zeros if nothing. Blocks until the consumer has said how it ends, however long its work takes.
    ///
    /// # Errors
    /// See [`PipeError`]. [`PipeError::Misuse`] before [`ready`](Self::ready), and if a block was dropped after
    /// which others were sent.
    pub fn close(&mut self, digest: &[u8; 32]) -> Result<(), PipeError> {
        self.end.still_on()?;
        if self.region.is_none() {
            return Err(PipeError::Misuse("the producer is not ready yet"));
        }
        let turn = self.turn.get_mut();
        if turn.window.any_settled() {
            return Err(PipeError::Misuse("a block was dropped that others were sent after"));
        }
        turn.closed = true;
        turn.filler.close(self.end.ring(), digest);
        self.end.wake_partner();
        self.await_verdict()
    }

    /// What the consumer had to remark when it completed ([`Committing::remark`](crate::Committing::remark)); after
    /// [`close`](Self::close) has returned `Ok`. Only a code that consumers never abort with is to be trusted: what a
    /// dead one was about to say when it died may still be there. If there is none, the code is 0.
    pub fn remark(&self) -> Reason {
        self.end.shared.reason(Side::Consumer)
    }

    /// Gives up, and tells the consumer why. Returns the verdict: an error with whoever was first to give up, or
    /// `Ok` if the consumer had completed already. Blocks only while the consumer is just completing.
    ///
    /// # Errors
    /// [`PipeError::Aborted`], unless the consumer completed or died while it did.
    pub fn abort(&self, reason: &Reason) -> Result<(), PipeError> {
        self.end.still_on()?;
        match self.end.try_abort(Stage::Undecided, reason) {
            Ok(aborted) => self.end.conclude(Err(aborted)),
            // Who has not said its last word, nor found that of a dead one, waits for nobody who says this.
            Err(Stage::Committing | Stage::Complete) if !self.closed() => {
                self.end.conclude(Err(PipeError::Corrupt("committing before everything was sent")))
            }
            Err(_) => self.await_verdict(),
        }
    }

    /// A view of the pipe for another thread.
    pub fn monitor(&self) -> Monitor {
        Monitor::new(&self.end.shared, &self.end.seats, self.end.side)
    }

    fn closed(&self) -> bool {
        self.turn.borrow().closed || self.predecessor.is_some() && self.end.ring().trailer().is_some()
    }

    fn await_verdict(&self) -> Result<(), PipeError> {
        let verdict = self.end.conclude(self.end.wait(|| self.end.verdict(), |alone| self.absent(alone)));
        self.end.leave();
        verdict
    }

    /// What a free consumer's seat means: nobody has come yet, or somebody died.
    fn absent<T>(&self, alone: Duration) -> Result<Option<T>, PipeError> {
        if self.end.patient(alone, self.end.begun()) || !self.end.give_up(|| false)? {
            return Ok(None);
        }
        // The pipe is over, so these words are the last ones. Nobody reads the verdict after us, so that it stays
        // where the consumer left it, if that was *committing*.
        Err(match (self.end.ring().verdict.stage(self.end.generation)?, self.end.begun()) {
            (Stage::Committing, _) => PipeError::DiedCommitting,
            (_, true) => PipeError::PeerDied,
            (_, false) => PipeError::NoPeer,
        })
    }

    pub(crate) fn region(&self) -> &Region {
        self.region.as_ref().expect("a block exists only after `ready`")
    }

    pub(crate) fn send(&self, n: u64, settled: Settled) {
        let mut turn = self.turn.borrow_mut();
        let Turn { filler, window, .. } = &mut *turn;
        window.settle(n, settled);
        while let Some(Settled { length, kind, sum }) = window.pop() {
            filler.send(self.end.ring(), self.region().slots(), length, kind, sum);
            self.end.wake_partner();
        }
    }

    pub(crate) fn put_back(&self, n: u64) {
        self.turn.borrow_mut().window.put_back(n);
    }
}
