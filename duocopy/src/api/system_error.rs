//! Errors of the operating system.

use serde::{Deserialize, Serialize};
use std::io;

/// An error of the operating system, in a form that can be cloned and sent to another process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemError {
    /// The system's number (`errno`, or the code of `GetLastError`), if it has one.
    pub code: Option<i32>,
    #[serde(skip_serializing_if = "String::is_empty", default)]
    text: String,
}

impl SystemError {
    /// The error of this number.
    #[must_use]
    pub fn from_code(code: i32) -> Self {
        Self::from(&io::Error::from_raw_os_error(code))
    }

    /// Leaves only the number, for a process that must not choose the words that this one shows.
    pub(crate) fn without_text(self) -> Self {
        Self { text: String::new(), ..self }
    }

    /// Replaces the words by those of this system for the number.
    pub(crate) fn with_own_text(self) -> Self {
        self.code.map_or_else(|| io::Error::from(io::ErrorKind::Other).into(), Self::from_code)
    }

    /// Returns the kind of the error in the standard library, or `Other` if it has no number.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.code.map_or(io::ErrorKind::Other, |code| io::Error::from_raw_os_error(code).kind())
    }

    /// Returns whether this process, or the whole system, may not open any more files.
    #[must_use]
    pub fn is_too_many_files(&self) -> bool {
        self.code.is_some_and(|code| if cfg!(windows) { code == 4 } else { code == 23 || code == 24 })
    }

    /// Returns whether a file, such as a standard stream, is not open, or not in the direction that is needed.
    #[must_use]
    pub fn is_not_open(&self) -> bool {
        self.code == Some(if cfg!(windows) { 6 } else { 9 })
    }

    /// Returns whether a name has bytes that the file system cannot store as characters (`EILSEQ`).
    #[must_use]
    pub fn is_bad_encoding(&self) -> bool {
        // The numbers of Linux, FreeBSD and macOS; nothing else about a name has one of them.
        !cfg!(windows) && self.code.is_some_and(|code| [84, 86, 92].contains(&code))
    }
}

impl From<&io::Error> for SystemError {
    /// An error that this program made gets the system's number, so that its kind survives the way to another process.
    fn from(error: &io::Error) -> Self {
        let number = |unix, windows| Some(if cfg!(windows) { windows } else { unix });
        let code = error.raw_os_error().or_else(|| match error.kind() {
            io::ErrorKind::Interrupted => number(4, 995),
            io::ErrorKind::PermissionDenied => number(13, 5),
            io::ErrorKind::NotADirectory => number(20, 267),
            io::ErrorKind::ResourceBusy => number(16, 170),
            io::ErrorKind::StorageFull => number(28, 112),
            _ => None,
        });
        Self { code, text: error.to_string() }
    }
}

impl From<io::Error> for SystemError {
    fn from(error: io::Error) -> Self {
        Self::from(&error)
    }
}

impl std::fmt::Display for SystemError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for SystemError {}
