//! The part of a file that an earlier Writer has written: checks that it is long enough, and computes its checksum.

use super::AtomicFile;
use crate::api::{Error, Operation};
use crate::dest::staging;
use crate::digest::{Digest, Kind, MustEnd, PIECE};
use crate::record::ResumePoint;
use crate::sys;

impl AtomicFile {
    /// Returns whether a Writer that has acknowledged everything up to this position can have left this file.
    pub(super) fn matches_progress(&self, position: u64) -> bool {
        let length = sys::fstat(&self.file).map(|stat| stat.length);
        if self.already_committed {
            return length.is_ok_and(|length| length == position) && position >= self.source().stat.length;
        }
        length.is_ok_and(|length| length >= position)
    }

    /// Discards data past the last acknowledged position, because a later hole must read as zeros there. A file system
    /// that refuses that gets no holes.
    pub(super) fn truncate_unacknowledged(&mut self, position: u64) -> Result<(), Error> {
        let truncate = || match sys::fstat(&self.file)?.length {
            length if length > position => self.file.set_len(position),
            _ => Ok(()),
        };
        if self.already_committed || !self.makes_holes() {
            return Ok(());
        }
        match truncate() {
            Err(error) if sys::is_refusal(&error) => self.refuses_holes = true,
            other => other.map_err(self.path.failed(Operation::Truncate))?,
        }
        Ok(())
    }

    /// Sets the length of the whole copy, unless the file has it: preallocation may have made it longer, and some file
    /// systems change no length.
    pub(super) fn set_length(&self, length: u64) -> Result<(), Error> {
        let set = || match sys::fstat(&self.file)?.length {
            now if now == length => Ok(()),
            _ => self.file.set_len(length),
        };
        set().map_err(self.path.failed(Operation::SetLength))
    }

    /// Makes one hole up to the end of the source, if its holes become holes. Some file systems would give blocks to the
    /// holes of a file that grows as it is written. Others have no holes, and would write all the zeros.
    pub(super) fn make_hole(&mut self, position: u64) -> Result<(), Error> {
        let length = self.source().stat.length;
        if self.already_committed || !self.makes_holes() || length <= position {
            return Ok(());
        }
        let make = || {
            let first = length.min(position.saturating_add(PIECE as u64));
            self.file.set_len(first)?;
            if first < length && !sys::fstat(&self.file)?.has_holes {
                return Ok(first);
            }
            self.file.set_len(length).map(|()| length)
        };
        match make() {
            Ok(ends) => self.hole_ends = ends,
            Err(error) if sys::is_refusal(&error) => self.refuses_holes = true,
            Err(error) => return Err(self.path.failed(Operation::Punch)(error)),
        }
        Ok(())
    }

    /// Returns the checksum's state at this point: from the recorded sum, or by reading the beginning again. A
    /// committed destination is always read, because only a dead Writer has claimed that it is the copy. If others may
    /// have written the recorded sum, the beginning is always read.
    pub(super) fn digest_at(&self, kind: Kind, at: ResumePoint, must_end: MustEnd) -> Result<Digest, Error> {
        if !self.already_committed
            && self.policy.trusts_memory
            && let Some(digest) = Digest::resume(kind, at.sum)
        {
            return Ok(digest);
        }
        let mut digest = Digest::new(kind);
        digest
            .update_from(&self.file, at.position, &mut vec![0; PIECE], must_end)
            .map_err(self.path.failed(Operation::ReadPrefix))?;
        // Another program may be writing to the destination.
        if self.already_committed && !self.matches_progress(at.position) {
            return Err(staging::lost(&self.path, false));
        }
        Ok(digest)
    }
}
