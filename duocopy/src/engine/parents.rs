//! Creates the directories of a source's path below another directory (`--parents`).

use crate::api::{Error, ErrorKind, Loss, LossReason, Operation, Preserve, Preserved};
use crate::dest;
use crate::sys::{self, Directory, Entry, Stat};
use std::io;
use std::path::{Component, Path, PathBuf};

/// The directories of a source's path, below another directory. They get their metadata last
/// ([`finish`](Self::finish)): until then this user may create files in them.
#[derive(Debug)]
pub struct Parents {
    directories: Vec<Parent>,
    destination: PathBuf,
    umask: u32,
}

#[derive(Debug)]
struct Parent {
    directory: Directory,
    /// The status of the directory of the source.
    source: Stat,
    is_new: bool,
}

impl Parents {
    /// Creates those directories of this source's path that do not exist below `into`.
    ///
    /// # Errors
    /// A source that does not exist, or whose path has a `..` (which could lead out of `into`); a directory that
    /// does not exist or cannot be made.
    pub fn make(source: &Path, into: &Path, umask: u32) -> Result<Self, Error> {
        std::fs::symlink_metadata(source).map_err(|error| Error::source(source, Operation::Open, error))?;
        if !into.is_dir() {
            let kind = if into.exists() { ErrorKind::NotADirectory } else { ErrorKind::NoSuchDirectory };
            return Err(Error::at(kind, into));
        }
        let opening = |path: &Path, error: io::Error| match sys::foreign_link(&error) {
            Some(link) => Error::at(ErrorKind::ForeignLink { found: path.with_file_name(link) }, path),
            None => Error::destination(path, Operation::OpenDirectory, error),
        };
        let mut here = Directory::open_path(into).map_err(|error| opening(into, error))?;
        let (mut from, mut destination, mut directories) = (PathBuf::new(), into.to_owned(), Vec::new());
        for part in source.parent().into_iter().flat_map(Path::components) {
            from.push(part);
            let name = match part {
                Component::Normal(name) => name,
                Component::ParentDir => return Err(Error::at(ErrorKind::UnusablePath, source)),
                Component::Prefix(_) | Component::RootDir | Component::CurDir => continue,
            };
            destination.push(name);
            let stat = sys::stat(&from).map_err(|error| Error::source(&from, Operation::Stat, error))?;
            let is_new = match here.create_directory(name, stat.mode & 0o777 | 0o700) {
                Ok(()) => true,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
                Err(error) => return Err(Error::destination(&destination, Operation::MakeDirectory, error)),
            };
            // The target of a link is not below `into`, and keeps its metadata.
            let is_link = matches!(here.entry(name), Ok(Some(Entry::Link(_))));
            here = here.open_path_at(Path::new(name)).map_err(|error| opening(&destination, error))?;
            if !is_link {
                let directory = here.try_clone().map_err(|error| opening(&destination, error))?;
                directories.push(Parent { directory, source: stat, is_new });
            }
        }
        destination.extend(source.file_name());
        Ok(Self { directories, destination, umask })
    }

    /// Returns the path of the source below the other directory.
    #[must_use]
    pub fn destination(&self) -> &Path {
        &self.destination
    }

    /// Gives the directories the metadata of those of the source; new ones get at least the mode. Returns what could
    /// not be preserved.
    #[must_use]
    pub fn finish(self, preserve: &[Preserve]) -> Vec<Loss> {
        // Deepest first: those below a directory that may no longer be entered are out of reach.
        let give = |parent: &Parent| parent.give(preserve, self.umask);
        self.directories.iter().rev().flat_map(give).collect()
    }
}

impl Parent {
    fn give(&self, preserve: &[Preserve], umask: u32) -> Vec<Loss> {
        let (source, wants) = (&self.source, |what| preserve.contains(&what));
        let mode = match () {
            () if wants(Preserve::Mode) => Some(source.mode),
            // The new directory has more rights than it should have.
            () if self.is_new && source.mode & 0o700 != 0o700 => Some(source.mode & 0o777 & !umask),
            () => None,
        };
        let owner = wants(Preserve::Ownership) && sys::HAS_OWNERS;
        if mode.is_none() && !owner && !wants(Preserve::Timestamps) {
            return Vec::new();
        }
        let failed = |what| move |error: io::Error| Loss { what, reason: LossReason::System(error.into()) };
        let file = match self.directory.reopen().and_then(|directory| directory.as_file()) {
            Ok(file) => file,
            Err(error) => return vec![failed(Preserved::Everything)(error)],
        };
        let is_of_source = |now: &Stat| now.owner == source.owner && sys::is_known_owner(&file, now.owner);
        let has_owner = !owner || sys::fstat(&file).is_ok_and(|now| is_of_source(&now));
        let given = if has_owner { Ok(()) } else { sys::set_owner(&file, source.owner) };
        let lost_owner = given.map_err(dest::lost_owner).err();
        let set = mode.map_or(Ok(()), |mode| {
            // Set-ID bits were meant for the owner of the source.
            let allowed = if lost_owner.is_some() { sys::MODE_WITHOUT_SETID } else { 0o7777 };
            sys::set_mode(&file, mode & allowed)
        });
        let lost_mode = set.map_err(failed(Preserved::Mode)).err();
        let set = if wants(Preserve::Timestamps) {
            sys::set_times(&file, source.accessed, source.modified)
        } else {
            Ok(())
        };
        let lost_times = set.map_err(failed(Preserved::Timestamps)).err();
        [lost_owner, lost_mode, lost_times].into_iter().flatten().collect()
    }
}
