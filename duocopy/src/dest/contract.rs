//! What the Writer needs of a destination.

use super::metadata::SourceMetadata;
use crate::api::{Backup, Error, ErrorKind, Loss, Overwrite, Request, Sparse, Warning};
use crate::cache::CacheUse;
use crate::digest::{Digest, Kind, Value};
use crate::record::{ResumePoint, TargetRecord};
use crate::sys::Directory;
use std::fmt::Debug;
use std::path::Path;

/// What the Writer may do with a destination.
#[derive(Clone, Debug)]
pub struct Policy {
    pub overwrite: Overwrite,
    pub backup: Backup,
    pub backup_suffix: String,
    /// Take a symbolic link for the file that it names; otherwise refuse it.
    pub follow_links: bool,
    pub max_bytes: Option<u64>,
    pub sparse: Sparse,
    /// Permission bits that a new file does not get.
    pub umask: u32,
    /// Honour set-id bits, capabilities and privileged attributes: only between processes of one user.
    pub trusts_reader: bool,
}

impl Policy {
    pub fn of(request: &Request) -> Self {
        Self {
            overwrite: request.overwrite,
            backup: request.backup,
            backup_suffix: request.backup_suffix.clone(),
            follow_links: request.follow_links,
            max_bytes: request.max_bytes,
            sparse: request.sparse,
            umask: request.umask,
            trusts_reader: request.dir.is_none() && !request.is_half(),
        }
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
/// A caller that fails must call [`keep`](Self::keep) or [`discard`](Self::discard): both also end the thread that makes
/// checkpoints, which holds the lock of the temporary file.
pub trait Destination: Debug {
    /// Returns what identifies the destination: for the Reader, and for a process that replaces this one.
    fn record(&self) -> TargetRecord;

    /// Returns the directory in which names are created and renamed, if there is one: what a sandbox has to leave open.
    fn directory(&self) -> Option<&Directory>;

    /// Returns how much of the copy is on the disk already.
    fn resume_point(&self) -> ResumePoint;

    /// Returns whether the destination is the copy already: an earlier Writer died after it had committed.
    fn already_committed(&self) -> bool;

    /// Returns the warnings since the last call.
    fn take_warnings(&mut self) -> Vec<Warning>;

    /// Begins to write at this point, on which both sides have agreed. Returns the state of the checksum there.
    ///
    /// An error if the destination cannot be what a Writer that acknowledged this point has left.
    fn stage<'a>(
        &'a mut self,
        at: ResumePoint,
        plan: WritePlan,
    ) -> Result<(Box<dyn Staged<'a> + 'a>, Digest), Error>;

    /// Leaves what is on the disk for the next run, after a failure; `reached` is flushed first, if it is given. Returns how
    /// many bytes the next run can resume; if there are none, everything is discarded.
    fn keep(&mut self, reached: Option<ResumePoint>) -> u64;

    /// Removes everything that can be removed, after a failure. The destination is what it was before.
    fn discard(&mut self);
}

/// How a destination is written.
#[derive(Clone, Copy, Debug)]
pub struct WritePlan {
    /// The checksum whose state is wanted.
    pub digest: Kind,
    /// How to use the page cache.
    pub cache: CacheUse,
    /// Flush from time to time, and record in a journal how far that got.
    pub checkpoints: bool,
}

/// A destination that is being written.
pub trait Staged<'a> {
    /// Returns the warnings since the last call.
    fn take_warnings(&mut self) -> Vec<Warning>;

    /// Returns an error if the policy does not allow this many bytes.
    fn check_limit(&self, bytes: u64) -> Result<(), Error>;

    /// Writes these bytes at this offset, or as many as can be written soon; 0 if there is no room for some time.
    /// Returns how many.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<usize, Error>;

    /// Writes that many zeros, or as many as can be written soon: all of them if they become a hole. Returns how many.
    fn write_zeros(&mut self, offset: u64, length: u64) -> Result<u64, Error>;

    /// Takes note that everything up to here is written. An error if an earlier part could not be flushed.
    fn reached(&mut self, point: ResumePoint) -> Result<(), Error>;

    /// Does everything that comes before the rename: length, mode, owner, metadata, and, if `durable`, the flush.
    fn prepare(
        self: Box<Self>,
        whole: ResumePoint,
        metadata: &SourceMetadata,
        durable: bool,
    ) -> Result<(Box<dyn Ready<'a> + 'a>, Prepared), Error>;
}

/// What preparing a copy left out.
#[derive(Debug, Default)]
pub struct Prepared {
    pub not_preserved: Vec<Loss>,
    pub warnings: Vec<Warning>,
}

/// A copy that is whole, and not yet under its name.
pub trait Ready<'a> {
    /// Reads everything back. The second value says whether it came from the medium and not from the page cache.
    fn reread(&mut self, digest: Kind) -> Result<(Value, bool), Error>;

    /// Renames the copy to its name: the one step that changes the destination.
    fn commit(self: Box<Self>) -> Result<Box<dyn Committed + 'a>, Error>;
}

/// A copy that is under its name.
pub trait Committed {
    /// Flushes the name to the disk.
    fn sync_name(&self) -> Result<(), Error>;

    /// Removes the journal, once both sides know the verdict.
    fn tidy(self: Box<Self>);
}
