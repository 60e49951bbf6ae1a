//! Waiting for a block, or for the verdict, without relying on the peer to stay alive.

use crate::end::{Attached, reason_from};
use crate::error::PipeError;
use crate::layout::{OPENING, OVER, READY};
use crate::monitor;
use crate::ring::{self, Stage};
use crate::sync::Ordering;
use crate::sys::Side;
use std::time::{Duration, Instant};

/// The longest sleep of a wait before it asks the kernel whether the peer is still alive.
pub(crate) const PARK_LIMIT: Duration = Duration::from_millis(if cfg!(fuzzing) { 0 } else { 50 });

/// The time that an interrupted end waits for the verdict of a consumer that is committing. A consumer that takes
/// longer may never decide.
pub(crate) const COMMIT_LIMIT: Duration = Duration::from_secs(if cfg!(fuzzing) { 0 } else { 10 });

/// The time limit of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    None,
    Until(Instant),
    Now,
}

impl Limit {
    /// A limit that is too far away for the clock is none.
    pub(crate) fn after(time: Duration) -> Self {
        Instant::now().checked_add(time).map_or(Self::None, Self::Until)
    }

    /// Returns the time that is left, or `most` if it is longer.
    fn left(self, most: Duration) -> Duration {
        match self {
            Self::None => most,
            Self::Until(end) => end.saturating_duration_since(Instant::now()).min(most),
            Self::Now => Duration::ZERO,
        }
    }

    fn is_over(self) -> bool {
        match self {
            Self::None => false,
            Self::Until(end) => Instant::now() >= end,
            Self::Now => true,
        }
    }
}

impl Attached {
    /// Waits until `poll` finds something. While the peer's seat is free, `absent` may end the wait; its argument is how
    /// long the seat has been free.
    ///
    /// An interrupt ends the wait, and aborts the pipe. A producer that has stored its trailer cannot abort once the
    /// consumer is committing: its wait continues, for at most [`COMMIT_LIMIT`].
    pub(crate) fn wait<T>(
        &self,
        poll: impl FnMut() -> Option<Result<T, PipeError>>,
        absent: impl FnMut(Duration) -> Result<Option<T>, PipeError>,
    ) -> Result<T, PipeError> {
        let found = self.wait_until(Limit::None, |_| (), poll, absent)?;
        Ok(found.expect("a wait without a limit ends only when something is found"))
    }

    /// Waits for a block as in [`wait`](Self::wait), but not beyond the limit: then there is `None`. Adds the time that
    /// the peer took to the counter in the header.
    pub(crate) fn wait_for_block<T>(
        &self,
        limit: Limit,
        mut poll: impl FnMut() -> Option<Result<T, PipeError>>,
        absent: impl FnMut(Duration) -> Result<Option<T>, PipeError>,
    ) -> Result<Option<T>, PipeError> {
        // Also in a stream in which this side never has to wait.
        self.abort_if_interrupted()?;
        if let Some(found) = poll() {
            // A death that an earlier call noticed is over, or not yet of interest.
            self.alone_since.set(None);
            return found.map(Some);
        }
        self.wake_if_left_asleep();
        if limit == Limit::Now {
            return self.check_now_and_then(absent);
        }
        let count = |took: Duration| {
            let waited = &self.shared.header().waited[self.side as usize];
            let sum = waited.load(Ordering::Relaxed).wrapping_add(took.as_nanos() as u64);
            waited.store(sum, Ordering::Relaxed);
        };
        self.wait_until(limit, count, poll, absent)
    }

    /// Does for a caller that never waits what a wait does from time to time.
    fn check_now_and_then<T>(
        &self,
        mut absent: impl FnMut(Duration) -> Result<Option<T>, PipeError>,
    ) -> Result<Option<T>, PipeError> {
        let now = Instant::now();
        if self.last_check.get().is_some_and(|last| now.duration_since(last) < PARK_LIMIT) {
            return Ok(None);
        }
        self.last_check.set(Some(now));
        self.check_peer(&mut absent)
    }

    fn wait_until<T>(
        &self,
        limit: Limit,
        count: impl Fn(Duration),
        mut poll: impl FnMut() -> Option<Result<T, PipeError>>,
        mut absent: impl FnMut(Duration) -> Result<Option<T>, PipeError>,
    ) -> Result<Option<T>, PipeError> {
        let mut poll = || if self.nudge.is_canceled() { Some(Err(PipeError::Canceled)) } else { poll() };
        let before = || self.abort_if_interrupted().err().map(Err);
        let round = || {
            let sleep = limit.left(PARK_LIMIT);
            let park =
                |poll: &mut dyn FnMut() -> _| ring::park(self.nudge.parked(), self.nudge.bell(), sleep, poll);
            let (found, took) = self.spin.wait(&mut poll, park);
            // Don't count waiting time while there is no peer.
            if !took.is_zero() && self.alone_since.get().is_none() {
                count(took);
            }
            // A canceled wait has found nobody, so the time limits go on.
            if found.as_ref().is_some_and(|found| !matches!(found, Err(PipeError::Canceled))) {
                self.alone_since.set(None);
            }
            found.map(|found| found.map(Some))
        };
        let after = || {
            self.publish_waiting(true);
            if self.has_committed_for_too_long() {
                return Some(Err(PipeError::DiedCommitting));
            }
            match self.check_peer(&mut absent) {
                Ok(None) if limit.is_over() => Some(Ok(None)),
                Ok(None) => self.options().should_cancel().then_some(Err(PipeError::Canceled)),
                found => Some(found),
            }
        };
        let waited = ring::wait(before, round, after);
        self.publish_waiting(false);
        if let Err(PipeError::Canceled) = waited {
            self.nudge.take_canceled();
        }
        waited
    }

    /// Shows observers since when this side has been waiting. A short wait is not shown.
    fn publish_waiting(&self, waits: bool) {
        if self.published_waiting.replace(waits) != waits {
            let since = if waits { monitor::now().saturating_sub(PARK_LIMIT.as_millis() as u64) } else { 0 };
            self.shared.header().waits_since[self.side as usize].store(since, Ordering::Relaxed);
        }
    }

    /// Does one round of such a wait, for a caller that waits for something else.
    pub(crate) fn check(
        &self,
        absent: impl FnMut(Duration) -> Result<Option<()>, PipeError>,
    ) -> Result<(), PipeError> {
        self.abort_if_interrupted()?;
        match self.verdict() {
            // The next call finds out what the verdict means to this end.
            Some(verdict) => verdict,
            None => self.check_peer(absent).map(drop),
        }
    }

    /// Returns whether this end was interrupted some time ago and the consumer is still committing.
    fn has_committed_for_too_long(&self) -> bool {
        if self.interrupted().is_none() || self.ring().verdict.stage(self.generation) != Ok(Stage::Committing)
        {
            return false;
        }
        let since = self.too_late_since.get().unwrap_or_else(Instant::now);
        self.too_late_since.set(Some(since));
        since.elapsed() >= COMMIT_LIMIT
    }

    /// Returns an error if this end was interrupted, whatever the peer has written, unless this end itself has done
    /// what may make the result final.
    pub(crate) fn abort_if_interrupted(&self) -> Result<(), PipeError> {
        let Some(interrupt) = self.interrupted() else { return Ok(()) };
        if self.try_abort(Stage::Undecided, &interrupt.reason).is_ok() {
            return Err(PipeError::Interrupted);
        }
        match self.verdict() {
            _ if self.may_become_final.get() => Ok(()),
            // The peer has aborted first, perhaps with the reason for the interrupt.
            Some(Err(aborted)) => Err(aborted),
            _ => Err(PipeError::Interrupted),
        }
    }

    /// Checks whether the peer's seat is free, and lets `absent` decide what that means.
    fn check_peer<T>(
        &self,
        mut absent: impl FnMut(Duration) -> Result<Option<T>, PipeError>,
    ) -> Result<Option<T>, PipeError> {
        let checked = match self.is_peer_alive() {
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
        match checked {
            // A failed system call ends the pipe only while nothing is decided, and a consumer may decide at any moment:
            // only the attempt to abort can tell. If it comes too late, the next poll finds the verdict.
            Err(error @ PipeError::Io { .. }) => {
                if self.try_abort(Stage::Undecided, &reason_from(&error)).is_ok() {
                    Err(error)
                } else {
                    Ok(None)
                }
            }
            other => other,
        }
    }
}

/// The result of a consumer's wait for READY.
pub(crate) enum ReadyWait {
    Ready,
    ProducerGone,
}

pub(crate) fn wait_for_ready(attached: &Attached, requested: Option<Side>) -> Result<ReadyWait, PipeError> {
    let poll = || match attached.verdict() {
        Some(Ok(())) => Some(Err(PipeError::Corrupt("complete before it began"))),
        Some(Err(error)) => Some(Err(error)),
        None => match attached.shared.header().state.load(Ordering::Acquire) {
            READY => Some(Ok(ReadyWait::Ready)),
            // OPENING: no producer has come yet, or it is not ready. OVER: a verdict will follow, or the producer's seat
            // will be free.
            OPENING | OVER => attached.reject_early_commit(),
            _ => Some(Err(PipeError::Corrupt("the state is invalid"))),
        },
    };
    attached.wait(poll, |alone| match requested {
        // A process that requested this end keeps it for the next producer.
        Some(_) if attached.waits_for_peer(alone, false)? || !attached.vacate()? => Ok(None),
        Some(_) => Err(PipeError::NoPeer),
        // A process that did not may become the next producer.
        None => Ok(attached.vacate()?.then_some(ReadyWait::ProducerGone)),
    })
}

/// Waits until this end has vacated its seat, when the memory has disappeared with a producer that was killed just after
/// READY. The death then counts as one before READY.
pub(crate) fn wait_until_vacated(attached: &Attached) -> Result<(), PipeError> {
    let verdict = || Some(attached.verdict()?.and(Err(PipeError::Corrupt("complete before it began"))));
    attached.wait(verdict, |_| Ok(attached.vacate()?.then_some(())))
}
