//! A regular file as the destination: written under a temporary name, and renamed once it is complete.
//!
//! At every moment the destination is either the old file or the new one.

mod prefix;

use super::contract::{Access, Begun, Committed, Destination, Policy, Prepared, Ready, Staged, WritePlan};
use super::inspect::examine;
use super::journal::{Heading, Journal};
use super::journaling::Journaling;
use super::metadata::{Missing, SourceMetadata};
use super::path::DestinationPath;
use super::replace::Replacement;
use super::settle::{Settled, Temporary};
use super::staging::{self, Staging};
use super::{backup, sparse};
use crate::api::{Aftermath, Backup, Error, ErrorKind, Operation, Preserve, Sparse, Verify, Warning};
use crate::cache::{CachePolicy, Pages};
use crate::digest::{Digest, Kind, MustEnd, PIECE, Value};
use crate::record::{ResumePoint, SourceRecord, TargetRecord};
use crate::sys::{self, DirectoryRight, Stat};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::Path;

/// A destination that is replaced in one step.
#[derive(Debug)]
pub struct AtomicFile {
    path: DestinationPath,
    policy: Policy,
    file: File,
    heading: Heading,
    /// The metadata that was given to the file, once it is complete.
    settled: Option<Settled>,
    /// The point from which this side can resume.
    begins: ResumePoint,
    /// The end of the hole that was made before the first write; 0 if there is none.
    hole_ends: u64,
    /// True if the file is the destination already: an earlier Writer died after it had committed.
    already_committed: bool,
    /// True if the file system has refused to make holes: zeros are written instead.
    refuses_holes: bool,
    /// True if nothing may be discarded any more: the file is in place, or it is complete and only the rename failed.
    is_final: bool,
    warnings: Vec<Warning>,
    cache: CachePolicy,
    journaling: Journaling,
}

impl AtomicFile {
    /// Creates a temporary file beside the destination, which was examined already. With `resume`, continues the one of
    /// an interrupted copy of this source. After an error nothing has changed.
    pub fn open(
        path: DestinationPath,
        policy: &Policy,
        source: &SourceRecord,
        resume: bool,
    ) -> Result<Self, Error> {
        let mut warnings = Vec::new();
        let staging = staging::acquire(&path, policy, source, resume, &mut warnings)?;
        backup::remove_leftover(&path);
        let mut file = Self::new(path, policy, source, staging)?;
        file.warnings = warnings;
        if !file.makes_holes()
            && !file.already_committed
            && let Err(error) = sys::preallocate(&file.file, source.stat.length)
        {
            let error = file.path.failed(Operation::Reserve)(error);
            if file.begins == ResumePoint::default() {
                file.discard();
            }
            return Err(error);
        }
        Ok(file)
    }

    /// Takes over the temporary file of a Writer that died during the copy, and no other file. If that Writer was
    /// `committing`, the file may be the destination already.
    pub fn take_over(
        path: &Path,
        policy: &Policy,
        source: &SourceRecord,
        dead: &TargetRecord,
        committing: bool,
    ) -> Result<Self, Error> {
        let path = DestinationPath::resolve(path, policy.links(source))?;
        policy.check_limit(&path.path, source.stat.length)?;
        if policy.trusts_memory {
            staging::inspect(&path, policy, source)?;
        } else {
            // The shared memory claims that an earlier Writer was allowed to replace the destination. Check again.
            examine(&path, policy, source, || staging::already_committed(&path, policy, source).is_some())?;
        }
        let staging = staging::take_over(&path, policy, source, dead, committing)?;
        backup::remove_leftover(&path);
        Self::new(path, policy, source, staging)
    }

    fn new(
        path: DestinationPath,
        policy: &Policy,
        source: &SourceRecord,
        staging: Staging,
    ) -> Result<Self, Error> {
        let Staging { file, begins, is_committed, journal } = staging;
        let heading = staging::heading(&path, policy, source, &file).map_err(|error| {
            if !is_committed && journal.is_none() && path.leads_to_open(&path.temporary(), &file) {
                // If this fails too, the next copy removes the file.
                let _ = path.directory.remove(&path.temporary());
            }
            path.failed(Operation::Temporary)(error)
        })?;
        let mut journaling = Journaling::of(journal, &file);
        if policy.journals_at_once {
            journaling.begin(&path, &heading);
        }
        if (policy.records_progress(source) || is_root()) && !is_committed {
            journaling.prepare(&path);
        }
        Ok(Self {
            path,
            policy: policy.clone(),
            file,
            heading,
            settled: None,
            begins,
            hole_ends: 0,
            already_committed: is_committed,
            refuses_holes: false,
            is_final: false,
            warnings: Vec::new(),
            cache: CachePolicy::default(),
            journaling,
        })
    }

    /// Renames the file to its final name, unless another program has interfered with one of the names meanwhile.
    fn replace(&mut self) -> Result<(), Error> {
        if !self.owns_temporary() {
            return Err(self.path.refused(ErrorKind::TemporaryFileReplaced));
        }
        let (mut settled, temporary) = (self.settled.take(), self.path.temporary());
        let Temporary { file, path, source, policy } = self.as_temporary();
        let replacement = Replacement { path, policy, source, name: &temporary, file };
        let renew = || settled.as_mut().map_or(Ok(()), |settled| settled.renew(self.as_temporary()));
        let put = replacement.put(renew);
        // If the destination is only busy, the copy is complete, and the next run or the user can still rename it.
        self.is_final = put.as_ref().is_err_and(|it| matches!(it.kind, ErrorKind::DestinationBusy { .. }));
        self.warnings.extend(put?);
        Ok(())
    }

    fn source(&self) -> &SourceRecord {
        &self.heading.origin.source
    }

    fn makes_holes(&self) -> bool {
        !self.refuses_holes && sparse::makes_holes(self.policy.sparse, self.source().stat.has_holes)
    }

    /// Returns the name that the file has now.
    fn current_name(&self) -> OsString {
        if self.already_committed { self.path.name.clone() } else { self.path.temporary() }
    }

    /// Returns whether the file is where a later copy would look for it.
    fn has_file(&self) -> bool {
        self.already_committed || self.owns_temporary()
    }

    fn owns_temporary(&self) -> bool {
        self.path.leads_to(&self.path.temporary(), self.heading.target.file)
    }

    fn start_checkpoints(&mut self) -> Result<Option<Warning>, Error> {
        let name = self.current_name();
        let started = self.journaling.start(&self.path, (&self.file, &name), self.heading);
        let missing = started.map_err(self.path.failed(Operation::Journal))?;
        Ok(missing.map(|cause| Warning::NoCheckpoints { cause: cause.into() }))
    }

    fn end_checkpoints(&mut self) -> Result<(), Error> {
        self.journaling.end().map_err(self.path.failed(Operation::Flush))
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let file = &self.file;
        let written = self.cache.transfer(file, (offset, bytes.len()), || sys::write_at(file, bytes, offset));
        written.map_err(self.path.failed(Operation::Write))
    }

    /// Gives the file its final owner, mode and attributes. Returns those that could not be set.
    fn set_metadata(&mut self, metadata: &SourceMetadata, durable: bool) -> Result<Missing, Error> {
        let (settled, missing) = Settled::give(self.as_temporary(), metadata, durable)?;
        self.settled = Some(settled);
        Ok(missing)
    }

    fn as_temporary(&self) -> Temporary<'_> {
        let Self { file, path, policy, .. } = self;
        Temporary { file, path, source: self.source(), policy }
    }

    /// Flushes the copy, if it is to be `durable`, and makes the file system report everything that it could not write.
    /// Records that the copy is complete.
    fn flush(&mut self, whole: ResumePoint, durable: bool) -> Result<(), Error> {
        let flush = if durable { self.file.sync_all() } else { Ok(()) };
        let flush = flush.map_err(self.path.failed(Operation::Flush));
        let close = || sys::check_close(&self.file).map_err(self.path.failed(Operation::Write));
        if let Err(error) = flush.and_then(|()| close()) {
            // Data that may have been lost between the cache and the disk must not be trusted, and a second flush would
            // not report the loss.
            self.discard();
            self.journaling.forget();
            return Err(error);
        }
        if durable {
            self.journaling.record_whole(whole, &self.file);
        }
        Ok(())
    }

    fn remove_journal(&self) {
        // If this fails, the next copy to this destination removes it.
        let _ = Journal::remove(&self.path.directory, &self.path.journal());
    }

    /// Removes the temporary file and its journal.
    fn remove_files(&self) -> io::Result<()> {
        let directory = &self.path.directory;
        Journal::remove(directory, &self.path.journal()).and(directory.remove(&self.path.temporary()))
    }

    /// Makes sure that a journal names the temporary file before root gives it to another user. If root is killed
    /// afterwards, its next run recognises the file by the journal: another user can create a file with the same name.
    fn claim(&mut self, metadata: &SourceMetadata) -> Result<(), Error> {
        let is_other = |stat: &Stat| stat.owner.0 != 0;
        let old = self.path.directory.stat(&self.path.name);
        let gives_away = old.is_ok_and(|old| is_other(&old))
            || metadata.wants(Preserve::Ownership) && is_other(&self.source().stat);
        if !is_root() || !gives_away {
            return Ok(());
        }
        self.journaling.make_journal(&self.path, &self.heading).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => staging::name_taken(&self.path, &self.path.journal(), None),
            _ => self.path.failed(Operation::Journal)(error),
        })
    }
}

/// Only root can give a file to another user.
fn is_root() -> bool {
    sys::effective_user() == Some(0)
}

impl Destination for AtomicFile {
    fn record(&self) -> TargetRecord {
        TargetRecord { terminal: sys::terminal_id(), ..self.heading.target }
    }

    fn access(&self) -> Option<Access<'_>> {
        let mut rights = vec![DirectoryRight::RenameFiles];
        if self.policy.verify == Verify::Reread {
            rights.push(DirectoryRight::ReadFiles);
        }
        if matches!(self.policy.backup, Backup::Numbered | Backup::Existing) {
            // The names in the directory show which number the next backup gets.
            rights.push(DirectoryRight::ListNames);
        }
        Some(Access { directory: &self.path.directory, rights, file: &self.file })
    }

    fn resume_point(&self) -> ResumePoint {
        self.begins
    }

    fn already_committed(&self) -> bool {
        self.already_committed
    }

    fn take_warnings(&mut self) -> Vec<Warning> {
        std::mem::take(&mut self.warnings)
    }

    fn stage<'a>(
        &'a mut self,
        at: ResumePoint,
        plan: WritePlan,
        must_end: MustEnd,
    ) -> Result<Begun<'a>, Error> {
        if !self.matches_progress(at.position) {
            return Err(staging::lost(&self.path, false));
        }
        self.truncate_unacknowledged(at.position)?;
        self.make_hole(at.position)?;
        let digest = self.digest_at(plan.digest, at, must_end)?;
        let mut warnings = self.cache.set(&self.file, &self.path.path, at.position, plan.cache);
        if self.policy.records_progress(self.source()) {
            warnings.extend(self.start_checkpoints()?);
        }
        Ok((Box::new(Open(self)), digest, warnings))
    }

    fn keep(&mut self, reached: Option<ResumePoint>) -> u64 {
        let ended = self.end_checkpoints().is_ok();
        let reached = reached.filter(|reached| reached.position > 0);
        let recorded = reached.is_none_or(|reached| self.journaling.flush(reached));
        match self.journaling.durable() {
            durable if durable > 0 && ended && recorded && self.has_file() => {
                // The descriptor may stay open in a process that lives on, and the next copy needs the lock.
                let _ = self.file.unlock();
                sys::unmark_written(&self.file);
                durable
            }
            _ => {
                self.discard();
                0
            }
        }
    }

    fn discard(&mut self) {
        let _ = self.end_checkpoints();
        if self.is_final {
            return;
        }
        if self.already_committed {
            // The destination is not the copy, and no later run must take it for one.
            self.remove_journal();
        } else if !self.owns_temporary() {
            // Somebody has taken it away, and by now another copy may have a journal of this name.
            self.journaling.remove(&self.path);
        } else if self.remove_files().is_err_and(|error| error.kind() == io::ErrorKind::StorageFull) {
            // Some file systems need space to remove a name.
            let _ = self.file.set_len(0);
            // If this fails, the next copy to this destination removes them.
            let _ = self.remove_files();
        }
    }
}

/// The file in each of its states. Each trait has the operations of one state.
struct Open<'a>(&'a mut AtomicFile);

impl<'a> Staged<'a> for Open<'a> {
    fn check_limit(&self, bytes: u64) -> Result<(), Error> {
        self.0.policy.check_limit(&self.0.path.path, bytes)
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<usize, Error> {
        if self.0.already_committed {
            // A committed destination is never written to: the Writer that committed it should have had all data.
            return Err(self.0.path.refused(ErrorKind::CommittedTooEarly));
        }
        let may_hide_holes = self.0.policy.sparse == Sparse::Always || self.0.source().hides_holes;
        if !may_hide_holes || !self.0.makes_holes() {
            self.0.write_at(offset, bytes)?;
            return Ok(bytes.len());
        }
        let mut offset = offset;
        for (is_zero, run) in sparse::runs(bytes) {
            if is_zero {
                self.write_zeros(offset, run.len() as u64)?;
            } else {
                self.0.write_at(offset, run)?;
            }
            offset += run.len() as u64;
        }
        Ok(bytes.len())
    }

    fn write_zeros(&mut self, offset: u64, length: u64) -> Result<u64, Error> {
        if self.0.already_committed || !self.0.makes_holes() {
            let zeros = Pages::new(length.min(PIECE as u64) as usize);
            return self.write(offset, &zeros).map(|written| written as u64);
        }
        // The file has a hole here, or ends at this offset, because anything past it was truncated.
        if offset + length <= self.0.hole_ends {
            return Ok(length);
        }
        match self.0.file.set_len(offset + length) {
            Err(error) if sys::is_refusal(&error) => {
                self.0.refuses_holes = true;
                self.write_zeros(offset, length)
            }
            other => other.map(|()| length).map_err(self.0.path.failed(Operation::Punch)),
        }
    }

    fn reached(&mut self, point: ResumePoint) -> Result<(), Error> {
        self.0.cache.written_up_to(&self.0.file, point.position);
        if self.0.journaling.reached(point) {
            return Ok(());
        }
        self.0.end_checkpoints()
    }

    fn prepare(
        self: Box<Self>,
        whole: ResumePoint,
        metadata: &SourceMetadata,
        durable: bool,
    ) -> Result<(Box<dyn Ready<'a> + 'a>, Prepared), Error> {
        let file = &mut *self.0;
        file.end_checkpoints()?;
        let mut prepared = Prepared::default();
        if file.already_committed {
            // The Writer that committed the file has set its metadata, and others may have changed it since.
            prepared.not_preserved = metadata.missing(&file.file, file.source(), file.policy.trusts_reader);
            if durable {
                file.file.sync_all().map_err(file.path.failed(Operation::Flush))?;
            }
        } else {
            file.set_length(whole.position)?;
            file.claim(metadata)?;
            let missing = file.set_metadata(metadata, durable)?;
            file.flush(whole, durable)?;
            prepared.warnings.extend(missing.warnings(&file.path.path));
            prepared.not_preserved = missing.of_source;
        }
        prepared.warnings.extend(file.cache.end(&file.file, &file.path.path, whole.position));
        Ok((self, prepared))
    }
}

impl<'a> Ready<'a> for Open<'a> {
    fn reread(&mut self, digest: Kind, must_end: MustEnd) -> Result<(Value, bool), Error> {
        let file = &mut *self.0;
        let mut digest = Digest::new(digest);
        let read = || {
            let (again, past_the_cache) = file.path.directory.open_direct(&file.current_name())?;
            let stat = sys::fstat(&again)?;
            if stat.file != file.heading.target.file {
                return Ok(None);
            }
            digest.update_from(&again, stat.length, &mut Pages::new(PIECE), must_end)?;
            Ok(Some(past_the_cache))
        };
        let error = match sys::while_others_may_read(&file.file, read) {
            Ok(Some(past_the_cache)) => return Ok((digest.value(), past_the_cache)),
            Ok(None) => file.path.refused(ErrorKind::TemporaryFileReplaced),
            Err(error) => file.path.failed(Operation::Reread)(error),
        };
        if error.kind == ErrorKind::Interrupted {
            return Err(error);
        }
        // A copy that cannot be read back is not resumed.
        file.discard();
        file.journaling.forget();
        Err(error)
    }

    fn commit(self: Box<Self>) -> Result<(Box<dyn Committed + 'a>, Vec<Warning>), Error> {
        if !self.0.already_committed {
            self.0.replace()?;
        }
        self.0.is_final = true;
        let warnings = self.0.take_warnings();
        Ok((self, warnings))
    }
}

impl Committed for Open<'_> {
    fn sync_name(&self) -> Result<(), Error> {
        self.0.path.directory.sync(&self.0.file).map_err(|error| Error {
            aftermath: Aftermath::Complete,
            ..self.0.path.failed(Operation::FlushName)(error)
        })
    }

    fn tidy(self: Box<Self>) {
        self.0.remove_journal();
    }
}
