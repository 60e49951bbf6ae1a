//! The two halves of a copy.

mod commit;
mod feed;
mod pace;
mod paths;
pub mod plan;
mod preflight;
mod reader;
mod second;
mod stats;
mod verdict;
mod writer;

use crate::api::{Error, ErrorKind, Event, Observer, Outcome, Parties, Progress, Request, Role, SandboxGap, Stop, Warning};
use crate::cache::Pages;
use crate::digest::Kind;
use crate::session::{self, Meeting, PipeError, Peers, Seat};
use crate::sys::{self, Directory, SandboxPolicy};
use feed::Feed;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use verdict::{Halt, HalfView};

pub use paths::resolve;
pub use preflight::preflight;
pub use second::second_process;

/// Where a block's bytes are copied to if another user may write to the block: what counts in the checksum is then what
/// is read, or written. The size stays in the processor's caches (`docs/benchmarks.md`).
const PRIVATE_COPY: usize = 64 << 10;

/// One half of a copy, whichever it is.
#[derive(Debug)]
struct Half<'a> {
    request: &'a Request,
    source: Option<&'a Path>,
    destination: Option<&'a Path>,
    meeting: Meeting,
    peers: Peers,
    stop: &'a Stop,
    /// Set when the process that this one has started ends.
    peer_ended: Arc<AtomicBool>,
}

/// Makes a copy, as one of its two processes or by starting the second one.
///
/// Blocks until both processes know the verdict: as long as the copy takes, and before that until the peer arrives
/// ([`Request::connect_timeout`]). `stop` ends it early; while the Writer commits, that is too late.
///
/// Killed at any moment, this process leaves the destination as it was or complete. Its peer ends with an error, or
/// waits for a replacement ([`Request::replace_within`]). What a killed Writer left beside the destination is resumed or
/// removed by the next copy.
///
/// Nothing is printed, and nothing of the process changes, except by [`Request::sandbox`].
///
/// # Errors
/// See [`ErrorKind`]. Unless the error says otherwise ([`Aftermath`](crate::Aftermath)), the destination is unchanged.
pub fn run(request: &Request, observer: &mut dyn Observer, stop: &Stop) -> Result<Outcome, Error> {
    let request = &resolve(request)?;
    let name = match &request.parties {
        Parties::Pair { name: None, .. } => paths::tag(request),
        Parties::Pair { name: Some(name), .. } | Parties::Read { name, .. } | Parties::Write { name, .. } => {
            name.as_encoded_bytes().to_vec()
        }
        Parties::Both { .. } => {
            // Nobody else may come to it by accident.
            let random = RandomState::new().hash_one(std::process::id());
            format!("duocopy cp {random:016x}").into_bytes()
        }
    };
    run_as(request, request.role(), name, observer, stop)
}

/// Makes a copy in this role, or in whichever is free, under this name. The request's paths are absolute.
fn run_as(
    request: &Request,
    role: Option<Role>,
    name: Vec<u8>,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<Outcome, Error> {
    let (source, destination) = paths::known(request);
    let half = Half {
        request,
        source,
        destination,
        meeting: Meeting::new(name, paths::tag(request), request),
        peers: Peers::of(request)?,
        stop,
        peer_ended: Arc::default(),
    };
    std::thread::scope(|scope| {
        let mut feed = Feed::new(scope, observer);
        let result = half.copy(role, &mut feed);
        feed.pause();
        match result {
            Err(Error { kind: ErrorKind::Skipped, path: Some(path), .. }) => Ok(Outcome::Skipped { path }),
            other => other,
        }
    })
}

impl Half<'_> {
    fn copy(&self, role: Option<Role>, feed: &mut Feed) -> Result<Outcome, Error> {
        let waits = self.request.is_half() && role == Some(Role::Writer);
        if waits {
            // It may be the first, and is held up until the Reader is ready. Only the user can be told until then that
            // the copy will be refused: the Reader has to come to hear it.
            let refusal = preflight::early_refusal(self.request).err();
            feed.send(Event::Waiting { missing: Role::Reader, refusal });
            feed.start(|| Progress::ALONE);
        }
        let joined = self.meeting.join(role, self.stop, &self.peer_ended);
        if waits {
            feed.pause();
        }
        let (role, result) = match joined? {
            Seat::Reader(producer) => (Role::Reader, reader::read(producer, self, feed)),
            Seat::Writer(consumer) => (Role::Writer, writer::write(consumer, self, feed)),
        };
        result.map_err(|error| Error { role: error.role.or(Some(role)), ..error })
    }

    /// What this half knows when its copy has failed.
    fn view(&self, role: Role) -> HalfView<'_> {
        HalfView {
            role,
            meeting: &self.meeting,
            stop: self.stop,
            destination: self.destination,
            digest: Kind::of(self.request),
            may_skip: self.request.may_skip() && !self.request.is_half(),
        }
    }

    fn check_peer(
        &self,
        role: Role,
        user: Result<Option<u32>, PipeError>,
        feed: &Feed,
    ) -> Result<(), Halt> {
        Ok(session::check_peer(role, user, &self.peers, |event| feed.send(event))?)
    }

    /// Gives up all rights but those to these directories.
    fn confine(&self, writable: Option<&Directory>, readable: Option<&Directory>, feed: &Feed) {
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
            feed.send(Event::Warning(Warning::Unconfined { gap, reason }));
        }
    }

    /// Where to copy a block's bytes to before they are used, if the peer may be somebody else.
    fn private_copy(&self) -> Option<Pages> {
        self.request.dir.is_some().then(|| Pages::new(PRIVATE_COPY))
    }
}
