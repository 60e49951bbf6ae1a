//! What both ends share: one thread at a time, waits that react to Ctrl-C, and the refusal to work in a forked child.

use crate::errors::{misuse, pipe_error};
use blockpipe::{Canceller, Monitor, PipeError};
use pyo3::prelude::*;
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::thread::ThreadId;
use std::time::Duration;

/// How long a thread waits for its turn before it looks for signals again.
const TURN: Duration = Duration::from_millis(50);

thread_local! {
    /// The exception that a signal handler has raised during a wait of this thread.
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// Runs the program's signal handlers. Returns whether the wait must end because one of them raised an exception, or
/// because the interpreter is shutting down. Called by the library from its waits.
pub fn signals_end_wait() -> bool {
    let checked = Python::try_attach(|py| match py.check_signals() {
        Ok(()) => false,
        Err(error) => {
            RAISED.set(Some(error));
            true
        }
    });
    checked.unwrap_or(true)
}

/// Returns the exception that ended a wait.
pub fn take_raised() -> Option<PyErr> {
    RAISED.take()
}

/// What is done with a block when it is not possible at once.
pub trait Settle: Send {
    /// A block that is waiting for that.
    type Block: Send;
    /// A block that is still in use.
    type InUse: Send + Sync;

    fn settle(&mut self, block: Self::Block);
}

/// One end of a pipe, for all threads of the process.
pub struct End<E: Settle> {
    /// `None` after the end was given up.
    shared: Mutex<Option<E>>,
    canceller: Canceller,
    monitor: Monitor,
    /// The id of the process that opened the end.
    process: u32,
    /// The thread that waits for the peer. It may hold `shared` meanwhile, and runs signal handlers.
    waiter: Mutex<Option<ThreadId>>,
    /// How many threads need `shared` for a short call. The waiter hands it over.
    wanted: Mutex<usize>,
    none_wanted: Condvar,
    /// Whether `cancel` was called since the last wait that this ended.
    is_canceled: AtomicBool,
    /// Blocks to settle with the next opportunity.
    later: Mutex<Vec<E::Block>>,
    /// How many blocks the program holds.
    pub held: AtomicUsize,
    /// Blocks that are to be released once there are no more views of them.
    pub in_use: Mutex<Vec<Weak<E::InUse>>>,
    /// Views of released blocks may exist, so the memory must stay.
    pub has_views: AtomicBool,
}

/// Whether a call needs the interpreter meanwhile.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// It never sleeps, and takes a microsecond or less.
    Instant,
    /// It makes system calls, or sleeps.
    Slow,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<E: Settle> End<E> {
    pub fn new(end: E, canceller: Canceller, monitor: Monitor) -> Self {
        Self {
            shared: Mutex::new(Some(end)),
            canceller,
            monitor,
            process: std::process::id(),
            waiter: Mutex::default(),
            wanted: Mutex::default(),
            none_wanted: Condvar::new(),
            is_canceled: AtomicBool::new(false),
            later: Mutex::default(),
            held: AtomicUsize::new(0),
            in_use: Mutex::default(),
            has_views: AtomicBool::new(false),
        }
    }

    pub fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// Returns whether this is the process that opened the end, and not a forked child. The locks of a child may be held
    /// by threads that it does not have.
    pub fn is_of_this_process(&self) -> bool {
        self.process == std::process::id()
    }

    pub fn ensure_of_this_process(&self, py: Python<'_>) -> PyResult<()> {
        if self.is_of_this_process() { Ok(()) } else { Err(pipe_error(py, PipeError::Forked)) }
    }

    /// Ends the wait that the end is in, or its next one.
    pub fn cancel(&self) {
        if self.is_of_this_process() {
            self.is_canceled.store(true, Ordering::Relaxed);
            self.canceller.cancel();
        }
    }

    /// Does something with the end that does not wait for the peer. If another thread is waiting, its wait is
    /// interrupted and then continues.
    pub fn with<T: Send>(
        &self,
        py: Python<'_>,
        call: Call,
        mut act: impl FnMut(&mut E) -> Result<T, PipeError> + Send,
    ) -> PyResult<T> {
        self.ensure_of_this_process(py)?;
        if call == Call::Instant
            && let Some(mut end) = self.try_lock()
        {
            let result = self.run(&mut end, &mut act);
            drop(end);
            self.settle_now();
            return result.map_err(|error| pipe_error(py, error));
        }
        if *lock(&self.waiter) == Some(std::thread::current().id()) {
            return Err(misuse(
                py,
                "a signal handler used the end whose wait it interrupted; only cancel() is allowed",
            ));
        }
        loop {
            let result = py.detach(|| {
                *lock(&self.wanted) += 1;
                let mut end = self.try_lock().unwrap_or_else(|| {
                    self.canceller.cancel();
                    lock(&self.shared)
                });
                *lock(&self.wanted) -= 1;
                self.none_wanted.notify_all();
                self.run(&mut end, &mut act)
            });
            self.settle_now();
            match result {
                Err(PipeError::Canceled) => self.continue_wait(py)?,
                other => return other.map_err(|error| pipe_error(py, error)),
            }
        }
    }

    /// Does something that waits for the peer, without the interpreter's lock. Signal handlers run meanwhile; if one
    /// raises an exception, the wait ends with it.
    pub fn wait<T: Send>(
        &self,
        py: Python<'_>,
        mut act: impl FnMut(&mut E) -> Result<T, PipeError> + Send,
    ) -> PyResult<T> {
        self.ensure_of_this_process(py)?;
        let _waiter = Waiter::register(&self.waiter)
            .ok_or_else(|| misuse(py, "another thread, or a function further up, is waiting on this end"))?;
        loop {
            let result = py.detach(|| match self.lock_when_nobody_wants_it() {
                Some(mut end) => self.run(&mut end, &mut act),
                None => Err(PipeError::Canceled),
            });
            self.settle_now();
            match result {
                Err(PipeError::Canceled) => self.continue_wait(py)?,
                other => return other.map_err(|error| pipe_error(py, error)),
            }
        }
    }

    /// Decides what it means that the library's wait was canceled. `Ok` if another thread needed the end for a moment.
    fn continue_wait(&self, py: Python<'_>) -> PyResult<()> {
        if let Some(raised) = take_raised() {
            return Err(raised);
        }
        if self.is_canceled.swap(false, Ordering::Relaxed) {
            return Err(pipe_error(py, PipeError::Canceled));
        }
        py.check_signals()
    }

    /// Gives the end up, as if the process had been killed.
    pub fn give_up(&self) {
        // A forked child must not wait for a lock that nobody will unlock; dropping this then drops the end.
        let end = self.try_lock().and_then(|mut end| end.take());
        drop(end);
    }

    /// Settles a block now, or with the next opportunity. Never sleeps: it is called while objects are being destroyed,
    /// also by a signal handler of the thread that waits.
    pub fn settle_soon(&self, block: E::Block) {
        if self.is_of_this_process() {
            lock(&self.later).push(block);
            self.settle_now();
            if !lock(&self.later).is_empty() {
                // Another thread has the end. If it waits, it settles the block now, and otherwise when it is done.
                self.canceller.cancel();
            }
        }
    }

    fn settle_now(&self) {
        while !lock(&self.later).is_empty() {
            let Some(mut end) = self.try_lock() else { return };
            self.settle_all(&mut end);
        }
    }

    fn settle_all(&self, end: &mut Option<E>) {
        let blocks = std::mem::take(&mut *lock(&self.later));
        for block in blocks {
            if let Some(end) = end {
                end.settle(block);
            }
        }
    }

    fn run<T>(
        &self,
        end: &mut Option<E>,
        act: &mut impl FnMut(&mut E) -> Result<T, PipeError>,
    ) -> Result<T, PipeError> {
        self.settle_all(end);
        end.as_mut().map_or(Err(PipeError::Over), act)
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, Option<E>>> {
        match self.shared.try_lock() {
            Ok(end) => Some(end),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Lets the threads go first that need the end for a short call. `None` if that takes longer.
    fn lock_when_nobody_wants_it(&self) -> Option<MutexGuard<'_, Option<E>>> {
        let wanted = lock(&self.wanted);
        let (wanted, _) = self
            .none_wanted
            .wait_timeout_while(wanted, TURN, |wanted| *wanted > 0)
            .unwrap_or_else(PoisonError::into_inner);
        let nobody = *wanted == 0;
        drop(wanted);
        nobody.then(|| lock(&self.shared))
    }
}

/// The registration of the thread that waits.
struct Waiter<'a>(&'a Mutex<Option<ThreadId>>);

impl<'a> Waiter<'a> {
    fn register(waiter: &'a Mutex<Option<ThreadId>>) -> Option<Self> {
        let mut registered = lock(waiter);
        if registered.is_some() {
            return None;
        }
        *registered = Some(std::thread::current().id());
        drop(registered);
        Some(Self(waiter))
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        *lock(self.0) = None;
    }
}
