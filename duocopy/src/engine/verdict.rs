//! Converts the end of a pipe into an error of this process.

use super::half::Half;
use crate::api::{Aftermath, Error, ErrorKind, Role};
use crate::dest::{self, Observed, Policy};
use crate::digest::{Kind, Value};
use crate::record::{SourceRecord, TargetRecord};
use crate::session::{
    Consumer, PipeError, Producer, Reason, Side, Snapshot, Trust, is_removal, role_of, unpack_trailer, wire,
};
use crate::sys;
use std::time::{Duration, Instant};

/// How much longer this process inspects the destination of a dead Writer after it was asked to stop.
const AFTER_STOP: Duration = Duration::from_secs(10);

/// The state of the destination after a failure, as far as this half knows it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outlook {
    /// Bytes of a partial copy that the next run can resume.
    pub kept: u64,
    /// True if what was written cannot be rolled back.
    pub is_stream: bool,
    /// The length and checksum of everything that this process has read and sent.
    pub sent: Option<(u64, Value)>,
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
        let outlook = Outlook::default();
        match producer.abort(&wire::encode(&error, self.meeting.is_pair())) {
            Err(PipeError::Aborted { by: Side::Consumer, reason }) => {
                Some(self.explain_abort(Role::Reader, Role::Writer, &reason, outlook))
            }
            Ok(()) if producer.monitor().snapshot().trailer.is_some() => {
                // Others who can write to the memory may have forged the trailer, so its presence proves nothing.
                (!self.meeting.is_private()).then_some(Error { aftermath: Aftermath::Undetermined, ..error })
            }
            _ => Some(self.own_error(Role::Reader, error, outlook)),
        }
    }

    /// Aborts the copy as its Writer. Returns the error of the side that aborted first.
    pub fn abort_as_writer<T: Trust>(&self, consumer: &Consumer<T>, error: Error, outlook: Outlook) -> Error {
        match consumer.abort(&wire::encode(&error, self.meeting.is_pair())) {
            PipeError::Aborted { by: Side::Producer, reason } => {
                self.explain_abort(Role::Writer, Role::Reader, &reason, outlook)
            }
            _ => self.own_error(Role::Writer, error, outlook),
        }
    }

    /// Completes the error with which this half has ended the copy.
    fn own_error(&self, role: Role, error: Error, outlook: Outlook) -> Error {
        if error.kind == ErrorKind::Interrupted { self.interrupted(role, outlook) } else { error }
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
            PipeError::Aborted { by, reason } => self.explain_abort(role, role_of(by), &reason, outlook),
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
            error if is_removal(&error) => ErrorKind::PipeRemoved.into(),
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
                Aftermath::PartialMayRemain { path: self.observed().map(Observed::temporary_path) }
            }
            _ => outlook.aftermath(),
        }
    }

    /// Converts the reason of the side that aborted into an error of this process, which has the role `own`.
    fn explain_abort(&self, own: Role, by: Role, reason: &Reason, outlook: Outlook) -> Error {
        if by == own {
            // This process knows its own failures, and never reads them from the shared memory.
            return ErrorKind::Pipe { what: "another process has aborted in the name of this one".into() }
                .into();
        }
        let may_skip = self.request.may_skip() && !self.request.is_half();
        if by == Role::Writer && may_skip && wire::is_skip(reason) && self.would_skip() {
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

    /// Returns whether the overwrite policy keeps the existing destination. The Writer's word is enough only if nobody
    /// else can write to the shared memory; otherwise this process inspects the destination itself.
    fn would_skip(&self) -> bool {
        if self.meeting.is_private() {
            return true;
        }
        let (Some(source), Some(destination)) = (self.source, self.destination) else { return false };
        let Ok(stat) = sys::stat(source) else { return false };
        let (policy, source) =
            (Policy::of(self.request, self.stop), SourceRecord::of_file(stat, Kind::of(self.request)));
        let found = dest::inspect(destination, &policy, Some(&source), false, false, false);
        found.is_err_and(|error| error.kind == ErrorKind::Skipped)
    }

    /// Inspects the destination after the Writer has died between the announcement of the commit and the verdict.
    fn inspect_destination(&self, there: &Snapshot, outlook: Outlook) -> Aftermath {
        if outlook.is_stream {
            return Aftermath::Written;
        }
        let (Some(observed), Some(target)) = (self.observed(), &there.consumer_hello) else {
            return Aftermath::Undetermined;
        };
        let recorded = || there.trailer.as_ref().map(unpack_trailer).filter(|_| self.meeting.is_private());
        let Some((length, sent)) = outlook.sent.or_else(recorded) else { return Aftermath::Undetermined };
        // The user wants the result even after a stop, so the file is read for some more time. In a directory that
        // others can enter, one of them may have made the file long.
        let (begun, limit) =
            (Instant::now(), if self.meeting.is_private() { AFTER_STOP } else { Duration::ZERO });
        let must_end = || self.stop.is_requested() && begun.elapsed() >= limit;
        observed.fate(&TargetRecord::unpack(target), length, Kind::of(self.request), &sent, &must_end)
    }

    fn about(&self, kind: ErrorKind) -> Error {
        Error { path: self.destination.map(Into::into), ..kind.into() }
    }
}
