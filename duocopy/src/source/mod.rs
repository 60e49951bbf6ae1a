//! Where the Reader gets the bytes: a regular file, or a stream that is read once.

#[cfg(test)]
pub mod fake;
mod file;
mod stream;

use crate::api::{Error, ErrorKind, Operation, Warning, is_standard};
use crate::attributes::Attribute;
use crate::cache::CacheUse;
use crate::digest::{Digest, Kind};
use crate::record::{ResumePoint, SourceRecord};
use crate::sys::{self, FileKind};
use std::fmt::Debug;
use std::io;
use std::path::Path;

pub use file::LONGEST_HOLE;

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

/// Opens a source. Only with `streams` may it be something else than a regular file.
pub fn open(path: &Path, digest: Kind, streams: bool) -> Result<Box<dyn Source>, Error> {
    let opening = |error: io::Error| Error::source(path, Operation::Open, error);
    let standard = is_standard(path);
    let file = if standard { sys::standard_input() } else { sys::open_source(path) }.map_err(opening)?;
    let kind = sys::file_kind(&file).map_err(opening)?;
    if kind == FileKind::Directory {
        return Err(Error::at(ErrorKind::SourceIsDirectory, path));
    }
    let is_stream = standard || kind != FileKind::Regular;
    if is_stream && !streams {
        return Err(Error::at(ErrorKind::SourceNotRegular, path));
    }
    if !is_stream && !sys::is_pseudo_fs(&file) {
        return Ok(Box::new(file::FileSource::new(file, path, digest).map_err(opening)?));
    }
    // A copy must not be readable for users who may not read the source.
    let mode = if standard { None } else { sys::fstat(&file).ok().map(|stat| stat.mode) };
    let record = SourceRecord { digest, ..SourceRecord::STREAM };
    let record = match mode {
        Some(mode) => SourceRecord { stat: sys::Stat { mode, ..record.stat }, ..record },
        None => record,
    };
    let own_fifo = kind == FileKind::Pipe && !standard;
    Ok(Box::new(stream::StreamSource::new(file, path, record, own_fifo)))
}

/// Whether opening the source would be noticed at its other end: it is a standard stream, a pipe or a device.
pub fn is_stream(path: &Path) -> bool {
    let passes = |kind| matches!(kind, FileKind::Pipe | FileKind::Device);
    is_standard(path) || sys::file_kind_at(path).is_ok_and(passes)
}

/// Checks that a Reader can continue what another one began: only with the very same version of the source.
pub fn check_continues(path: &Path, source: &SourceRecord, before: &SourceRecord) -> Result<(), Error> {
    match source.same_version(before) {
        true => Ok(()),
        false if source.is_stream => Err(Error::at(ErrorKind::SourceNotRepeatable, path)),
        false => Err(Error::at(ErrorKind::SourceDiffers, path)),
    }
}
