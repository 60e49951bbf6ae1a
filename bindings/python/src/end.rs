//! The common part of both ends: one thread at a time, waits that react to Ctrl-C, and errors in a forked child.

use crate::errors::{misuse, pipe_error};
use crate::observe::snapshot;
use blockpipe::{Canceller, Monitor, PipeError, Readiness};
use pyo3::prelude::*;
use std::cell::RefCell;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, Weak};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

/// The longest time that a thread waits for its turn before it checks for signals again.
const TURN: Duration = Duration::from_millis(50);

thread_local! {
    /// The exception that ends the wait of this thread: a signal handler raised it, or the program set `cancel_event`.
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// Runs the program's signal handlers, and returns whether the wait must end: because one of them raised an exception,
/// or because the interpreter is shutting down. The library calls this during its waits.
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

/// Returns whether the program has set this event (a `threading.Event`). The wait then ends with `Canceled`.
pub fn event_ends_wait(event: &Py<PyAny>) -> bool {
    let checked = Python::try_attach(|py| {
        let is_set = event.call_method0(py, "is_set").and_then(|is_set| is_set.is_truthy(py));
        match is_set {
            Ok(false) => return false,
            Ok(true) => RAISED.set(Some(pipe_error(py, PipeError::Canceled))),
            Err(error) => RAISED.set(Some(error)),
        }
        true
    });
    checked.unwrap_or(true)
}

/// Returns the exception that ended a wait.
pub fn take_raised() -> Option<PyErr> {
    RAISED.take()
}

/// An end of the library that can settle a block later, if another thread is using the end now.
pub trait Settle: Send {
    /// A block to be settled later.
    type Block: Send;
    /// A block of which the program still has views.
    type InUse: Send + Sync;

    /// Does what the program has asked for: releases the block.
    fn settle(&mut self, block: Self::Block);
}

/// One end of a pipe, for all threads of the process.
pub struct End<E: Settle> {
    /// `None` once the end has been given up.
    shared: Mutex<Option<E>>,
    canceller: Canceller,
    monitor: Monitor,
    /// The id of the process that opened the end.
    process: u32,
    /// The thread that is waiting for the peer. It may hold `shared` during the wait, and runs signal handlers.
    waiter: Mutex<Option<ThreadId>>,
    /// The number of threads that need `shared` for a short call. The waiter lets them go first.
    wanted: Mutex<usize>,
    none_wanted: Condvar,
    /// True if `cancel` was called and has not ended a wait yet.
    is_canceled: AtomicBool,
    /// Blocks to settle at the next opportunity.
    later: Mutex<Vec<E::Block>>,
    /// The number of blocks that the program holds.
    pub held: AtomicUsize,
    /// Blocks to release once there are no more views of them.
    pub in_use: Mutex<Vec<Weak<E::InUse>>>,
    /// True if views of released blocks may exist, so that the memory must stay mapped.
    pub has_views: AtomicBool,
    readiness: OnceLock<Readiness>,
}

/// The duration of a call: a slow one runs without the interpreter's lock.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// The call never sleeps, and takes a microsecond or less.
    Instant,
    /// The call makes system calls, or sleeps.
    Slow,
}

/// Locks the mutex, even if a thread panicked while it held it.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
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
            readiness: OnceLock::new(),
        }
    }

    /// Returns whether this is the process that opened the end, and not a forked child. In a child, the locks may be
    /// held by threads that do not exist there.
    pub fn is_of_this_process(&self) -> bool {
        self.process == std::process::id()
    }

    pub fn ensure_of_this_process(&self, py: Python<'_>) -> PyResult<()> {
        if self.is_of_this_process() { Ok(()) } else { Err(pipe_error(py, PipeError::Forked)) }
    }

    /// Ends the current wait, or the next one if there is none now.
    pub fn cancel(&self) {
        if self.is_of_this_process() {
            self.is_canceled.store(true, Ordering::Relaxed);
            self.canceller.cancel();
        }
    }

    /// Returns the state of the pipe. Never waits.
    pub fn snapshot<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.ensure_of_this_process(py)?;
        snapshot(py, &self.monitor.snapshot())
    }

    /// Returns the process id of the process at the other end, if there is one. Never waits.
    pub fn peer(&self, py: Python<'_>) -> PyResult<Option<u32>> {
        self.ensure_of_this_process(py)?;
        Ok(self.monitor.peer())
    }

    /// Returns the descriptor for event loops, which the first call obtains with `open`.
    pub fn fileno(
        &self,
        py: Python<'_>,
        open: impl FnMut(&mut E) -> Result<Readiness, PipeError> + Send,
    ) -> PyResult<i32> {
        if let Some(readiness) = self.readiness.get() {
            return Ok(readiness.as_raw_fd());
        }
        let readiness = self.with(py, Call::Slow, open)?;
        Ok(self.readiness.get_or_init(|| readiness).as_raw_fd())
    }

    /// Leaves the pipe without a verdict.
    pub fn detach(&self, py: Python<'_>) -> PyResult<()> {
        self.ensure_of_this_process(py)?;
        if self.held.load(Ordering::Relaxed) > 0 || self.has_views.load(Ordering::Relaxed) {
            return Err(misuse(py, "cannot leave: a block is held"));
        }
        self.with(py, Call::Slow, |_| Ok(()))?;
        self.give_up();
        Ok(())
    }

    /// Runs a call of the end that does not wait for the peer. If another thread is waiting, its wait is interrupted and
    /// continues afterwards.
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

    /// Runs a call that waits for the peer, without the interpreter's lock. Signal handlers run during the wait; if one
    /// raises an exception, the wait ends with it.
    pub fn wait<T: Send>(
        &self,
        py: Python<'_>,
        mut act: impl FnMut(&mut E) -> Result<T, PipeError> + Send,
    ) -> PyResult<T> {
        self.ensure_of_this_process(py)?;
        let _waiter = Waiter::register(&self.waiter).ok_or_else(|| {
            misuse(py, "another thread, or a function that called this one, is waiting on this end")
        })?;
        loop {
            let result = py.detach(|| match self.lock_when_unwanted() {
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

    /// Runs a call that waits for a block until the deadline, and repeats it until it finds something. The call gets the
    /// time that is left, or `None` if there is no deadline. Returns `None` after the deadline.
    pub fn wait_until<T: Send>(
        &self,
        py: Python<'_>,
        deadline: Option<Instant>,
        mut act: impl FnMut(&mut E, Option<Duration>) -> Result<Option<T>, PipeError> + Send,
    ) -> PyResult<Option<T>> {
        self.wait(py, |end| {
            loop {
                let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
                let found = act(end, left)?;
                if found.is_some() || left.is_some_and(|left| left.is_zero()) {
                    return Ok(found);
                }
            }
        })
    }

    /// Finds out why the library's wait was canceled. Returns `Ok` if it should continue, because another thread only
    /// needed the end for a moment.
    fn continue_wait(&self, py: Python<'_>) -> PyResult<()> {
        if let Some(raised) = take_raised() {
            return Err(raised);
        }
        if self.is_canceled.swap(false, Ordering::Relaxed) {
            return Err(pipe_error(py, PipeError::Canceled));
        }
        py.check_signals()
    }

    /// Gives up the end as if the process had been killed.
    pub fn give_up(&self) {
        // A forked child must not wait for a lock that no thread will unlock. It drops the end together with `self`.
        let end = self.try_lock().and_then(|mut end| end.take());
        drop(end);
    }

    /// Settles a block now or at the next opportunity. Never sleeps: objects call it while they are being destroyed,
    /// even in a signal handler of the thread that waits.
    pub fn settle_soon(&self, block: E::Block) {
        if self.is_of_this_process() {
            lock(&self.later).push(block);
            self.settle_now();
            if !lock(&self.later).is_empty() {
                // Another thread is using the end, and settles the block after its call. A wait is interrupted for that.
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

    /// Locks the end once no other thread needs it for a short call. Returns `None` if that takes too long.
    fn lock_when_unwanted(&self) -> Option<MutexGuard<'_, Option<E>>> {
        let wanted = lock(&self.wanted);
        let (wanted, _) = self
            .none_wanted
            .wait_timeout_while(wanted, TURN, |wanted| *wanted > 0)
            .unwrap_or_else(PoisonError::into_inner);
        let is_unwanted = *wanted == 0;
        drop(wanted);
        is_unwanted.then(|| lock(&self.shared))
    }
}

/// Registers the thread that waits, until it is dropped.
struct Waiter<'a>(&'a Mutex<Option<ThreadId>>);

impl<'a> Waiter<'a> {
    /// Registers this thread. Returns `None` if a thread is registered already.
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
