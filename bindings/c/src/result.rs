//! The codes that functions return, and how errors become codes.

use pipe::{JoinError, PipeError, Reason, Side};

/// The result of a function: 0 is success, positive values are not failures, negative values are errors.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum blockpipe_result {
    /// The call succeeded.
    BLOCKPIPE_OK = 0,
    /// There is nothing now: no block within the timeout, or no such value.
    BLOCKPIPE_NOTHING = 1,
    /// The last block has been handed out, and the producer has closed the stream.
    BLOCKPIPE_END = 2,

    /// An argument that must not be NULL is NULL. Nothing has changed.
    BLOCKPIPE_NULL_ARGUMENT = -1,
    /// The call is not allowed in this state, or not with these arguments. Nothing has changed.
    BLOCKPIPE_MISUSE = -2,
    /// A system call failed. Nothing has changed, and the caller may try again.
    BLOCKPIPE_CALL_FAILED = -3,
    /// The dead producer used another block size or number of blocks, which its replacement must keep. Nothing has
    /// changed.
    BLOCKPIPE_OTHER_GEOMETRY = -4,
    /// The wait was ended by `blockpipe_cancel`. Nothing has changed.
    BLOCKPIPE_CANCELED = -5,
    /// The object was used in a forked child. Nothing has changed for the parent.
    BLOCKPIPE_FORKED = -6,

    /// Living processes hold both ends, or the end that was requested.
    BLOCKPIPE_TOO_MANY_INSTANCES = -20,
    /// Another process waits under this name with another tag.
    BLOCKPIPE_OTHER_TAG = -21,
    /// A process under this name uses another version of the protocol.
    BLOCKPIPE_OTHER_VERSION = -22,
    /// The name belongs to something that is not a pipe of this user; it was left alone.
    BLOCKPIPE_FOREIGN = -23,
    /// A pair under this name is ending, and did not finish within half a second.
    BLOCKPIPE_LEAVING = -24,
    /// Another process has been joining or leaving for more than half a second; it may be stopped.
    BLOCKPIPE_BUSY = -25,
    /// The other end waits for a replacement of its dead peer, and this process does not call
    /// `blockpipe_options_set_replace_within`.
    BLOCKPIPE_AWAITS_REPLACEMENT = -26,

    /// No peer came within the connect timeout.
    BLOCKPIPE_NO_PEER = -40,
    /// One end aborted; both receive the same reason (`blockpipe_last_reason`).
    BLOCKPIPE_ABORTED = -41,
    /// The peer's process died before anything was final.
    BLOCKPIPE_PEER_DIED = -42,
    /// The consumer's process died while it was making its result final. Only the result itself shows whether it is.
    BLOCKPIPE_DIED_COMMITTING = -43,
    /// The peer violated the protocol; the pipe was aborted.
    BLOCKPIPE_CORRUPT = -44,
    /// A system call failed; an end that had joined has aborted the pipe.
    BLOCKPIPE_IO = -45,
    /// The end was used again after it had ended.
    BLOCKPIPE_OVER = -46,
    /// The wait was interrupted, and the pipe aborted.
    BLOCKPIPE_INTERRUPTED = -47,

    /// A bug in this library; the message describes it. Free the object that was used.
    BLOCKPIPE_INTERNAL = -60,
}

#[allow(clippy::enum_glob_use, reason = "a table of all codes follows")]
use blockpipe_result::*;

/// Returns whether an end that has returned this result has ended: its seat is released, the peer learns of it, and
/// every later call returns BLOCKPIPE_OVER. Results from BLOCKPIPE_FORKED (-6) upwards do not end it. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn blockpipe_is_final(result: i32) -> bool {
    result < BLOCKPIPE_FORKED as i32
}

/// A failed call: its code and its message.
pub(crate) struct Failure {
    pub code: blockpipe_result,
    pub text: String,
    /// The reason, if one end aborted.
    pub reason: Option<Reason>,
}

pub(crate) type Outcome = Result<blockpipe_result, Failure>;

impl Failure {
    pub(crate) fn new(code: blockpipe_result, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), reason: None }
    }

    /// Reports that an argument is NULL.
    pub(crate) fn null(argument: &str) -> Self {
        Self::new(BLOCKPIPE_NULL_ARGUMENT, format!("`{argument}` is NULL"))
    }

    pub(crate) fn misuse(text: &str) -> Self {
        Self::new(BLOCKPIPE_MISUSE, text)
    }

    /// Reports that a block was used in a forked child.
    pub(crate) fn forked() -> Self {
        PipeError::Forked.into()
    }

    fn aborted(by: Side, reason: Reason) -> Self {
        let by = match by {
            Side::Producer => "producer",
            Side::Consumer => "consumer",
        };
        let text = format!("the {by} aborted with code {}: {reason}", reason.code);
        Self { code: BLOCKPIPE_ABORTED, text, reason: Some(reason) }
    }
}

/// Returns BLOCKPIPE_OK if a call of the library that returns no value has succeeded.
pub(crate) fn done(result: Result<(), PipeError>) -> Outcome {
    result?;
    Ok(BLOCKPIPE_OK)
}

impl From<PipeError> for Failure {
    fn from(error: PipeError) -> Self {
        let code = match error {
            PipeError::Aborted { by, reason } => return Self::aborted(by, reason),
            PipeError::PeerDied => BLOCKPIPE_PEER_DIED,
            PipeError::DiedCommitting => BLOCKPIPE_DIED_COMMITTING,
            PipeError::NoPeer => BLOCKPIPE_NO_PEER,
            PipeError::Interrupted => BLOCKPIPE_INTERRUPTED,
            PipeError::Corrupt(_) => BLOCKPIPE_CORRUPT,
            PipeError::Io { .. } => BLOCKPIPE_IO,
            PipeError::CallFailed { .. } => BLOCKPIPE_CALL_FAILED,
            PipeError::Misuse(_) => BLOCKPIPE_MISUSE,
            PipeError::OtherGeometry(_) => BLOCKPIPE_OTHER_GEOMETRY,
            PipeError::Canceled => BLOCKPIPE_CANCELED,
            PipeError::Forked => BLOCKPIPE_FORKED,
            PipeError::Over => BLOCKPIPE_OVER,
            // A kind that this interface has no code for yet.
            _ => BLOCKPIPE_INTERNAL,
        };
        Self::new(code, error.to_string())
    }
}

impl From<JoinError> for Failure {
    fn from(error: JoinError) -> Self {
        let code = match error {
            // Only a producer can abort before the pipe is ready.
            JoinError::Aborted(reason) => return Self::aborted(Side::Producer, reason),
            JoinError::TooManyInstances(_) => BLOCKPIPE_TOO_MANY_INSTANCES,
            JoinError::OtherTag(_) => BLOCKPIPE_OTHER_TAG,
            JoinError::OtherVersion { .. } => BLOCKPIPE_OTHER_VERSION,
            JoinError::Foreign { .. } => BLOCKPIPE_FOREIGN,
            JoinError::Leaving(_) => BLOCKPIPE_LEAVING,
            JoinError::Busy => BLOCKPIPE_BUSY,
            JoinError::AwaitsReplacement(_) => BLOCKPIPE_AWAITS_REPLACEMENT,
            JoinError::NoPeer => BLOCKPIPE_NO_PEER,
            JoinError::Corrupt(_) => BLOCKPIPE_CORRUPT,
            JoinError::Interrupted => BLOCKPIPE_INTERRUPTED,
            JoinError::Io { .. } => BLOCKPIPE_IO,
            _ => BLOCKPIPE_INTERNAL,
        };
        Self::new(code, error.to_string())
    }
}
