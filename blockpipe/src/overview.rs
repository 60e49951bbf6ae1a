//! Pipes as they look to somebody who takes no part.

use crate::error::JoinError;
use crate::layout::{MAGIC, VERSION, fingerprint};
use crate::memory::Shared;
use crate::monitor::Snapshot;
use crate::pipe::{Pipe, io};
use crate::sync::Ordering;
use crate::sys::{Seats, Side};
use std::ffi::OsStr;
use std::time::{Duration, Instant};

/// How long a gate is waited for that somebody holds.
const A_MOMENT: Duration = Duration::from_millis(50);

impl Pipe {
    /// How the pipe of this name stands; `None` if there is none. Takes no seat and no lock, and never blocks. The job
    /// counts for nothing here.
    ///
    /// If neither side lives ([`Snapshot::is_dead`]), a killed pair has left it; the next one to arrive removes it.
    ///
    /// # Errors
    /// [`JoinError::Foreign`], [`JoinError::OtherVersion`], [`JoinError::Io`].
    pub fn inspect(&self) -> Result<Option<Snapshot>, JoinError> {
        let seats = Seats::existing(self.place(), fingerprint(self.name()))?;
        seats.map_or(Ok(None), |seats| look(&seats))
    }
}

/// All pipes that are there now, of this user or in a directory ([`Pipe::in_directory`]): one result for each. Takes
/// no seat and no lock, and never blocks.
///
/// # Errors
/// [`JoinError::Io`] if they cannot be listed, as on Windows, where only names that are known can be looked at
/// ([`Pipe::inspect`]).
pub fn pipes(directory: Option<&OsStr>) -> Result<Vec<Result<Snapshot, JoinError>>, JoinError> {
    let keys = Seats::keys(directory)?;
    let pipe = |key| match Seats::existing(directory, key) {
        Ok(seats) => seats.and_then(|seats| look(&seats).transpose()),
        Err(error) => Some(Err(error.into())),
    };
    Ok(keys.into_iter().filter_map(pipe).collect())
}

/// Removes what killed pairs left, as whoever makes a new pipe does, too: pipes whose seats are both free, which is
/// looked at under the gate. Returns what was removed, as far as this version knows it.
///
/// # Errors
/// As [`pipes`]. What cannot be removed is left.
pub fn remove_dead(directory: Option<&OsStr>) -> Result<Vec<Result<Snapshot, JoinError>>, JoinError> {
    sweep(directory, None, A_MOMENT)
}

/// The same but for one's own pipe, waiting so long for each gate that somebody holds.
pub(crate) fn sweep(
    directory: Option<&OsStr>,
    own: Option<u128>,
    patience: Duration,
) -> Result<Vec<Result<Snapshot, JoinError>>, JoinError> {
    let mut removed = Vec::new();
    for key in Seats::keys(directory)?.into_iter().filter(|key| Some(*key) != own) {
        let Ok(Some(seats)) = Seats::existing(directory, key) else { continue };
        if let Ok(true) = seats.lock_gate(Instant::now() + patience) {
            // As in every arrival: still of this name, both seats free.
            if let (Ok(true), Ok(false), Ok(false)) =
                (seats.current(), seats.held(Side::Producer), seats.held(Side::Consumer))
            {
                let dead = look(&seats).transpose();
                removed.extend(dead.filter(|_| seats.forget().is_ok()));
            }
            let _ = seats.unlock_gate();
        }
    }
    Ok(removed)
}

fn look(seats: &Seats) -> Result<Option<Snapshot>, JoinError> {
    let held = |side| seats.held(side).map_err(io("looking at the seats"));
    let shared = Shared::copy(seats).map_err(io("looking at the pipe"))?;
    let (producer, consumer) = (held(Side::Producer)?, held(Side::Consumer)?);
    let (magic, version) =
        (shared.header().magic.load(Ordering::Relaxed), shared.header().version.load(Ordering::Relaxed));
    match (magic, version) {
        (MAGIC, VERSION) => Ok(Some(Snapshot::take(&shared, producer, consumer).with_users(&shared, seats))),
        // Where looking makes an empty one.
        (0, _) => Ok(None),
        (MAGIC, theirs) => Err(JoinError::OtherVersion { ours: VERSION, theirs }),
        _ => Err(JoinError::Foreign { path: seats.where_it_is().into(), what: "not a pipe" }),
    }
}
