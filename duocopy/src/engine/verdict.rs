//! Converts the end of a pipe into an error of this process.

use super::half::Half;
use crate::api::{Aftermath, Error, ErrorKind, Role};
use crate::dest;
use crate::digest::Kind;
use crate::record::TargetRecord;
use crate::session::{
    Consumer, PipeError, Producer, Reason, Side, Snapshot, Trust, role_of, unpack_trailer, wire,
};

/// The state of the destination after a failure, as far as this half knows it.
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

impl Half<'_> {
    /// Aborts the copy as its Reader. Returns the error of the side that aborted first, or `None` if the copy is
    /// complete despite this error, because an earlier Reader had sent everything.
    pub fn abort_as_reader<T: Trust>(&self, producer: &Producer<T>, error: Error) -> Option<Error> {
        match producer.abort(&wire::encode(&error, self.meeting.is_pair())) {
            Err(PipeError::Aborted { by: Side::Consumer, reason }) => {
                Some(self.explain_abort(Role::Writer, &reason, Outlook::default()))
            }
            Ok(()) if producer.monitor().snapshot().trailer.is_some() => None,
            _ => Some(error),
        }
    }

    /// Aborts the copy as its Writer. Returns the error of the side that aborted first.
    pub fn abort_as_writer<T: Trust>(&self, consumer: &Consumer<T>, error: Error, outlook: Outlook) -> Error {
        match consumer.abort(&wire::encode(&error, self.meeting.is_pair())) {
            PipeError::Aborted { by: Side::Producer, reason } => {
                self.explain_abort(Role::Reader, &reason, outlook)
            }
            _ => error,
        }
    }

    /// Converts the error of a pipe into one of this half, which has this role.
    pub fn explain(&self, role: Role, error: PipeError, there: &Snapshot, outlook: Outlook) -> Error {
        let outlook = match &there.consumer_hello {
            Some(target) if TargetRecord::unpack(target).is_stream => Outlook { is_stream: true, ..outlook },
            _ => outlook,
        };
        // A process that was asked to stop reports that, unless another failure ended the copy before.
        let stopped = match &error {
            PipeError::PeerDied | PipeError::NoPeer => true,
            PipeError::Aborted { reason, .. } => reason.code == wire::INTERRUPTED,
            _ => false,
        };
        if stopped && self.stop.is_requested() {
            return self.interrupted(role, outlook);
        }
        let peer = Some(role.other());
        match error {
            PipeError::Aborted { by, reason } => self.explain_abort(role_of(by), &reason, outlook),
            PipeError::PeerDied => {
                let aftermath = self.after_death(role, outlook);
                Error { role: peer, aftermath, ..self.about(ErrorKind::PeerDied) }
            }
            PipeError::DiedCommitting => {
                let aftermath = self.inspect_destination(there, outlook);
                // Also if this process is a replacement Writer: the Writer before it was committing.
                Error { role: Some(Role::Writer), aftermath, ..self.about(ErrorKind::DiedCommitting) }
            }
            PipeError::NoPeer => ErrorKind::PeerTimeout.into(),
            PipeError::Interrupted => self.interrupted(role, outlook),
            PipeError::Io { doing: step, source } => {
                Error { cause: Some(source.into()), ..ErrorKind::SharedMemory { step }.into() }
            }
            other => ErrorKind::Pipe { what: other.to_string() }.into(),
        }
    }

    /// Returns the error of a process that was interrupted by its user, or because the second process has ended.
    fn interrupted(&self, role: Role, outlook: Outlook) -> Error {
        let (kind, aftermath) = if self.stop.is_requested() {
            (ErrorKind::Interrupted, outlook.aftermath())
        } else {
            (ErrorKind::SecondProcessEnded, self.after_death(role, outlook))
        };
        Error { aftermath, ..self.about(kind) }
    }

    /// Returns the state of the destination after the peer has died.
    fn after_death(&self, role: Role, outlook: Outlook) -> Aftermath {
        match role {
            // The Reader does not know how much the Writer could keep.
            Role::Reader if !outlook.is_stream => {
                Aftermath::PartialMayRemain { path: self.destination.and_then(dest::temporary_path) }
            }
            _ => outlook.aftermath(),
        }
    }

    /// Converts the reason of the side that aborted into an error of this process.
    fn explain_abort(&self, by: Role, reason: &Reason, outlook: Outlook) -> Error {
        let may_skip = self.request.may_skip() && !self.request.is_half();
        if by == Role::Writer && may_skip && wire::is_skip(reason) {
            return self.about(ErrorKind::Skipped);
        }
        let error = wire::decode(by, reason, self.meeting.is_pair());
        match error.kind {
            ErrorKind::PeerInterrupted => {
                Error { role: Some(by), aftermath: outlook.aftermath(), ..self.about(error.kind) }
            }
            _ => error,
        }
    }

    /// Inspects the destination after the Writer has died between the announcement of the commit and the verdict.
    fn inspect_destination(&self, there: &Snapshot, outlook: Outlook) -> Aftermath {
        if outlook.is_stream {
            return Aftermath::Written;
        }
        let (Some(path), Some(target)) = (self.destination, &there.consumer_hello) else {
            return Aftermath::Undetermined;
        };
        let (_, sent) = there.trailer.as_ref().map(unpack_trailer).unwrap_or_default();
        dest::fate(path, &TargetRecord::unpack(target), there.sent, Kind::of(self.request), &sent)
    }

    fn about(&self, kind: ErrorKind) -> Error {
        Error { path: self.destination.map(Into::into), ..kind.into() }
    }
}
