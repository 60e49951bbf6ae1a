//! A stream: standard input, a pipe, a device, or a file that is made while it is read, as in `/proc`.

use super::contract::{Piece, Source, Supply};
use crate::api::{Error, ErrorKind, Operation, Warning, is_standard};
use crate::attributes::Attribute;
use crate::cache::{CachePolicy, CacheUse};
use crate::digest::{Digest, MustEnd};
use crate::record::{ResumePoint, SourceRecord};
use crate::sys::{self, FileKind};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub struct StreamSource {
    file: File,
    path: PathBuf,
    record: SourceRecord,
    position: u64,
    /// True if it was opened here and is not a device, so that reading never blocks.
    never_blocks: bool,
    /// True if no program has opened that pipe for writing yet.
    unopened: bool,
    /// True if a read from it may have to wait for another program. A file or a disk has its bytes, even one of `/proc`
    /// that never says so.
    waits: bool,
    cache: CachePolicy,
}

impl StreamSource {
    pub fn new(file: File, path: &Path, record: SourceRecord, kind: FileKind) -> Self {
        let never_blocks = kind != FileKind::Device && !is_standard(path);
        let unopened = never_blocks && kind == FileKind::Pipe;
        let waits = matches!(kind, FileKind::Pipe | FileKind::Device);
        let (path, cache) = (path.into(), CachePolicy::default());
        Self { file, path, record, position: 0, never_blocks, unopened, waits, cache }
    }

    fn read(&mut self, block: &mut [u8]) -> io::Result<Piece> {
        let ready = !self.waits || sys::poll_ready(&self.file, false)?;
        if !ready && !self.never_blocks {
            return Ok(Piece::NotYet);
        }
        let (next, file) = ((self.position, block.len()), &self.file);
        match self.cache.transfer(file, next, || (&*file).read(block)) {
            // A FIFO that no program has opened for writing reads as if it had ended, but it has not even begun.
            Ok(0) if !ready && self.unopened => Ok(Piece::NotYet),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Piece::NotYet),
            // A FIFO that is open for writing, or a file that the kernel fills when something happens.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.unopened = false;
                self.waits = true;
                Ok(Piece::NotYet)
            }
            read => {
                self.unopened = false;
                self.position += *read.as_ref().unwrap_or(&0) as u64;
                self.cache.read_up_to(file, self.position);
                read.map(Piece::Bytes)
            }
        }
    }
}

impl Source for StreamSource {
    fn record(&self) -> &SourceRecord {
        &self.record
    }

    fn supply(&self, _past_the_cache: bool) -> Supply {
        Supply::Stream
    }

    fn resume(&mut self, at: ResumePoint, _trusts_sum: bool, _must_end: MustEnd) -> Result<Digest, Error> {
        match at.position {
            0 => Ok(Digest::new(self.record.digest)),
            position => Err(Error::at(ErrorKind::ResumePastEnd { position }, &self.path)),
        }
    }

    fn use_cache(&mut self, usage: CacheUse) -> Vec<Warning> {
        // A pipe has no cache, and a file that other programs share is left alone.
        let kind = sys::file_kind(&self.file);
        if is_standard(&self.path) || !matches!(kind, Ok(FileKind::Regular | FileKind::Disk)) {
            return CachePolicy::not_applicable(&self.path, usage);
        }
        self.cache.set(&self.file, &self.path, self.position, usage)
    }

    fn next(&mut self, block: &mut [u8]) -> Result<Piece, Error> {
        self.read(block).map_err(|error| Error::source(&self.path, Operation::Read, error))
    }

    fn is_unopened(&self) -> bool {
        self.unopened
    }

    fn attributes(&self) -> Result<Vec<Attribute>, Error> {
        Ok(Vec::new())
    }

    fn finish(&mut self) -> Option<Warning> {
        self.cache.end(&self.file, &self.path, self.position)
    }
}
