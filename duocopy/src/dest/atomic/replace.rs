//! The one step that changes the destination.

use super::AtomicFile;
use crate::api::{Error, ErrorKind, Operation, Overwrite, Warning};
use crate::dest::backup;
use crate::dest::inspect::check_overwrite;
use crate::sys::{self, Entry, NoReplace};
use std::io;

impl AtomicFile {
    /// Renames the file to its final name, unless another program has interfered with one of the names meanwhile.
    pub(super) fn replace(&mut self) -> Result<(), Error> {
        if !self.owns_temporary() {
            return Err(self.path.refused(ErrorKind::TemporaryFileReplaced));
        }
        let entry = self.path.directory.entry(&self.path.name);
        match entry.map_err(self.path.failed(Operation::Stat))? {
            None | Some(Entry::Regular(_)) => {}
            Some(Entry::Directory | Entry::Other) => {
                return Err(self.path.refused(ErrorKind::DestinationChangedType));
            }
        }
        if !self.path.is_unmoved() {
            return Err(self.path.refused(ErrorKind::DirectoryMoved));
        }
        let (temporary, name, overwrite) = (self.path.temporary(), &self.path.name, self.policy.overwrite);
        let renamed = match overwrite {
            Overwrite::Replace | Overwrite::ReplaceIfOlder => {
                if overwrite == Overwrite::ReplaceIfOlder {
                    self.check_still_older()?;
                }
                self.path.check_owner(name)?;
                backup::keep(&self.path, &self.policy, self.source().stat.file)?;
                if let Some(mut settled) = self.settled.take() {
                    settled.renew(self.as_temporary())?;
                }
                self.path.directory.rename(&self.file, &temporary, name)
            }
            Overwrite::Skip | Overwrite::Refuse => {
                self.path.directory.rename_no_replace(&temporary, name).map(|how| match how {
                    NoReplace::Guaranteed => {}
                    NoReplace::CheckedBefore => {
                        self.warnings.push(Warning::NotExclusive { path: self.path.path.clone() });
                    }
                })
            }
        };
        let Err(error) = renamed else { return Ok(()) };
        let exists = error.kind() == io::ErrorKind::AlreadyExists;
        Err(match overwrite {
            Overwrite::Skip if exists => self.path.refused(ErrorKind::Skipped),
            Overwrite::Refuse if exists => self.path.refused(ErrorKind::DestinationAppeared),
            _ if sys::is_busy(&error) => {
                // The copy is complete. The next run, or the user, can still rename it.
                self.is_final = true;
                let copy = self.path.sibling(&temporary);
                self.path.refused(ErrorKind::DestinationBusy { copy }).doing(Operation::Rename, error)
            }
            _ => self.path.failed(Operation::Rename)(error),
        })
    }

    /// Checks that no newer destination has appeared during the copy.
    fn check_still_older(&self) -> Result<(), Error> {
        match self.path.directory.stat(&self.path.name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(self.path.failed(Operation::Stat)(error)),
            Ok(now) => check_overwrite(&self.path.path, &self.policy, &now, self.source()),
        }
    }
}
