//! A source whose metadata alone is copied: it appears to be empty.

use super::contract::{Piece, Source, Supply};
use crate::api::{Error, Warning};
use crate::attributes::Attribute;
use crate::cache::CacheUse;
use crate::digest::{Digest, MustEnd};
use crate::record::{ResumePoint, SourceRecord};
use crate::sys::Stat;

#[derive(Debug)]
pub struct AttributesOnly {
    source: Box<dyn Source>,
    record: SourceRecord,
}

impl AttributesOnly {
    pub fn new(source: Box<dyn Source>) -> Self {
        let record = *source.record();
        let stat = Stat { length: 0, has_holes: false, ..record.stat };
        Self { source, record: SourceRecord { stat, hides_holes: false, ..record } }
    }
}

impl Source for AttributesOnly {
    fn record(&self) -> &SourceRecord {
        &self.record
    }

    fn supply(&self, _past_the_cache: bool) -> Supply {
        Supply::Memory
    }

    fn resume(&mut self, _at: ResumePoint, _trusts_sum: bool, _must_end: MustEnd) -> Result<Digest, Error> {
        Ok(Digest::new(self.record.digest))
    }

    fn use_cache(&mut self, _usage: CacheUse) -> Vec<Warning> {
        Vec::new()
    }

    fn next(&mut self, _block: &mut [u8]) -> Result<Piece, Error> {
        Ok(Piece::Bytes(0))
    }

    fn attributes(&self) -> Result<Vec<Attribute>, Error> {
        self.source.attributes()
    }

    fn finish(&mut self) -> Option<Warning> {
        None
    }
}
