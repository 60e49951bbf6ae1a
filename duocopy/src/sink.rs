//! The Writer's file: written under a temporary name, and put in its place when it is complete.
//!
//! At every moment the destination is the old file or the new one. The temporary name is made from the
//! destination's, so that two copies to one destination meet on it; its lock decides who goes on. What an
//! interrupted copy left there is continued if a journal beside it says how far it can be trusted, and removed
//! otherwise; it is never emptied, because somebody may have remembered which file it is.

use crate::checkpoint::{Checkpoints, Keeper};
use crate::digest::{self, Digest, Kind, Value};
use crate::exit::{self, Failure};
use crate::journal::{Durable, Heading, Journal};
use crate::os::{self, Entry, FileId};
use crate::place::Place;
use crate::record::{SourceRecord, TargetRecord};
use std::ffi::OsStr;
use std::fs::{File, Metadata, TryLockError};
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long another copy to the same destination may take to get out of the way.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long a dead Writer's lock may outlive its seat: its last write may still be on its way.
const BURIAL: Duration = Duration::from_secs(10);
/// How much is read at once where nothing is shared.
const PIECE: usize = 1 << 20;

#[derive(Debug)]
pub struct Sink {
    place: Place,
    file: File,
    heading: Heading,
    mode: u32,
    replaces: Option<Metadata>,
    notes: Vec<String>,
    /// Where this copy goes on, as far as this side knows.
    begins: Durable,
    /// Whether the file is in its place already: an earlier Writer died after its last step.
    placed: bool,
    /// What an interrupted copy left, until checkpoints begin.
    journal: Option<Journal>,
    checkpoints: Option<Checkpoints>,
    /// What the checkpoints worked on, after they have ended.
    keeper: Option<Keeper>,
}

/// What a copy finds beside its destination, or makes there.
struct Found {
    file: File,
    begins: Durable,
    placed: bool,
    journal: Option<Journal>,
}

impl Found {
    fn new(file: File) -> Self {
        Self { file, begins: Durable::default(), placed: false, journal: None }
    }
}

impl Sink {
    /// Looks at the destination, refuses what must not be replaced, and makes a temporary file beside it, or, if
    /// `resume`, takes the one that an interrupted copy of this source left. Nothing is changed if this fails.
    pub fn open(path: &Path, source: &SourceRecord, resume: bool) -> Result<Self, Failure> {
        let place = Place::resolve(path)?;
        let replaces = look_at(&place, source)?;
        let mut notes = Vec::new();
        let found = acquire(&place, source, resume, &mut notes)?;
        let mut sink = Self::new(place, source, replaces, found)?;
        sink.notes = notes;
        if !source.punched
            && !sink.placed
            && let Err(error) = os::preallocate(&sink.file, source.length)
        {
            let failure = sink.failed("reserving space for the copy", &error);
            if sink.begins == Durable::default() {
                sink.discard();
            }
            return Err(failure);
        }
        Ok(sink)
    }

    /// Takes the temporary file over from a Writer that died in the middle, and no other one. If that Writer was
    /// `committing`, the file may be in its place already.
    pub fn take_over(
        path: &Path,
        source: &SourceRecord,
        dead: &TargetRecord,
        committing: bool,
    ) -> Result<Self, Failure> {
        let place = Place::resolve(path)?;
        let replaces = look_at(&place, source)?;
        let deadline = Instant::now() + BURIAL;
        let (file, placed) = loop {
            let placed = committing && find(&place, &place.name, dead).is_some();
            let temporary = place.temporary();
            let name = if placed { place.name.as_os_str() } else { temporary.as_os_str() };
            if find(&place, name, dead).is_none() {
                return Err(lost(&place, committing));
            }
            let failed = |error: io::Error| Failure::destination(path, "opening its temporary file", &error);
            let file = place.directory.open_existing(name).map_err(failed)?;
            match file.try_lock() {
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {}
                Err(TryLockError::WouldBlock) => {
                    let what = "another copy has taken over the temporary file of this one";
                    return Err(Failure::refused(path, what, "wait for its end"));
                }
                _ if !names(&place, name, &file) => {}
                // Killed after it got its last mode: once more, with one that lets it be written to.
                _ if !placed && !os::is_writable(&file) => os::set_mode(&file, 0o600).map_err(failed)?,
                _ => break (file, placed),
            }
            pause();
        };
        let journal = Journal::open(&place.directory, &place.journal());
        let found = Found { placed, ..Found::new(file) };
        let mut sink = Self::new(place, source, replaces, found)?;
        sink.journal = journal.and_then(|(journal, heading, _)| (heading == sink.heading).then_some(journal));
        Ok(sink)
    }

    fn new(
        place: Place,
        source: &SourceRecord,
        replaces: Option<Metadata>,
        found: Found,
    ) -> Result<Self, Failure> {
        let Found { file, begins, placed, journal } = found;
        let failed =
            |error: io::Error| Failure::destination(&place.path, "looking at the temporary file", &error);
        let heading = heading(&place, source, &file).map_err(failed)?;
        Ok(Self {
            file,
            heading,
            mode: os::mode_for_a_new_file(source.mode),
            replaces,
            notes: Vec::new(),
            begins,
            placed,
            journal,
            checkpoints: None,
            keeper: None,
            place,
        })
    }

    /// Which file it is that will become the destination.
    pub fn record(&self) -> TargetRecord {
        TargetRecord { terminal: os::terminal(), ..self.heading.target }
    }

    /// How much of the copy is on the disk already.
    pub fn begins(&self) -> Durable {
        self.begins
    }

    /// What the user should know, though it stops nothing.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// A digest of the first bytes of the file, of which somebody kept the sum; or they are read again.
    pub fn digest(&self, kind: Kind, from: Durable) -> Result<Digest, Failure> {
        if let Some(digest) = Digest::going_on(kind, from.sum) {
            return Ok(digest);
        }
        let mut digest = Digest::new(kind);
        read_all(&self.file, from.position, &mut vec![0; PIECE], &mut digest)
            .map_err(|error| self.failed("reading again what was copied before", &error))?;
        Ok(digest)
    }

    /// From here on the copy is brought to the disk from time to time, and a journal says how far it is.
    pub fn start_checkpoints(&mut self) -> Result<(), Failure> {
        let keeper = |journal| -> io::Result<Keeper> {
            Ok(Keeper {
                file: self.file.try_clone()?,
                directory: self.place.directory.try_clone()?,
                name: self.place.journal(),
                heading: self.heading,
                journal,
            })
        };
        let started = keeper(self.journal.take()).and_then(Checkpoints::start);
        self.checkpoints = Some(started.map_err(|error| self.failed("starting to keep a journal", &error))?);
        Ok(())
    }

    pub fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Failure> {
        os::write_at(&self.file, bytes, offset).map_err(|error| self.failed("writing", &error))
    }

    /// Everything up to here is written. An error if what was written before did not get to the disk.
    pub fn reached(&mut self, reached: Durable) -> Result<(), Failure> {
        if self.checkpoints.as_ref().is_none_or(|checkpoints| checkpoints.reached(reached)) {
            return Ok(());
        }
        self.end_checkpoints()
    }

    fn end_checkpoints(&mut self) -> Result<(), Failure> {
        let Some(checkpoints) = self.checkpoints.take() else { return Ok(()) };
        let (keeper, result) = checkpoints.end();
        match result {
            Ok(()) => {
                self.keeper = Some(keeper);
                Ok(())
            }
            // What may have got lost between the cache and the disk is not trusted again.
            Err(error) => Err(self.failed("flushing what was copied so far", &error)),
        }
    }

    /// Everything before the rename: mode and owner, and, if wanted, the content on the disk; if there is a journal
    /// it says so.
    ///
    /// What could not be kept of the old file is returned as a note.
    pub fn prepare(&mut self, whole: Durable, durable: bool) -> Result<Option<String>, Failure> {
        if self.placed {
            return Ok(None);
        }
        self.end_checkpoints()?;
        // Preallocation may have made it longer than what came.
        self.file.set_len(whole.position).map_err(|error| self.failed("setting the length", &error))?;
        let owner_kept = match &self.replaces {
            Some(old) => os::take_mode_and_owner(&self.file, old),
            None => os::set_mode(&self.file, self.mode).map(|()| true),
        }
        .map_err(|error| self.failed("setting the mode", &error))?;
        if durable {
            if let Err(error) = self.file.sync_all() {
                // What may have got lost between the cache and the disk is not trusted again; a second flush would
                // say nothing of it.
                self.keeper = None;
                self.discard();
                return Err(self.failed("flushing the copy to the disk", &error));
            }
            if let Some(keeper) = &mut self.keeper
                && keeper.journal.is_some()
            {
                // Without it the copy would only be made once more after a kill.
                let _ = keeper.write_down(whole);
            }
        }
        Ok((!owner_kept).then(|| {
            let path = exit::show(&self.place.path);
            format!("{path}: owner and group of the old file could not be kept, nor the rights that they had")
        }))
    }

    /// Reads the whole file again, from the medium if the file system can do that (the second value). Comes after
    /// `prepare` with `durable`.
    pub fn read_again(&self, kind: Kind) -> Result<(Value, bool), Failure> {
        let mut digest = Digest::new(kind);
        let mut read = || -> io::Result<bool> {
            let temporary = self.place.temporary();
            let name = if self.placed { &self.place.name } else { &temporary };
            let (file, past) = self.place.directory.open_past_the_cache(name)?;
            let metadata = file.metadata()?;
            if FileId::from(&metadata) != self.heading.target.file {
                return Err(io::Error::other("somebody replaced it"));
            }
            // Direct reads want memory, offsets and lengths in whole pages.
            let mut memory = vec![0; PIECE + PAGE];
            let start = memory.as_ptr().align_offset(PAGE);
            read_all(&file, metadata.len(), &mut memory[start..start + PIECE], &mut digest)?;
            Ok(past)
        };
        let past = read().map_err(|error| self.failed("reading the copy again", &error))?;
        Ok((digest.value(), past))
    }

    /// The one step that changes the destination.
    pub fn replace(&self) -> Result<(), Failure> {
        if self.placed {
            return Ok(());
        }
        if !self.still_ours() {
            let what = "somebody removed or replaced the temporary file of this copy";
            return Err(self.refused(what, "let only one program write there, then copy again"));
        }
        // What was true at the start may not be any more: nothing but a regular file is replaced, and under this path.
        let entry = self.place.directory.entry(&self.place.name);
        match entry.map_err(|error| self.failed("looking at the destination", &error))? {
            None | Some(Entry::Regular(_)) => {}
            Some(Entry::Folder | Entry::Other) => {
                let what = "the destination has become something else than a regular file";
                return Err(self.refused(what, "look who made it, then copy again"));
            }
        }
        if !self.place.is_where_it_was() {
            return Err(self.refused("its directory was moved or replaced during the copy", "copy again"));
        }
        self.place
            .directory
            .rename(&self.place.temporary(), &self.place.name)
            .map_err(|error| self.failed("putting the copy in its place", &error))
    }

    /// After the rename: the name on the disk.
    pub fn sync_name(&self) -> Result<(), Failure> {
        self.place.directory.sync().map_err(|error| {
            let what = "the copy is complete, but its name could not be flushed to the disk, so that a power failure \
                        now may bring back the old file";
            self.failed(what, &error)
        })
    }

    /// After the last word: nothing but the destination stays.
    pub fn tidy(&self) {
        // If it stays, the next copy to this destination removes it.
        let _ = self.place.directory.remove_if_there(&self.place.journal());
    }

    /// Leaves what is on the disk for the next copy; `reached` is brought there first, if it is given. Returns how
    /// many bytes that are. Nothing is left if that would be none.
    pub fn keep(&mut self, reached: Option<Durable>) -> u64 {
        let ended = self.end_checkpoints().is_ok();
        let recorded = match (&mut self.keeper, reached.filter(|reached| reached.position > 0)) {
            (Some(keeper), Some(reached)) => keeper.record(reached).is_ok(),
            _ => true,
        };
        let journal = Journal::open(&self.place.directory, &self.place.journal());
        match journal {
            Some((_, heading, durable)) if ended && recorded && heading.target == self.heading.target => {
                durable.position
            }
            _ => {
                self.discard();
                0
            }
        }
    }

    /// Takes the temporary file away, and its journal. The destination is what it was.
    pub fn discard(&mut self) {
        let _ = self.end_checkpoints();
        if self.placed {
            // It is not what it should be, and must not be taken for it again.
            self.tidy();
        } else if self.still_ours() {
            // If something stays, the next copy to this destination removes it.
            let _ = self.place.directory.remove_if_there(&self.place.journal());
            let _ = self.place.directory.remove(&self.place.temporary());
        }
    }

    fn still_ours(&self) -> bool {
        let entry = self.place.directory.entry(&self.place.temporary());
        matches!(entry, Ok(Some(Entry::Regular(id))) if id == self.heading.target.file)
    }

    fn failed(&self, doing: &str, error: &io::Error) -> Failure {
        Failure::destination(&self.place.path, doing, error)
    }

    fn refused(&self, what: &str, remedy: &str) -> Failure {
        Failure::refused(&self.place.path, what, remedy)
    }
}

/// Largest page of the systems that this runs on; also more than any disk's block.
const PAGE: usize = 64 << 10;

/// Feeds the first `length` bytes of the file to the digest.
fn read_all(mut file: &File, length: u64, buffer: &mut [u8], digest: &mut Digest) -> io::Result<()> {
    io::Seek::rewind(&mut file)?;
    let mut left = length;
    while left > 0 {
        match file.read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(bytes) => {
                let bytes = left.min(bytes as u64);
                digest.update(&buffer[..bytes as usize]);
                left -= bytes;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What stands at the destination now, if it is a file that may be replaced.
fn look_at(place: &Place, source: &SourceRecord) -> Result<Option<Metadata>, Failure> {
    let path = &place.path;
    let failed = |doing| move |error: io::Error| Failure::destination(path, doing, &error);
    let looking = "looking at the destination";
    let replaces = match place.directory.entry(&place.name).map_err(failed(looking))? {
        None => None,
        Some(Entry::Regular(file)) if file == source.file => {
            let what = "source and destination are the same file";
            return Err(Failure::refused(path, what, "name another destination"));
        }
        Some(Entry::Regular(_)) => Some(place.directory.metadata(&place.name).map_err(failed(looking))?),
        Some(Entry::Folder) => {
            return Err(Failure::refused(path, "the destination is a directory", "name the file in it"));
        }
        Some(Entry::Other) => {
            let what = "the destination is a device, a pipe or a socket, which a copy must not replace";
            return Err(Failure::refused(path, what, "name a regular file"));
        }
    };
    let temporary = place.directory.entry(&place.temporary());
    if temporary.map_err(failed("looking at its temporary file"))? == Some(Entry::Regular(source.file)) {
        let what = "the source is the temporary file of an earlier copy to this destination, which this copy would remove";
        return Err(Failure::refused(path, what, "rename the source first"));
    }
    Ok(replaces)
}

/// What a journal of a copy of this source to this place, through this file, says at its head.
fn heading(place: &Place, source: &SourceRecord, file: &File) -> io::Result<Heading> {
    let metadata = file.metadata()?;
    Ok(Heading {
        source: *source,
        target: TargetRecord { file: FileId::from(&metadata), born: os::born(&metadata), terminal: 0 },
        directory: place.directory.id()?,
        name: digest::of(place.name.as_encoded_bytes()),
    })
}

/// Makes a new temporary file and locks it, or takes what an interrupted copy left. What cannot be continued is
/// removed, never reused or emptied.
fn acquire(
    place: &Place,
    source: &SourceRecord,
    resume: bool,
    notes: &mut Vec<String>,
) -> Result<Found, Failure> {
    let (directory, name) = (&place.directory, place.temporary());
    let failed =
        |error: io::Error| Failure::destination(&place.path, "making a temporary file beside it", &error);
    let deadline = Instant::now() + PATIENCE;
    loop {
        if resume && let Some(found) = placed_already(place, source) {
            return Ok(found);
        }
        match directory.create_new(&name) {
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
                    if let Err(failure) = remove_old_journal(place) {
                        let _ = directory.remove(&name);
                        return Err(failure);
                    }
                    return Ok(Found::new(file));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let left = match directory.open_existing(&name) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    other => other.map_err(|error| in_the_way(&place.temporary_path(), place, &error))?,
                };
                if !os::is_own_file(&left) {
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
                        Some((begins, journal)) if os::is_writable(&left) => {
                            return Ok(Found { file: left, begins, placed: false, journal: Some(journal) });
                        }
                        // Killed after it got its last mode: once more, with one that lets it be written to.
                        Some(_) => os::set_mode(&left, 0o600).map_err(failed)?,
                        None => directory
                            .remove(&name)
                            .map_err(|error| in_the_way(&place.temporary_path(), place, &error))?,
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
        if Instant::now() > deadline + PATIENCE {
            let what = "its temporary file keeps changing hands";
            return Err(Failure::refused(&place.path, what, "let only one copy at a time write there"));
        }
    }
}

/// How far this temporary file can be trusted, if it is what an interrupted copy of this source left.
fn continued(place: &Place, source: &SourceRecord, left: &File) -> Option<(Durable, Journal)> {
    let (journal, theirs, durable) = Journal::open(&place.directory, &place.journal())?;
    let ours = heading(place, source, left).ok()?;
    let fits = ours.fits(&theirs) && ours.target == theirs.target && os::is_own_file(left);
    (fits && left.metadata().ok()?.len() >= durable.position).then_some((durable, journal))
}

/// What an earlier copy of this source has put in its place, if it died before it could say so.
fn placed_already(place: &Place, source: &SourceRecord) -> Option<Found> {
    let (journal, theirs, whole) = Journal::open(&place.directory, &place.journal())?;
    let is_it = place.directory.entry(&place.name).ok()? == Some(Entry::Regular(theirs.target.file));
    if !is_it || whole.position != source.length {
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
        read_all(&file, source.length, &mut vec![0; PIECE], &mut digest).ok()?;
    }
    (digest.sum() == whole.sum).then_some(Found { file, begins: whole, placed: true, journal: Some(journal) })
}

/// A dead Writer's file is under neither name.
fn lost(place: &Place, committing: bool) -> Failure {
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
        let place = Place::resolve(path).ok()?;
        let Some(metadata) = find(&place, &place.name, target) else {
            return find(&place, &place.temporary(), target).map(|_| Fate::Unchanged);
        };
        let mut digest = Digest::new(kind);
        if metadata.len() == length && kind != Kind::Nothing {
            let file = place.directory.open_existing(&place.name).ok()?;
            read_all(&file, length, &mut vec![0; PIECE], &mut digest).ok()?;
        }
        let same = metadata.len() == length && digest.value() == *sent;
        Some(if same { Fate::Replaced } else { Fate::Changed })
    };
    look().unwrap_or(Fate::Unknown)
}

/// What is under this name, if it is the very file that somebody wrote to: inode numbers are used again.
fn find(place: &Place, name: &OsStr, target: &TargetRecord) -> Option<Metadata> {
    let metadata = place.directory.metadata(name).ok()?;
    (FileId::from(&metadata) == target.file && os::born(&metadata) == target.born).then_some(metadata)
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
        Ok(file) if os::is_own_file(&file) => place.directory.remove_if_there(&name),
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
    let ours = file.metadata().ok().map(|metadata| Entry::Regular(FileId::from(&metadata)));
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
        let temporary = Place::resolve(&path).unwrap().temporary_path();
        std::fs::write(&temporary, "new").unwrap();
        let metadata = temporary.metadata().unwrap();
        let target = TargetRecord { file: FileId::from(&metadata), born: os::born(&metadata), terminal: 0 };
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
