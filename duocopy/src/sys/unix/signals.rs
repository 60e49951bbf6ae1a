//! Signals that stop the copy, and those that ask for its state.

use super::users::status_field;
use nix::sys::signal::{SigSet, Signal};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag::{register, register_conditional_shutdown, register_usize};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The signals that ask the process to stop in an orderly way.
const STOPPING: [i32; 3] = [SIGHUP, SIGINT, SIGTERM];

/// Records the signals that this process received.
#[derive(Clone, Debug)]
pub struct Signals {
    /// Set by the first signal that stops the process, or by the program itself.
    pub stop: Arc<AtomicBool>,
    number: Arc<AtomicUsize>,
    status: Arc<AtomicBool>,
}

impl Signals {
    /// Starts to watch: the first Ctrl-C, hang-up or termination sets a flag, and a second one ends the process with
    /// `exit_base` plus the number of the signal.
    ///
    /// Signals that the process ignored when it started (`nohup`, background jobs) stay ignored. Signals that were
    /// blocked are unblocked: the mask is one that a parent forgot to restore, and with it nobody could interrupt the
    /// copy.
    pub fn watch(exit_base: u8) -> io::Result<Self> {
        let signals = Self {
            stop: Arc::new(AtomicBool::new(false)),
            number: Arc::new(AtomicUsize::new(0)),
            status: Arc::new(AtomicBool::new(false)),
        };
        // This is not `stop`, which the program may set too: only a second signal ends the process at once.
        let second = Arc::new(AtomicBool::new(false));
        // A bit for each ignored signal. Only Linux tells; elsewhere no signal counts as ignored.
        let ignored = status_field("SigIgn:", 16).unwrap_or(0);
        let is_ignored = |signal: i32| ignored >> (signal - 1) & 1 == 1;
        for signal in STOPPING.into_iter().filter(|signal| !is_ignored(*signal)) {
            register_conditional_shutdown(signal, i32::from(exit_base) + signal, Arc::clone(&second))?;
            register(signal, Arc::clone(&second))?;
            register_usize(signal, Arc::clone(&signals.number), signal.unsigned_abs() as usize)?;
            register(signal, Arc::clone(&signals.stop))?;
        }
        register(SIGUSR1, Arc::clone(&signals.status))?;
        // Ctrl-T.
        #[cfg(any(target_os = "macos", target_os = "freebsd"))]
        register(rustix::process::Signal::INFO.as_raw(), Arc::clone(&signals.status))?;
        // A handler, even one that does nothing, keeps the signal from killing the process: a write beyond `ulimit -f`
        // then fails like any other.
        register(rustix::process::Signal::XFSZ.as_raw(), Arc::default())?;
        // While SIGCHLD is ignored, the system does not report how the second process of `cp` ended.
        if is_ignored(SIGCHLD) {
            register(SIGCHLD, Arc::default())?;
        }
        [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM, Signal::SIGUSR1]
            .into_iter()
            .collect::<SigSet>()
            .thread_unblock()?;
        Ok(signals)
    }

    /// Returns the signal that stopped this process, if one did.
    pub fn number(&self) -> Option<u8> {
        let number = self.number.load(Ordering::Relaxed);
        (number != 0).then_some(number as u8)
    }

    /// Checks whether somebody has asked for a status line since the last call, by SIGUSR1, or by SIGINFO where that
    /// exists.
    pub fn status_requested(&self) -> bool {
        self.status.swap(false, Ordering::Relaxed)
    }
}
