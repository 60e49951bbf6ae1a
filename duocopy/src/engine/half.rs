//! The part that both halves of a copy have in common.

use super::feed::Feed;
use super::paths;
use crate::api::{Error, ErrorKind, Request, Role, SandboxGap, Stop, Warning};
use crate::dest::{Links, Observed};
use crate::digest::MustEnd;
use crate::record::Party;
use crate::session::{
    Consumer, Halt, Meeting, Peers, PipeDirectory, PipeError, Place, Trust, check_peer, identified, wire,
};
use crate::sys::{self, Directory, DirectoryRight, PrivateDirectory, SandboxPolicy};
use std::cell::{Cell, OnceCell, RefCell};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// Size of the private buffer through which a half works if another user may write to the blocks, so that the bytes in
/// the checksum are the bytes that are read or written. It fits into the processor's caches (`docs/benchmarks.md`).
pub const PRIVATE_COPY: usize = 64 << 10;

/// Interval at which work of unknown length checks whether the copy can continue.
pub const POLL: Duration = Duration::from_millis(50);

/// Runs work of unknown length, and ends it once this check of the pipe fails: the peer has died or aborted, or this
/// process was asked to stop. Returns the error of that check, or the result of the work.
pub fn watched<T>(
    check: impl Fn() -> Result<(), PipeError>,
    work: impl FnOnce(MustEnd) -> Result<T, Error>,
) -> Result<T, Halt> {
    let (checked, failed) = (Cell::new(Instant::now()), RefCell::new(None));
    let result = work(&|| {
        if checked.get().elapsed() >= POLL {
            checked.set(Instant::now());
            *failed.borrow_mut() = check().err();
        }
        failed.borrow().is_some()
    });
    match failed.into_inner() {
        Some(error) => Err(error.into()),
        None => Ok(result?),
    }
}

/// One half of a copy: the Reader or the Writer.
#[derive(Debug)]
pub struct Half<'a> {
    pub request: &'a Request,
    pub source: Option<&'a Path>,
    pub destination: Option<&'a Path>,
    pub meeting: Meeting,
    /// The directory that this process has made for the pipe, if the usual one cannot be used.
    pub private: Option<&'a PrivateDirectory>,
    pub peers: Peers,
    pub stop: &'a Stop,
    /// True once both halves have met: data that this half reads or writes from then on may not be repeatable.
    pub has_begun: Cell<bool>,
    /// The user of the peer at the beginning of the copy.
    peer_user: Cell<Option<u32>>,
    observed: OnceCell<Option<Observed>>,
    /// Set when the process that this one has started ends.
    pub peer_ended: Arc<AtomicBool>,
}

impl<'a> Half<'a> {
    /// Makes the half that this request asks for, at this pipe. The request's paths are resolved.
    pub fn new(
        request: &'a Request,
        pipe: Place,
        private: Option<&'a PrivateDirectory>,
        stop: &'a Stop,
    ) -> Result<Self, Error> {
        let (source, destination) = request.paths();
        let (meeting, peers) = (Meeting::new(pipe, paths::tag(request), request), Peers::of(request)?);
        Ok(Self {
            request,
            source,
            destination,
            meeting,
            private,
            peers,
            stop,
            has_begun: Cell::default(),
            peer_user: Cell::default(),
            observed: OnceCell::new(),
            peer_ended: Arc::default(),
        })
    }

    /// Returns the destination, if this process can see it. It is opened once: a confined process may be unable to follow
    /// its path again.
    pub fn observed(&self) -> Option<&Observed> {
        let links = if self.request.remove_destination { Links::Replaced } else { Links::FOLLOWED };
        let open = |path| Observed::open(path, links);
        self.observed.get_or_init(|| self.destination.and_then(open)).as_ref()
    }

    /// Identifies the peer, which has this role. Returns an error if its user is not allowed.
    pub fn check_peer(
        &self,
        role: Role,
        user: impl FnOnce() -> Result<Option<u32>, PipeError>,
        feed: &Feed,
    ) -> Result<Party, Halt> {
        let is_private = self.meeting.is_private();
        let user = if is_private { sys::effective_user() } else { identified(user())? };
        check_peer(role, user, &self.peers, |event| feed.send(event))?;
        self.peer_user.set(user);
        Ok(if is_private { Party::Private } else { user.map_or(Party::Unknown, Party::User) })
    }

    /// Returns an error if the process that was identified has died, no matter who holds its seat. With
    /// `--replace-within`, returns an error if its replacement belongs to another user.
    pub fn check_peer_again(&self, now: impl FnOnce() -> Result<Option<u32>, PipeError>) -> Result<(), Halt> {
        if self.meeting.is_private() {
            return Ok(());
        }
        match identified(now())? {
            Some(user) if self.peer_user.get() != Some(user) => Err(ErrorKind::PeerChanged { user }.into()),
            None if self.peer_user.get().is_some() => Err(PipeError::PeerDied.into()),
            _ => Ok(()),
        }
    }

    /// Returns the rights that a confined half needs in the pipe's directory.
    pub fn rights_at_the_pipe(&self) -> Vec<DirectoryRight> {
        let mut rights = vec![DirectoryRight::RemoveFiles];
        if !self.meeting.is_private() {
            // The user cards are there, and each new peer has a new one.
            rights.push(DirectoryRight::ReadFiles);
        }
        rights
    }

    /// Enters the sandbox: gives up all rights except those in the policy.
    pub fn confine(&self, policy: &SandboxPolicy<PipeDirectory<'_>, &Directory>, feed: &Feed) {
        if !self.request.sandbox {
            return;
        }
        // If this fails, messages show a path in another form.
        let _ = sys::remember_working_directory();
        for sys::Unconfined { gap, reason } in sys::confine(policy) {
            let gap = match gap {
                sys::SandboxGap::Paths => SandboxGap::Paths,
                sys::SandboxGap::SystemCalls => SandboxGap::SystemCalls,
            };
            feed.warn([Warning::Unconfined { gap, reason }]);
        }
    }

    /// Returns an error if the copy was asked to stop. Once an earlier Writer may have committed, it is too late
    /// for that; but where others can write to the shared memory, its claim that a Writer did so does not count.
    pub fn stop_if_requested<T: Trust>(&self, consumer: &Consumer<T>) -> Result<(), Halt> {
        let too_late = || self.meeting.is_private() && consumer.predecessor_was_committing();
        if !self.stop.is_requested() || too_late() {
            return Ok(());
        }
        consumer.abort(&wire::interrupted());
        Err(PipeError::Interrupted.into())
    }
}
