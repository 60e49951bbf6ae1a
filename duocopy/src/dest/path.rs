//! The path of a destination: its directory, opened once, and the names in that directory that belong to a copy.

use crate::api::{Error, ErrorKind, Operation};
use crate::digest;
use crate::sys::{self, Directory, Entry, FileId, FileOwner, Stat};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// As many links as the kernel follows.
const MAX_LINKS: usize = 40;

/// How to treat a symbolic link at the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// Refuse it.
    Refused,
    /// Write to the file that it names.
    Followed {
        /// True to create the file that a dangling link names; otherwise such a link is refused.
        creates: bool,
        /// True to replace a link that is part of a loop; otherwise it is refused.
        replaces_loops: bool,
    },
    /// Replace the link itself.
    Replaced,
}

impl Links {
    /// Follow links to files that exist.
    pub const FOLLOWED: Self = Self::Followed { creates: false, replaces_loops: false };
}

/// A path that was resolved once. Every later access goes through the open directory, even if the path leads elsewhere
/// by then.
#[derive(Debug)]
pub struct DestinationPath {
    pub directory: Directory,
    pub name: OsString,
    /// The path as the user wrote it, for messages.
    pub path: PathBuf,
    /// True if a link at the destination is replaced.
    pub replaces_links: bool,
    /// The path with all links followed, for messages.
    real: PathBuf,
    /// Where the directory was when it was opened, if the system tells.
    location: Option<PathBuf>,
}

impl DestinationPath {
    /// Resolves a path in order to write there.
    ///
    /// A link stands for the file that it names, in that file's own directory; or it is refused, if links are not to be
    /// followed, or if another user made it in a sticky directory.
    pub fn resolve(path: &Path, links: Links) -> Result<Self, Error> {
        let found = Self::open_path(path, links)?;
        let failed = |error: io::Error| Error::destination(path, Operation::OpenDirectory, error);
        let directory = found.directory.reopen().map_err(failed)?;
        Ok(Self { location: directory.location(), directory, ..found })
    }

    /// Resolves a path in order to inspect what is there: the directory is opened for lookups only.
    pub fn open_path(path: &Path, links: Links) -> Result<Self, Error> {
        match Self::follow(path, links) {
            Err(Error { kind: ErrorKind::LinkLoop, .. })
                if matches!(links, Links::Followed { replaces_loops: true, .. }) =>
            {
                Self::follow(path, Links::Replaced)
            }
            found => found,
        }
    }

    fn follow(path: &Path, policy: Links) -> Result<Self, Error> {
        let failed = |below: &Path, operation, error: io::Error| match sys::foreign_link(&error) {
            Some(link) => Error::at(ErrorKind::ForeignLink { found: below.join(link) }, path),
            None => Error::destination(path, operation, error),
        };
        let refused = |kind| Err(Error::at(kind, path));
        let Some(mut name) = path.file_name().map(OsStr::to_owned) else {
            return refused(ErrorKind::DestinationIsDirectory);
        };
        let mut directory = Directory::open_path(parent(path).unwrap_or(Path::new(".")))
            .map_err(|error| failed(Path::new(""), Operation::OpenDirectory, error))?;
        let mut real = path.to_owned();
        for links in 0..=MAX_LINKS {
            let below = real.parent().unwrap_or(Path::new("")).to_owned();
            let inspecting = |error| failed(&below, Operation::Stat, error);
            let replaces_links = policy == Links::Replaced;
            let creates = matches!(policy, Links::Followed { creates: true, .. });
            let target = if replaces_links { Ok(None) } else { directory.read_link(&name) };
            let Some(target) = target.map_err(inspecting)? else {
                if links > 0 && !creates && directory.entry(&name).map_err(inspecting)?.is_none() {
                    return refused(ErrorKind::DanglingLink);
                }
                return Ok(Self { directory, name, path: path.into(), replaces_links, real, location: None });
            };
            if policy == Links::Refused {
                return refused(ErrorKind::LinkNotFollowed);
            }
            let Some(next) = target.file_name() else {
                return refused(ErrorKind::LinkToDirectory);
            };
            if let Some(parent) = parent(&target) {
                directory = match directory.open_path_at(parent) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        return refused(ErrorKind::DanglingLink);
                    }
                    other => other.map_err(|error| failed(&below, Operation::OpenDirectory, error))?,
                };
            }
            next.clone_into(&mut name);
            real = real.with_file_name(&target);
        }
        refused(ErrorKind::LinkLoop)
    }

    /// Returns the name of the temporary file. It depends on the destination's name alone, so that two copies to one
    /// destination meet there.
    pub fn temporary(&self) -> OsString {
        self.beside("part")
    }

    /// Returns the name of the journal.
    pub fn journal(&self) -> OsString {
        self.beside("journal")
    }

    /// Returns the name that a link to the old destination has before it is renamed over an older backup.
    pub fn backup(&self) -> OsString {
        self.beside("backup")
    }

    /// Returns the temporary name of a symbolic link, which it has until it is renamed.
    pub fn link(&self) -> OsString {
        self.beside("link")
    }

    /// Returns the path of a name in the same directory, for messages.
    pub fn sibling(&self, name: &OsStr) -> PathBuf {
        self.real.with_file_name(name)
    }

    /// Returns whether the directory is where it was when it was opened, as far as the system tells. The path is not
    /// resolved again: it may lead through something that only an unconfined process can enter.
    pub fn is_unmoved(&self) -> bool {
        self.directory.location() == self.location
    }

    /// Returns an error if another user may have put this file into a sticky directory: see [`FileOwner::Suspect`]. The
    /// copy would get the owner and mode of the file that it replaces. The kernel prevents that only for ordinary
    /// users.
    pub fn check_owner(&self, name: &OsStr) -> Result<(), Error> {
        match self.directory.owner_of(name) {
            Ok(FileOwner::Suspect) => Err(self.refused(ErrorKind::ForeignFile { found: self.sibling(name) })),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(self.failed(Operation::Stat)(error)),
        }
    }

    /// Returns an error if the system will not let this user replace this file, whatever the rights of users.
    pub fn check_replaceable(&self, name: &OsStr, old: &Stat) -> Result<(), Error> {
        let protection = self.directory.protection_of(name);
        if protection.is_mount_point {
            Err(self.refused(ErrorKind::DestinationIsMountPoint))
        } else if protection.is_fixed {
            Err(self.refused(ErrorKind::DestinationProtected))
        } else if !self.directory.may_replace(old.owner.0).map_err(self.failed(Operation::Stat))? {
            Err(self.refused(ErrorKind::StickyDirectory))
        } else {
            Ok(())
        }
    }

    /// Returns a function that converts an error of this operation.
    pub fn failed(&self, operation: Operation) -> impl Fn(io::Error) -> Error {
        move |error| Error::destination(&self.path, operation, error)
    }

    /// Returns the error of a copy that must not continue.
    pub fn refused(&self, kind: ErrorKind) -> Error {
        Error::at(kind, &self.path)
    }

    /// Returns whether this name leads to this file.
    pub fn leads_to(&self, name: &OsStr, file: FileId) -> bool {
        matches!(self.directory.entry(name), Ok(Some(Entry::Regular(found))) if found == file)
    }

    /// Returns whether this name leads to this open file.
    pub fn leads_to_open(&self, name: &OsStr, file: &File) -> bool {
        sys::fstat(file).is_ok_and(|stat| self.leads_to(name, stat.file))
    }

    /// Returns a checksum of the destination's name, which does not depend on how the user wrote it.
    pub fn hash(&self) -> u64 {
        digest::of(sys::case_fold(&self.name).as_encoded_bytes())
    }

    fn beside(&self, ending: &str) -> OsString {
        format!(".duocopy-{:016x}.{ending}", self.hash()).into()
    }
}

/// Returns the path before the last name, if there is one.
fn parent(path: &Path) -> Option<&Path> {
    path.parent().filter(|parent| !parent.as_os_str().is_empty())
}
