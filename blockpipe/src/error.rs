//! How joining a pipe fails and how a pipe ends: one enum each.

use crate::monitor::Snapshot;
use crate::reason::Reason;
use crate::ring::ProtocolViolation;
use crate::sys::{OpenError, Side};
use std::io;

/// Why joining a pipe failed. Nothing was disturbed and nothing was left over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// Living processes hold both ends, or the end that was requested.
    #[error("too many instances: no end of this pipe is free for this process")]
    TooManyInstances(Box<Snapshot>),
    /// Another process waits under this name with a different tag, and keeps waiting.
    #[error("this name is in use with a different tag")]
    OtherTag(Box<Snapshot>),
    /// A process under this name uses another version of the protocol.
    #[error("the peer uses version {theirs} of the protocol, this is version {ours}")]
    OtherVersion {
        /// The version of this library.
        ours: u32,
        /// The version in the pipe's header.
        theirs: u32,
    },
    /// The name belongs to something that is not a pipe of this user; it was left alone.
    #[error("{path}: {what}; it was left alone")]
    Foreign {
        /// The path, or the name of the system object.
        path: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A pair under this name is ending and did not finish within half a second.
    #[error("a pair under this name is still ending")]
    Leaving(Box<Snapshot>),
    /// Another process has been joining or leaving for more than half a second; it may be stopped.
    #[error(
        "a process has been joining or leaving under this name for more than half a second; is it stopped?"
    )]
    Busy,
    /// No producer came within [`Pipe::connect_timeout`](crate::Pipe::connect_timeout).
    #[error("timed out waiting for a peer")]
    NoPeer,
    /// The producer aborted before the pipe was ready.
    #[error("{0}")]
    Aborted(Reason),
    /// The header holds values that no correct producer writes.
    #[error("the peer violated the protocol: {0}")]
    Corrupt(&'static str),
    /// An interrupt flag was set while waiting for the producer, which receives the flag's reason.
    #[error("interrupted")]
    Interrupted,
    /// A system call failed.
    #[error("{doing}: {source}")]
    Io {
        /// What the library was doing, as in "opening /dev/shm/blockpipe-1000".
        doing: String,
        /// The system's error.
        source: io::Error,
    },
}

/// Why a pipe ended short of *complete*, or cannot continue.
///
/// Every error except [`Misuse`](Self::Misuse) ends the role: the seat is released, the peer learns of it, and every
/// later call returns [`Over`](Self::Over).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipeError {
    /// One end aborted before anything was final. Both ends receive the same reason.
    #[error("{reason}")]
    Aborted {
        /// The end that aborted.
        by: Side,
        /// Why it did.
        reason: Reason,
    },
    /// The peer's process died before anything was final.
    #[error("the peer died")]
    PeerDied,
    /// The consumer's process died while it was making its result final. Only the result itself shows whether it is;
    /// the consumer's [`Identity`](crate::Identity) helps to recognise it.
    #[error("the consumer died while committing")]
    DiedCommitting,
    /// No peer came within [`Pipe::connect_timeout`](crate::Pipe::connect_timeout).
    #[error("timed out waiting for a peer")]
    NoPeer,
    /// An interrupt flag was set; the pipe was aborted with the reason given to
    /// [`Pipe::interrupt`](crate::Pipe::interrupt).
    #[error("interrupted")]
    Interrupted,
    /// The peer wrote what no correct peer writes; the pipe was aborted.
    #[error("the peer violated the protocol: {0}")]
    Corrupt(&'static str),
    /// A system call failed; the pipe was aborted.
    #[error("{doing}: {source}")]
    Io {
        /// What the library was doing, as in "mapping the blocks".
        doing: String,
        /// The system's error.
        source: io::Error,
    },
    /// The call is not allowed in this state; nothing has changed.
    #[error("{0}")]
    Misuse(&'static str),
    /// The end was used again after it had ended.
    #[error("the pipe has ended")]
    Over,
}

impl JoinError {
    /// Adds what the library was doing to an error of the system.
    pub(crate) fn io(doing: &str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { doing: doing.into(), source }
    }
}

impl PipeError {
    /// Adds what the library was doing to an error of the system.
    pub(crate) fn io(doing: &str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { doing: doing.into(), source }
    }
}

impl From<OpenError> for JoinError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Foreign { path, what } => Self::Foreign { path, what },
            OpenError::Io { doing, source } => Self::Io { doing, source },
        }
    }
}

impl From<ProtocolViolation> for PipeError {
    fn from(violation: ProtocolViolation) -> Self {
        Self::Corrupt(violation.0)
    }
}
