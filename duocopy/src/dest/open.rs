//! Opens a destination: a file or a symbolic link.

use super::atomic::AtomicFile;
use super::contract::{Destination, Policy};
use super::in_place::InPlace;
use super::inspect::examine;
use super::link::LinkFile;
use super::path::DestinationPath;
use super::staging;
use crate::api::{Backup, Error};
use crate::record::SourceRecord;
use std::path::Path;

/// Opens a regular file or a link that the copy creates or replaces, and refuses one that must not be replaced. With
/// `resume`, continues the file that an interrupted copy of this source left. After an error nothing has changed.
pub fn open(
    path: &Path,
    policy: &Policy,
    source: &SourceRecord,
    resume: bool,
) -> Result<Box<dyn Destination>, Error> {
    if source.is_link {
        return Ok(Box::new(LinkFile::open(path, policy, source)?));
    }
    let path = DestinationPath::resolve(path, policy.links(source))?;
    let is_own = || resume && staging::already_committed(&path, policy, source).is_some();
    let existing = examine(&path, policy, source, is_own)?;
    let replaces = policy.remove_destination || policy.backup != Backup::None;
    if policy.only_attributes && existing.is_some() && !replaces {
        return Ok(Box::new(InPlace::open(path, policy, source)?));
    }
    Ok(Box::new(AtomicFile::open(path, policy, source, resume)?))
}
