//! The pipe where the two processes of a copy meet, and the first messages that they exchange.

use super::frame::{pack_point, unpack_point};
use super::halt::Halt;
use super::handshake::Hello;
use super::layout::Layout;
use super::peers::Peers;
use super::wire;
use crate::api::{Error, ErrorKind, Event, Presence, Progress, Request, Role, Stop};
use crate::record::{ResumePoint, TargetRecord};
use crate::sys;
use blockpipe::{
    Consumer, End, Geometry, JoinError, Monitor, Phase, Pipe, PipeError, Producer, Side, Trust, TrustedPeer,
};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// The most bytes of attributes that fit into every block, however small.
pub const MIN_BLOCK_SIZE: usize = Geometry::MIN_BLOCK_SIZE;

/// The tag of two halves, which must not know each other's path. The tag of a pair always contains a NUL, and so
/// differs.
pub const HALVES: &[u8] = b"`duocopy read` and `duocopy write`";

/// The name of a pipe, and its directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub name: Vec<u8>,
    /// The directory that the first process of `cp` has made for this pipe, if the usual one cannot be used.
    #[serde(with = "crate::api::os_path::option")]
    pub private: Option<PathBuf>,
}

/// The pipe where the two processes meet, and how to join it.
#[derive(Clone, Debug)]
pub struct Meeting {
    pub place: Place,
    /// The tag of the copy, on which both processes must agree.
    pub tag: Vec<u8>,
    dir: Option<PathBuf>,
    connect_timeout: Option<Duration>,
    replace_within: Option<Duration>,
}

/// The end of the pipe that a process holds.
#[derive(Debug)]
pub enum Seat<T: Trust> {
    Reader(Producer<T>),
    Writer(Consumer<T>),
}

impl Meeting {
    pub fn new(place: Place, tag: Vec<u8>, request: &Request) -> Self {
        let Request { dir, connect_timeout, replace_within, .. } = request.clone();
        Self { place, tag, dir, connect_timeout, replace_within }
    }

    fn named(&self) -> Pipe {
        let pipe = Pipe::named(&self.place.name).tag(&self.tag);
        match (&self.dir, &self.place.private) {
            (Some(dir), _) => pipe.in_directory(dir),
            (None, Some(private)) => pipe.in_private_directory(private),
            (None, None) => pipe,
        }
    }

    /// Takes the end for this role, or the one that is free. `peer_ended` interrupts every wait, as `stop` does.
    pub fn pipe(&self, stop: &Stop, peer_ended: &Arc<AtomicBool>) -> Pipe {
        let mut pipe = self
            .named()
            .interrupt(stop.flag(), wire::interrupted())
            .interrupt(Arc::clone(peer_ended), wire::interrupted());
        if let Some(time) = self.connect_timeout {
            pipe = pipe.connect_timeout(time);
        }
        if let Some(time) = self.replace_within {
            pipe = pipe.replace_within(time);
        }
        pipe
    }

    /// Returns the pipe as a trusted one, if only its two ends write to its blocks; `None` in a directory that others
    /// can enter.
    #[expect(unsafe_code, reason = "the argument needs the choice of the directory, which is made here")]
    pub fn trusted(&self, pipe: &Pipe) -> Option<Pipe<TrustedPeer>> {
        // SAFETY: without a directory of the user's choice, the blocks lie in the private one of this user, in one that
        // the first process of `cp` has made (the library checks owner and mode 0700 of either once it is open), or in
        // kernel objects that only this user can open. A process that can write to them there can also write to this
        // process's memory. The peer is a process of this user that speaks the same version of the protocol, and
        // neither it nor this one writes to a block that it does not hold.
        self.is_private().then(|| unsafe { pipe.clone().trust_peer() })
    }

    /// Takes the end for this role, or whichever is free.
    pub fn join<T: Trust>(&self, pipe: &Pipe<T>, role: Option<Role>) -> Result<Seat<T>, Error> {
        let joined = match role {
            None => pipe.join(),
            Some(Role::Reader) => pipe.join_as_producer().map(End::Producer),
            Some(Role::Writer) => pipe.join_as_consumer().map(End::Consumer),
        };
        match joined {
            Ok(End::Producer(producer)) => Ok(Seat::Reader(producer)),
            Ok(End::Consumer(consumer)) => Ok(Seat::Writer(consumer)),
            Err(error) => Err(self.refusal(error)),
        }
    }

    /// Converts the error of a process that got no end.
    fn refusal(&self, error: JoinError) -> Error {
        match error {
            JoinError::Aborted(reason) => wire::decode(Role::Reader, &reason, self.is_pair()),
            JoinError::Interrupted => ErrorKind::Interrupted.into(),
            JoinError::NoPeer => ErrorKind::PeerTimeout.into(),
            JoinError::Foreign { path, what } if self.is_at(&path) => {
                Error::at(ErrorKind::ForeignDirectory { what: what.into() }, path.as_ref())
            }
            other => meeting_error(other, self.dir.as_deref()),
        }
    }

    /// Returns whether this is the path of the directory that was made for this pipe.
    fn is_at(&self, path: &str) -> bool {
        self.place.private.as_ref().is_some_and(|private| private.to_string_lossy() == path)
    }

    /// Returns whether only processes of this user can write to the shared memory.
    pub fn is_private(&self) -> bool {
        self.dir.is_none()
    }

    /// Returns whether both processes know both paths and belong to one user. Otherwise the peer's words are not shown.
    pub fn is_pair(&self) -> bool {
        self.tag != HALVES && self.is_private()
    }
}

/// Converts the error of a pipe that could not be joined or inspected.
pub fn meeting_error(error: JoinError, dir: Option<&std::path::Path>) -> Error {
    match error {
        JoinError::TooManyInstances(there) => ErrorKind::TooManyInstances {
            reader: there.producer_alive.then_some(there.producer),
            writer: there.consumer,
            read: there.sent,
            written: there.released,
        }
        .into(),
        JoinError::Leaving(there) | JoinError::AwaitsReplacement(there) => {
            ErrorKind::PairEnding { processes: processes(&there) }.into()
        }
        JoinError::OtherTag(there) => {
            ErrorKind::NameInUse { processes: processes(&there), there: there.tag.clone() }.into()
        }
        JoinError::OtherVersion { ours, theirs } => ErrorKind::OtherVersion { ours, theirs }.into(),
        JoinError::Foreign { path, what } => {
            let directory = dir.map(|dir| dir.as_os_str().to_owned()).or_else(|| Pipe::named("").directory());
            match directory.filter(|directory| directory.to_string_lossy() == path) {
                Some(directory) => {
                    Error::at(ErrorKind::ForeignDirectory { what: what.into() }, directory.as_ref())
                }
                None => Error::at(ErrorKind::ForeignPipe { what: what.into() }, path.as_ref()),
            }
        }
        JoinError::Busy => ErrorKind::PipeBusy.into(),
        JoinError::Io { doing: step, source } => {
            let kind = match dir {
                Some(_) => ErrorKind::Meeting { step },
                None => ErrorKind::SharedMemory { step },
            };
            let error = Error { cause: Some(source.into()), ..kind.into() };
            Error { path: dir.map(Into::into), ..error }
        }
        other => ErrorKind::Pipe { what: other.to_string() }.into(),
    }
}

/// Returns the processes that are still at a pipe.
fn processes(there: &blockpipe::Snapshot) -> Vec<u32> {
    let reader = there.producer_alive.then_some(there.producer);
    reader.into_iter().chain(there.consumer).collect()
}

/// Converts the error of a peer that has not proved which user it belongs to.
pub fn identified(user: Result<Option<u32>, PipeError>) -> Result<Option<u32>, Halt> {
    user.map_err(|error| match error {
        PipeError::CallFailed { source, .. } => {
            Error { cause: Some(source.into()), ..ErrorKind::PeerUnproven.into() }.into()
        }
        other => other.into(),
    })
}

/// Checks that the peer's user is allowed, and reports a peer of another user.
pub fn check_peer(
    role: Role,
    user: Option<u32>,
    peers: &Peers,
    report: impl FnOnce(Event),
) -> Result<(), Error> {
    if sys::effective_user() != user {
        report(Event::PeerUser { role, user });
    }
    peers.check(user)
}

/// Reserves the blocks, and lets the Writer join.
pub fn offer<T: Trust>(producer: &mut Producer<T>, layout: &Layout, hello: &Hello) -> Result<(), Halt> {
    let chosen = Geometry::new(layout.block_size, layout.blocks);
    let geometry = producer.geometry().unwrap_or(chosen);
    producer.ready(geometry, &hello.pack()).map_err(|error| match error {
        PipeError::CallFailed { doing: step, source } => {
            let error = Error::from(ErrorKind::SharedMemory { step });
            Halt::Own(Error { cause: Some(source.into()), ..error })
        }
        other => Halt::Pipe(other),
    })
}

/// Sends the Writer's target, and the point from which it can resume. Returns the point from which both resume.
pub fn start<T: Trust>(producer: &mut Producer<T>) -> Result<ResumePoint, Halt> {
    unpack_point(&producer.start()?)
}

pub fn begin<T: Trust>(
    consumer: &mut Consumer<T>,
    target: &TargetRecord,
    at: ResumePoint,
) -> Result<ResumePoint, Halt> {
    unpack_point(&consumer.begin(&target.pack(), pack_point(at))?)
}

/// Returns a function that reports the progress of the copy. `may_share` says whether the peer may show its own
/// progress on the same terminal; the second process of `cp` never does.
pub fn progress(monitor: Monitor, own: Role, may_share: bool) -> impl FnMut() -> Progress + Send + 'static {
    let terminal = if may_share { sys::terminal_id() } else { 0 };
    move || {
        let now = monitor.snapshot();
        let peer_lives = match own {
            Role::Reader => now.consumer.is_some(),
            Role::Writer => now.producer_alive,
        };
        let blocks = now.geometry.map_or(1, Geometry::blocks) as u64;
        let theirs = now.consumer_hello.as_deref().map_or(0, |hello| TargetRecord::unpack(hello).terminal);
        Progress {
            peer: match now.phase {
                Phase::Over => Presence::Finished,
                _ if peer_lives => Presence::Here,
                // A Writer that was here has sent its target, and a Writer gets in only after a Reader.
                _ if own == Role::Writer || now.consumer_hello.is_some() => Presence::Died,
                _ => Presence::NotYet,
            },
            read: now.sent,
            written: now.released,
            buffer: now.waiting_blocks.min(blocks) * 100 / blocks,
            waiting: now.asleep.map(role_of),
            peer_shows: own == Role::Reader && terminal != 0 && theirs == terminal,
        }
    }
}

pub fn role_of(side: Side) -> Role {
    match side {
        Side::Producer => Role::Reader,
        Side::Consumer => Role::Writer,
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown, symlink};
    use std::path::Path;

    /// Another user may have put this directory in the place of the one that was made.
    fn joined(directory: &Path) -> Result<Seat<TrustedPeer>, Error> {
        let place = Place { name: b"x".into(), private: Some(directory.into()) };
        let meeting = Meeting::new(place, HALVES.into(), &Request::read("a", "x"));
        let pipe = meeting.pipe(&Stop::default(), &Arc::default());
        meeting.join(&meeting.trusted(&pipe).expect("only this user can enter it"), Some(Role::Reader))
    }

    #[test]
    fn the_blocks_lie_only_in_a_directory_of_this_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let made = |name: &str| {
            let path = folder.path().join(name);
            fs::DirBuilder::new().mode(0o700).create(&path).unwrap();
            path
        };
        assert!(matches!(joined(&made("own")), Ok(Seat::Reader(_))));
        let refused = |directory: &Path| {
            let error = joined(directory).unwrap_err();
            assert!(matches!(error.kind, ErrorKind::ForeignDirectory { .. }), "{directory:?}: {error:?}");
            assert_eq!(error.path.as_deref(), Some(directory));
            assert!(directory.read_dir().map_or(true, |mut names| names.next().is_none()), "{directory:?}");
        };
        for mode in [0o777, 0o770, 0o710, 0o701, 0o2750, 0o1777] {
            let open = made(&format!("{mode:o}"));
            fs::set_permissions(&open, fs::Permissions::from_mode(mode)).unwrap();
            refused(&open);
        }
        symlink(made("elsewhere"), folder.path().join("link")).unwrap();
        refused(&folder.path().join("link"));
        fs::write(folder.path().join("file"), "").unwrap();
        refused(&folder.path().join("file"));
        if rustix::process::geteuid().is_root() {
            for mode in [0o700, 0o777] {
                let foreign = made(&format!("foreign-{mode:o}"));
                fs::set_permissions(&foreign, fs::Permissions::from_mode(mode)).unwrap();
                chown(&foreign, Some(20003), None).unwrap();
                refused(&foreign);
            }
        }
        let error = joined(&folder.path().join("none")).unwrap_err();
        assert_eq!(error.cause.unwrap().code, Some(2));
    }
}
