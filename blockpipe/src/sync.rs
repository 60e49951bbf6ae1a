//! The only source of the ring's atomics and bell, so that a model checker can replace them.

#[cfg(not(loom))]
mod real {
    pub(crate) use crate::sys::Bell;
    pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
}

#[cfg(loom)]
mod real {
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};
    use std::time::Duration;

    /// A word that both sides write, whose stores are made by swaps.
    ///
    /// Loom does not know that nothing can come between the read and the write of a swap: it would treat a waker's swap
    /// and the sleeper's next store as unordered, and report lost wake-ups that no machine can lose. Swaps are ordered
    /// among themselves and order nothing else, so a missing fence is still found.
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

    /// A bell with the contract of `sys::Bell`. A sleep reaches its time limit only as often as the test says, so that a
    /// lost wake-up shows as a deadlock.
    #[derive(Debug, Default)]
    pub(crate) struct Bell {
        limits: loom::sync::Mutex<u32>,
        rung: loom::sync::Condvar,
    }

    impl Bell {
        pub(crate) fn sleep(&self, word: &AtomicU32, _limit: Duration) {
            let mut limits = self.limits.lock().unwrap();
            while word.load(Ordering::Relaxed) == 1 && *limits == 0 {
                limits = self.rung.wait(limits).unwrap();
            }
            *limits = limits.saturating_sub(1);
        }

        pub(crate) fn ring(&self, _word: &AtomicU32) {
            drop(self.limits.lock().unwrap());
            self.rung.notify_all();
        }

        /// Lets one sleep reach its time limit, this one or the next.
        pub(crate) fn let_time_pass(&self) {
            *self.limits.lock().unwrap() += 1;
            self.rung.notify_all();
        }
    }
}

pub(crate) use real::*;

/// Marks the end of a step that others can observe. Tests can kill the process here (`steps.rs`) or, under the model
/// checker, the thread that stands for it. In every other build this does nothing.
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

    /// Runs `act` and kills it at the step of this number. Returns whether it ended before.
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
