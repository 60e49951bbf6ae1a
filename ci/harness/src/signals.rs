//! Signals of the processes that tests start.
//!
//! A shell without job control starts background jobs with SIGINT and SIGQUIT ignored, and `nohup` ignores SIGHUP.
//! Whatever those start ignores them too: a process inherits ignored signals through `exec`, and a program that
//! respects this, as a good one does, cannot be interrupted in a test.

/// Makes processes that are started after this call treat all signals in the default way. This process itself goes on
/// ignoring what it ignored.
///
/// `exec` keeps an ignored signal ignored, but resets one that is *caught*. So this catches what is ignored and does
/// nothing about it.
#[cfg(unix)]
pub fn restore_defaults_in_children() {
    use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    use std::sync::{Arc, atomic::AtomicBool};

    let ignored = ignored();
    // Not SIGPIPE: Rust ignores it in every program, and restores it in every child.
    for signal in [SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2] {
        if ignored >> (signal - 1) & 1 == 1 {
            let unused = Arc::new(AtomicBool::new(false));
            signal_hook::flag::register(signal, unused).expect("this signal can be caught");
        }
    }
}

/// Returns the signals that this process ignores, one bit for each; none where the system has no `/proc`.
#[cfg(unix)]
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Does nothing: there are no signals that a process could ignore for another one.
#[cfg(not(unix))]
pub fn restore_defaults_in_children() {}
