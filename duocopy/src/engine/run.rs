//! Runs a copy for its caller.

use super::feed::Feed;
use super::half::Half;
use super::{paths, preflight, reader, writer};
use crate::api::{
    Aftermath, Error, ErrorKind, Event, Observer, Outcome, Parties, Progress, Request, Role, Stop,
};
use crate::session::{Pipe, Seat, Trust};
use std::hash::{BuildHasher, RandomState};

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
    let name = match request.name() {
        Some(name) => name.as_encoded_bytes().to_vec(),
        None if matches!(request.parties, Parties::Both { .. }) => {
            // No other copy may join this pipe by accident.
            let random = RandomState::new().hash_one(std::process::id());
            format!("duocopy cp {random:016x}").into_bytes()
        }
        None => paths::tag(request),
    };
    run_as(request, request.role(), name, observer, stop)
}

/// Makes a copy in this role, or in the one that is free, at the pipe of this name. The request's paths are resolved.
pub fn run_as(
    request: &Request,
    role: Option<Role>,
    name: Vec<u8>,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<Outcome, Error> {
    let half = Half::new(request, name, stop)?;
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
    let waits = half.request.is_half() && role == Some(Role::Writer);
    if waits {
        // This process may be the first, and then waits until the Reader is ready. If the copy is going to be refused,
        // the user is warned now; the Reader can be told only after it has arrived.
        let refusal = preflight::early_refusal(half.request).err();
        feed.send(Event::Waiting { missing: Role::Reader, refusal });
        feed.start(|| Progress::ALONE);
    }
    let joined = half.meeting.join(pipe, role);
    if waits {
        feed.pause();
    }
    let (role, result) = match joined.map_err(|error| before_the_copy(error, half))? {
        Seat::Reader(producer) => (Role::Reader, reader::read(producer, half, feed)),
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
