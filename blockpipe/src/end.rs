//! What both ends do alike: look at the verdict, wait without trusting the partner to live, abort, leave.

use crate::error::{PipeError, Reason};
use crate::layout::{Geometry, OVER, READY};
use crate::memory::{Region, Shared};
use crate::monitor;
use crate::ring::{self, Ring, Stage};
use crate::spin::Spin;
use crate::sync::{AtomicU32, Bell, Ordering, step};
use crate::sys::{self, Seats, Side};
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// How long arriving or leaving waits for somebody else who is doing so.
pub(crate) const ARRIVAL_LIMIT: Duration = Duration::from_millis(if cfg!(fuzzing) { 0 } else { 500 });

/// How long a wait sleeps before it asks the kernel whether the partner still lives.
const PARK_LIMIT: Duration = Duration::from_millis(if cfg!(fuzzing) { 0 } else { 50 });

/// A producer that sleeps for want of blocks is not woken more often without need: some ten times what waking it costs.
const BETWEEN_WAKES: Duration = Duration::from_micros(500);

/// A flag to stop waiting, and what the partner is told then.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    pub flag: Arc<AtomicBool>,
    pub reason: Reason,
}

/// What a process wants of a pipe besides its name and job.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    pub connect_timeout: Option<Duration>,
    pub replace_within: Option<Duration>,
    pub interrupts: Vec<Interrupt>,
}

/// One taken seat.
#[derive(Debug)]
pub(crate) struct Attached {
    pub seats: Arc<Seats>,
    pub shared: Arc<Shared>,
    pub generation: u64,
    pub side: Side,
    own_bell: Bell,
    partner_bell: Bell,
    wishes: Wishes,
    spin: Spin,
    /// The partner slept when this side last looked, and it was not worth waking it.
    left_asleep: Cell<bool>,
    /// When this side last woke a producer that slept for want of blocks.
    woken: Cell<Option<Instant>>,
    /// Since when the waits have found the partner's seat free; patience is counted from here.
    alone_since: Cell<Option<Instant>>,
    over: Cell<bool>,
    /// Whether the header says that this side waits.
    says_it_waits: Cell<bool>,
    /// Mapped at arrival already, and not yet given to the end.
    region: RefCell<Option<Region>>,
}

fn other(side: Side) -> Side {
    match side {
        Side::Producer => Side::Consumer,
        Side::Consumer => Side::Producer,
    }
}

impl Attached {
    pub(crate) fn new(
        seats: Arc<Seats>,
        shared: Shared,
        side: Side,
        wishes: Wishes,
    ) -> std::io::Result<Self> {
        let generation = shared.header().generation.load(Ordering::Relaxed);
        Ok(Self {
            own_bell: Bell::open(&seats, generation, side)?,
            partner_bell: Bell::open(&seats, generation, other(side))?,
            seats,
            shared: Arc::new(shared),
            generation,
            side,
            wishes,
            // Here because it looks into files, and a process may give up the right to that before it waits.
            spin: Spin::new(side),
            left_asleep: Cell::new(false),
            woken: Cell::new(None),
            alone_since: Cell::new(None),
            over: Cell::new(false),
            says_it_waits: Cell::new(false),
            region: RefCell::new(None),
        })
    }

    pub(crate) fn ring(&self) -> &Ring {
        &self.shared.header().ring
    }

    /// An error for whoever goes on after the end.
    pub(crate) fn still_on(&self) -> Result<(), PipeError> {
        if self.over.get() { Err(PipeError::Over) } else { Ok(()) }
    }

    /// Under the gate, before a seat is taken. Where memory goes with its last holder, whoever sits in a pairing that
    /// is ready holds its memory, so that it lives as long as one of the two does. `false` if it is gone already.
    pub(crate) fn has_its_memory(&self) -> bool {
        if self.shared.header().state.load(Ordering::Acquire) != READY {
            return true;
        }
        match self.open_region() {
            Ok(region) => {
                let there = region.is_some();
                *self.region.borrow_mut() = region;
                there
            }
            // It will come again when there is a seat, and a partner who can be told.
            Err(_) => true,
        }
    }

    /// Maps what a producer made, after checking that it can be what it says. `None` if it went with a dead one.
    pub(crate) fn open_region(&self) -> Result<Option<Region>, PipeError> {
        if let Some(region) = self.region.take() {
            return Ok(Some(region));
        }
        let header = self.shared.header();
        let (size, blocks) =
            (header.block_size.load(Ordering::Relaxed), header.blocks.load(Ordering::Relaxed));
        let geometry =
            Geometry::checked(size, blocks).ok_or(PipeError::Corrupt("the geometry is none that can be"))?;
        match self.seats.open_region(self.generation, geometry.region_length()) {
            Ok(segment) => Ok(Some(Region::new(segment, geometry))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io("mapping the blocks")(error)),
        }
    }

    /// The verdict, once there is one.
    pub(crate) fn verdict(&self) -> Option<Result<(), PipeError>> {
        let by = match self.ring().verdict.stage(self.generation) {
            Ok(Stage::Undecided | Stage::Committing) => return None,
            Ok(Stage::Complete) => return Some(Ok(())),
            Ok(Stage::AbortedByProducer) => Side::Producer,
            Ok(Stage::AbortedByConsumer) => Side::Consumer,
            Err(nonsense) => return Some(Err(nonsense.into())),
        };
        Some(Err(PipeError::Aborted { by, reason: self.shared.reason(by) }))
    }

    /// What a wait before the last word finds when there is nothing yet: nobody can be committing, and a partner that
    /// says so is not waited for, because that wait could not be interrupted.
    pub(crate) fn not_yet<T>(&self) -> Option<Result<T, PipeError>> {
        let committing = self.ring().verdict.stage(self.generation) == Ok(Stage::Committing);
        committing.then_some(Err(PipeError::Corrupt("committing before everything was sent")))
    }

    /// Whether the consumer has said what it works on.
    pub(crate) fn begun(&self) -> bool {
        self.ring().consumer.begun.load(Ordering::Acquire) != 0
    }

    /// How long this end stays alone before it gives up: until somebody comes, or, once blocks may be half on
    /// their way, until a dead partner has been replaced.
    ///
    /// Who is interrupted too late to abort has none: nobody is there who could complete.
    pub(crate) fn patient(&self, alone: Duration, begun: bool) -> bool {
        if self.interrupted().is_some() && self.ring().verdict.stage(self.generation) == Ok(Stage::Committing)
        {
            return false;
        }
        let limit = if begun {
            Some(self.wishes.replace_within.unwrap_or_default())
        } else {
            self.wishes.connect_timeout
        };
        limit.is_none_or(|limit| alone < limit)
    }

    pub(crate) fn advance(&self, from: Stage, to: Stage) -> Result<(), Stage> {
        step();
        self.ring().verdict.advance(self.generation, from, to)?;
        step();
        self.wake_partner();
        Ok(())
    }

    /// Says that this side gives up, unless something was said before: that stage is the error then.
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

    pub(crate) fn wake_partner(&self) {
        self.wake_partner_if(|| true);
    }

    /// The same for a producer that sleeps because all blocks were full. To do it for each block that comes back would
    /// cost both sides more than it saves, so if it is not `urgent` it is done now and then.
    pub(crate) fn wake_producer(&self, urgent: impl FnOnce() -> bool) {
        self.wake_partner_if(|| {
            let now = Instant::now();
            let late = self.woken.get().is_none_or(|woken| now.duration_since(woken) > BETWEEN_WAKES);
            let wakes = late || urgent();
            if wakes {
                self.woken.set(Some(now));
            }
            wakes
        });
    }

    fn wake_partner_if(&self, worth: impl FnOnce() -> bool) {
        let left = ring::wake(self.parked(other(self.side)), &self.partner_bell, worth);
        self.left_asleep.set(left);
    }

    /// All blocks that are full may be in the caller's hands: then nobody else wakes whom this side has left asleep.
    pub(crate) fn leave_nobody_asleep(&self) {
        if self.left_asleep.get() {
            self.wake_partner();
        }
    }

    /// The user that the partner belongs to, as far as the kernel knows; `None` where users have no numbers, or if nobody
    /// is there now.
    pub(crate) fn peer_user(&self) -> Result<Option<u32>, PipeError> {
        let deadline = Instant::now() + ARRIVAL_LIMIT;
        loop {
            let user = self.seats.user(other(self.side), self.generation);
            if user.is_ok() || Instant::now() > deadline {
                return user.map_err(io("asking who the partner is"));
            }
            // Somebody may be sitting down just now, in a dead one's place.
            if !self.partner_lives()? {
                return Ok(None);
            }
            sys::pause(Duration::from_millis(1));
        }
    }

    fn partner_lives(&self) -> Result<bool, PipeError> {
        self.seats.held(other(self.side)).map_err(io("asking whether the partner lives"))
    }

    /// Waits until `look` finds something. While the partner's seat is free, `absent` may end the wait; it is told
    /// for how long that has been so.
    ///
    /// An interrupt aborts the pipe; once the consumer is committing that is too late, and the wait goes on.
    pub(crate) fn wait<T>(
        &self,
        look: impl FnMut() -> Option<Result<T, PipeError>>,
        absent: impl FnMut(Duration) -> Result<Option<T>, PipeError>,
    ) -> Result<T, PipeError> {
        self.wait_and(|_| (), look, absent)
    }

    /// The same for a block, which is what a copy consists of: how long the partner took is added to what everybody can
    /// see.
    pub(crate) fn wait_for_block<T>(
        &self,
        mut look: impl FnMut() -> Option<Result<T, PipeError>>,
        absent: impl FnMut(Duration) -> Result<Option<T>, PipeError>,
    ) -> Result<T, PipeError> {
        if self.left_asleep.get() {
            if let Some(found) = look() {
                return found;
            }
            self.leave_nobody_asleep();
        }
        let count = |took: Duration| {
            let waited = &self.shared.header().waited[self.side as usize];
            let sum = waited.load(Ordering::Relaxed).wrapping_add(took.as_nanos() as u64);
            waited.store(sum, Ordering::Relaxed);
        };
        self.wait_and(count, look, absent)
    }

    fn wait_and<T>(
        &self,
        count: impl Fn(Duration),
        mut look: impl FnMut() -> Option<Result<T, PipeError>>,
        mut absent: impl FnMut(Duration) -> Result<Option<T>, PipeError>,
    ) -> Result<T, PipeError> {
        let waited = loop {
            if let Err(error) = self.stop_if_interrupted() {
                break Err(error);
            }
            let park = |look: &mut dyn FnMut() -> _| {
                ring::park(self.parked(self.side), &self.own_bell, PARK_LIMIT, look)
            };
            let (found, took) = self.spin.wait(&mut look, park);
            // Nobody is slow who is not there.
            if !took.is_zero() && self.alone_since.get().is_none() {
                count(took);
            }
            if let Some(found) = found {
                self.alone_since.set(None);
                break found;
            }
            self.say_waiting(true);
            match self.ask_for_partner(&mut absent) {
                Ok(None) => {}
                Ok(Some(found)) => break Ok(found),
                Err(error) => break Err(error),
            }
        };
        self.say_waiting(false);
        waited
    }

    /// For whoever looks from outside: since when this side waits. A short wait is none.
    fn say_waiting(&self, waits: bool) {
        if self.says_it_waits.replace(waits) != waits {
            let since = if waits { monitor::now().saturating_sub(PARK_LIMIT.as_millis() as u64) } else { 0 };
            self.shared.header().waits_since[self.side as usize].store(since, Ordering::Relaxed);
        }
    }

    /// One look of such a wait, for a caller that waits for something else.
    pub(crate) fn check(
        &self,
        absent: impl FnMut(Duration) -> Result<Option<()>, PipeError>,
    ) -> Result<(), PipeError> {
        self.stop_if_interrupted()?;
        match self.verdict() {
            // What that means here, the next call says.
            Some(verdict) => verdict,
            None => self.ask_for_partner(absent).map(drop),
        }
    }

    fn stop_if_interrupted(&self) -> Result<(), PipeError> {
        match self.interrupted() {
            Some(interrupt) if self.try_abort(Stage::Undecided, &interrupt.reason).is_ok() => {
                Err(PipeError::Interrupted)
            }
            _ => Ok(()),
        }
    }

    /// The first interrupt whose flag is set.
    fn interrupted(&self) -> Option<&Interrupt> {
        self.wishes.interrupts.iter().find(|interrupt| interrupt.flag.load(Ordering::Relaxed))
    }

    /// Whether the partner's seat is free, and what `absent` makes of that.
    fn ask_for_partner<T>(
        &self,
        mut absent: impl FnMut(Duration) -> Result<Option<T>, PipeError>,
    ) -> Result<Option<T>, PipeError> {
        let asked = match self.partner_lives() {
            Ok(true) => {
                self.alone_since.set(None);
                Ok(None)
            }
            Ok(false) => {
                let since = self.alone_since.get().unwrap_or_else(Instant::now);
                self.alone_since.set(Some(since));
                absent(since.elapsed())
            }
            Err(error) => Err(error),
        };
        match asked {
            // What fails here ends the pipe only while nothing is decided, and a consumer may decide at any moment:
            // only the abort itself can tell. If it comes too late, the next look finds the verdict.
            Err(error @ PipeError::Io { .. }) => {
                if self.try_abort(Stage::Undecided, &in_words(&error)).is_ok() {
                    Err(error)
                } else {
                    Ok(None)
                }
            }
            other => other,
        }
    }

    /// Gives up on a partner whose seat is free, unless under the gate it shows that it said something after all
    /// (`anything_more`), or that somebody took the seat. After `true` no newcomer can come to this pairing.
    pub(crate) fn give_up(&self, anything_more: impl Fn() -> bool) -> Result<bool, PipeError> {
        self.under_gate(|| {
            // The seat first: nobody can take it now, so the words read after it are the last ones.
            if self.partner_lives()? || self.verdict().is_some() || anything_more() {
                return Ok(false);
            }
            self.shared.header().state.store(OVER, Ordering::Release);
            step();
            Ok(true)
        })
    }

    /// A consumer that waits for READY and has no producer gets up again, to start over or to give up.
    pub(crate) fn let_go(&self) -> Result<bool, PipeError> {
        self.under_gate(|| {
            if self.partner_lives()? || self.verdict().is_some() {
                return Ok(false);
            }
            self.forget_name();
            self.over.set(true);
            step();
            // The seat before the gate, as in `leave`.
            self.seats.release(self.side).map_err(io("giving the seat back"))?;
            step();
            Ok(true)
        })
    }

    /// `false` also if somebody holds the gate for longer than a moment: the caller's wait comes back.
    fn under_gate(&self, act: impl FnOnce() -> Result<bool, PipeError>) -> Result<bool, PipeError> {
        let until = Instant::now() + PARK_LIMIT;
        if !self.seats.lock_gate(until).map_err(io("locking the gate"))? {
            return Ok(false);
        }
        let result = act();
        self.seats.unlock_gate().map_err(io("unlocking the gate"))?;
        result
    }

    /// Under the gate: the name goes, if it still leads here.
    fn forget_name(&self) {
        if self.seats.current().unwrap_or(false) {
            // If it fails the name stays, which is what a kill leaves: the next one removes it.
            let _ = self.seats.forget();
        }
    }

    /// Ends the role. The last one to leave takes the name away.
    ///
    /// If somebody is stopped inside the gate, this is as good as a kill: the seat goes, the name stays.
    pub(crate) fn leave(&self) {
        if self.over.replace(true) {
            return;
        }
        let gate = self.seats.lock_gate(Instant::now() + ARRIVAL_LIMIT).unwrap_or(false);
        step();
        if gate {
            self.shared.header().state.store(OVER, Ordering::Release);
            step();
            if !self.partner_lives().unwrap_or(true) {
                self.forget_name();
                step();
            }
        }
        // The seat first, then the gate: whoever gets the gate next finds a seat that is really free.
        let _ = self.seats.release(self.side);
        step();
        if gate {
            let _ = self.seats.unlock_gate();
        }
    }

    /// What every public call returns through: a fatal error ends the role, and the partner is told.
    pub(crate) fn conclude<T>(&self, result: Result<T, PipeError>) -> Result<T, PipeError> {
        match &result {
            Ok(_) | Err(PipeError::Misuse(_) | PipeError::Over) => return result,
            Err(error @ (PipeError::Corrupt(_) | PipeError::Io { .. })) => {
                let _ = self.try_abort(Stage::Undecided, &in_words(error));
            }
            Err(_) => {}
        }
        self.leave();
        result
    }
}

/// What the partner is told of an error of this side.
fn in_words(error: &PipeError) -> Reason {
    let message = match error {
        PipeError::Io { doing, source } => format!("{doing}: {source}"),
        other => other.to_string(),
    };
    Reason::new(0, message)
}

/// Keeps the system's error whole, with what was being done.
pub(crate) fn io(doing: &'static str) -> impl Fn(std::io::Error) -> PipeError {
    move |source| PipeError::Io { doing: doing.into(), source }
}

impl From<ring::Nonsense> for PipeError {
    fn from(nonsense: ring::Nonsense) -> Self {
        Self::Corrupt(nonsense.0)
    }
}
