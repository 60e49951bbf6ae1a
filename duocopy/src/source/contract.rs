//! What the Reader needs of a source.

use crate::api::{Error, Warning};
use crate::attributes::Attribute;
use crate::cache::CacheUse;
use crate::digest::Digest;
use crate::record::{ResumePoint, SourceRecord};
use std::fmt::Debug;

/// A source that is open. It is read once, from the point where the copy begins to its end.
pub trait Source: Debug {
    /// What it is, for the Writer and for a process that replaces this one.
    fn record(&self) -> &SourceRecord;

    /// Where its bytes will come from, as far as that can be known.
    fn supply(&self, past_the_cache: bool) -> Supply;

    /// Goes to this point. Returns the state of the checksum there, for which the beginning may have to be read again.
    fn resume(&mut self, at: ResumePoint) -> Result<Digest, Error>;

    /// From here on uses the page cache like this.
    fn use_cache(&mut self, usage: CacheUse) -> Vec<Warning>;

    /// Reads what comes next into the beginning of the block.
    fn next(&mut self, block: &mut [u8]) -> Result<Piece, Error>;

    /// Whether it is a named pipe that nobody has opened for writing yet.
    fn is_unopened(&self) -> bool {
        false
    }

    /// Its extended attributes.
    fn attributes(&self) -> Result<Vec<Attribute>, Error>;

    /// Checks after the last byte that all `bytes` are of one version of the source.
    fn finish(&mut self, bytes: u64) -> Result<Option<Warning>, Error>;
}

/// What comes next in a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// That many bytes, which are in the block; 0 at the end.
    Bytes(usize),
    /// That many zeros, which are in a hole.
    Zeros(u64),
    /// Nothing came for 50 ms, and more may come.
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
