//! Pipes as they look to a process that takes no part.

use crate::error::JoinError;
use crate::layout::{MAGIC, VERSION};
use crate::memory::Shared;
use crate::monitor::Snapshot;
use crate::sync::Ordering;
use crate::sys::{Location, Seats, Side};
use std::ffi::OsStr;
use std::time::{Duration, Instant};

/// How long to wait for a gate that another process holds.
const GATE_WAIT: Duration = Duration::from_millis(50);

/// The longest time for which the maker of a new pipe removes what killed pairs left.
const SWEEP_LIMIT: Duration = Duration::from_millis(50);

/// Returns the state of the pipe with this key, or `None` if there is none.
pub(crate) fn inspect(location: &Location, key: u128) -> Result<Option<Snapshot>, JoinError> {
    let seats = Seats::existing(location, key)?;
    seats.map_or(Ok(None), |seats| snapshot_of(&seats))
}

/// Lists all existing pipes of this user or in a directory ([`Pipe::in_directory`](crate::Pipe::in_directory)), with one
/// result for each. Takes no seat and no lock, and never blocks.
///
/// # Errors
/// [`JoinError::Io`] if the pipes cannot be listed. On Windows they never can: there only a known name can be inspected
/// ([`Pipe::inspect`](crate::Pipe::inspect)).
///
/// # Examples
/// ```
/// # if cfg!(windows) { return Ok(()); }
/// for pipe in blockpipe::pipes(None)?.into_iter().flatten() {
///     println!("{}: {} bytes sent", String::from_utf8_lossy(&pipe.name), pipe.sent);
/// }
/// # Ok::<(), blockpipe::JoinError>(())
/// ```
pub fn pipes(directory: Option<&OsStr>) -> Result<Vec<Result<Snapshot, JoinError>>, JoinError> {
    let location = directory.into();
    let keys = Seats::keys(&location)?;
    let pipe = |key| match Seats::existing(&location, key) {
        Ok(seats) => seats.and_then(|seats| snapshot_of(&seats).transpose()),
        Err(error) => Some(Err(error.into())),
    };
    Ok(keys.into_iter().filter_map(pipe).collect())
}

/// Removes what killed pairs left over: pipes of which neither end is alive. A process that creates a new pipe does this,
/// too. Returns the pipes that were removed, as far as this version can read them.
///
/// # Errors
/// As [`pipes`]. What cannot be removed is left alone.
///
/// # Examples
/// ```
/// # if cfg!(windows) { return Ok(()); }
/// for pipe in blockpipe::remove_dead(None)?.into_iter().flatten() {
///     println!("removed {}", String::from_utf8_lossy(&pipe.name));
/// }
/// # Ok::<(), blockpipe::JoinError>(())
/// ```
pub fn remove_dead(directory: Option<&OsStr>) -> Result<Vec<Result<Snapshot, JoinError>>, JoinError> {
    sweep(&directory.into(), None, GATE_WAIT, None)
}

/// Removes what killed pairs left over, for the maker of a new pipe with this key: perhaps nobody ever joins a dead pipe's
/// name again. A pipe whose gate is held is left to the next one, and so is what takes long: others may have put any
/// number of names there.
pub(crate) fn sweep_briefly(location: &Location, own: u128) {
    let _ = sweep(location, Some(own), Duration::ZERO, Some(Instant::now() + SWEEP_LIMIT));
}

/// Removes what killed pairs left over, except for the caller's own pipe. Waits up to `gate_wait` for the gate of each
/// pipe whose seats are free. What is not looked at `until` then stays for the next one.
fn sweep(
    location: &Location,
    own: Option<u128>,
    gate_wait: Duration,
    until: Option<Instant>,
) -> Result<Vec<Result<Snapshot, JoinError>>, JoinError> {
    let mut removed = Vec::new();
    let keys = Seats::keys(location)?.into_iter().filter(|key| Some(*key) != own);
    for key in keys.take_while(|_| until.is_none_or(|until| Instant::now() < until)) {
        let Ok(Some(seats)) = Seats::existing(location, key) else { continue };
        let is_free = |side| matches!(seats.is_held(side), Ok(false));
        let is_dead = || is_free(Side::Producer) && is_free(Side::Consumer);
        // A process that is stopped while it holds a gate keeps everybody else from joining and leaving, so never lock
        // the gate of a pipe that is in use.
        if is_dead()
            && let Ok(true) = seats.lock_gate(Instant::now() + gate_wait)
        {
            // As in every arrival: the name still leads to this pipe, and both seats are free.
            if matches!(seats.is_current(), Ok(true)) && is_dead() {
                let dead = snapshot_of(&seats).transpose();
                removed.extend(dead.filter(|_| seats.unlink().is_ok()));
            }
            let _ = seats.unlock_gate();
        }
    }
    Ok(removed)
}

fn snapshot_of(seats: &Seats) -> Result<Option<Snapshot>, JoinError> {
    let held = |side| seats.is_held(side).map_err(JoinError::io("checking the seats"));
    let shared = Shared::copy(seats).map_err(JoinError::io("reading the pipe's header"))?;
    let (producer, consumer) = (held(Side::Producer)?, held(Side::Consumer)?);
    let (magic, version) =
        (shared.header().magic.load(Ordering::Relaxed), shared.header().version.load(Ordering::Relaxed));
    match (magic, version) {
        (MAGIC, VERSION) => Ok(Some(Snapshot::take(&shared, producer, consumer).with_users(&shared, seats))),
        // On some systems opening a pipe creates an empty one.
        (0, _) => Ok(None),
        (MAGIC, theirs) => Err(JoinError::OtherVersion { ours: VERSION, theirs }),
        _ => Err(JoinError::Foreign { path: seats.location().into(), what: "not a pipe" }),
    }
}
