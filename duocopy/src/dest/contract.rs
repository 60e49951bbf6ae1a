//! The interface between the Writer and a destination.

use super::metadata::SourceMetadata;
use super::path::Links;
use crate::api::{Backup, Error, ErrorKind, Fsync, Loss, Overwrite, Request, Sparse, Stop, Verify, Warning};
use crate::cache::CacheUse;
use crate::digest::{Digest, Kind, MustEnd, Value};
use crate::record::{Origin, Party, ResumePoint, SourceRecord, TargetRecord};
use crate::sys::{self, Directory, DirectoryRight};
use std::fmt::Debug;
use std::fs::File;
use std::path::{Path, PathBuf};

/// The options that concern the destination.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is one of the user's decisions")]
pub struct Policy {
    pub overwrite: Overwrite,
    pub backup: Backup,
    pub backup_suffix: String,
    /// True to write to the file that a symbolic link names; otherwise a link is refused.
    pub follow_links: bool,
    /// True to create the file that a dangling link names; otherwise such a link is refused.
    pub create_through_links: bool,
    /// True to replace the destination even if it is a link, and to take no attributes from it.
    pub remove_destination: bool,
    /// True to replace a loop of links, and to copy a file over itself if its backup is kept.
    pub force: bool,
    /// True to change only the metadata of an existing destination.
    pub only_attributes: bool,
    /// The path of the source, if this process knows it.
    pub source_path: Option<PathBuf>,
    pub max_bytes: Option<u64>,
    pub sparse: Sparse,
    /// Permission bits that a new file does not get.
    pub umask: u32,
    pub fsync: Fsync,
    pub verify: Verify,
    /// True to honour set-ID bits, capabilities and privileged attributes: only between processes of one user.
    pub trusts_reader: bool,
    /// True if only processes of this user can write to the shared memory. Otherwise this user's own journal has to
    /// confirm what the memory says about a dead Writer.
    pub trusts_memory: bool,
    /// True to write the journal from the start, so that a replacement of this process finds that confirmation.
    pub journals_at_once: bool,
    pub party: Party,
    /// Ends every loop over content that this user or the Reader has made long.
    pub stop: Stop,
}

impl Policy {
    pub fn of(request: &Request, stop: &Stop) -> Self {
        Self {
            overwrite: request.overwrite,
            backup: request.backup,
            backup_suffix: request.backup_suffix.clone(),
            follow_links: request.follow_links,
            create_through_links: request.create_through_links,
            remove_destination: request.remove_destination,
            force: request.force,
            only_attributes: request.only_attributes,
            source_path: request.paths().0.map(Into::into),
            max_bytes: request.max_bytes,
            sparse: request.sparse,
            umask: request.umask,
            fsync: request.fsync,
            verify: request.verify,
            trusts_reader: request.dir.is_none() && !request.is_half(),
            trusts_memory: request.dir.is_none(),
            journals_at_once: request.dir.is_some() && request.replace_within.is_some(),
            party: match &request.dir {
                Some(_) => sys::effective_user().map_or(Party::Unknown, Party::User),
                None => Party::Private,
            },
            stop: stop.clone(),
        }
    }

    /// Returns how to treat a symbolic link at the destination when this source is copied.
    pub fn links(&self, source: &SourceRecord) -> Links {
        match () {
            () if source.is_link || self.remove_destination => Links::Replaced,
            () if !self.follow_links => Links::Refused,
            () => Links::Followed { creates: self.create_through_links, replaces_loops: self.force },
        }
    }

    /// Returns the origin of a copy of this source.
    pub fn origin(&self, source: &SourceRecord) -> Origin {
        Origin { source: *source, party: self.party }
    }

    /// Returns whether to record from time to time how much of the copy is on the disk, so that the next copy can resume
    /// there.
    pub fn records_progress(&self, source: &SourceRecord) -> bool {
        self.fsync == Fsync::End && !source.is_stream
    }

    /// Returns an error if this many bytes must not be written to this path.
    pub fn check_limit(&self, path: &Path, bytes: u64) -> Result<(), Error> {
        match self.max_bytes {
            Some(max) if bytes > max => Err(Error::at(ErrorKind::TooLarge { bytes, max }, path)),
            _ => Ok(()),
        }
    }
}

/// A destination that was opened. It has not changed yet, but a temporary file may lie beside it.
///
/// A caller that fails must call [`keep`](Self::keep) or [`discard`](Self::discard): both also end the thread that
/// makes checkpoints, which holds the lock of the temporary file.
pub trait Destination: Debug {
    /// Returns the record that identifies the destination, for the Reader and for a process that replaces this one.
    fn record(&self) -> TargetRecord;

    /// Returns the access that the sandbox must allow; `None` if the open output is enough.
    fn access(&self) -> Option<Access<'_>>;

    /// Returns how much of the copy is on the disk already.
    fn resume_point(&self) -> ResumePoint;

    /// Returns whether the destination is the copy already: an earlier Writer died after it had committed.
    fn already_committed(&self) -> bool;

    /// Returns the warnings that opening it has caused.
    fn take_warnings(&mut self) -> Vec<Warning>;

    /// Begins to write at this point, on which both sides have agreed. Returns the state of the checksum there, and
    /// warnings. Fails if a Writer that had acknowledged this point cannot have left this destination.
    fn stage<'a>(
        &'a mut self,
        at: ResumePoint,
        plan: WritePlan,
        must_end: MustEnd,
    ) -> Result<Begun<'a>, Error>;

    /// Keeps a failed copy for the next run. If `reached` is given, everything up to that point is flushed first.
    /// Returns the number of bytes that the next run can resume; if it is 0, everything is discarded.
    fn keep(&mut self, reached: Option<ResumePoint>) -> u64;

    /// Discards a failed copy, as far as it can be removed. A regular file at the destination is unchanged.
    fn discard(&mut self);
}

/// The rights that a Writer needs in its destination's directory once the destination is open.
#[derive(Debug)]
pub struct Access<'a> {
    /// The directory in which names are renamed and removed.
    pub directory: &'a Directory,
    pub rights: Vec<DirectoryRight>,
    /// The file that is written.
    pub file: &'a File,
}

/// The options for writing a destination.
#[derive(Clone, Copy, Debug)]
pub struct WritePlan {
    /// The checksum to compute.
    pub digest: Kind,
    /// How to use the page cache.
    pub cache: CacheUse,
}

/// A destination that is being written, the state of the checksum, and warnings about how it can be written.
pub type Begun<'a> = (Box<dyn Staged<'a> + 'a>, Digest, Vec<Warning>);

/// A destination that is being written.
pub trait Staged<'a> {
    /// Returns an error if the policy does not allow this many bytes.
    fn check_limit(&self, bytes: u64) -> Result<(), Error>;

    /// Writes these bytes at this offset, or as many of them as can be written soon. Returns that number, which is 0 if
    /// there is no room for some time.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<usize, Error>;

    /// Writes `length` zeros, or as many as can be written soon. Returns that number. If the zeros become a hole,
    /// all of them are written.
    fn write_zeros(&mut self, offset: u64, length: u64) -> Result<u64, Error>;

    /// Notes that everything up to this point is written. Returns an error if an earlier part could not be flushed.
    fn reached(&mut self, point: ResumePoint) -> Result<(), Error>;

    /// Does everything that comes before the rename: length, mode, owner, metadata, and, if `durable`, the flush.
    fn prepare(
        self: Box<Self>,
        whole: ResumePoint,
        metadata: &SourceMetadata,
        durable: bool,
    ) -> Result<(Box<dyn Ready<'a> + 'a>, Prepared), Error>;
}

/// Losses and warnings from preparing a copy.
#[derive(Debug, Default)]
pub struct Prepared {
    pub not_preserved: Vec<Loss>,
    pub warnings: Vec<Warning>,
}

/// A copy that is complete, but not committed yet.
pub trait Ready<'a> {
    /// Reads everything back. The second value says whether it came from the medium and not from the page cache.
    fn reread(&mut self, digest: Kind, must_end: MustEnd) -> Result<(Value, bool), Error>;

    /// Commits the copy by renaming it: the one step that changes the destination. Returns the warnings of that step,
    /// too.
    fn commit(self: Box<Self>) -> Result<(Box<dyn Committed + 'a>, Vec<Warning>), Error>;
}

/// A copy that is committed.
pub trait Committed {
    /// Flushes the name to the disk.
    fn sync_name(&self) -> Result<(), Error>;

    /// Removes the journal, once both sides know the verdict.
    fn tidy(self: Box<Self>);
}
