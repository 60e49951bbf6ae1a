//! How a pipe ended, as an error of this process.

use crate::api::{Aftermath, Error, ErrorKind, Role, Stop};
use crate::dest;
use crate::digest::Kind;
use crate::record::TargetRecord;
use crate::session::{Broken, Consumer, Meeting, PipeError, Producer, Reason, Side, Snapshot, role_of, wire};
use std::path::Path;

/// Why a half ends early.
#[derive(Debug)]
pub enum Halt {
    /// It failed, and tells its peer.
    Own(Error),
    /// It failed, but leaves without a word: the peer keeps waiting for a replacement of the process before this one.
    Detach(Error),
    /// The pipe says so.
    Pipe(PipeError),
}

impl Halt {
    /// Whether the peer died, and this side did nothing wrong.
    pub fn is_by_death(&self) -> bool {
        matches!(self, Self::Pipe(PipeError::PeerDied | PipeError::NoPeer))
    }

    /// Whether one of the two was interrupted.
    pub fn is_by_interrupt(&self) -> bool {
        match self {
            Self::Pipe(PipeError::Aborted { reason, .. }) => reason.code == wire::INTERRUPTED,
            Self::Pipe(error) => matches!(error, PipeError::Interrupted),
            Self::Own(_) | Self::Detach(_) => false,
        }
    }

    /// Whether the bytes so far may be continued by a later run.
    pub fn leaves_good_bytes(&self) -> bool {
        let is_bad = |kind: &ErrorKind| matches!(kind, ErrorKind::Mismatch { .. } | ErrorKind::Skipped);
        !matches!(self, Self::Own(error) if is_bad(&error.kind))
    }
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Own(error)
    }
}

impl From<Broken> for Halt {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Own(error) => Self::Own(error),
            Broken::Pipe(error) => Self::Pipe(error),
        }
    }
}

impl From<PipeError> for Halt {
    fn from(error: PipeError) -> Self {
        Self::Pipe(error)
    }
}

/// What a half knows when its copy has failed.
#[derive(Debug)]
pub struct HalfView<'a> {
    pub role: Role,
    pub meeting: &'a Meeting,
    pub stop: &'a Stop,
    /// The destination, if this process knows it.
    pub destination: Option<&'a Path>,
    pub digest: Kind,
    /// Whether the peer is asked to skip destinations that exist.
    pub may_skip: bool,
}

/// What became of the destination, as far as this half knows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outlook {
    /// Bytes of a partial copy that the next run can resume.
    pub kept: u64,
    /// Whether what was written cannot be rolled back.
    pub is_stream: bool,
}

impl Outlook {
    fn aftermath(self) -> Aftermath {
        match self.kept {
            _ if self.is_stream => Aftermath::Incomplete,
            0 => Aftermath::Unchanged,
            bytes => Aftermath::Kept { bytes },
        }
    }
}

impl HalfView<'_> {
    /// Tells the Writer why this Reader gives up. Returns the error that counts: that of the side that was first; `None`
    /// if the copy is complete all the same, because a Reader before this one had sent everything.
    pub fn abort_as_reader(&self, producer: &Producer, error: Error) -> Option<Error> {
        match producer.abort(&wire::encode(&error, self.meeting.is_pair())) {
            Err(PipeError::Aborted { by: Side::Consumer, reason }) => {
                Some(self.told(Role::Writer, &reason, Outlook::default()))
            }
            Ok(()) if producer.monitor().snapshot().trailer.is_some() => None,
            _ => Some(error),
        }
    }

    /// Tells the Reader why this Writer gives up. Returns the error that counts: that of the side that was first.
    pub fn abort_as_writer(&self, consumer: &Consumer, error: Error, outlook: Outlook) -> Error {
        match consumer.abort(&wire::encode(&error, self.meeting.is_pair())) {
            PipeError::Aborted { by: Side::Producer, reason } => self.told(Role::Reader, &reason, outlook),
            _ => error,
        }
    }

    /// How the pipe ended, for this half.
    pub fn explain(&self, error: PipeError, there: &Snapshot, outlook: Outlook) -> Error {
        let outlook = match there.target {
            Some(target) if TargetRecord::unpack(&target).is_stream => Outlook { is_stream: true, ..outlook },
            _ => outlook,
        };
        // A process that was asked to stop says so, unless something else had ended the copy before.
        let stopped = match &error {
            PipeError::PeerDied | PipeError::NoPeer => true,
            PipeError::Aborted { reason, .. } => reason.code == wire::INTERRUPTED,
            _ => false,
        };
        if stopped && self.stop.is_requested() {
            return self.interrupted(outlook);
        }
        let peer = Some(self.role.other());
        match error {
            PipeError::Aborted { by, reason } => self.told(role_of(by), &reason, outlook),
            PipeError::PeerDied => {
                Error { role: peer, aftermath: self.after_death(outlook), ..self.about(ErrorKind::PeerDied) }
            }
            PipeError::DiedCommitting => {
                let aftermath = self.inspect_destination(there, outlook);
                // Also for a replacement of the Writer: the one that committed was the one before it.
                Error { role: Some(Role::Writer), aftermath, ..self.about(ErrorKind::DiedCommitting) }
            }
            PipeError::NoPeer => ErrorKind::PeerTimeout.into(),
            PipeError::Interrupted => self.interrupted(outlook),
            PipeError::Io { doing: step, source } => {
                Error { cause: Some(source.into()), ..ErrorKind::SharedMemory { step }.into() }
            }
            other => ErrorKind::Pipe { what: other.to_string() }.into(),
        }
    }

    /// This process was interrupted, by its user or because the process that it started has ended.
    pub fn interrupted(&self, outlook: Outlook) -> Error {
        let (kind, aftermath) = if self.stop.is_requested() {
            (ErrorKind::Interrupted, outlook.aftermath())
        } else {
            (ErrorKind::SecondProcessEnded, self.after_death(outlook))
        };
        Error { aftermath, ..self.about(kind) }
    }

    /// What is left after the peer has died.
    fn after_death(&self, outlook: Outlook) -> Aftermath {
        match self.role {
            // The Reader does not know what the Writer had time to keep.
            Role::Reader if !outlook.is_stream => {
                Aftermath::PartialMayRemain { path: self.destination.and_then(dest::temporary_path) }
            }
            _ => outlook.aftermath(),
        }
    }

    /// The peer's error, for this process.
    fn told(&self, by: Role, reason: &Reason, outlook: Outlook) -> Error {
        if by == Role::Writer && self.may_skip && wire::is_skip(reason) {
            return self.about(ErrorKind::Skipped);
        }
        let error = wire::decode(by, reason, self.meeting.is_pair());
        match error.kind {
            ErrorKind::PeerInterrupted => Error {
                role: Some(by),
                aftermath: outlook.aftermath(),
                ..self.about(ErrorKind::PeerInterrupted)
            },
            _ => error,
        }
    }

    /// The Writer died between announcing the commit and the verdict: only the destination itself can tell.
    fn inspect_destination(&self, there: &Snapshot, outlook: Outlook) -> Aftermath {
        if outlook.is_stream {
            return Aftermath::Written;
        }
        let (Some(path), Some(target)) = (self.destination, there.target) else {
            return Aftermath::Undetermined;
        };
        let sent = there.trailer.map_or([0; 32], |trailer| trailer.digest);
        dest::fate(path, &TargetRecord::unpack(&target), there.sent, self.digest, &sent)
    }

    fn about(&self, kind: ErrorKind) -> Error {
        Error { path: self.destination.map(Into::into), ..kind.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_a_copy_decides_what_may_be_kept() {
        let mismatch = || Halt::Own(ErrorKind::Mismatch { reread: false, resumed: 0 }.into());
        let full = || Halt::Own(ErrorKind::Destination.into());
        let aborted = |code| {
            Halt::Pipe(PipeError::Aborted { by: Side::Producer, reason: Reason::new(code, String::new()) })
        };
        // The halt; by death, by interrupt, leaves good bytes.
        for (halt, expected) in [
            (mismatch(), (false, false, false)),
            (Halt::Own(ErrorKind::Skipped.into()), (false, false, false)),
            (full(), (false, false, true)),
            (Halt::Detach(ErrorKind::SourceDiffers.into()), (false, false, true)),
            (Halt::Pipe(PipeError::PeerDied), (true, false, true)),
            (Halt::Pipe(PipeError::NoPeer), (true, false, true)),
            (Halt::Pipe(PipeError::Interrupted), (false, true, true)),
            (aborted(wire::INTERRUPTED), (false, true, true)),
            (aborted(1), (false, false, true)),
        ] {
            let decided = (halt.is_by_death(), halt.is_by_interrupt(), halt.leaves_good_bytes());
            assert_eq!(decided, expected, "{halt:?}");
        }
    }
}
