//! The temporary file beside a destination, its journal, and which process may use them.
//!
//! The temporary file's name depends on the destination's name alone, so that two copies to one destination meet there;
//! the file's lock decides which of them continues. What an interrupted copy left is resumed as far as the journal says
//! that it can be trusted, and removed otherwise. It is never emptied: another process may know it by its identity.

use super::contract::Policy;
use super::journal::{Heading, Journal, Recorded};
use super::path::DestinationPath;
use super::{rights, same_file};
use crate::api::{Aftermath, Error, ErrorKind, Operation, Warning};
use crate::digest::{Digest, Kind, PIECE};
use crate::record::{ResumePoint, SourceRecord, TargetRecord};
use crate::sys::{self, Entry, Stat};
use std::ffi::{OsStr, OsString};
use std::fs::{File, TryLockError};
use std::io;
use std::time::{Duration, Instant};

/// The time to wait for another copy to the same destination, which may be about to end.
const CONTENTION_TIMEOUT: Duration = Duration::from_millis(500);
/// The time for which a dead Writer's lock may outlive its seat, because its last write may still be running.
const LOCK_RELEASE_TIMEOUT: Duration = Duration::from_secs(10);

/// The file that a copy writes to, open and locked.
#[derive(Debug)]
pub struct Staging {
    pub file: File,
    /// The point from which the copy can resume.
    pub begins: ResumePoint,
    /// True if the file is the destination already: an earlier Writer died after it had committed.
    pub is_committed: bool,
    pub journal: Option<Journal>,
}

impl Staging {
    fn new(file: File) -> Self {
        sys::mark_written(&file);
        Self { file, begins: ResumePoint::default(), is_committed: false, journal: None }
    }
}

/// Returns the existing destination, if there is one. Returns an error if it is not a regular file, or if the copy
/// would remove its own source.
pub fn inspect(
    path: &DestinationPath,
    policy: &Policy,
    source: &SourceRecord,
) -> Result<Option<Stat>, Error> {
    let refused = |kind| Err(path.refused(kind));
    let existing = match path.directory.entry(&path.name).map_err(path.failed(Operation::Stat))? {
        None => None,
        Some(Entry::Regular(file)) if same_file::would_be_lost(path, policy, source, file) => {
            return refused(ErrorKind::SameFile);
        }
        Some(Entry::Link(file)) if same_file::would_be_lost(path, policy, source, file) => {
            return refused(ErrorKind::SameFile);
        }
        Some(Entry::Link(_)) if !path.replaces_links => return refused(ErrorKind::DestinationIsSpecial),
        Some(Entry::Regular(_) | Entry::Link(_)) => {
            Some(path.directory.stat(&path.name).map_err(path.failed(Operation::Stat))?)
        }
        Some(Entry::Directory) => return refused(ErrorKind::DestinationIsDirectory),
        Some(Entry::Other) => return refused(ErrorKind::DestinationIsSpecial),
    };
    for name in [path.temporary(), path.journal(), path.backup()] {
        let entry = path.directory.entry(&name).map_err(path.failed(Operation::Temporary))?;
        if entry == Some(Entry::Regular(source.stat.file)) {
            return refused(ErrorKind::SourceIsTemporary);
        }
    }
    Ok(existing)
}

/// Returns the heading of the journal of a copy from this source to this path through this file.
pub fn heading(
    path: &DestinationPath,
    policy: &Policy,
    source: &SourceRecord,
    file: &File,
) -> io::Result<Heading> {
    Ok(Heading {
        origin: policy.origin(source),
        target: TargetRecord::of(&sys::fstat(file)?),
        directory: path.directory.id()?,
        name: path.hash(),
    })
}

/// Creates and locks a new temporary file, or takes the one that an interrupted copy left. A leftover that cannot be
/// resumed is removed, never reused or emptied.
pub fn acquire(
    path: &DestinationPath,
    policy: &Policy,
    source: &SourceRecord,
    resume: bool,
    warnings: &mut Vec<Warning>,
) -> Result<Staging, Error> {
    let deadline = Instant::now() + CONTENTION_TIMEOUT;
    let claim = Claim { path, policy, source, resume, name: path.temporary(), deadline };
    while Instant::now() <= claim.deadline + CONTENTION_TIMEOUT {
        if resume && let Some(committed) = already_committed(path, policy, source) {
            remove_second_name(path, &committed.file);
            return Ok(committed);
        }
        // A journal must never seem to belong to another file: it is removed before a new file is created.
        if path.directory.entry(&claim.name).map_err(|error| claim.failed(error))?.is_none() {
            remove_journal(path)?;
        }
        let staging = match path.directory.create_new(&claim.name, source.stat.mode) {
            Ok(file) => claim.lock_new(file, warnings),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => claim.lock_leftover(warnings)?,
            Err(error) => return Err(claim.failed(error)),
        };
        if let Some(staging) = staging {
            return Ok(staging);
        }
    }
    Err(path.refused(ErrorKind::TemporaryFileContended))
}

/// An attempt to get the temporary file. Its steps return `None` if another process interfered, so that another attempt
/// makes sense.
struct Claim<'a> {
    path: &'a DestinationPath,
    policy: &'a Policy,
    source: &'a SourceRecord,
    resume: bool,
    /// Name of the temporary file.
    name: OsString,
    /// The time until which to wait for a copy that holds the lock.
    deadline: Instant,
}

impl Claim<'_> {
    /// Locks a file that was just created.
    fn lock_new(&self, file: File, warnings: &mut Vec<Warning>) -> Option<Staging> {
        match file.try_lock() {
            Ok(()) => {}
            // Another process took it for a leftover, and will remove it.
            Err(TryLockError::WouldBlock) => return None,
            Err(TryLockError::Error(error)) => warnings.push(Warning::NoLocks { cause: error.into() }),
        }
        // Another process may have locked and removed it before this one had the lock.
        self.path.leads_to_open(&self.name, &file).then(|| Staging::new(file))
    }

    /// Locks the file that already has the name.
    fn lock_leftover(&self, warnings: &mut Vec<Warning>) -> Result<Option<Staging>, Error> {
        let path = self.path;
        let left = match path.directory.open_existing(&self.name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|error| name_taken(path, &self.name, Some(error)))?,
        };
        let is_in_place = path.leads_to_open(&path.name, &left);
        if !is_in_place && !sys::is_own_file(&left) && !self.was_given_away(&left) {
            return Err(name_taken(path, &self.name, None));
        }
        let locked = left.try_lock();
        match locked {
            Err(TryLockError::WouldBlock) if Instant::now() <= self.deadline => {
                pause(path, self.policy).map(|()| None)
            }
            Err(TryLockError::WouldBlock) if sys::has_writer(&left).unwrap_or(true) => {
                Err(path.refused(ErrorKind::DestinationLocked))
            }
            Ok(()) | Err(TryLockError::WouldBlock) if !path.leads_to_open(&self.name, &left) => Ok(None),
            Ok(()) if !is_in_place => self.resume_or_remove(left, warnings),
            // Without a Writer, somebody who may read what a dead one left has locked it.
            Ok(()) | Err(TryLockError::WouldBlock) => self.remove(&left, is_in_place).map(|()| None),
            Err(TryLockError::Error(error)) => {
                let found = path.sibling(&self.name);
                Err(path.refused(ErrorKind::NoLocks { found }).doing(Operation::Temporary, error))
            }
        }
    }

    /// Returns whether a copy of this user left this file of another user. Only root gives its temporary file to the
    /// future owner, and it writes a journal for the file first.
    fn was_given_away(&self, left: &File) -> bool {
        sys::is_only_name(left) && Journal::names(&self.path.directory, &self.path.journal(), left)
    }

    /// Resumes a leftover that is locked, or removes it.
    fn resume_or_remove(&self, left: File, warnings: &mut Vec<Warning>) -> Result<Option<Staging>, Error> {
        let directory = &self.path.directory;
        match self.resume.then(|| resumable(self.path, self.policy, self.source, &left)).flatten() {
            Some((begins, journal)) if sys::is_writable(&left) => {
                // An earlier Writer may have given others the right to read it.
                rights::make_private(&left).map_err(|error| self.failed(error))?;
                return Ok(Some(Staging { begins, journal: Some(journal), ..Staging::new(left) }));
            }
            // An earlier Writer was killed after it had set the final mode, which does not allow writing. The next
            // attempt opens the file again.
            Some(_) => sys::set_mode(&left, 0o600).map_err(|error| self.failed(error))?,
            None => {
                if self.resume && Journal::open(directory, &self.path.journal()).is_some() {
                    warnings.push(Warning::Restarted);
                }
                self.remove(&left, false)?;
            }
        }
        Ok(None)
    }

    /// Removes a leftover. One that is in place as well only loses its second name.
    fn remove(&self, left: &File, is_in_place: bool) -> Result<(), Error> {
        // If the file has another owner, the journal alone shows that it is ours, and stays until the file is removed.
        if !is_in_place && sys::is_own_file(left) {
            remove_journal(self.path)?;
        }
        let removed = self.path.directory.remove(&self.name);
        removed.map_err(|error| name_taken(self.path, &self.name, Some(error)))
    }

    fn failed(&self, error: io::Error) -> Error {
        // The directory is open, so it exists. Then "not found" means that no file can be created in it.
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::DirectoryTakesNoFiles,
            _ => ErrorKind::Destination,
        };
        self.path.refused(kind).doing(Operation::Temporary, error)
    }
}

/// Opens and locks the file of a Writer that died during the copy, and its journal. If that Writer was `committing`,
/// the file may be the destination already.
///
/// Where others can write to the shared memory, they may have forged `dead` and `committing`. Then the file is the one
/// that this user's journal names, if that journal fits this copy.
pub fn take_over(
    path: &DestinationPath,
    policy: &Policy,
    source: &SourceRecord,
    dead: &TargetRecord,
    committing: bool,
) -> Result<Staging, Error> {
    if policy.trusts_memory {
        return take_over_from(path, policy, source, dead, committing);
    }
    let witness = Journal::open(&path.directory, &path.journal());
    let (_, theirs, _) = witness.ok_or_else(|| lost(path, false))?;
    let directory = path.directory.id().map_err(path.failed(Operation::Stat))?;
    let ours = Heading { origin: policy.origin(source), target: theirs.target, directory, name: path.hash() };
    if !ours.may_take_over(&theirs) {
        return Err(lost(path, false));
    }
    take_over_from(path, policy, source, &theirs.target, false)
}

fn take_over_from(
    path: &DestinationPath,
    policy: &Policy,
    source: &SourceRecord,
    dead: &TargetRecord,
    committing: bool,
) -> Result<Staging, Error> {
    let (deadline, temporary) = (Instant::now() + LOCK_RELEASE_TIMEOUT, path.temporary());
    let failed = path.failed(Operation::Temporary);
    let (file, is_committed) = loop {
        // The temporary name is checked first, because a rename may move the file from there to the other one
        // meanwhile. Where that takes two calls, a Writer that died between them has left both names.
        let is_committed =
            find(path, &temporary, dead).is_none() || committing && find(path, &path.name, dead).is_some();
        let name = if is_committed { &path.name } else { &temporary };
        if is_committed {
            if find(path, name, dead).is_none() {
                return Err(lost(path, committing));
            }
            if !committing {
                // The dead Writer had found it committed, or another process has committed it since.
                return already_committed(path, policy, source).ok_or_else(|| lost(path, false));
            }
        }
        let file = path.directory.open_existing(name).map_err(&failed)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {}
            Err(TryLockError::WouldBlock) => {
                return Err(path.refused(ErrorKind::TemporaryFileTaken));
            }
            _ if !path.leads_to_open(name, &file) => {}
            // The dead Writer had set the final mode, which does not allow writing: open the file again.
            _ if !is_committed && !sys::is_writable(&file) && Instant::now() < deadline => {
                sys::set_mode(&file, 0o600).map_err(&failed)?;
            }
            _ => break (file, is_committed),
        }
        pause(path, policy)?;
    };
    if is_committed {
        remove_second_name(path, &file);
    } else {
        // The dead Writer may have given others the right to read it.
        rights::make_private(&file).map_err(failed)?;
    }
    let is_its = |heading: &Heading| heading.target.is_same_file(dead);
    let journal = Journal::open(&path.directory, &path.journal());
    let journal = journal.and_then(|(journal, heading, _)| is_its(&heading).then_some(journal));
    Ok(Staging { is_committed, journal, ..Staging::new(file) })
}

/// Returns how far this temporary file can be trusted, if it is what an interrupted copy of this source left.
fn resumable(
    path: &DestinationPath,
    policy: &Policy,
    source: &SourceRecord,
    left: &File,
) -> Option<(ResumePoint, Journal)> {
    let (journal, theirs, Recorded { durable, .. }) = Journal::open(&path.directory, &path.journal())?;
    let ours = heading(path, policy, source, left).ok()?;
    // An earlier Writer may have given the file its final owner and mode. Since then others may have opened it for
    // writing.
    let is_ours = sys::is_own_file(left) && journal.is_alike(left).ok()?;
    let fits = ours.fits(&theirs) && ours.target.is_same_file(&theirs.target) && is_ours;
    (fits && sys::fstat(left).ok()?.length >= durable.position).then_some((durable, journal))
}

/// Returns the destination, locked, if an earlier copy of the same version of this source has committed it, but its
/// Writer died before it could report that.
pub fn already_committed(path: &DestinationPath, policy: &Policy, source: &SourceRecord) -> Option<Staging> {
    let (journal, theirs, Recorded { durable: whole, modified, .. }) =
        Journal::open(&path.directory, &path.journal())?;
    let found = find(path, &path.name, &theirs.target)?;
    let length = source.stat.length;
    if found.modified != modified || whole.position != length {
        return None;
    }
    let file = path.directory.open_existing(&path.name).ok()?;
    // A process that holds the lock is about to report it itself.
    file.try_lock().ok()?;
    let ours = heading(path, policy, source, &file).ok()?;
    if !ours.fits(&theirs)
        || !ours.target.is_same_file(&theirs.target)
        || sys::fstat(&file).ok()?.length != length
    {
        return None;
    }
    let mut digest = Digest::new(source.digest);
    if source.digest == Kind::Crc64 {
        digest.update_from(&file, length, &mut vec![0; PIECE], &|| policy.stop.is_requested()).ok()?;
    }
    let begins = (digest.resume_state() == whole.sum).then_some(whole)?;
    Some(Staging { file, begins, is_committed: true, journal: Some(journal) })
}

/// Removes the temporary name of a locked file that is in place. Where the file system cannot rename without replacing,
/// the file has both names if its Writer was killed between the two calls that replace such a rename.
fn remove_second_name(path: &DestinationPath, file: &File) {
    if path.leads_to_open(&path.temporary(), file) {
        let _ = path.directory.remove(&path.temporary());
    }
}

/// Returns the error of a Writer that finds the file of a dead one under neither name.
pub fn lost(path: &DestinationPath, committing: bool) -> Error {
    if committing {
        return Error { aftermath: Aftermath::Undetermined, ..path.refused(ErrorKind::DiedCommitting) };
    }
    path.refused(ErrorKind::TemporaryFileGone)
}

/// Returns the status of the file of this name, if it is the one that a Writer wrote to.
pub fn find(path: &DestinationPath, name: &OsStr, target: &TargetRecord) -> Option<Stat> {
    let stat = path.directory.stat(name).ok()?;
    TargetRecord::of(&stat).is_same_file(target).then_some(stat)
}

/// Removes the journal of a temporary file that does not exist any more, and nothing else that may have its name.
fn remove_journal(path: &DestinationPath) -> Result<(), Error> {
    let name = path.journal();
    Journal::remove(&path.directory, &name).map_err(|error| {
        let is_foreign = error.kind() == io::ErrorKind::AlreadyExists;
        name_taken(path, &name, (!is_foreign).then_some(error))
    })
}

/// Returns the error for a name that belongs to something that cannot be opened or removed: another user's leftover, a
/// link, a directory. Without a cause it is no file of this user that has only this name.
pub fn name_taken(path: &DestinationPath, name: &OsStr, cause: Option<io::Error>) -> Error {
    let error = path.refused(ErrorKind::NameTaken { found: path.sibling(name) });
    Error { operation: Some(Operation::Temporary), cause: cause.map(Into::into), ..error }
}

/// Waits for a moment. Fails if this process was asked to stop.
#[expect(clippy::disallowed_methods, reason = "nothing wakes this process when a lock is released")]
fn pause(path: &DestinationPath, policy: &Policy) -> Result<(), Error> {
    if policy.stop.is_requested() {
        return Err(path.refused(ErrorKind::Interrupted));
    }
    std::thread::sleep(Duration::from_millis(5));
    Ok(())
}
