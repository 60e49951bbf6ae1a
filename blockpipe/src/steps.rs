//! Kills the process between two steps that others can observe, in test builds only (`--cfg blockpipe_steps`).
//!
//! A test can stop a process at a system call from outside, but not between two stores. `BLOCKPIPE_STEP` is the number
//! of the step at which this process dies as if it were killed: nothing is unwound, and the kernel frees the seats.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) fn step() {
    static LAST: LazyLock<Option<u64>> = LazyLock::new(|| std::env::var("BLOCKPIPE_STEP").ok()?.parse().ok());
    static COUNT: AtomicU64 = AtomicU64::new(0);
    if LAST.is_some_and(|last| COUNT.fetch_add(1, Ordering::Relaxed) + 1 == last) {
        std::process::abort();
    }
}
