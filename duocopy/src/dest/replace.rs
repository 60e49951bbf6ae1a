//! Replaces the destination: the one step that changes it.

use super::backup;
use super::contract::Policy;
use super::inspect::check_overwrite;
use super::path::DestinationPath;
use crate::api::{Error, ErrorKind, Operation, Overwrite, Warning};
use crate::record::SourceRecord;
use crate::sys::{self, Entry, NoReplace};
use std::ffi::OsStr;
use std::fs::File;
use std::io;

/// A complete file or link under a temporary name, ready to replace the destination.
#[derive(Clone, Copy, Debug)]
pub struct Replacement<'a> {
    pub path: &'a DestinationPath,
    pub policy: &'a Policy,
    pub source: &'a SourceRecord,
    /// The temporary name.
    pub name: &'a OsStr,
    /// The temporary file, which is open.
    pub file: &'a File,
}

impl Replacement<'_> {
    /// Renames it to its final name, unless another program has changed what has that name. `settle` runs just before a
    /// file is replaced.
    pub fn put(self, settle: impl FnOnce() -> Result<(), Error>) -> Result<Option<Warning>, Error> {
        let Self { path, policy, source, name, file } = self;
        let entry = path.directory.entry(&path.name).map_err(path.failed(Operation::Stat))?;
        let is_new = entry.is_none();
        match entry {
            None | Some(Entry::Regular(_)) => {}
            Some(Entry::Link(_)) if path.replaces_links => {}
            Some(Entry::Directory | Entry::Link(_) | Entry::Other) => {
                return Err(path.refused(ErrorKind::DestinationChangedType));
            }
        }
        if !path.is_unmoved() {
            return Err(path.refused(ErrorKind::DirectoryMoved));
        }
        let renamed = match policy.overwrite {
            Overwrite::Replace | Overwrite::ReplaceIfOlder => {
                if policy.overwrite == Overwrite::ReplaceIfOlder {
                    self.check_still_older()?;
                }
                path.check_owner(&path.name)?;
                backup::keep(path, policy, source.stat.file)?;
                settle()?;
                let renamed =
                    if is_new { self.rename_new()? } else { path.directory.rename(file, name, &path.name) };
                renamed.map(|()| NoReplace::Guaranteed)
            }
            Overwrite::Skip | Overwrite::Refuse => path.directory.rename_no_replace(name, &path.name),
        };
        match renamed {
            Ok(NoReplace::Guaranteed) => Ok(None),
            Ok(NoReplace::CheckedBefore) => Ok(Some(Warning::NotExclusive { path: path.path.clone() })),
            Err(error) => Err(self.not_renamed(error)),
        }
    }

    /// Renames it to a name that was free. In a shared sticky directory another user can create a file of that name at
    /// the last moment; such a file is not replaced.
    fn rename_new(self) -> Result<io::Result<()>, Error> {
        let Self { path, name, file, .. } = self;
        let rename = || path.directory.rename(file, name, &path.name);
        if !path.directory.is_shared_and_sticky() {
            return Ok(rename());
        }
        let renamed = path.directory.rename_no_replace(name, &path.name).map(drop);
        if renamed.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists) {
            path.check_owner(&path.name)?;
            if matches!(path.directory.entry(&path.name), Ok(Some(_))) {
                return Ok(rename());
            }
        }
        Ok(renamed)
    }

    fn not_renamed(self, error: io::Error) -> Error {
        let exists = error.kind() == io::ErrorKind::AlreadyExists;
        match self.policy.overwrite {
            Overwrite::Skip if exists => self.path.refused(ErrorKind::Skipped),
            Overwrite::Refuse if exists => self.path.refused(ErrorKind::DestinationAppeared),
            _ if sys::is_busy(&error) => {
                let copy = self.path.sibling(self.name);
                self.path.refused(ErrorKind::DestinationBusy { copy }).doing(Operation::Rename, error)
            }
            _ => self.path.failed(Operation::Rename)(error),
        }
    }

    /// Checks that no newer destination has appeared during the copy.
    fn check_still_older(self) -> Result<(), Error> {
        match self.path.directory.stat(&self.path.name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(self.path.failed(Operation::Stat)(error)),
            Ok(now) => check_overwrite(&self.path.path, self.policy, &now, self.source),
        }
    }
}
