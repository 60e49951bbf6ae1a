//! The reasons for which a half ends early.

use super::wire;
use crate::api::{Error, ErrorKind};
use blockpipe::PipeError;
use std::io;

/// The reason for which a half ends early.
#[derive(Debug)]
pub enum Halt {
    /// This half failed, and reports the error to its peer.
    Own(Error),
    /// This half failed, but leaves without aborting: the peer keeps waiting for a replacement of the dead process.
    Detach(Error),
    /// The pipe ended: the peer died or aborted, or this process was interrupted.
    Pipe(PipeError),
}

impl Halt {
    /// Returns whether the peer is gone although this half has not failed.
    pub fn is_by_death(&self) -> bool {
        match self {
            Self::Pipe(PipeError::PeerDied | PipeError::NoPeer) => true,
            Self::Pipe(error) => is_removal(error),
            _ => false,
        }
    }

    /// Returns whether one of the two processes was interrupted.
    pub fn is_by_interrupt(&self) -> bool {
        match self {
            Self::Pipe(PipeError::Aborted { reason, .. }) => reason.code == wire::INTERRUPTED,
            Self::Pipe(error) => matches!(error, PipeError::Interrupted),
            Self::Own(error) => error.kind == ErrorKind::Interrupted,
            Self::Detach(_) => false,
        }
    }

    /// Returns whether a later run may resume from the bytes that were written so far.
    pub fn leaves_good_bytes(&self) -> bool {
        let is_bad = |kind: &ErrorKind| matches!(kind, ErrorKind::Mismatch { .. } | ErrorKind::Skipped);
        !matches!(self, Self::Own(error) if is_bad(&error.kind))
    }
}

/// Returns whether somebody removed the pipe while this process waited for a peer.
pub fn is_removal(error: &PipeError) -> bool {
    matches!(error, PipeError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Own(error)
    }
}

impl From<ErrorKind> for Halt {
    fn from(kind: ErrorKind) -> Self {
        Self::Own(kind.into())
    }
}

impl From<PipeError> for Halt {
    fn from(error: PipeError) -> Self {
        Self::Pipe(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blockpipe::{Reason, Side};

    #[test]
    fn what_ended_a_copy_decides_what_may_be_kept() {
        let mismatch = || Halt::Own(ErrorKind::Mismatch { reread: false, resumed: 0 }.into());
        let full = || Halt::Own(ErrorKind::Destination.into());
        let aborted = |code| {
            Halt::Pipe(PipeError::Aborted { by: Side::Producer, reason: Reason::new(code, String::new()) })
        };
        let failed =
            |kind: io::ErrorKind| Halt::Pipe(PipeError::Io { doing: "waiting".into(), source: kind.into() });
        // The halt; by death, by interrupt, leaves good bytes.
        for (halt, expected) in [
            (mismatch(), (false, false, false)),
            (Halt::Own(ErrorKind::Skipped.into()), (false, false, false)),
            (Halt::Own(ErrorKind::Interrupted.into()), (false, true, true)),
            (full(), (false, false, true)),
            (Halt::Detach(ErrorKind::SourceDiffers.into()), (false, false, true)),
            (Halt::Pipe(PipeError::PeerDied), (true, false, true)),
            (Halt::Pipe(PipeError::NoPeer), (true, false, true)),
            (failed(io::ErrorKind::NotFound), (true, false, true)),
            (failed(io::ErrorKind::PermissionDenied), (false, false, true)),
            (Halt::Pipe(PipeError::Interrupted), (false, true, true)),
            (aborted(wire::INTERRUPTED), (false, true, true)),
            (aborted(1), (false, false, true)),
        ] {
            let decided = (halt.is_by_death(), halt.is_by_interrupt(), halt.leaves_good_bytes());
            assert_eq!(decided, expected, "{halt:?}");
        }
    }
}
