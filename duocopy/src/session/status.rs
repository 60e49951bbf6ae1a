//! The pipes that exist now, seen from outside.

use super::meeting::{meeting_error, role_of};
use crate::api::{Error, Role};
use crate::record::SourceRecord;
use crate::sys;
use blockpipe::{Geometry, JoinError, Pipe, Snapshot};
use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

/// A pipe at one moment. Its numbers are taken one after another, and may be a moment apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipeStatus {
    /// A number that is unique to this pairing.
    pub generation: u64,
    /// The name under which the two meet, shortened to 508 bytes: any bytes, or both paths separated by a NUL.
    pub name: Vec<u8>,
    /// The tag of the copy, shortened to 1276 bytes: both paths separated by a NUL, or that the two are halves.
    pub tag: Vec<u8>,
    /// The phase of the copy.
    pub phase: Phase,
    /// The Reader, if it is there.
    pub reader: Option<ProcessStatus>,
    /// The Writer, if it is there.
    pub writer: Option<ProcessStatus>,
    /// True if a Reader and a Writer have ever been there.
    pub came: [bool; 2],
    /// The half that waits for the other one, or for somebody to come, and for how long.
    pub waits: Option<(Role, Duration)>,
    /// Length of the source in bytes, if the Reader is ready and knows it.
    pub length: Option<u64>,
    /// True if the Reader is ready.
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

/// The phase of the copy at a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The Reader is getting ready, or none has come yet.
    Opening,
    /// The Reader is ready, and one of the two processes is not there: no Writer has come, or one of them has died.
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
/// [`ErrorKind::Meeting`](crate::ErrorKind::Meeting) or [`SharedMemory`](crate::ErrorKind::SharedMemory) if they cannot
/// be listed, as on Windows.
pub fn pipes(directory: Option<&Path>) -> Result<Vec<Result<PipeStatus, Error>>, Error> {
    all(blockpipe::pipes(directory.map(Path::as_os_str)), directory)
}

/// Returns the pipe of this name, `None` if there is none. Takes no lock and never blocks.
///
/// # Errors
/// [`ErrorKind::ForeignPipe`](crate::ErrorKind::ForeignPipe),
/// [`OtherVersion`](crate::ErrorKind::OtherVersion), and the errors of [`pipes`].
pub fn pipe(name: &[u8], directory: Option<&Path>) -> Result<Option<PipeStatus>, Error> {
    let pipe = Pipe::named(name);
    let pipe = directory.map_or(pipe.clone(), |directory| pipe.in_directory(directory));
    let found = pipe.inspect().map_err(|error| meeting_error(error, directory))?;
    Ok(found.as_ref().map(PipeStatus::of))
}

/// Returns the pipe of a pair that was started with these paths and without a name, `None` if there is none.
/// Takes no lock and never blocks.
///
/// # Errors
/// Those of [`pipe`].
pub fn pair(
    source: &Path,
    destination: &Path,
    directory: Option<&Path>,
) -> Result<Option<PipeStatus>, Error> {
    pipe(&pair_name(source, destination), directory)
}

/// The name of a pair's pipe, if it was given none: both absolute paths as bytes with a NUL between them, which no path
/// contains.
pub(crate) fn pair_name(source: &Path, destination: &Path) -> Vec<u8> {
    let [source, destination] =
        [source, destination].map(|path| sys::case_fold(sys::absolute(path).as_os_str()));
    [&source, OsStr::new("\0"), &destination].map(OsStr::as_encoded_bytes).concat()
}

/// Removes what killed pairs have left, and returns what that was, as far as this version knows it.
///
/// # Errors
/// As [`pipes`].
pub fn remove_dead(directory: Option<&Path>) -> Result<Vec<Result<PipeStatus, Error>>, Error> {
    all(blockpipe::remove_dead(directory.map(Path::as_os_str)), directory)
}

fn all(
    found: Result<Vec<Result<Snapshot, JoinError>>, JoinError>,
    directory: Option<&Path>,
) -> Result<Vec<Result<PipeStatus, Error>>, Error> {
    let failed = |error| meeting_error(error, directory);
    let status = |pipe: Result<Snapshot, JoinError>| pipe.map(|pipe| PipeStatus::of(&pipe)).map_err(failed);
    Ok(found.map_err(failed)?.into_iter().map(status).collect())
}

impl PipeStatus {
    fn of(pipe: &Snapshot) -> Self {
        let reader = pipe.producer_alive.then_some(pipe.producer);
        let at = |process: Option<u32>, user| process.map(|process| ProcessStatus { process, user });
        let source = pipe.producer_hello.as_deref().map(SourceRecord::unpack);
        Self {
            generation: pipe.generation,
            name: pipe.name.clone(),
            tag: pipe.tag.clone(),
            phase: match pipe.phase {
                blockpipe::Phase::Opening => Phase::Opening,
                blockpipe::Phase::Alone => Phase::Alone,
                blockpipe::Phase::Moving => Phase::Moving,
                blockpipe::Phase::Finishing => Phase::Finishing,
                blockpipe::Phase::Committing => Phase::Committing,
                blockpipe::Phase::Over => Phase::Over,
            },
            reader: at(reader, pipe.users[0]),
            writer: at(pipe.consumer, pipe.users[1]),
            came: [pipe.producer != 0, pipe.consumer_hello.is_some()],
            waits: pipe.waits.map(|(side, since)| (role_of(side), since)),
            length: source.and_then(|source| source.known_length()),
            is_ready: source.is_some(),
            read: pipe.sent,
            written: pipe.released,
            blocks: pipe.geometry.map(|geometry: Geometry| (geometry.block_size(), geometry.blocks())),
            filled_blocks: pipe.waiting_blocks,
        }
    }
}
