//! Opens a destination, as a file or as a stream.

use super::atomic::AtomicFile;
use super::contract::{Destination, Policy};
use super::stream::StreamOutput;
use crate::api::Error;
use crate::record::{SourceRecord, TargetRecord};
use std::path::Path;

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
