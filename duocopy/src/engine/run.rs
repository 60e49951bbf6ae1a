//! Runs a copy for its caller.

use super::feed::Feed;
use super::half::Half;
use super::{paths, preflight, reader, writer};
use crate::api::{
    Aftermath, Error, ErrorKind, Event, Observer, Outcome, Parties, Progress, Request, Role, Stop,
};
use crate::session::{Pipe, Place, Seat, Trust};
use crate::source::Source;
use crate::sys::PrivateDirectory;
use std::hash::{BuildHasher, RandomState};
use std::time::Instant;

/// Makes a copy, as one of its two processes or by starting the second one.
///
/// Blocks until both processes know the verdict: as long as the copy takes, and before that until the peer arrives
/// ([`Request::connect_timeout`]). `stop` ends it early. Once the Writer commits, it is too late to abort, and the
/// Reader waits for up to 10 s more.
///
/// Killed at any moment, this process leaves the destination as it was or complete. Its peer ends with an error, or
/// waits for a replacement ([`Request::replace_within`]). What a killed Writer left beside the destination is resumed
/// or removed by the next copy.
///
/// Nothing is printed, and nothing of the process changes, except by [`Request::sandbox`].
///
/// # Errors
/// See [`ErrorKind`]. Unless the error says otherwise ([`Aftermath`]), the destination is unchanged.
pub fn run(request: &Request, observer: &mut dyn Observer, stop: &Stop) -> Result<Outcome, Error> {
    let request = &paths::resolve(request)?;
    let is_both = matches!(request.parties, Parties::Both { .. });
    let name = match request.name() {
        Some(name) => name.as_encoded_bytes().to_vec(),
        None if is_both => {
            // No other copy may join this pipe by accident.
            let random = RandomState::new().hash_one(std::process::id());
            format!("duocopy cp {random:016x}").into_bytes()
        }
        None => paths::tag(request),
    };
    let pipe = Place { name, private: None };
    match run_as(request, request.role(), pipe.clone(), None, observer, stop) {
        Err(error) if request.dir.is_none() && is_both && cannot_meet(&error) => {
            run_elsewhere(request, &pipe, observer, stop).unwrap_or(Err(error))
        }
        result => result,
    }
}

/// Returns whether this process could not even open its pipe.
fn cannot_meet(error: &Error) -> bool {
    let is_place = matches!(error.kind, ErrorKind::ForeignDirectory { .. } | ErrorKind::SharedMemory { .. });
    is_place && error.role.is_none()
}

/// Makes a copy whose two processes meet in a directory that was made for them; `None` if they can meet nowhere.
fn run_elsewhere(
    request: &Request,
    pipe: &Place,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Option<Result<Outcome, Error>> {
    PrivateDirectory::places().iter().find_map(|place| {
        let directory = PrivateDirectory::make(place).ok()?;
        let pipe = Place { private: Some(directory.path().into()), ..pipe.clone() };
        let result = run_as(request, request.role(), pipe, Some(&directory), observer, stop);
        directory.remove();
        Some(result).filter(|result| !result.as_ref().is_err_and(cannot_meet))
    })
}

/// Makes a copy in this role, or in the one that is free, at this pipe. The request's paths are resolved. `private` is
/// the directory of the pipe, if this process has made it.
pub fn run_as(
    request: &Request,
    role: Option<Role>,
    pipe: Place,
    private: Option<&PrivateDirectory>,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<Outcome, Error> {
    let half = Half::new(request, pipe, private, stop)?;
    std::thread::scope(|scope| {
        let mut feed = Feed::new(scope, observer);
        let pipe = half.meeting.pipe(stop, &half.peer_ended);
        let result = match half.meeting.trusted(&pipe) {
            Some(pipe) => copy(&half, &pipe, role, &mut feed),
            None => copy(&half, &pipe, role, &mut feed),
        };
        feed.pause();
        match result {
            Err(Error { kind: ErrorKind::Skipped, path: Some(path), .. }) => Ok(Outcome::Skipped { path }),
            other => other,
        }
    })
}

fn copy<T: Trust>(
    half: &Half,
    pipe: &Pipe<T>,
    role: Option<Role>,
    feed: &mut Feed,
) -> Result<Outcome, Error> {
    let (begun, mut source) = (Instant::now(), None);
    let mut result = copy_once(half, pipe, role, &mut source, feed);
    // A process that has begun may have read or written bytes, and `cp` has started its second process.
    let may_join_again = || !half.has_begun.get() && !matches!(half.request.parties, Parties::Both { .. });
    while result.as_ref().is_err_and(|error| error.kind == ErrorKind::PipeRemoved) && may_join_again() {
        let pipe = match half.request.connect_timeout {
            Some(limit) => &pipe.clone().connect_timeout(limit.saturating_sub(begun.elapsed())),
            None => pipe,
        };
        result = copy_once(half, pipe, role, &mut source, feed);
    }
    result
}

/// Makes a copy at one pipe. The source stays open if somebody removes that pipe before the Writer has come.
fn copy_once<T: Trust>(
    half: &Half,
    pipe: &Pipe<T>,
    role: Option<Role>,
    source: &mut Option<Box<dyn Source>>,
    feed: &mut Feed,
) -> Result<Outcome, Error> {
    let waits = half.request.is_half() && role == Some(Role::Writer);
    if waits {
        // This process may be the first, and then waits until the Reader is ready. If the copy is going to be refused,
        // the user is warned now; the Reader can be told only after it has arrived.
        let refusal = preflight::early_refusal(half.request, half.stop).err();
        feed.send(Event::Waiting { missing: Role::Reader, refusal });
        feed.start(|| Progress::ALONE);
    }
    let joined = half.meeting.join(pipe, role);
    if waits {
        feed.pause();
    }
    let (role, result) = match joined.map_err(|error| before_the_copy(error, half))? {
        Seat::Reader(producer) => (Role::Reader, reader::read(producer, source, half, feed)),
        Seat::Writer(consumer) => (Role::Writer, writer::write(consumer, half, feed)),
    };
    result.map_err(|error| Error { role: error.role.or(Some(role)), ..error })
}

/// Completes the error of a process that got no role: if it was interrupted, the destination is unchanged.
fn before_the_copy(error: Error, half: &Half) -> Error {
    match error.kind {
        ErrorKind::Interrupted | ErrorKind::PeerInterrupted => {
            Error { path: half.destination.map(Into::into), aftermath: Aftermath::Unchanged, ..error }
        }
        _ => error,
    }
}
