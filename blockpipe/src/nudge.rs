//! Lets other threads of this process give a block back to an end, and cancel its wait.

use crate::memory::Shared;
use crate::ring::{self, Ring};
use crate::sync::{AtomicU32, Bell};
use crate::sys::{Side, forks};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A block that came back by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Returned {
    /// It was dropped.
    Dropped(u64),
    /// The last view of it was dropped, which releases it. With its length.
    #[cfg(feature = "bytes")]
    Released(u64, u64),
}

/// The mailbox of an end, with the word and the bell that wake it.
#[derive(Debug)]
pub(crate) struct Nudge {
    shared: Arc<Shared>,
    side: Side,
    bell: Bell,
    forks: u32,
    is_canceled: AtomicBool,
    returned: Mutex<Vec<Returned>>,
    any_returned: AtomicBool,
}

impl Nudge {
    pub(crate) fn new(shared: Arc<Shared>, side: Side, bell: Bell) -> Self {
        Self {
            shared,
            side,
            bell,
            forks: forks(),
            is_canceled: AtomicBool::new(false),
            returned: Mutex::default(),
            any_returned: AtomicBool::new(false),
        }
    }

    /// The word on which the end sleeps.
    pub(crate) fn parked(&self) -> &AtomicU32 {
        &self.ring().parked[self.side as usize]
    }

    pub(crate) fn bell(&self) -> &Bell {
        &self.bell
    }

    pub(crate) fn give_back(&self, block: Returned) {
        // In a forked child another thread's lock would stay locked for ever, and there is no end to give it to.
        if self.forks == forks() {
            self.returned.lock().unwrap_or_else(PoisonError::into_inner).push(block);
            self.any_returned.store(true, Ordering::Relaxed);
            self.wake();
        }
    }

    fn cancel(&self) {
        self.is_canceled.store(true, Ordering::Relaxed);
        self.wake();
    }

    pub(crate) fn ring(&self) -> &Ring {
        &self.shared.header().ring
    }

    /// Wakes the end. A forked child has neither the word nor a reason to wake anybody.
    pub(crate) fn wake(&self) {
        if self.forks == forks() {
            ring::wake(self.parked(), &self.bell, || true);
        }
    }

    /// Returns whether blocks have come back: a cheap check for a loop.
    pub(crate) fn any_returned(&self) -> bool {
        self.any_returned.load(Ordering::Relaxed)
    }

    /// Returns the blocks that have come back.
    pub(crate) fn take_returned(&self) -> Vec<Returned> {
        // The flag first: what comes later sets it again.
        self.any_returned.store(false, Ordering::Relaxed);
        std::mem::take(&mut *self.returned.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns whether the next wait is canceled: a cheap check for a loop.
    pub(crate) fn is_canceled(&self) -> bool {
        self.is_canceled.load(Ordering::Relaxed)
    }

    /// Notes that a wait has been canceled, once for each time.
    pub(crate) fn take_canceled(&self) {
        self.is_canceled.store(false, Ordering::Relaxed);
    }
}

/// Ends a wait of an end from another thread, without aborting the pipe. Returned by
/// [`Producer::canceller`](crate::Producer::canceller) and [`Consumer::canceller`](crate::Consumer::canceller).
///
/// # Examples
/// A service stops receiving before it restarts. If its producer waits for a replacement, the stream continues in the
/// new process:
///
/// ```
/// use blockpipe::PipeError;
///
/// # mod setup { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/setup.rs")); }
/// # let (producer, mut consumer) = setup::pair();
/// let canceller = consumer.canceller();
/// let worker = std::thread::spawn(move || loop {
///     match consumer.filled_block() {
///         Ok(Some(block)) => consumer.release(block)?,
///         Ok(None) => return consumer.finish(),
///         Err(PipeError::Canceled) => return Ok(()), // drops the end; nothing is aborted
///         Err(error) => return Err(error),
///     }
/// });
/// canceller.cancel();
/// worker.join().unwrap()?;
/// # Ok::<(), PipeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Canceller(pub(crate) Arc<Nudge>);

impl Canceller {
    /// Ends the wait that the end is in with [`PipeError::Canceled`](crate::PipeError::Canceled), or its next one.
    /// Nothing else changes: the end can be used as before. Does not block; does nothing once the end is gone. See the
    /// [example](#examples).
    pub fn cancel(&self) {
        self.0.cancel();
    }
}
