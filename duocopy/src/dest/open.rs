//! Opens a destination, as a file or as a stream.

use super::atomic::AtomicFile;
use super::contract::{Destination, Policy};
use super::path::DestinationPath;
use super::staging;
use super::stream::StreamOutput;
use crate::api::{Aftermath, Error, Stop};
use crate::digest::{Kind, Value};
use crate::record::{SourceRecord, TargetRecord};
use crate::sys::Directory;
use std::path::{Path, PathBuf};

/// Opens a regular file that the copy creates or replaces. With `resume`, continues the file that an interrupted copy
/// of this source left. After an error nothing has changed.
pub fn open(
    path: &Path,
    policy: &Policy,
    source: &SourceRecord,
    resume: bool,
) -> Result<Box<dyn Destination>, Error> {
    Ok(Box::new(AtomicFile::open(path, policy, source, resume)?))
}

/// Opens the file of a Writer that died during the copy. If that Writer was `committing`, the file may be the
/// destination already.
pub fn take_over(
    path: &Path,
    policy: &Policy,
    source: &SourceRecord,
    dead: &TargetRecord,
    committing: bool,
) -> Result<Box<dyn Destination>, Error> {
    Ok(Box::new(AtomicFile::take_over(path, policy, source, dead, committing)?))
}

/// Opens a stream output. Returns `None` if it is a named pipe that no process reads yet.
pub fn open_stream(
    path: &Path,
    policy: &Policy,
    rereads: bool,
) -> Result<Option<Box<dyn Destination>>, Error> {
    Ok(StreamOutput::open(path, policy, rereads)?.map(|output| Box::new(output) as _))
}

/// A destination that another process writes, opened once: this process may have to inspect it after the Writer's death.
#[derive(Debug)]
pub struct Observed(DestinationPath);

impl Observed {
    /// Opens the directory of a destination. Returns `None` if this process cannot see it.
    pub fn open(path: &Path) -> Option<Self> {
        DestinationPath::open_path(path, true).ok().map(Self)
    }

    /// Returns the directory, which the sandbox must leave readable.
    pub fn directory(&self) -> &Directory {
        &self.0.directory
    }

    /// Returns the path that the temporary file of a copy to this destination has.
    pub fn temporary_path(&self) -> PathBuf {
        self.0.sibling(&self.0.temporary())
    }

    /// Returns the state of the destination after the Writer died while it committed.
    pub fn fate(
        &self,
        target: &TargetRecord,
        length: u64,
        kind: Kind,
        sent: &Value,
        stop: &Stop,
    ) -> Aftermath {
        staging::fate(&self.0, target, length, kind, sent, stop)
    }
}
