//! The types of the contract in `mod.rs` that are the same on every system.

use std::ffi::{OsStr, OsString};
use std::io;

/// One of the two ends of a pipe. Each is a seat that at most one living process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The end that fills blocks and sends them.
    Producer,
    /// The end that takes blocks and gives them back.
    Consumer,
}

impl Side {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Producer => Self::Consumer,
            Self::Consumer => Self::Producer,
        }
    }
}

/// The directory of a pipe, where pipes are files.
#[derive(Clone, Debug)]
pub(crate) enum Location {
    /// This user's own directory, which is made if it is missing.
    Usual,
    /// A chosen directory, which other users may be able to enter.
    Shared(OsString),
    /// A chosen directory that must belong to this user alone.
    Private(OsString),
}

impl From<Option<&OsStr>> for Location {
    fn from(shared: Option<&OsStr>) -> Self {
        shared.map_or(Self::Usual, |path| Self::Shared(path.into()))
    }
}

/// Sleeps briefly between two checks of something that has no bell: the gate, and a pair that is leaving.
#[expect(clippy::disallowed_methods, reason = "the one place where the library sleeps without a bell")]
pub(crate) fn pause(time: std::time::Duration) {
    std::thread::sleep(time);
}

/// Why a pipe's object could not be opened.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// The name belongs to something that this library did not create.
    Foreign {
        path: String,
        what: &'static str,
    },
    Io {
        doing: String,
        source: io::Error,
    },
}
