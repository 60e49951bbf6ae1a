//! The one place from which the ring takes its atomics and its bell, so that a model checker can drive it.

#[cfg(not(loom))]
mod real {
    pub(crate) use crate::sys::Bell;
    pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
}

#[cfg(loom)]
mod real {
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};
    use std::time::Duration;

    /// A word that both sides write, with its stores made by swaps.
    ///
    /// Loom does not know that nothing comes between what a swap reads and what it writes: it would take a waker's
    /// swap and the sleeper's next store for unordered, and report wake-ups as lost that no machine can lose. Swaps
    /// alone are ordered. They order nothing else, so a fence that is missing is still missed.
    #[derive(Debug)]
    pub(crate) struct AtomicU32(loom::sync::atomic::AtomicU32);

    impl AtomicU32 {
        pub(crate) fn new(value: u32) -> Self {
            Self(loom::sync::atomic::AtomicU32::new(value))
        }

        pub(crate) fn load(&self, order: Ordering) -> u32 {
            self.0.load(order)
        }

        pub(crate) fn store(&self, value: u32, order: Ordering) {
            self.0.swap(value, order);
        }

        pub(crate) fn swap(&self, value: u32, order: Ordering) -> u32 {
            self.0.swap(value, order)
        }
    }

    /// A bell with the contract of `sys::Bell`. It has no time limit: a lost ring shows as a deadlock.
    #[derive(Debug, Default)]
    pub(crate) struct Bell {
        lock: loom::sync::Mutex<()>,
        rung: loom::sync::Condvar,
    }

    impl Bell {
        pub(crate) fn sleep(&self, word: &AtomicU32, _limit: Duration) {
            let mut guard = self.lock.lock().unwrap();
            while word.load(Ordering::Relaxed) == 1 {
                guard = self.rung.wait(guard).unwrap();
            }
        }

        pub(crate) fn ring(&self, _word: &AtomicU32) {
            drop(self.lock.lock().unwrap());
            self.rung.notify_all();
        }
    }
}

pub(crate) use real::*;

/// A place between two steps that others can see, where tests of kills can end the process (`steps.rs`) or, under
/// the model checker, a thread that stands for one. In every other build this is nothing.
#[cfg(not(any(blockpipe_steps, loom)))]
#[inline(always)]
pub(crate) fn step() {}

#[cfg(all(blockpipe_steps, not(loom)))]
pub(crate) use crate::steps::step;

#[cfg(loom)]
pub(crate) mod kill {
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    struct Killed;

    loom::thread_local! {
        static STEPS_LEFT: Cell<Option<u32>> = Cell::new(None);
    }

    pub(crate) fn step() {
        STEPS_LEFT.with(|left| match left.get() {
            Some(0) => resume_unwind(Box::new(Killed)),
            Some(more) => left.set(Some(more - 1)),
            None => {}
        });
    }

    /// Does `act` until its step of this number; whether it got to its end before.
    pub(crate) fn at_step(number: u32, act: impl FnOnce()) -> bool {
        STEPS_LEFT.with(|left| left.set(Some(number)));
        let result = catch_unwind(AssertUnwindSafe(act));
        STEPS_LEFT.with(|left| left.set(None));
        match result {
            Ok(()) => true,
            Err(reason) if reason.is::<Killed>() => false,
            Err(reason) => resume_unwind(reason),
        }
    }
}

#[cfg(loom)]
pub(crate) use kill::step;
