//! What both halves of a copy have.

use super::feed::Feed;
use super::paths;
use crate::api::{Error, Request, Role, SandboxGap, Stop, Warning};
use crate::cache::Pages;
use crate::session::{Consumer, Halt, Meeting, Peers, PipeError, Seat, check_peer, wire};
use crate::sys::{self, Directory, SandboxPolicy};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Where a block's bytes are copied to if another user may write to the block: what counts in the checksum is then what
/// is read, or written. The size stays in the processor's caches (`docs/benchmarks.md`).
pub const PRIVATE_COPY: usize = 64 << 10;

/// One half of a copy, whichever it is.
#[derive(Debug)]
pub struct Half<'a> {
    pub request: &'a Request,
    pub source: Option<&'a Path>,
    pub destination: Option<&'a Path>,
    pub meeting: Meeting,
    pub peers: Peers,
    pub stop: &'a Stop,
    /// Set when the process that this one has started ends.
    pub peer_ended: Arc<AtomicBool>,
}

impl<'a> Half<'a> {
    /// The half of this request's copy at the pipe of this name. The request's paths are absolute.
    pub fn new(request: &'a Request, name: Vec<u8>, stop: &'a Stop) -> Result<Self, Error> {
        let (source, destination) = request.paths();
        let (meeting, peers) = (Meeting::new(name, paths::tag(request), request), Peers::of(request)?);
        Ok(Self { request, source, destination, meeting, peers, stop, peer_ended: Arc::default() })
    }

    /// Takes its end of the pipe: the one of this role, or whichever is free.
    pub fn join(&self, role: Option<Role>) -> Result<Seat, Error> {
        self.meeting.join(role, self.stop, &self.peer_ended)
    }

    /// An error if the peer, which is in this role, must not take part.
    pub fn check_peer(
        &self,
        role: Role,
        user: Result<Option<u32>, PipeError>,
        feed: &Feed,
    ) -> Result<(), Halt> {
        check_peer(role, user, &self.peers, |event| feed.send(event))
    }

    /// Gives up all rights but those to these directories.
    pub fn confine(&self, writable: Option<&Directory>, readable: Option<&Directory>, feed: &Feed) {
        if !self.request.sandbox {
            return;
        }
        let policy = SandboxPolicy {
            pipe_dir: self.meeting.directory(),
            writable_dir: writable,
            readable_dir: readable,
        };
        for sys::Unconfined { gap, reason } in sys::confine(&policy) {
            let gap = match gap {
                sys::SandboxGap::Paths => SandboxGap::Paths,
                sys::SandboxGap::SystemCalls => SandboxGap::SystemCalls,
            };
            feed.warn([Warning::Unconfined { gap, reason }]);
        }
    }

    /// Where to copy a block's bytes to before they are used, if the peer may be somebody else.
    pub fn private_copy(&self) -> Option<Pages> {
        self.request.dir.is_some().then(|| Pages::new(PRIVATE_COPY))
    }

    /// An error if the copy was asked to stop. Once it may be under its name, that is too late.
    pub fn stop_if_requested(&self, consumer: &Consumer) -> Result<(), Halt> {
        if !self.stop.is_requested() || consumer.predecessor_was_committing() {
            return Ok(());
        }
        consumer.abort(&wire::interrupted());
        Err(PipeError::Interrupted.into())
    }
}
