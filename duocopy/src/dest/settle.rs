//! Gives the temporary file its metadata, and again if the file that it replaces changes before the rename.

use super::contract::Policy;
use super::metadata::{Missing, SourceMetadata, Surroundings};
use super::path::DestinationPath;
use crate::api::{Error, ErrorKind, Operation, Overwrite, Preserve};
use crate::record::SourceRecord;
use crate::sys::{DefaultList, Existing, FileOwner};
use std::fs::File;

/// The most times to set the metadata again while another program keeps changing the file to be replaced.
const MAX_ROUNDS: usize = 3;

/// The facts from which the metadata of the temporary file was derived.
#[derive(Debug)]
pub struct Settled {
    metadata: SourceMetadata,
    /// The file at the destination, as it was at that time.
    existing: Option<Existing>,
    durable: bool,
}

/// The temporary file of a copy from this source to this path.
#[derive(Clone, Copy, Debug)]
pub struct Temporary<'a> {
    pub file: &'a File,
    pub path: &'a DestinationPath,
    pub source: &'a SourceRecord,
    pub policy: &'a Policy,
}

impl Settled {
    /// Gives the file its metadata. Also returns the part that could not be set.
    pub fn give(
        temporary: Temporary,
        metadata: &SourceMetadata,
        durable: bool,
    ) -> Result<(Self, Missing), Error> {
        let existing = existing(temporary)?;
        let settled = Self { metadata: metadata.clone(), existing, durable };
        let missing = settled.apply(temporary)?;
        Ok((settled, missing))
    }

    /// Sets the metadata again if the mode, owner, list or attributes of the file at the destination have changed: a
    /// file that was made private meanwhile must not become public again.
    pub fn renew(&mut self, temporary: Temporary) -> Result<(), Error> {
        for _ in 0..MAX_ROUNDS {
            let existing = existing(temporary)?;
            if existing == self.existing {
                break;
            }
            self.existing = existing;
            self.apply(temporary)?;
            if self.durable {
                temporary.file.sync_all().map_err(temporary.path.failed(Operation::Flush))?;
            }
        }
        Ok(())
    }

    fn apply(&self, temporary: Temporary) -> Result<Missing, Error> {
        let Temporary { file, path, source, policy } = temporary;
        let default_list = match self.existing {
            Some(_) => DefaultList::Absent,
            None => path.directory.default_list(),
        };
        let existing = self.existing.as_ref();
        let around = Surroundings {
            source,
            umask: policy.umask,
            trusts_reader: policy.trusts_reader,
            existing,
            default_list: &default_list,
            stop: &policy.stop,
        };
        let given = self.metadata.apply(file, &around).and_then(|missing| {
            if existing.is_some() && !self.metadata.wants(Preserve::Mode) {
                path.directory.copy_system_attributes(file, &path.name)?;
            }
            Ok(missing)
        });
        given.map_err(path.failed(Operation::SetMode))
    }
}

/// Returns the file that the copy replaces. Another user may have put it there in the meantime, to get its rights to the
/// copy.
fn existing(temporary: Temporary) -> Result<Option<Existing>, Error> {
    let Temporary { path, policy, .. } = temporary;
    if matches!(policy.overwrite, Overwrite::Skip | Overwrite::Refuse) {
        // The rename will fail if there is a file.
        return Ok(None);
    }
    if policy.remove_destination {
        return Ok(None);
    }
    let failed = path.failed(Operation::Stat);
    let existing = path.directory.existing(&path.name).map_err(&failed)?;
    if let Some(existing) = &existing
        && path.directory.owner_of_user(existing.owner.0).map_err(failed)? == FileOwner::Suspect
    {
        return Err(path.refused(ErrorKind::ForeignFile { found: path.sibling(&path.name) }));
    }
    Ok(existing)
}
