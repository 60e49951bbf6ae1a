//! The part that both ends share: reading the verdict, waking the peer, giving up on it, aborting, leaving.

use crate::error::PipeError;
use crate::layout::{Geometry, OVER, READY};
use crate::memory::{Region, Shared};
use crate::nudge::{Canceller, Nudge};
use crate::reason::Reason;
use crate::ring::{self, Ring, Stage};
use crate::spin::Spin;
use crate::sync::{AtomicU32, Bell, Ordering, step};
use crate::sys::{Card, Seats, Side, forks};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// How long joining or leaving waits for another process that is joining or leaving.
pub(crate) const ARRIVAL_LIMIT: Duration = Duration::from_millis(if cfg!(fuzzing) { 0 } else { 500 });

/// The time for which a wait tries to lock the gate before it sleeps again.
const GATE_LIMIT: Duration = Duration::from_millis(if cfg!(fuzzing) { 0 } else { 50 });

/// The time that an end with a dead peer waits for a gate that another process holds. Then it leaves as if it were
/// killed.
const GATE_TIMEOUT: Duration = Duration::from_secs(if cfg!(fuzzing) { 0 } else { 1 });

/// The shortest time between two wake-ups of a producer that sleeps because all blocks are full, unless it is urgent:
/// about ten times what one wake-up costs.
const BETWEEN_WAKES: Duration = Duration::from_micros(500);

/// A flag that ends waiting, and the reason that the peer receives then.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    pub flag: Arc<AtomicBool>,
    pub reason: Reason,
}

/// A question to the application: whether to stop waiting.
#[derive(Clone)]
pub(crate) struct ShouldCancel(pub Arc<dyn Fn() -> bool + Send + Sync>);

impl fmt::Debug for ShouldCancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShouldCancel")
    }
}

/// The options of a pipe besides its name and tag.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub geometry: Option<Geometry>,
    pub connect_timeout: Option<Duration>,
    pub replace_within: Option<Duration>,
    pub interrupts: Vec<Interrupt>,
    pub should_cancel: Option<ShouldCancel>,
}

impl Options {
    /// Asks the application whether to stop waiting. No lock is held meanwhile.
    pub(crate) fn should_cancel(&self) -> bool {
        self.should_cancel.as_ref().is_some_and(|ShouldCancel(ask)| ask())
    }
}

/// One taken seat.
#[derive(Debug)]
pub(crate) struct Attached {
    pub seats: Arc<Seats>,
    pub shared: Arc<Shared>,
    pub generation: u64,
    pub side: Side,
    pub nudge: Arc<Nudge>,
    peer_bell: Bell,
    forks: u32,
    options: Options,
    pub spin: Spin,
    /// The peer was asleep at the last check, and waking it was not worth the cost.
    pub left_asleep: Cell<bool>,
    /// When this side last woke a producer that slept because all blocks were full.
    last_wake: Cell<Option<Instant>>,
    /// Since when the waits have found the peer's seat free; the time limits count from here.
    pub alone_since: Cell<Option<Instant>>,
    /// When a call that does not wait has last checked whether the peer is alive.
    pub last_check: Cell<Option<Instant>>,
    /// The time at which an interrupt came too late, because the consumer was committing.
    pub too_late_since: Cell<Option<Instant>>,
    /// The time since which every attempt to lock the gate has failed, because another process holds it.
    gate_held_since: Cell<Option<Instant>>,
    over: Cell<bool>,
    /// The card that identified the peer (`identity.rs`).
    pub card: RefCell<Option<Card>>,
    /// True once the producer has stored its trailer, or the consumer has announced its commit: the result may become
    /// final, so an interrupt may come too late. The header does not decide this, because a peer can write to it.
    pub may_become_final: Cell<bool>,
    /// True if the header says that this side is waiting.
    pub published_waiting: Cell<bool>,
    /// Memory that was mapped on arrival and has not been passed to the end yet.
    region: RefCell<Option<Region>>,
}

impl Attached {
    pub(crate) fn new(
        seats: Arc<Seats>,
        shared: Shared,
        side: Side,
        options: Options,
    ) -> std::io::Result<Self> {
        let generation = shared.header().generation.load(Ordering::Relaxed);
        let (shared, bell) = (Arc::new(shared), seats.bell(generation, side)?);
        Ok(Self {
            nudge: Arc::new(Nudge::new(Arc::clone(&shared), side, bell)),
            peer_bell: seats.bell(generation, side.other())?,
            forks: forks(),
            seats,
            shared,
            generation,
            side,
            options,
            // Created here because it reads system files, and a process may drop its right to do so before it waits.
            spin: Spin::new(side),
            left_asleep: Cell::new(false),
            last_wake: Cell::new(None),
            alone_since: Cell::new(None),
            last_check: Cell::new(None),
            too_late_since: Cell::new(None),
            gate_held_since: Cell::new(None),
            over: Cell::new(false),
            card: RefCell::new(None),
            may_become_final: Cell::new(false),
            published_waiting: Cell::new(false),
            region: RefCell::new(None),
        })
    }

    pub(crate) fn ring(&self) -> &Ring {
        &self.shared.header().ring
    }

    /// Returns an error if this end is used after it has ended, or in a forked child.
    pub(crate) fn ensure_open(&self) -> Result<(), PipeError> {
        if !self.is_of_this_process() {
            return Err(PipeError::Forked);
        }
        if self.over.get() { Err(PipeError::Over) } else { Ok(()) }
    }

    /// Returns whether this is not a forked child.
    pub(crate) fn is_of_this_process(&self) -> bool {
        self.forks == forks()
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) fn canceller(&self) -> Canceller {
        Canceller(Arc::clone(&self.nudge))
    }

    /// Ends the role of an end that is dropped while its caller holds blocks: no replacement may touch their memory.
    pub(crate) fn drop_with_blocks(&self) {
        let reason = Reason::new(0, "an end was dropped while its blocks were held");
        let _ = self.try_abort(Stage::Undecided, &reason);
        self.leave();
    }

    /// Returns the block size and count in the header, once the producer is ready. `None` in a forked child.
    pub(crate) fn geometry(&self) -> Option<Geometry> {
        self.is_of_this_process().then_some(())?;
        let header = self.shared.header();
        let is_ready = header.state.load(Ordering::Acquire) == READY;
        let (size, blocks) =
            (header.block_size.load(Ordering::Relaxed), header.blocks.load(Ordering::Relaxed));
        is_ready.then(|| Geometry::checked(size, blocks))?
    }

    /// Maps the memory of a pairing that is ready, under the gate and before a seat is taken. Returns `false` if the
    /// memory is gone already.
    ///
    /// Where memory disappears with its last holder, this keeps it alive as long as one of the two ends is: each end of
    /// a ready pairing holds it.
    pub(crate) fn secure_region(&self) -> bool {
        if self.shared.header().state.load(Ordering::Acquire) != READY {
            return true;
        }
        match self.open_region() {
            Ok(region) => {
                let exists = region.is_some();
                *self.region.borrow_mut() = region;
                exists
            }
            // The error will recur once there is a seat, and a peer that can receive it.
            Err(_) => true,
        }
    }

    /// Maps the memory that a producer made, after checking the geometry in the header. `None` if it disappeared with a
    /// dead producer.
    pub(crate) fn open_region(&self) -> Result<Option<Region>, PipeError> {
        if let Some(region) = self.region.take() {
            return Ok(Some(region));
        }
        let header = self.shared.header();
        let (size, blocks) =
            (header.block_size.load(Ordering::Relaxed), header.blocks.load(Ordering::Relaxed));
        let geometry =
            Geometry::checked(size, blocks).ok_or(PipeError::Corrupt("the geometry is invalid"))?;
        match self.seats.open_region(self.generation, geometry.region_length()) {
            Ok(segment) => Ok(Some(Region::new(segment, geometry))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(PipeError::io("mapping the blocks")(error)),
        }
    }

    /// Returns the verdict, once there is one.
    pub(crate) fn verdict(&self) -> Option<Result<(), PipeError>> {
        let by = match self.ring().verdict.stage(self.generation) {
            Ok(Stage::Undecided | Stage::Committing) => return None,
            Ok(Stage::Complete) => return Some(Ok(())),
            Ok(Stage::AbortedByProducer) => Side::Producer,
            Ok(Stage::AbortedByConsumer) => Side::Consumer,
            Err(violation) => return Some(Err(violation.into())),
        };
        Some(Err(PipeError::Aborted { by, reason: self.shared.reason(by) }))
    }

    /// Returns an error if the consumer claims to be committing, for waits before the trailer is stored. No correct
    /// consumer commits then, and waiting for one that claims to could not be interrupted.
    pub(crate) fn reject_early_commit<T>(&self) -> Option<Result<T, PipeError>> {
        let committing = self.ring().verdict.stage(self.generation) == Ok(Stage::Committing);
        committing.then_some(Err(PipeError::Corrupt("committing before everything was sent")))
    }

    /// Returns whether the consumer has declared what it works on.
    pub(crate) fn has_begun(&self) -> bool {
        self.ring().consumer.begun.load(Ordering::Acquire) != 0
    }

    /// Returns whether this end may stay alone any longer: until a peer comes, or, once the consumer has begun, until a
    /// dead peer has been replaced.
    ///
    /// An end that is interrupted while the peer commits cannot abort. If that peer is dead, there is nothing to wait
    /// for.
    pub(crate) fn may_wait(&self, alone: Duration, begun: bool) -> bool {
        if self.interrupted().is_some() && self.ring().verdict.stage(self.generation) == Ok(Stage::Committing)
        {
            return false;
        }
        let limit = if begun {
            Some(self.options.replace_within.unwrap_or_default())
        } else {
            self.options.connect_timeout
        };
        limit.is_none_or(|limit| alone < limit)
    }

    pub(crate) fn advance(&self, from: Stage, to: Stage) -> Result<(), Stage> {
        step();
        self.ring().verdict.advance(self.generation, from, to)?;
        step();
        self.wake_peer();
        Ok(())
    }

    /// Aborts if the verdict is still at `from`. Otherwise the error is the stage that it has reached.
    pub(crate) fn try_abort(&self, from: Stage, reason: &Reason) -> Result<PipeError, Stage> {
        let aborted = match self.side {
            Side::Producer => Stage::AbortedByProducer,
            Side::Consumer => Stage::AbortedByConsumer,
        };
        self.shared.set_reason(self.side, reason);
        self.advance(from, aborted)?;
        Ok(PipeError::Aborted { by: self.side, reason: reason.clone() })
    }

    fn parked(&self, side: Side) -> &AtomicU32 {
        &self.ring().parked[side as usize]
    }

    pub(crate) fn wake_peer(&self) {
        self.wake_peer_if(|| true);
    }

    /// Wakes a producer that sleeps because all blocks were full, if it is `urgent` or has not been woken for a while.
    /// Waking it for each block that is released would cost both sides more than it saves.
    pub(crate) fn wake_producer(&self, urgent: impl FnOnce() -> bool) {
        self.wake_peer_if(|| {
            let now = Instant::now();
            let late = self.last_wake.get().is_none_or(|last| now.duration_since(last) > BETWEEN_WAKES);
            let wakes = late || urgent();
            if wakes {
                self.last_wake.set(Some(now));
            }
            wakes
        });
    }

    fn wake_peer_if(&self, should_wake: impl FnOnce() -> bool) {
        let left = ring::wake(self.parked(self.side.other()), &self.peer_bell, should_wake);
        self.left_asleep.set(left);
    }

    /// Wakes the peer if it was left asleep. All full blocks may be in the hands of this side's caller, and then no
    /// later release would wake it.
    pub(crate) fn wake_if_left_asleep(&self) {
        if self.left_asleep.get() {
            self.wake_peer();
        }
    }

    pub(crate) fn is_peer_alive(&self) -> Result<bool, PipeError> {
        self.seats.is_held(self.side.other()).map_err(PipeError::io("checking whether the peer is alive"))
    }

    /// Returns whether this end keeps waiting for a peer, as far as the time limits [allow](Self::may_wait). Returns an
    /// error if somebody has removed or replaced the pipe's file: then no peer can come.
    pub(crate) fn waits_for_peer(&self, alone: Duration, begun: bool) -> Result<bool, PipeError> {
        if !self.may_wait(alone, begun) {
            return Ok(false);
        }
        // A peer that has left may have removed the name. Then the next poll finds its verdict.
        if matches!(self.seats.is_current(), Ok(false)) && self.verdict().is_none() {
            let doing = format!("waiting for a peer at {}, which was removed", self.seats.location());
            return Err(PipeError::Io { doing, source: std::io::ErrorKind::NotFound.into() });
        }
        Ok(true)
    }

    /// Returns the first interrupt whose flag is set.
    pub(crate) fn interrupted(&self) -> Option<&Interrupt> {
        self.options.interrupts.iter().find(|interrupt| interrupt.flag.load(Ordering::Relaxed))
    }

    /// Gives up on a peer whose seat is free, unless a check under the gate finds a verdict, data that it sent before it
    /// died (`has_more`), or that the seat has been taken. After `true` nobody can join this pairing any more.
    pub(crate) fn give_up_on_peer(&self, has_more: impl Fn() -> bool) -> Result<bool, PipeError> {
        self.with_gate(|has_gate| {
            // The seat first: nobody can take it now, so the words that are read after it are final.
            if self.is_peer_alive()? || self.verdict().is_some() || has_more() {
                return Ok(false);
            }
            if has_gate {
                self.shared.header().state.store(OVER, Ordering::Release);
                step();
            }
            Ok(true)
        })
    }

    /// Vacates the seat of a consumer that waits for READY and has no producer, so that it can restart or give up.
    pub(crate) fn vacate(&self) -> Result<bool, PipeError> {
        self.with_gate(|has_gate| {
            if self.is_peer_alive()? || self.verdict().is_some() {
                return Ok(false);
            }
            if has_gate {
                self.unlink_if_current();
            }
            self.over.set(true);
            step();
            // The seat before the gate, as in `leave`.
            self.seats.release(self.side).map_err(PipeError::io("releasing the seat"))?;
            step();
            Ok(true)
        })
    }

    /// Runs `act` under the gate, with the argument `true`. Returns `false` without running it if another process holds
    /// the gate: the caller's wait tries again.
    ///
    /// If that process keeps the gate, because it was stopped or wants to do harm, `act` runs without the gate, with
    /// the argument `false`. Then this end only gives up its own seat, as if it were killed, which may happen at any
    /// moment.
    fn with_gate(&self, act: impl FnOnce(bool) -> Result<bool, PipeError>) -> Result<bool, PipeError> {
        let until = Instant::now() + GATE_LIMIT;
        if !self.seats.lock_gate(until).map_err(PipeError::io("locking the gate"))? {
            let since = self.gate_held_since.get().unwrap_or_else(Instant::now);
            self.gate_held_since.set(Some(since));
            return if since.elapsed() < GATE_TIMEOUT { Ok(false) } else { act(false) };
        }
        self.gate_held_since.set(None);
        let result = act(true);
        self.seats.unlock_gate().map_err(PipeError::io("unlocking the gate"))?;
        result
    }

    /// Removes the name, under the gate, if it still leads to this pipe.
    fn unlink_if_current(&self) {
        if self.seats.is_current().unwrap_or(false) {
            // On failure the name stays, as after a kill: the next process to join removes it.
            let _ = self.seats.unlink();
        }
    }

    /// Ends the role. The last end to leave removes the name, or the only one that can.
    ///
    /// If another process is stopped while it holds the gate, leaving is like being killed: the seat is released and the
    /// name stays.
    pub(crate) fn leave(&self) {
        if self.over.replace(true) {
            return;
        }
        let gate = self.seats.lock_gate(Instant::now() + ARRIVAL_LIMIT).unwrap_or(false);
        step();
        if gate {
            self.shared.header().state.store(OVER, Ordering::Release);
            step();
            // Once there is a verdict, nobody needs the name, so an end does not leave it to a peer that cannot remove it.
            let must_unlink = !self.seats.peer_can_unlink() && self.verdict().is_some();
            if must_unlink || !self.is_peer_alive().unwrap_or(true) {
                self.unlink_if_current();
                step();
            }
        }
        // The seat first, then the gate: the next process to lock the gate finds a seat that is really free.
        let _ = self.seats.release(self.side);
        step();
        if gate {
            let _ = self.seats.unlock_gate();
        }
    }

    /// Passes on the result of a public call. A fatal error ends the role, and the peer receives it as a reason.
    pub(crate) fn conclude<T>(&self, result: Result<T, PipeError>) -> Result<T, PipeError> {
        match &result {
            Ok(_) | Err(PipeError::Over) => return result,
            Err(error) if !error.is_final() => return result,
            Err(error @ (PipeError::Corrupt(_) | PipeError::Io { .. })) => {
                let _ = self.try_abort(Stage::Undecided, &reason_from(error));
            }
            Err(_) => {}
        }
        self.leave();
        result
    }
}

/// Turns an error of this side into the reason that the peer receives.
pub(crate) fn reason_from(error: &PipeError) -> Reason {
    Reason::new(0, error.to_string())
}
