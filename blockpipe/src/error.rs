//! How joining fails and how a pipe ends: one enum each.

use crate::{Side, Snapshot};
use std::fmt;
use std::io;

/// Why a pipe was aborted: who said so, a number for programs and a text for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The caller's own code; the library gives it no meaning.
    pub code: u32,
    /// At most 696 bytes reach the other side; the rest is cut.
    pub message: String,
}

impl Reason {
    /// A reason with this code and text.
    pub fn new(code: u32, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Why joining a pipe gave no end. Nothing was disturbed and nothing is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// Living processes hold both ends, or the one that was asked for.
    #[error("too many instances: no end of this pipe is free for this process")]
    TooManyInstances(Box<Snapshot>),
    /// A process waits under this name for another job, and goes on waiting.
    #[error("this name is in use for another job")]
    OtherTag(Box<Snapshot>),
    /// A process under this name speaks another version of the protocol.
    #[error("the partner speaks version {theirs} of the protocol, this is version {ours}")]
    OtherVersion {
        /// The version of this library.
        ours: u32,
        /// The version in the pipe's header.
        theirs: u32,
    },
    /// Something that is not a pipe of this user has the name; it was left alone.
    #[error("{path}: {what}; it was left alone")]
    Foreign {
        /// Where it is.
        path: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A pair under this name is ending, and did not finish within half a second.
    #[error("a pair under this name is still ending")]
    Leaving(Box<Snapshot>),
    /// Somebody stopped in the middle of arriving or leaving, for longer than half a second.
    #[error(
        "a process has been arriving or leaving under this name for more than half a second; is it stopped?"
    )]
    Busy,
    /// No producer came within [`Pipe::connect_timeout`](crate::Pipe::connect_timeout).
    #[error("no partner came")]
    NoPeer,
    /// The producer gave up before the pipe was ready.
    #[error("{0}")]
    Aborted(Reason),
    /// The producer's header is not one that a correct producer writes.
    #[error("the partner broke the protocol: {0}")]
    Corrupt(&'static str),
    /// The interrupt flag was set while waiting for the producer, which, if there is one, was told.
    #[error("interrupted")]
    Interrupted,
    /// A system call failed.
    #[error("{doing}")]
    Io {
        /// What was being done.
        doing: String,
        /// The system's error.
        source: io::Error,
    },
}

/// Why a pipe ended short of *complete*, or cannot go on.
///
/// Except after [`Misuse`](Self::Misuse), the end is over: its seat is given back, its partner is told, and every
/// later call gives [`Over`](Self::Over).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipeError {
    /// One side said that it gives up, before anything was final. Both sides get the same reason.
    #[error("{reason}")]
    Aborted {
        /// Who gave up.
        by: Side,
        /// Why.
        reason: Reason,
    },
    /// The partner's process ended without a word, while nothing was final yet.
    #[error("the partner died")]
    PeerDied,
    /// The consumer's process ended while it made its result final. Only a look at the result can tell whether
    /// that happened; the consumer's [`Identity`](crate::Identity) helps to recognise it.
    #[error("the consumer died while it made its result final")]
    DiedCommitting,
    /// No partner came within [`Pipe::connect_timeout`](crate::Pipe::connect_timeout).
    #[error("no partner came")]
    NoPeer,
    /// The interrupt flag was set; the pipe was aborted with the reason given to
    /// [`Pipe::interrupt`](crate::Pipe::interrupt).
    #[error("interrupted")]
    Interrupted,
    /// The partner wrote what no correct partner writes; the pipe was aborted.
    #[error("the partner broke the protocol: {0}")]
    Corrupt(&'static str),
    /// A system call failed; the pipe was aborted.
    #[error("{doing}")]
    Io {
        /// What was being done.
        doing: String,
        /// The system's error.
        source: io::Error,
    },
    /// The caller asked for what cannot be; nothing has changed.
    #[error("{0}")]
    Misuse(&'static str),
    /// The end was used again after it had ended.
    #[error("the pipe has ended")]
    Over,
}
