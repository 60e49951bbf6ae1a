//! Process-wide state, which a copy does not change: a program uses these functions in its `main`.

use crate::api::Stop;
use crate::sys;
use std::io;

pub use crate::sys::{
    HAS_ACCESS_LISTS, HAS_ATTRIBUTES, HAS_OWNERS, absolute, check_standard_output, printable, shell_quote,
    umask, user_name,
};

/// Watches for the signals that stop a process in an orderly way.
#[derive(Clone, Debug)]
pub struct Signals(sys::Signals);

impl Signals {
    /// From now on the first Ctrl-C, hang-up or termination requests a [stop](Self::stop), and a second one ends the
    /// process at once, with the exit code `base` plus the number of the signal. A signal that was ignored when the
    /// process started (`nohup`, background jobs) stays ignored.
    ///
    /// # Errors
    /// The system's error, if the signals cannot be watched.
    pub fn watch(base: u8) -> io::Result<Self> {
        sys::Signals::watch(base).map(Self)
    }

    /// Returns what the first signal requests.
    #[must_use]
    pub fn stop(&self) -> Stop {
        Stop::from(self.0.stop.clone())
    }

    /// Returns the number of the signal that stopped this process, if one did.
    #[must_use]
    pub fn number(&self) -> Option<u8> {
        self.0.number()
    }

    /// Returns whether the user has asked for a status line since the last call (SIGUSR1; SIGINFO where it exists).
    #[must_use]
    pub fn status_requested(&self) -> bool {
        self.0.status_requested()
    }
}
