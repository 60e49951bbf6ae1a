//! A descriptor that becomes readable when an end has something to do: the way into `poll`, `epoll` and asynchronous
//! runtimes.

use crate::end::{Attached, Interrupt};
use crate::error::PipeError;
use crate::nudge::Nudge;
use crate::ring::{self, Stage};
use crate::sys::{Readiness, Seats, Side};
use crate::wait::PARK_LIMIT;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};

/// A request of an end to the thread that waits for it.
#[derive(Debug, Default)]
struct Request {
    /// Raise the descriptor once this block can be had.
    block: Option<u64>,
    is_over: bool,
}

/// The thread that waits for an end, as the end sees it.
#[derive(Debug)]
pub(crate) struct Watch {
    readiness: Readiness,
    nudge: Arc<Nudge>,
    requests: Arc<(Mutex<Request>, Condvar)>,
}

/// The thread's own data.
struct Watcher {
    readiness: Readiness,
    nudge: Arc<Nudge>,
    requests: Arc<(Mutex<Request>, Condvar)>,
    seats: Weak<Seats>,
    side: Side,
    generation: u64,
    interrupts: Vec<Interrupt>,
    blocks: u64,
}

impl Watch {
    /// Starts the thread. The descriptor is readable until the first call that finds nothing.
    pub(crate) fn start(end: &Attached, blocks: u64) -> Result<Self, PipeError> {
        let failed = |error| PipeError::call("starting to watch the pipe")(error);
        let readiness = Readiness::new().map_err(failed)?;
        readiness.raise();
        let (nudge, requests) = (Arc::clone(&end.nudge), Arc::default());
        let watcher = Watcher {
            readiness: readiness.clone(),
            nudge: Arc::clone(&nudge),
            requests: Arc::clone(&requests),
            seats: Arc::downgrade(&end.seats),
            side: end.side,
            generation: end.generation,
            interrupts: end.options().interrupts.clone(),
            blocks,
        };
        let thread = std::thread::Builder::new().name("blockpipe readiness".into());
        thread.spawn(move || watcher.run()).map_err(failed)?;
        Ok(Self { readiness, nudge, requests })
    }

    pub(crate) fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Notes that a call has not found this block: from now on the descriptor is readable once there is something.
    pub(crate) fn wait_for(&self, block: u64) {
        self.readiness.clear();
        self.request(|request| request.block = Some(block));
    }

    /// Ends the thread.
    pub(crate) fn end(&self) {
        self.request(|request| request.is_over = true);
        self.nudge.wake();
    }

    fn request(&self, change: impl FnOnce(&mut Request)) {
        let (request, changed) = &*self.requests;
        change(&mut request.lock().unwrap_or_else(PoisonError::into_inner));
        changed.notify_one();
    }
}

impl Watcher {
    fn run(&self) {
        while let Some(block) = self.next_request() {
            // After a sleep that nobody has ended: a reason for the end to look although no block has come.
            while !self.has_something(block) && !self.is_over() {
                let slept = ring::park(self.nudge.parked(), self.nudge.bell(), PARK_LIMIT, || {
                    (self.has_something(block) || self.is_over()).then_some(())
                });
                if slept.is_none() && self.needs_a_look() {
                    break;
                }
            }
            self.readiness.raise();
        }
    }

    /// Waits until the end has found nothing. `None` once the end is gone.
    fn next_request(&self) -> Option<u64> {
        let (request, changed) = &*self.requests;
        let mut request = request.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if request.is_over {
                return None;
            }
            if let Some(block) = request.block.take() {
                return Some(block);
            }
            request = changed.wait(request).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn is_over(&self) -> bool {
        self.requests.0.lock().unwrap_or_else(PoisonError::into_inner).is_over
    }

    /// Returns whether the end would find the block, or the end of the stream, or how the pipe has ended.
    fn has_something(&self, block: u64) -> bool {
        let ring = self.nudge.ring();
        let undecided = ring.verdict.stage(self.generation) == Ok(Stage::Undecided);
        let found = match self.side {
            Side::Producer => block.wrapping_sub(ring.consumer.emptied.load(Ordering::Acquire)) < self.blocks,
            Side::Consumer => {
                ring.producer.filled.load(Ordering::Acquire) > block || ring.closed_after().is_some()
            }
        };
        found || !undecided || self.nudge.any_returned()
    }

    /// Returns whether the peer is gone, or the end was interrupted: only a call of the end can tell what follows.
    fn needs_a_look(&self) -> bool {
        let interrupted = self.interrupts.iter().any(|interrupt| interrupt.flag.load(Ordering::Relaxed));
        interrupted
            || self.seats.upgrade().is_none_or(|seats| !seats.is_held(self.side.other()).unwrap_or(false))
    }
}
