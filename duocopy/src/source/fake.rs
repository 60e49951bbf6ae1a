//! A source for tests: some bytes, and a failure after them if it is asked for.

use super::contract::{Piece, Source, Supply};
use crate::api::{Error, Warning};
use crate::attributes::Attribute;
use crate::cache::CacheUse;
use crate::digest::{Digest, Kind, MustEnd};
use crate::record::{ResumePoint, SourceRecord};
use crate::sys::Stat;

#[derive(Debug)]
pub struct FakeSource {
    pub record: SourceRecord,
    pub bytes: Vec<u8>,
    pub position: usize,
    /// What is said after the last byte.
    pub end: Result<(), Error>,
}

impl FakeSource {
    pub fn new(bytes: &[u8]) -> Self {
        let stat = Stat { length: bytes.len() as u64, ..SourceRecord::STREAM.stat };
        let record = SourceRecord::of_file(stat, Kind::Crc64);
        Self { record, bytes: bytes.into(), position: 0, end: Ok(()) }
    }
}

impl Source for FakeSource {
    fn record(&self) -> &SourceRecord {
        &self.record
    }

    fn supply(&self, _past_the_cache: bool) -> Supply {
        Supply::Memory
    }

    fn resume(&mut self, at: ResumePoint, _trusts_sum: bool, _must_end: MustEnd) -> Result<Digest, Error> {
        self.position = at.position as usize;
        Ok(Digest::resume(self.record.digest, at.sum).expect("a checksum that continues"))
    }

    fn use_cache(&mut self, _usage: CacheUse) -> Vec<Warning> {
        Vec::new()
    }

    fn next(&mut self, block: &mut [u8]) -> Result<Piece, Error> {
        let rest = &self.bytes[self.position..];
        let filled = rest.len().min(block.len());
        block[..filled].copy_from_slice(&rest[..filled]);
        self.position += filled;
        Ok(Piece::Bytes(filled))
    }

    fn attributes(&self) -> Result<Vec<Attribute>, Error> {
        Ok(Vec::new())
    }

    fn is_suspect(&self, _bytes: u64) -> Result<bool, Error> {
        self.end.clone().map(|()| false)
    }

    fn finish(&mut self) -> Option<Warning> {
        None
    }
}
