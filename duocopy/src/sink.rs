//! The Writer's file: written under a temporary name, and put in its place when it is complete.
//!
//! At every moment the destination is the old file or the new one.

use crate::args::{Existing, Permission};
use crate::backup;
use crate::cache::{CacheUse, Pages, Passage};
use crate::checkpoint::{Checkpoints, Keeper};
use crate::digest::{Digest, Kind, PIECE, Value};
use crate::exit::{self, Failure};
use crate::journal::{Durable, Heading, Journal};
use crate::metadata::FromSource;
use crate::options::{Preserve, Sparse};
use crate::output::{Lost, Output, allow};
use crate::place::Place;
use crate::record::{SourceRecord, TargetRecord};
use crate::sys::{self, Directory, Entry, Stat};
use crate::temporary::{self, Found};
use std::cell::Cell;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::Path;

#[derive(Debug)]
pub struct Sink {
    place: Place,
    file: File,
    heading: Heading,
    mode: u32,
    replaces: Option<Stat>,
    permission: Permission,
    sparse: Sparse,
    /// Whether the source takes less space than its length says.
    punched: bool,
    /// Whether the temporary file is whole, and only its last step could not be made.
    stays: Cell<bool>,
    notes: Vec<String>,
    /// Where this copy goes on, as far as this side knows.
    begins: Durable,
    /// Whether the file is in its place already: an earlier Writer died after its last step.
    placed: bool,
    /// What an interrupted copy left, until checkpoints begin.
    journal: Option<Journal>,
    checkpoints: Option<Checkpoints>,
    passage: Passage,
    /// What the checkpoints worked on, after they have ended.
    keeper: Option<Keeper>,
}

impl Sink {
    /// Looks at the destination, refuses what must not be replaced, and makes a temporary file beside it, or, if
    /// `resume`, takes the one that an interrupted copy of this source left. Nothing is changed if this fails.
    pub fn open(
        path: &Path,
        permission: Permission,
        sparse: Sparse,
        source: &SourceRecord,
        resume: bool,
    ) -> Result<Self, Failure> {
        let place = Place::resolve(path, permission.follow_links)?;
        allow(path, permission, source.length)?;
        let replaces = temporary::look_at(&place, source)?;
        // It may be there because an earlier copy of this source has just not had the time to say so.
        let done = || resume && temporary::placed_already(&place, source).is_some();
        if let Some(old) = &replaces
            && permission.existing != Existing::Replace
            && !done()
        {
            keep_existing(path, &permission, old, source)?;
        }
        let mut notes = Vec::new();
        if replaces.is_some() {
            backup::check(&place, permission.backup, source.file)?;
        }
        let found = temporary::acquire(&place, source, resume, &mut notes)?;
        backup::tidy(&place);
        let mut sink = Self::new(place, permission, sparse, source, replaces, found)?;
        sink.notes = notes;
        if !sink.makes_holes()
            && !sink.placed
            && let Err(error) = sys::preallocate(&sink.file, source.length)
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
        permission: Permission,
        sparse: Sparse,
        source: &SourceRecord,
        dead: &TargetRecord,
        committing: bool,
    ) -> Result<Self, Failure> {
        let place = Place::resolve(path, permission.follow_links)?;
        allow(path, permission, source.length)?;
        let replaces = temporary::look_at(&place, source)?;
        let found = temporary::take_over(&place, source, dead, committing)?;
        backup::tidy(&place);
        Self::new(place, permission, sparse, source, replaces, found)
    }

    fn new(
        place: Place,
        permission: Permission,
        sparse: Sparse,
        source: &SourceRecord,
        replaces: Option<Stat>,
        found: Found,
    ) -> Result<Self, Failure> {
        let Found { file, begins, placed, journal } = found;
        let failed =
            |error: io::Error| Failure::destination(&place.path, "looking at the temporary file", &error);
        let heading = temporary::heading(&place, source, &file).map_err(|error| {
            if !placed && journal.is_none() {
                // If this fails too, the next copy removes it.
                let _ = place.directory.remove(&place.temporary());
            }
            failed(error)
        })?;
        Ok(Self {
            file,
            heading,
            mode: source.mode & 0o777 & !sys::umask(),
            replaces,
            permission,
            sparse,
            punched: source.punched,
            stays: Cell::new(false),
            notes: Vec::new(),
            begins,
            placed,
            journal,
            checkpoints: None,
            passage: Passage::default(),
            keeper: None,
            place,
        })
    }

    /// Gives the temporary file what the source has of this, and says what it could not give.
    fn apply(&self, from_source: &FromSource) -> Option<String> {
        from_source.apply(&self.file, &self.heading.source, self.permission.trusted)
    }

    /// A program of the old file's owner must not become one of whoever may be read from.
    fn drop_special_bits(&self) -> io::Result<()> {
        let mode = sys::fstat(&self.file)?.mode;
        if self.permission.trusted || mode & sys::MODE_WITHOUT_SETID == mode {
            return Ok(());
        }
        sys::set_mode(&self.file, mode & sys::MODE_WITHOUT_SETID)
    }

    fn makes_holes(&self) -> bool {
        match self.sparse {
            Sparse::Auto => self.punched,
            Sparse::Always => true,
            Sparse::Never => false,
        }
    }

    /// What the file is called now.
    fn own_name(&self) -> OsString {
        if self.placed { self.place.name.clone() } else { self.place.temporary() }
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Failure> {
        let file = &self.file;
        let written = self.passage.pass(file, (offset, bytes.len()), || sys::write_at(file, bytes, offset));
        written.map_err(|error| self.failed("writing", &error))
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

    /// Somebody may have made a newer one during the copy.
    fn still_older(&self) -> Result<(), Failure> {
        match self.place.directory.stat(&self.place.name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(self.failed("looking at the destination", &error)),
            Ok(now) => keep_existing(&self.place.path, &self.permission, &now, &self.heading.source),
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

impl Output for Sink {
    /// Which file it is that will become the destination.
    fn record(&self) -> TargetRecord {
        TargetRecord { terminal: sys::terminal_id(), ..self.heading.target }
    }

    fn directory(&self) -> Option<&Directory> {
        Some(&self.place.directory)
    }

    /// How much of the copy is on the disk already.
    fn begins(&self) -> Durable {
        self.begins
    }

    /// Whether the destination is this file already.
    fn is_placed(&self) -> bool {
        self.placed
    }

    /// Whether the file can be what somebody wrote to it, who says that he came as far as this.
    fn can_have(&self, reached: u64) -> bool {
        let length = self.file.metadata().map(|metadata| metadata.len());
        length.is_ok_and(|length| if self.placed { length == reached } else { length >= reached })
    }

    /// What the user should know, though it stops nothing.
    fn notes(&self) -> &[String] {
        &self.notes
    }

    /// A digest of the first bytes of the file, of which somebody kept the sum; or they are read again. What is in its
    /// place already is always read: that it is the copy is nothing but what a dead Writer, if there was one, has said.
    fn digest(&self, kind: Kind, from: Durable) -> Result<Digest, Failure> {
        if !self.placed
            && let Some(digest) = Digest::going_on(kind, from.sum)
        {
            return Ok(digest);
        }
        let mut digest = Digest::new(kind);
        let mut again = || {
            digest.update_from(&self.file, from.position, &mut vec![0; PIECE])?;
            let longer = self.placed && self.file.metadata()?.len() != from.position;
            if longer { Err(io::Error::other("it is longer than the copy")) } else { Ok(()) }
        };
        again().map_err(|error| self.failed("reading again what was copied before", &error))?;
        Ok(digest)
    }

    fn pass_the_cache(&mut self, from: u64, usage: CacheUse) -> Vec<String> {
        self.passage.set(&self.file, &self.place.path, from, usage)
    }

    /// From here on the copy is brought to the disk from time to time, and a journal says how far it is.
    fn start_checkpoints(&mut self) -> Result<(), Failure> {
        let name = self.own_name();
        let keeper = |journal| -> io::Result<Keeper> {
            Ok(Keeper {
                file: self.place.directory.open_again(&self.file, &name)?,
                directory: self.place.directory.try_clone()?,
                name: self.place.journal(),
                temporary: self.place.temporary(),
                heading: self.heading,
                journal,
            })
        };
        let started = keeper(self.journal.take()).and_then(Checkpoints::start);
        self.checkpoints = Some(started.map_err(|error| self.failed("starting to keep a journal", &error))?);
        Ok(())
    }

    /// An error if nothing may be written as far as this.
    fn allow(&self, reached: u64) -> Result<(), Failure> {
        allow(&self.place.path, self.permission, reached)
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<usize, Failure> {
        if self.placed {
            // A destination is never written to, and whoever put it there had everything.
            let what = "the Writer before this one did not have the whole copy, though it says so";
            return Err(self.refused(what, "look at it, then copy again"));
        }
        if self.sparse != Sparse::Always {
            self.write_at(offset, bytes)?;
            return Ok(bytes.len());
        }
        let is_zero = |piece: &[u8]| piece.iter().all(|byte| *byte == 0);
        let (mut rest, mut offset) = (bytes, offset);
        while let Some(first) = rest.chunks(HOLE).next() {
            let zero = is_zero(first);
            let alike = rest.chunks(HOLE).take_while(|piece| is_zero(piece) == zero);
            let (run, others) = rest.split_at(alike.map(<[u8]>::len).sum());
            if zero {
                self.write_zeros(offset, run.len() as u64)?;
            } else {
                self.write_at(offset, run)?;
            }
            (rest, offset) = (others, offset + run.len() as u64);
        }
        Ok(bytes.len())
    }

    /// At most so many zeros: all of them if that makes a hole, or as many as are soon written. Returns how many.
    fn write_zeros(&mut self, offset: u64, length: u64) -> Result<u64, Failure> {
        if self.placed || !self.makes_holes() {
            let zeros = Pages::new(length.min(PIECE as u64) as usize);
            return self.write(offset, &zeros).map(|written| written as u64);
        }
        // There is nothing behind the offset: what was there is forgotten.
        self.file.set_len(offset + length).map_err(|error| self.failed("making a hole", &error))?;
        Ok(length)
    }

    /// What a dead Writer wrote behind this position, and did not say, is zeros from now on, where holes may be made
    /// of zeros without writing them.
    fn forget_behind(&self, position: u64) -> Result<(), Failure> {
        let forget = || match self.file.metadata()?.len() {
            length if length > position => self.file.set_len(position),
            _ => Ok(()),
        };
        if self.placed || !self.makes_holes() {
            return Ok(());
        }
        forget().map_err(|error| self.failed("cutting off what is not trusted", &error))
    }

    /// Everything up to here is written. An error if what was written before did not get to the disk.
    fn reached(&mut self, reached: Durable) -> Result<(), Failure> {
        self.passage.written_up_to(&self.file, reached.position);
        if self.checkpoints.as_ref().is_none_or(|checkpoints| checkpoints.reached(reached)) {
            return Ok(());
        }
        self.end_checkpoints()
    }

    /// Everything before the rename: mode, owner and times, and, if wanted, the content on the disk; if there is a
    /// journal it says so.
    fn prepare(&mut self, whole: Durable, from_source: &FromSource, durable: bool) -> Result<Lost, Failure> {
        self.end_checkpoints()?;
        if self.placed {
            // Whoever put it there may have been asked for less.
            let of_source = self.apply(from_source);
            if durable {
                self.file.sync_all().map_err(|error| self.failed("flushing the copy to the disk", &error))?;
            }
            let passed = self.passage.end(&self.file, &self.place.path, whole.position);
            return Ok(Lost { of_source, notes: passed.into_iter().collect() });
        }
        // Preallocation may have made it longer than what came.
        self.file.set_len(whole.position).map_err(|error| self.failed("setting the length", &error))?;
        let owner_kept = match &self.replaces {
            Some(old) => sys::copy_mode_and_owner(&self.file, old),
            None => sys::set_mode(&self.file, self.mode).map(|()| true),
        }
        .map_err(|error| self.failed("setting the mode", &error))?;
        self.drop_special_bits().map_err(|error| self.failed("setting the mode", &error))?;
        let of_source = self.apply(from_source);
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
                && let Ok(stat) = sys::fstat(&self.file)
            {
                // Without it the copy would only be made once more after a kill.
                let _ = keeper.write_down(whole, stat.modified);
            }
        }
        let old_owner = (!owner_kept && !from_source.wants(Preserve::Ownership)).then(|| {
            let path = exit::show(&self.place.path);
            format!("{path}: owner and group of the old file could not be kept, nor the rights that they had")
        });
        let passed = self.passage.end(&self.file, &self.place.path, whole.position);
        Ok(Lost { of_source, notes: old_owner.into_iter().chain(passed).collect() })
    }

    /// Reads the whole file again, from the medium if the file system can do that (the second value). Comes after
    /// `prepare` with `durable`.
    fn read_again(&mut self, kind: Kind) -> Result<(Value, bool), Failure> {
        let mut digest = Digest::new(kind);
        let read = || {
            let (file, past) = self.place.directory.open_direct(&self.own_name())?;
            let stat = sys::fstat(&file)?;
            if stat.file != self.heading.target.file {
                return Err(io::Error::other("somebody replaced it"));
            }
            digest.update_from(&file, stat.length, &mut Pages::new(PIECE))?;
            Ok(past)
        };
        match sys::while_others_may_read(&self.file, read) {
            Ok(past) => Ok((digest.value(), past)),
            Err(error) => {
                // What cannot be read is not gone on with.
                self.keeper = None;
                self.discard();
                Err(self.failed("reading the copy again", &error))
            }
        }
    }

    /// The one step that changes the destination.
    fn replace(&self) -> Result<(), Failure> {
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
            Some(Entry::Directory | Entry::Other) => {
                let what = "the destination has become something else than a regular file";
                return Err(self.refused(what, "look who made it, then copy again"));
            }
        }
        if !self.place.is_where_it_was() {
            return Err(self.refused("its directory was moved or replaced during the copy", "copy again"));
        }
        let (temporary, name) = (self.place.temporary(), &self.place.name);
        let renamed = match self.permission.existing {
            Existing::Replace | Existing::ReplaceIfOlder => {
                if self.permission.existing == Existing::ReplaceIfOlder {
                    self.still_older()?;
                }
                backup::keep(&self.place, self.permission.backup, self.heading.source.file)?;
                self.place.directory.rename(&self.file, &temporary, name)
            }
            Existing::Skip | Existing::Refuse => self.place.directory.rename_no_replace(&temporary, name),
        };
        renamed.map_err(|error| {
            if error.kind() == io::ErrorKind::AlreadyExists {
                match self.permission.existing {
                    Existing::Skip => return Failure::skipped(&self.place.path),
                    Existing::Refuse => {
                        let what = "somebody has made the destination during the copy";
                        return exists(&self.place.path, what, &self.permission);
                    }
                    Existing::Replace | Existing::ReplaceIfOlder => {}
                }
            }
            if !sys::is_busy(&error) {
                return self.failed("putting the copy in its place", &error);
            }
            // It is whole, and nobody's fault: it stays for the next copy, or for whoever wants to rename it.
            self.stays.set(true);
            let whole = exit::show(&self.place.temporary_path());
            let path = exit::show(&self.place.path);
            let what = format!("putting the copy in its place: {error}; the whole copy stays in {whole}");
            let remedy = "end the program that has it open, and copy again, or rename it by hand";
            Failure::new(exit::DESTINATION, format!("{path}: {what}: {remedy}"))
        })
    }

    /// After the rename: the name on the disk.
    fn sync_name(&self) -> Result<(), Failure> {
        self.place.directory.sync(&self.file).map_err(|error| {
            let what = "the copy is complete, but its name could not be flushed to the disk, so that a power failure \
                        now may bring back the old file";
            self.failed(what, &error)
        })
    }

    /// After the last word: nothing but the destination stays.
    fn tidy(&self) {
        // If it stays, the next copy to this destination removes it.
        let _ = self.place.directory.remove_if_exists(&self.place.journal());
    }

    /// Leaves what is on the disk for the next copy; `reached` is brought there first, if it is given. Returns how
    /// many bytes that are. Nothing is left if that would be none.
    fn keep(&mut self, reached: Option<Durable>) -> u64 {
        let ended = self.end_checkpoints().is_ok();
        let recorded = match (&mut self.keeper, reached.filter(|reached| reached.position > 0)) {
            (Some(keeper), Some(reached)) => keeper.record(reached).is_ok(),
            _ => true,
        };
        let journal = Journal::open(&self.place.directory, &self.place.journal());
        match journal {
            Some((_, heading, entry)) if ended && recorded && heading.target == self.heading.target => {
                entry.durable.position
            }
            _ => {
                self.discard();
                0
            }
        }
    }

    /// Takes the temporary file away, and its journal. The destination is what it was.
    fn discard(&mut self) {
        let _ = self.end_checkpoints();
        if self.placed {
            // It is not what it should be, and must not be taken for it again.
            self.tidy();
        } else if self.still_ours() && !self.stays.get() {
            // If something stays, the next copy to this destination removes it.
            let _ = self.place.directory.remove_if_exists(&self.place.journal());
            let _ = self.place.directory.remove(&self.place.temporary());
        }
    }

    /// The destination is this file, but not by this copy, which has not come so far.
    fn lost(&self) -> Failure {
        temporary::lost(&self.place, false)
    }
}

/// A failure, or none if it may be replaced after all.
pub fn keep_existing(
    path: &Path,
    permission: &Permission,
    old: &Stat,
    source: &SourceRecord,
) -> Result<(), Failure> {
    match permission.existing {
        Existing::Refuse => Err(exists(path, "the destination exists", permission)),
        // Of a stream nobody knows how old it is.
        Existing::ReplaceIfOlder if source.stream || old.modified < source.modified => Ok(()),
        Existing::Skip | Existing::ReplaceIfOlder => Err(Failure::skipped(path)),
        Existing::Replace => Ok(()),
    }
}

fn exists(path: &Path, what: &str, permission: &Permission) -> Failure {
    // `write` follows no links, and is the one that has to be told.
    let flag = if permission.follow_links { "--update=all" } else { "--force" };
    Failure::refused(path, what, &format!("name another one, or have it replaced ({flag})"))
}

/// The shortest run of zeros that is looked for to make a hole of: the block of most file systems.
const HOLE: usize = 4096;
