//! What lies beside a destination: the temporary file and its journal, and which process may have them.
//!
//! The temporary name is made from the destination's, so that two copies to one destination meet on it; its lock
//! decides who goes on. What an interrupted copy left there is continued if the journal says how far it can be
//! trusted, and removed otherwise; it is never emptied, because somebody may have remembered which file it is.

use crate::digest::{Digest, Kind, PIECE, Value};
use crate::exit::{self, Failure};
use crate::journal::{Durable, Entry, Heading, Journal};
use crate::place::Place;
use crate::record::{SourceRecord, TargetRecord};
use crate::sys::{self, Entry as Name, Stat};
use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long another copy to the same destination may take to get out of the way.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long a dead Writer's lock may outlive its seat: its last write may still be on its way.
const BURIAL: Duration = Duration::from_secs(10);

/// What a copy finds beside its destination, or makes there.
#[derive(Debug)]
pub struct Found {
    pub file: File,
    pub begins: Durable,
    pub placed: bool,
    pub journal: Option<Journal>,
}

impl Found {
    fn new(file: File) -> Self {
        Self { file, begins: Durable::default(), placed: false, journal: None }
    }
}

/// What stands at the destination now, if it is a file that may be replaced.
pub fn look_at(place: &Place, source: &SourceRecord) -> Result<Option<Stat>, Failure> {
    let path = &place.path;
    let failed = |doing| move |error: io::Error| Failure::destination(path, doing, &error);
    let looking = "looking at the destination";
    let replaces = match place.directory.entry(&place.name).map_err(failed(looking))? {
        None => None,
        Some(Name::Regular(file)) if file == source.file => {
            let what = "source and destination are the same file";
            return Err(Failure::refused(path, what, "name another destination"));
        }
        Some(Name::Regular(_)) => Some(place.directory.stat(&place.name).map_err(failed(looking))?),
        Some(Name::Directory) => {
            return Err(Failure::refused(path, "the destination is a directory", "name the file in it"));
        }
        Some(Name::Other) => {
            let what = "the destination is a device, a pipe or a socket, which a copy must not replace";
            return Err(Failure::refused(path, what, "name a regular file"));
        }
    };
    for name in [place.temporary(), place.journal(), place.backup()] {
        let entry = place.directory.entry(&name).map_err(failed("looking at its temporary file"))?;
        if entry == Some(Name::Regular(source.file)) {
            let what = "the source is the temporary file of an earlier copy to this destination, or what belongs to it, which \
                        this copy would remove";
            return Err(Failure::refused(path, what, "rename the source first"));
        }
    }
    Ok(replaces)
}

/// What a journal of a copy of this source to this place, through this file, says at its head.
pub fn heading(place: &Place, source: &SourceRecord, file: &File) -> io::Result<Heading> {
    let stat = sys::fstat(file)?;
    Ok(Heading {
        source: *source,
        target: TargetRecord { file: stat.file, born: stat.birth_time, ..TargetRecord::default() },
        directory: place.directory.id()?,
        name: place.hash(),
    })
}

/// Makes a new temporary file and locks it, or takes what an interrupted copy left. What cannot be continued is
/// removed, never reused or emptied.
pub fn acquire(
    place: &Place,
    source: &SourceRecord,
    resume: bool,
    notes: &mut Vec<String>,
) -> Result<Found, Failure> {
    let (directory, name) = (&place.directory, place.temporary());
    let failed = |error: io::Error| {
        let doing = "making a temporary file beside it";
        match error.kind() {
            // The directory is there, and open.
            io::ErrorKind::NotFound => {
                let what = format!("{doing}: {error}");
                Failure::refused(&place.path, &what, "this directory takes no files: choose another place")
            }
            _ => Failure::destination(&place.path, doing, &error),
        }
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        if Instant::now() > deadline + PATIENCE {
            let what = "its temporary file keeps changing hands";
            return Err(Failure::refused(&place.path, what, "let only one copy at a time write there"));
        }
        if resume && let Some(found) = placed_already(place, source) {
            return Ok(found);
        }
        // The journal before its file goes, and before a new one comes: it must never seem to speak of another.
        if directory.entry(&name).map_err(failed)?.is_none() {
            remove_old_journal(place)?;
        }
        match directory.create_new(&name, source.mode) {
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
                if names(place, &name, &file) {
                    return Ok(Found::new(file));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let left = match directory.open_existing(&name) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    other => other.map_err(|error| in_the_way(&place.temporary_path(), place, &error))?,
                };
                if !sys::is_own_file(&left) {
                    return Err(in_the_way(&place.temporary_path(), place, &not_ours()));
                }
                // Without locks a living copy cannot be told from a dead one's file.
                let lock = left.try_lock();
                if let Err(TryLockError::Error(error)) = &lock {
                    let what = format!(
                        "{} is in the way, and this file system has no locks ({error}) to tell a left-over by",
                        name.display()
                    );
                    return Err(Failure::refused(
                        &place.path,
                        &what,
                        "if no other copy writes there, remove it",
                    ));
                }
                if lock.is_ok() {
                    if !names(place, &name, &left) {
                        continue;
                    }
                    match resume.then(|| continued(place, source, &left)).flatten() {
                        Some((begins, journal)) if sys::is_writable(&left) => {
                            return Ok(Found { file: left, begins, placed: false, journal: Some(journal) });
                        }
                        // Killed after it got its last mode: once more, with one that lets it be written to.
                        Some(_) => sys::set_mode(&left, 0o600).map_err(failed)?,
                        None => {
                            if resume && Journal::open(directory, &place.journal()).is_some() {
                                notes.push(
                                    "starting over: an interrupted copy is there, but its source, its options or its \
                                     temporary file are not those of this copy"
                                        .into(),
                                );
                            }
                            remove_old_journal(place)?;
                            let removed = directory.remove(&name);
                            removed.map_err(|error| in_the_way(&place.temporary_path(), place, &error))?;
                        }
                    }
                } else if Instant::now() > deadline {
                    let what =
                        format!("another copy writes to this destination ({} is locked)", name.display());
                    return Err(Failure::refused(&place.path, &what, "wait for its end"));
                } else {
                    pause();
                }
            }
            Err(error) => return Err(failed(error)),
        }
    }
}

/// The file of a Writer that died in the middle, locked, and no other one; and its journal. If that Writer was
/// `committing`, the file may be in its place already.
pub fn take_over(
    place: &Place,
    source: &SourceRecord,
    dead: &TargetRecord,
    committing: bool,
) -> Result<Found, Failure> {
    let deadline = Instant::now() + BURIAL;
    let (file, placed) = loop {
        // First the name from which a rename takes it.
        let temporary = place.temporary();
        let placed = find(place, &temporary, dead).is_none();
        let name = if placed { place.name.as_os_str() } else { temporary.as_os_str() };
        if placed {
            if find(place, name, dead).is_none() {
                return Err(lost(place, committing));
            }
            if !committing {
                // The dead one had found it complete, or somebody else has completed it since.
                return placed_already(place, source).ok_or_else(|| lost(place, false));
            }
        }
        let failed =
            |error: io::Error| Failure::destination(&place.path, "opening its temporary file", &error);
        let file = place.directory.open_existing(name).map_err(failed)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {}
            Err(TryLockError::WouldBlock) => {
                let what = "another copy has taken over the temporary file of this one";
                return Err(Failure::refused(&place.path, what, "wait for its end"));
            }
            _ if !names(place, name, &file) => {}
            // Killed after it got its last mode: once more, with one that lets it be written to.
            _ if !placed && !sys::is_writable(&file) && Instant::now() < deadline => {
                sys::set_mode(&file, 0o600).map_err(failed)?;
            }
            _ => break (file, placed),
        }
        pause();
    };
    let of_it = |heading: &Heading| (heading.target.file, heading.target.born) == (dead.file, dead.born);
    let journal = Journal::open(&place.directory, &place.journal());
    let journal = journal.and_then(|(journal, heading, _)| of_it(&heading).then_some(journal));
    Ok(Found { placed, journal, ..Found::new(file) })
}

/// How far this temporary file can be trusted, if it is what an interrupted copy of this source left.
fn continued(place: &Place, source: &SourceRecord, left: &File) -> Option<(Durable, Journal)> {
    let (journal, theirs, Entry { durable, .. }) = Journal::open(&place.directory, &place.journal())?;
    let ours = heading(place, source, left).ok()?;
    let fits = ours.fits(&theirs) && ours.target == theirs.target && sys::is_own_file(left);
    (fits && left.metadata().ok()?.len() >= durable.position).then_some((durable, journal))
}

/// What an earlier copy of this source has put in its place, if it died before it could say so.
pub fn placed_already(place: &Place, source: &SourceRecord) -> Option<Found> {
    let (journal, theirs, Entry { durable: whole, modified, .. }) =
        Journal::open(&place.directory, &place.journal())?;
    let found = find(place, &place.name, &theirs.target)?;
    if found.modified != modified || whole.position != source.length {
        return None;
    }
    let file = place.directory.open_existing(&place.name).ok()?;
    // Whoever holds the lock is about to say so itself.
    file.try_lock().ok()?;
    let ours = heading(place, source, &file).ok()?;
    if !ours.fits(&theirs) || ours.target != theirs.target || file.metadata().ok()?.len() != source.length {
        return None;
    }
    let mut digest = Digest::new(source.checked_by);
    if source.checked_by == Kind::Crc64 {
        digest.update_from(&file, source.length, &mut vec![0; PIECE]).ok()?;
    }
    (digest.sum() == whole.sum).then_some(Found { file, begins: whole, placed: true, journal: Some(journal) })
}

/// A dead Writer's file is under neither name.
pub fn lost(place: &Place, committing: bool) -> Failure {
    let path = exit::show(&place.path);
    if committing {
        let what = "the Writer before this one died while it put the copy in its place";
        return Failure::new(
            exit::PARTNER,
            format!("{what}; {path} may be complete or unchanged, which cannot be told any more: compare it"),
        );
    }
    let what =
        "the temporary file of the Writer before this one is gone: another program removed or completed it";
    Failure::refused(&place.path, what, "let only one program write there, then copy again")
}

/// Where the copy of a killed Writer got to, told by the file that it wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Replaced,
    Unchanged,
    /// It was replaced, and written to afterwards.
    Changed,
    Unknown,
}

/// Looks which of the two names has the file that the Writer was about to rename, and whether its content is what
/// the Reader sent.
pub fn fate(path: &Path, target: &TargetRecord, length: u64, kind: Kind, sent: &Value) -> Fate {
    let look = || -> Option<Fate> {
        let place = Place::find(path, true).ok()?;
        // First the name from which a rename takes it.
        if find(&place, &place.temporary(), target).is_some() {
            return Some(Fate::Unchanged);
        }
        let stat = find(&place, &place.name, target)?;
        let mut digest = Digest::new(kind);
        if stat.length == length && kind != Kind::Nothing {
            let file = place.directory.open_existing(&place.name).ok()?;
            digest.update_from(&file, length, &mut vec![0; PIECE]).ok()?;
        }
        let same = stat.length == length && digest.value() == *sent;
        Some(if same { Fate::Replaced } else { Fate::Changed })
    };
    look().unwrap_or(Fate::Unknown)
}

/// What is under this name, if it is the very file that somebody wrote to: inode numbers are used again.
fn find(place: &Place, name: &OsStr, target: &TargetRecord) -> Option<Stat> {
    let stat = place.directory.stat(name).ok()?;
    (stat.file == target.file && stat.birth_time == target.born).then_some(stat)
}

fn not_ours() -> io::Error {
    io::Error::other("it is no file of this user under one name")
}

/// Takes away the journal of a temporary file that is no more, and nothing else that may have its name.
fn remove_old_journal(place: &Place) -> Result<(), Failure> {
    let name = place.journal();
    let removed = match place.directory.open_existing(&name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(file) if sys::is_own_file(&file) => place.directory.remove_if_exists(&name),
        Ok(_) => Err(not_ours()),
    };
    removed.map_err(|error| in_the_way(&place.temporary_path().with_extension("journal"), place, &error))
}

/// Something has the temporary name that cannot be opened or removed: another user's left-over, a link, a directory.
fn in_the_way(found: &Path, place: &Place, error: &io::Error) -> Failure {
    let found = exit::show(found);
    let what = format!("what has the name of its temporary file or journal is in the way ({found}: {error})");
    Failure::new(
        exit::DESTINATION,
        format!("{}: {what}; remove it, or have it removed", exit::show(&place.path)),
    )
}

/// Whether the name still leads to this file.
fn names(place: &Place, name: &OsStr, file: &File) -> bool {
    let ours = sys::fstat(file).ok().map(|stat| Name::Regular(stat.file));
    ours.is_some() && place.directory.entry(name).ok().flatten() == ours
}

#[expect(clippy::disallowed_methods, reason = "a lock that may be waited for has no time limit")]
fn pause() {
    std::thread::sleep(Duration::from_millis(5));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fate_is_told_by_the_file_and_its_birth_and_not_by_a_number_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("name");
        let temporary = Place::resolve(&path, true).unwrap().temporary_path();
        std::fs::write(&temporary, "new").unwrap();
        let stat = sys::stat(&temporary).unwrap();
        let target = TargetRecord { file: stat.file, born: stat.birth_time, ..TargetRecord::default() };
        let mut digest = Digest::new(Kind::Crc64);
        digest.update(b"new");
        let now = |target: &TargetRecord, length, sent| fate(&path, target, length, Kind::Crc64, &sent);
        assert_eq!(now(&target, 3, digest.value()), Fate::Unchanged);
        std::fs::rename(&temporary, &path).unwrap();
        assert_eq!(now(&target, 3, digest.value()), Fate::Replaced);
        assert_eq!(now(&target, 4, digest.value()), Fate::Changed);
        assert_eq!(now(&target, 3, [1; 32]), Fate::Changed);
        let reused = TargetRecord { born: target.born + 1, ..target };
        assert_eq!(now(&reused, 3, digest.value()), Fate::Unknown);
    }
}
