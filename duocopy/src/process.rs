//! Process-wide state, which a copy does not change: a program uses these functions in its `main`.

use crate::api::Stop;
use crate::sys;
use std::io;
use std::path::{Path, PathBuf};

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

/// Returns the umask of this process, for [`Request::umask`](crate::Request::umask).
///
/// On systems that do not report the umask, it is set and restored. So call this before other threads create files.
#[must_use]
pub fn umask() -> u32 {
    sys::umask()
}

/// Returns an error if standard output was closed when the process started, or if the program that reads from it has
/// ended. (Windows reports only the former.)
///
/// # Errors
/// The error that a write to standard output would return.
pub fn check_standard_output() -> io::Result<()> {
    sys::check_standard_output()
}

/// Returns the name of the user with this number, if there is one.
#[must_use]
pub fn user_name(user: u32) -> Option<String> {
    sys::user_name(user)
}

/// Returns text that a terminal can show as it is. Characters that could move the cursor, or hide or reorder text, are
/// escaped as in a string of Rust, and bytes that are not UTF-8 as `\x` and two digits.
#[must_use]
pub fn printable(text: &[u8]) -> String {
    sys::printable(text)
}

/// Returns the absolute path, for messages. If the path of the working directory cannot be found, device and inode stand
/// for it.
#[must_use]
pub fn absolute(path: &Path) -> PathBuf {
    sys::absolute(path)
}

/// Quotes a word for the user's shell, whatever bytes it has. The result contains nothing that [`printable`] would
/// escape.
#[must_use]
pub fn shell_quote(word: &[u8]) -> String {
    sys::shell_quote(word)
}

/// True if files have owners that can be preserved: not on Windows.
pub const HAS_OWNERS: bool = sys::HAS_OWNERS;

/// True if files have extended attributes that can be preserved.
pub const HAS_ATTRIBUTES: bool = sys::HAS_ATTRIBUTES;

/// True if files have access lists that can be preserved.
pub const HAS_ACCESS_LISTS: bool = sys::HAS_ACCESS_LISTS;
