//! The pipes that exist now, seen from outside.

use crate::api::{Error, Role};
use std::path::Path;
use std::time::Duration;

/// A pipe at one moment. Its numbers are taken one after another, and may be a moment apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipeStatus {
    /// A number that no other pairing has.
    pub generation: u64,
    /// The name under which the two meet, shortened to 508 bytes: any bytes, or both paths separated by a NUL.
    pub name: Vec<u8>,
    /// What they copy, shortened to 1276 bytes: both paths separated by a NUL, or that they are two halves.
    pub tag: Vec<u8>,
    /// What the two are doing.
    pub phase: Phase,
    /// The Reader, if it is there.
    pub reader: Option<ProcessStatus>,
    /// The Writer, if it is there.
    pub writer: Option<ProcessStatus>,
    /// Whether a Reader and a Writer have been there at all.
    pub came: [bool; 2],
    /// The half that waits for the other one, or for somebody to come, and for how long.
    pub waits: Option<(Role, Duration)>,
    /// Length of the source in bytes, if the Reader is ready and knows it.
    pub length: Option<u64>,
    /// Whether the Reader is ready.
    pub is_ready: bool,
    /// Bytes read so far.
    pub read: u64,
    /// Bytes written so far.
    pub written: u64,
    /// Bytes in a block and number of blocks, once the Reader is ready.
    pub blocks: Option<(usize, usize)>,
    /// Blocks that wait for the Writer.
    pub filled_blocks: u64,
}

/// A process at one end of a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessStatus {
    /// Its number, as it called itself.
    pub process: u32,
    /// Its user's number, as the kernel tells it.
    pub user: Option<u32>,
}

/// What the two processes at a pipe are doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The Reader is getting ready, or none has come yet.
    Opening,
    /// The Reader is ready, and no Writer has come.
    Alone,
    /// Blocks are being moved.
    Moving,
    /// Everything is read, and the rest is being written.
    Finishing,
    /// The Writer commits.
    Committing,
    /// The verdict is known.
    Over,
}

impl PipeStatus {
    /// Returns whether both processes are gone: a killed pair left the pipe, and the next one removes it.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.reader.is_none() && self.writer.is_none()
    }
}

/// Returns all pipes of this user, or in this directory: a result for each. Takes no lock and never blocks.
///
/// # Errors
/// [`ErrorKind::Meeting`](crate::ErrorKind::Meeting) if they cannot be listed, as on Windows.
pub fn pipes(_directory: Option<&Path>) -> Result<Vec<Result<PipeStatus, Error>>, Error> {
    todo!()
}

/// Returns the pipe of this name, `None` if there is none. Takes no lock and never blocks.
///
/// # Errors
/// Any error of meeting under a name.
pub fn pipe(_name: &[u8], _directory: Option<&Path>) -> Result<Option<PipeStatus>, Error> {
    todo!()
}

/// Removes what killed pairs have left, and returns what that was, as far as this version knows it.
///
/// # Errors
/// As [`pipes`].
pub fn remove_dead(_directory: Option<&Path>) -> Result<Vec<Result<PipeStatus, Error>>, Error> {
    todo!()
}
