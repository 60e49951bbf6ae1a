//! The interface between the Reader and a source.

use crate::api::{Error, Warning};
use crate::attributes::Attribute;
use crate::cache::CacheUse;
use crate::digest::{Digest, MustEnd, Value};
use crate::record::{ResumePoint, SourceRecord};
use std::fmt::Debug;

/// A source that is open. It is read once, from the point where the copy begins to its end.
pub trait Source: Debug {
    /// Returns the record that identifies the source, for the Writer and for a process that replaces this one.
    fn record(&self) -> &SourceRecord;

    /// Returns where the bytes will come from, as far as that can be known.
    fn supply(&self, past_the_cache: bool) -> Supply;

    /// Waits for up to 50 ms until a change of the source would show at the end. Returns whether that is so now; before
    /// that, nothing may be read.
    fn settle(&self) -> bool {
        true
    }

    /// Moves to this point. Returns the state of the checksum there, for which the beginning is read again unless the
    /// recorded sum is sufficient and trusted.
    fn resume(&mut self, at: ResumePoint, trusts_sum: bool, must_end: MustEnd) -> Result<Digest, Error>;

    /// Sets how the page cache is used from this position on. Returns warnings about what is not possible.
    fn use_cache(&mut self, usage: CacheUse) -> Vec<Warning>;

    /// Reads the next bytes into the beginning of the block.
    fn next(&mut self, block: &mut [u8]) -> Result<Piece, Error>;

    /// Returns whether the source is a named pipe that no program has opened for writing yet.
    fn is_unopened(&self) -> bool {
        false
    }

    /// Returns the extended attributes.
    fn attributes(&self) -> Result<Vec<Attribute>, Error>;

    /// Checks after the last byte that all `bytes` are of one version of the source. Returns `true` if only its content
    /// can tell, and must be [compared](Self::compare).
    fn is_suspect(&self, _bytes: u64) -> Result<bool, Error> {
        Ok(false)
    }

    /// Reads the source again, and checks that it still has this length and this checksum.
    fn compare(&mut self, _bytes: u64, _sum: &Value, _must_end: MustEnd) -> Result<(), Error> {
        Ok(())
    }

    /// Ends the use of the page cache. Returns a warning if part of that was not possible.
    fn finish(&mut self) -> Option<Warning>;
}

/// The next part of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A number of bytes that were read into the block; 0 at the end.
    Bytes(usize),
    /// The length of a hole, which reads as zeros.
    Zeros(u64),
    /// No data arrived for 50 ms, but more may follow.
    NotYet,
}

/// Where the bytes of a source come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supply {
    /// Memory: a tmpfs, or the page cache.
    Memory,
    /// A disk.
    Disk,
    /// Another program.
    Stream,
}
