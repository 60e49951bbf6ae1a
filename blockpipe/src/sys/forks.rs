//! Tells a forked child from its parent.

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

static FORKS: AtomicU32 = AtomicU32::new(0);

/// Returns how many forks lie between the first caller's process and this one. The kernel is not asked, so that an end
/// can compare it at every call. It does not see a process made by a bare `clone` call.
pub(crate) fn forks() -> u32 {
    static REGISTERED: Once = Once::new();
    if !REGISTERED.is_completed() {
        REGISTERED.call_once(|| {
            // SAFETY: the handler is a function without arguments that lives as long as the program. If there is no
            // memory to register it, no fork is noticed.
            let _ = unsafe { libc::pthread_atfork(None, None, Some(count)) };
        });
    }
    FORKS.load(Ordering::Relaxed)
}

/// Runs in a forked child, where only what is safe in a signal handler is allowed.
extern "C" fn count() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}
