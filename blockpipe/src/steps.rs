//! Only in test builds (`--cfg blockpipe_steps`): ends the process between two steps that others can see.
//!
//! System calls can be stopped at from outside; the stores between them cannot. `BLOCKPIPE_STEP` is the number of
//! the step at which this process ends as a kill would end it: nothing is unwound, the kernel frees the seats.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) fn step() {
    static LAST: LazyLock<Option<u64>> = LazyLock::new(|| std::env::var("BLOCKPIPE_STEP").ok()?.parse().ok());
    static COUNT: AtomicU64 = AtomicU64::new(0);
    if LAST.is_some_and(|last| COUNT.fetch_add(1, Ordering::Relaxed) + 1 == last) {
        std::process::abort();
    }
}
