//! The Writer's file: written under a temporary name, and put in its place when it is complete.
//!
//! At every moment the destination is the old file or the new one. The temporary name is made from the
//! destination's, so that two copies to one destination meet on it; its lock decides who goes on.

use crate::digest;
use crate::exit::{self, Failure};
use crate::os::{self, Directory, Entry, FileId};
use crate::record::SourceRecord;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long another copy to the same destination may take to get out of the way.
const PATIENCE: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub struct Sink {
    directory: Directory,
    /// The destination as the user wrote it, for messages.
    path: PathBuf,
    name: OsString,
    temporary: OsString,
    file: File,
    id: FileId,
    born: u64,
    mode: u32,
    replaces: Option<Metadata>,
    notes: Vec<String>,
}

/// The temporary file beside a destination of this name.
fn temporary_name(name: &OsStr) -> OsString {
    format!(".duocopy-{:016x}.part", digest::of(name.as_encoded_bytes())).into()
}

impl Sink {
    /// Looks at the destination, refuses what must not be replaced, and makes a new temporary file beside it.
    /// Nothing is changed if this fails.
    pub fn create(path: &Path, source: &SourceRecord) -> Result<Self, Failure> {
        let real = follow_link(path)?;
        let Some(name) = real.file_name() else {
            return Err(Failure::refused(path, "the destination is a directory", "name the file in it"));
        };
        let parent = real.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let failed = |doing| move |error: io::Error| Failure::destination(path, doing, &error);
        let directory = Directory::open(parent).map_err(failed("opening its directory"))?;
        let replaces = match directory.entry(name).map_err(failed("looking at the destination"))? {
            None => None,
            Some(Entry::Regular(file)) if file == source.file => {
                return Err(Failure::refused(
                    path,
                    "source and destination are the same file",
                    "name another destination",
                ));
            }
            Some(Entry::Regular(_)) => {
                Some(directory.metadata(name).map_err(failed("looking at the destination"))?)
            }
            Some(Entry::Folder) => {
                return Err(Failure::refused(path, "the destination is a directory", "name the file in it"));
            }
            Some(Entry::Other) => {
                let what = "the destination is a device, a pipe or a socket, which a copy must not replace";
                return Err(Failure::refused(path, what, "name a regular file"));
            }
        };
        let temporary = temporary_name(name);
        let mut notes = Vec::new();
        if directory.entry(&temporary).map_err(failed("looking at its temporary file"))?
            == Some(Entry::Regular(source.file))
        {
            let what = "the source is the temporary file of an earlier copy to this destination, which this copy would remove";
            return Err(Failure::refused(path, what, "rename the source first"));
        }
        let file = create_temporary(&directory, &temporary, path, &mut notes)?;
        let metadata = file.metadata().map_err(|error| {
            // If this fails too, the next copy removes it.
            let _ = directory.remove(&temporary);
            Failure::destination(path, "looking at the temporary file", &error)
        })?;
        let (id, born) = (FileId::from(&metadata), os::born(&metadata));
        let mode = os::mode_for_a_new_file(source.mode);
        let (path, name) = (path.into(), name.into());
        let sink = Self { directory, path, name, temporary, file, id, born, mode, replaces, notes };
        if !source.punched
            && let Err(error) = os::preallocate(&sink.file, source.length)
        {
            let failure = Failure::destination(&sink.path, "reserving space for the copy", &error);
            sink.discard();
            return Err(failure);
        }
        Ok(sink)
    }

    /// Which file it is that will become the destination.
    pub fn id(&self) -> FileId {
        self.id
    }

    pub fn born(&self) -> u64 {
        self.born
    }

    /// What the user should know, though it stops nothing.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    pub fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Failure> {
        os::write_at(&self.file, bytes, offset).map_err(|error| self.failed("writing", &error))
    }

    /// Everything before the rename: mode and owner, and, if wanted, the content on the disk.
    ///
    /// What could not be kept of the old file is returned as a note.
    pub fn prepare(&self, length: u64, durable: bool) -> Result<Option<String>, Failure> {
        // Preallocation may have made it longer than what came.
        self.file.set_len(length).map_err(|error| self.failed("setting the length", &error))?;
        let owner_kept = match &self.replaces {
            Some(old) => os::take_mode_and_owner(&self.file, old),
            None => os::set_mode(&self.file, self.mode).map(|()| true),
        }
        .map_err(|error| self.failed("setting the mode", &error))?;
        if durable {
            self.file.sync_all().map_err(|error| self.failed("flushing the copy to the disk", &error))?;
        }
        Ok((!owner_kept).then(|| {
            let path = exit::show(&self.path);
            format!("{path}: owner and group of the old file could not be kept, nor the rights that they had")
        }))
    }

    /// The one step that changes the destination.
    pub fn replace(&self) -> Result<(), Failure> {
        if !self.still_ours() {
            let what = "somebody removed or replaced the temporary file of this copy";
            return Err(Failure::refused(
                &self.path,
                what,
                "let only one program write there, then copy again",
            ));
        }
        // What was true at the start may not be any more: nothing but a regular file is replaced, and under this path.
        match self
            .directory
            .entry(&self.name)
            .map_err(|error| self.failed("looking at the destination", &error))?
        {
            None | Some(Entry::Regular(_)) => {}
            Some(Entry::Folder | Entry::Other) => {
                let what = "the destination has become something else than a regular file";
                return Err(Failure::refused(&self.path, what, "look who made it, then copy again"));
            }
        }
        if !self.directory_is_where_it_was() {
            let what = "its directory was moved or replaced during the copy";
            return Err(Failure::refused(&self.path, what, "copy again"));
        }
        self.directory
            .rename(&self.temporary, &self.name)
            .map_err(|error| self.failed("putting the copy in its place", &error))
    }

    /// After the rename: the name on the disk.
    pub fn sync_name(&self) -> Result<(), Failure> {
        self.directory.sync().map_err(|error| {
            let what = "the copy is complete, but its name could not be flushed to the disk, so that a power failure \
                        now may bring back the old file";
            Failure::destination(&self.path, what, &error)
        })
    }

    /// Takes the temporary file away. The destination is what it was.
    pub fn discard(&self) {
        if self.still_ours() {
            // If it stays, the next copy to this destination removes it.
            let _ = self.directory.remove(&self.temporary);
        }
    }

    fn directory_is_where_it_was(&self) -> bool {
        let there = follow_link(&self.path).ok();
        let there = there.as_deref().and_then(Path::parent).and_then(|parent| Directory::open(parent).ok());
        matches!((there.map(|there| there.id()), self.directory.id()), (Some(Ok(there)), Ok(ours)) if there == ours)
    }

    fn still_ours(&self) -> bool {
        matches!(self.directory.entry(&self.temporary), Ok(Some(Entry::Regular(id))) if id == self.id)
    }

    fn failed(&self, doing: &str, error: &io::Error) -> Failure {
        Failure::destination(&self.path, doing, error)
    }
}

/// Where the temporary file of a copy to this destination is, or was.
pub fn temporary_path(path: &Path) -> PathBuf {
    let real = follow_link(path).unwrap_or_else(|_| path.into());
    real.with_file_name(temporary_name(real.file_name().unwrap_or_default()))
}

/// Where the copy of a killed Writer got to, told by the file that it wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Replaced,
    Unchanged,
    Unknown,
}

/// Looks which of the two names has the file that the Writer was about to rename.
pub fn fate(path: &Path, id: FileId, born: u64) -> Fate {
    let look = || -> Option<Fate> {
        let real = follow_link(path).ok()?;
        let name = real.file_name()?;
        let directory = Directory::open(real.parent()?).ok()?;
        let is_it = |name: &OsStr| {
            directory.metadata(name).is_ok_and(|found| FileId::from(&found) == id && os::born(&found) == born)
        };
        if is_it(name) {
            Some(Fate::Replaced)
        } else {
            is_it(&temporary_name(name)).then_some(Fate::Unchanged)
        }
    };
    look().unwrap_or(Fate::Unknown)
}

/// A destination that is a link stands for the file that it names, in that file's own directory.
fn follow_link(path: &Path) -> Result<PathBuf, Failure> {
    if !path.is_symlink() {
        return Ok(path.into());
    }
    path.canonicalize().map_err(|error| {
        Failure::refused(
            path,
            &format!("the destination is a link that leads nowhere: {error}"),
            "remove it, or name its file",
        )
    })
}

/// Makes a new temporary file and locks it. What a killed copy left is removed, never reused or emptied.
fn create_temporary(
    directory: &Directory,
    name: &OsStr,
    destination: &Path,
    notes: &mut Vec<String>,
) -> Result<File, Failure> {
    let failed =
        |error: io::Error| Failure::destination(destination, "making a temporary file beside it", &error);
    let deadline = Instant::now() + PATIENCE;
    loop {
        match directory.create_new(name) {
            Ok(file) => {
                match file.try_lock() {
                    Ok(()) => {}
                    // Somebody took it for a left-over just now; they will remove it.
                    Err(TryLockError::WouldBlock) => continue,
                    Err(TryLockError::Error(error)) => notes.push(format!(
                        "this file system has no locks ({error}): make sure that nobody else copies to the same file"
                    )),
                }
                // Somebody may have locked and removed it before we had the lock.
                if names(directory, name, &file) {
                    return Ok(file);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let left = match directory.open_existing(name) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    other => other.map_err(|error| in_the_way(destination, &error))?,
                };
                // Without locks a living copy cannot be told from a dead one's file.
                let lock = left.try_lock();
                if let Err(TryLockError::Error(error)) = &lock {
                    let what = format!(
                        "{} is in the way, and this file system has no locks ({error}) to tell a left-over by",
                        name.display()
                    );
                    return Err(Failure::refused(
                        destination,
                        &what,
                        "if no other copy writes there, remove it",
                    ));
                }
                if lock.is_ok() {
                    if names(directory, name, &left) {
                        directory.remove(name).map_err(|error| in_the_way(destination, &error))?;
                    }
                } else if Instant::now() > deadline {
                    let what =
                        format!("another copy writes to this destination ({} is locked)", name.display());
                    return Err(Failure::refused(destination, &what, "wait for its end"));
                } else {
                    #[expect(
                        clippy::disallowed_methods,
                        reason = "a lock that may be waited for has no time limit"
                    )]
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
            Err(error) => return Err(failed(error)),
        }
        if Instant::now() > deadline + PATIENCE {
            let what = "its temporary file keeps changing hands";
            return Err(Failure::refused(destination, what, "let only one copy at a time write there"));
        }
    }
}

/// Something has the temporary name that cannot be opened or removed: another user's left-over, a link, a directory.
fn in_the_way(destination: &Path, error: &io::Error) -> Failure {
    let temporary = exit::show(&temporary_path(destination));
    let what = format!("what has the name of its temporary file is in the way ({temporary}: {error})");
    Failure::new(
        exit::DESTINATION,
        format!("{}: {what}; remove it, or have it removed", exit::show(destination)),
    )
}

/// Whether the name still leads to this file.
fn names(directory: &Directory, name: &OsStr, file: &File) -> bool {
    let ours = file.metadata().ok().map(|metadata| Entry::Regular(FileId::from(&metadata)));
    ours.is_some() && directory.entry(name).ok().flatten() == ours
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fate_is_told_by_the_file_and_its_birth_and_not_by_a_number_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("name");
        let temporary = temporary_path(&path);
        let record = |path: &Path| {
            let metadata = path.metadata().unwrap();
            (FileId::from(&metadata), os::born(&metadata))
        };
        std::fs::write(&temporary, "new").unwrap();
        let (id, born) = record(&temporary);
        assert_eq!(fate(&path, id, born), Fate::Unchanged);
        std::fs::rename(&temporary, &path).unwrap();
        assert_eq!(fate(&path, id, born), Fate::Replaced);
        assert_eq!(fate(&path, id, born + 1), Fate::Unknown);
    }
}
