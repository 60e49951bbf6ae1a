//! How joining a pipe fails and how a pipe ends: one enum each.

use crate::layout::Geometry;
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
    #[error("too many instances: {}", .0.holders())]
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
    /// The other end waits for a replacement of its dead peer, and this process does not set
    /// [`Pipe::replace_within`](crate::Pipe::replace_within).
    #[error(
        "{} and waits for a replacement of its dead peer; to replace it, set `replace_within`", .0.holders()
    )]
    AwaitsReplacement(Box<Snapshot>),
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
    /// The wait was canceled ([`Pipe::cancel_when`](crate::Pipe::cancel_when)); a producer waits for another consumer.
    #[error("canceled")]
    Canceled,
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
/// [`Misuse`](Self::Misuse), [`CallFailed`](Self::CallFailed), [`OtherGeometry`](Self::OtherGeometry),
/// [`Canceled`](Self::Canceled) and [`Forked`](Self::Forked) change nothing: the end can be used as before. Every other
/// error is [final](Self::is_final): the seat is released, the peer learns of it, and every later call returns
/// [`Over`](Self::Over).
///
/// # Examples
/// A service waits for the next producer when one has died or aborted:
///
/// ```
/// use blockpipe::{Consumer, Pipe, PipeError};
/// # type Failure = Box<dyn std::error::Error + Send + Sync>;
///
/// fn receive(consumer: &mut Consumer) -> Result<(), PipeError> {
///     while let Some(block) = consumer.filled_block()? {
///         // Use the block here.
///         consumer.release(block)?;
///     }
///     consumer.finish()
/// }
///
/// fn serve(pipe: &Pipe) -> Result<(), Failure> {
///     loop {
///         match receive(&mut pipe.join_as_consumer()?) {
///             Err(PipeError::PeerDied | PipeError::Aborted { .. }) => continue,
///             result => return Ok(result?),
///         }
///     }
/// }
/// # mod setup { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/setup.rs")); }
/// # let pipe = Pipe::named(setup::name());
/// # let service = std::thread::spawn({ let pipe = pipe.clone(); move || serve(&pipe) });
/// # let mut first = pipe.join_as_producer()?;
/// # first.start()?;
/// # setup::send(&mut first, &["hello"]);
/// # drop(first);
/// # pipe.join_as_producer()?.finish()?;
/// # service.join().unwrap()?;
/// # Ok::<(), Failure>(())
/// ```
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
    /// The consumer's process died while it was making its result final, or had not finished 10 seconds after this
    /// process was interrupted. Only the result itself shows whether it is final; the consumer's hello
    /// ([`Producer::peer_hello`](crate::Producer::peer_hello)) helps to recognise it.
    #[error("the consumer did not finish committing")]
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
    /// A system call failed; nothing has changed, and the caller may try again.
    #[error("{doing}: {source}")]
    CallFailed {
        /// What the library was doing, as in "reserving the blocks in shared memory".
        doing: String,
        /// The system's error.
        source: io::Error,
    },
    /// The call is not allowed in this state; nothing has changed.
    #[error("{0}")]
    Misuse(&'static str),
    /// This producer replaces one that had divided the memory differently, and has to work with that; nothing has
    /// changed.
    #[error("the dead producer used {} blocks of {} bytes", .0.blocks(), .0.block_size())]
    OtherGeometry(Geometry),
    /// The wait was ended by a [`Canceller`](crate::Canceller) or by [`Pipe::cancel_when`](crate::Pipe::cancel_when);
    /// nothing has changed.
    #[error("canceled")]
    Canceled,
    /// The end was used in a forked child. It belongs to the parent, and nothing has changed for it.
    #[error("this end belongs to the process that forked this one; open another one here")]
    Forked,
    /// The end was used again after it had ended.
    #[error("the pipe has ended")]
    Over,
}

impl JoinError {
    /// Adds what the library was doing to an error of the system.
    pub(crate) fn io(doing: &str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { doing: doing.into(), source }
    }

    /// Converts the error that ended the wait of a consumer that never became ready.
    pub(crate) fn before_ready(error: PipeError) -> Self {
        match error {
            PipeError::Aborted { reason, .. } => Self::Aborted(reason),
            PipeError::Interrupted => Self::Interrupted,
            PipeError::NoPeer => Self::NoPeer,
            PipeError::Canceled => Self::Canceled,
            PipeError::Io { doing, source } => Self::Io { doing, source },
            PipeError::Corrupt(what) => Self::Corrupt(what),
            other => unreachable!("a wait for READY cannot end with: {other}"),
        }
    }
}

impl PipeError {
    /// Adds what the library was doing to an error of the system.
    pub(crate) fn io(doing: &str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { doing: doing.into(), source }
    }
}

impl PipeError {
    /// Returns whether the end has ended. If not, nothing has changed, and it can be used as before. See the example
    /// [above](Self#examples).
    pub fn is_final(&self) -> bool {
        !matches!(
            self,
            Self::Misuse(_)
                | Self::CallFailed { .. }
                | Self::OtherGeometry(_)
                | Self::Canceled
                | Self::Forked
        )
    }

    /// As [`io`](Self::io), if nothing has changed.
    pub(crate) fn call(doing: &str) -> impl Fn(io::Error) -> Self {
        move |source| Self::CallFailed { doing: doing.into(), source }
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

impl From<PipeError> for io::Error {
    fn from(error: PipeError) -> Self {
        let kind = match &error {
            PipeError::Io { source, .. } | PipeError::CallFailed { source, .. } => source.kind(),
            // Not `Interrupted`, after which the standard library tries again.
            PipeError::Interrupted | PipeError::Canceled => io::ErrorKind::Other,
            PipeError::NoPeer => io::ErrorKind::TimedOut,
            PipeError::PeerDied | PipeError::DiedCommitting | PipeError::Over => io::ErrorKind::BrokenPipe,
            PipeError::Aborted { .. } => io::ErrorKind::ConnectionAborted,
            PipeError::Corrupt(_) => io::ErrorKind::InvalidData,
            PipeError::Misuse(_) | PipeError::OtherGeometry(_) | PipeError::Forked => {
                io::ErrorKind::InvalidInput
            }
        };
        Self::new(kind, error)
    }
}
