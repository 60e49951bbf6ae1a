//! Changes only the metadata of an existing file (`--attributes-only`), in place, because a new file would need the old
//! content.

use super::contract::{Access, Begun, Committed, Destination, Policy, Prepared, Ready, Staged, WritePlan};
use super::metadata::{SourceMetadata, Surroundings, set_times};
use super::path::DestinationPath;
use crate::api::{Aftermath, Error, ErrorKind, Operation, Preserve, Warning};
use crate::digest::{Digest, Kind, MustEnd, Value};
use crate::record::{ResumePoint, SourceRecord, TargetRecord};
use crate::sys::{self, DefaultList};
use std::fs::File;

/// The metadata that grants rights, or that is stored together with such metadata.
const CHANGES_RIGHTS: [Preserve; 4] = [Preserve::Mode, Preserve::Ownership, Preserve::Xattr, Preserve::Acl];

#[derive(Debug)]
pub struct InPlace {
    path: DestinationPath,
    policy: Policy,
    source: SourceRecord,
    file: File,
}

impl InPlace {
    /// Opens the file at this path, which was examined already.
    pub fn open(path: DestinationPath, policy: &Policy, source: &SourceRecord) -> Result<Self, Error> {
        let file = path.directory.open_existing(&path.name).map_err(path.failed(Operation::Open))?;
        Ok(Self { path, policy: policy.clone(), source: *source, file })
    }
}

impl Destination for InPlace {
    fn record(&self) -> TargetRecord {
        TargetRecord { terminal: sys::terminal_id(), ..TargetRecord::default() }
    }

    fn access(&self) -> Option<Access<'_>> {
        Some(Access { directory: &self.path.directory, rights: Vec::new(), file: &self.file })
    }

    fn resume_point(&self) -> ResumePoint {
        ResumePoint::default()
    }

    fn already_committed(&self) -> bool {
        false
    }

    fn take_warnings(&mut self) -> Vec<Warning> {
        Vec::new()
    }

    fn stage<'a>(
        &'a mut self,
        _at: ResumePoint,
        plan: WritePlan,
        _must_end: MustEnd,
    ) -> Result<Begun<'a>, Error> {
        Ok((Box::new(Open(self)), Digest::new(plan.digest), Vec::new()))
    }

    fn keep(&mut self, _reached: Option<ResumePoint>) -> u64 {
        0
    }

    fn discard(&mut self) {}
}

/// The file in each of its states. Each trait has the operations of one state.
struct Open<'a>(&'a mut InPlace);

impl Open<'_> {
    fn no_content(&self) -> Error {
        self.0.path.refused(ErrorKind::CommittedTooEarly)
    }
}

impl<'a> Staged<'a> for Open<'a> {
    fn check_limit(&self, _bytes: u64) -> Result<(), Error> {
        Ok(())
    }

    fn write(&mut self, _offset: u64, _bytes: &[u8]) -> Result<usize, Error> {
        Err(self.no_content())
    }

    fn write_zeros(&mut self, _offset: u64, _length: u64) -> Result<u64, Error> {
        Err(self.no_content())
    }

    fn reached(&mut self, _point: ResumePoint) -> Result<(), Error> {
        Ok(())
    }

    fn prepare(
        self: Box<Self>,
        _whole: ResumePoint,
        metadata: &SourceMetadata,
        durable: bool,
    ) -> Result<(Box<dyn Ready<'a> + 'a>, Prepared), Error> {
        if metadata.is_empty() {
            return Ok((self, Prepared::default()));
        }
        let InPlace { path, policy, source, file } = &*self.0;
        if !CHANGES_RIGHTS.iter().any(|what| metadata.wants(*what)) {
            let lost = set_times(file, &source.stat).map_err(path.failed(Operation::SetMode))?;
            return Ok((self, Prepared { not_preserved: lost.into_iter().collect(), warnings: Vec::new() }));
        }
        let existing = path.directory.existing(&path.name).map_err(path.failed(Operation::SetMode))?;
        let around = Surroundings {
            source,
            umask: policy.umask,
            trusts_reader: policy.trusts_reader,
            existing: existing.as_ref(),
            default_list: &DefaultList::Absent,
            stop: &policy.stop,
        };
        let missing = metadata.apply(file, &around).map_err(path.failed(Operation::SetMode))?;
        if durable {
            file.sync_all().map_err(path.failed(Operation::Flush))?;
        }
        let warnings = missing.warnings(&path.path);
        Ok((self, Prepared { not_preserved: missing.of_source, warnings }))
    }
}

impl<'a> Ready<'a> for Open<'a> {
    fn reread(&mut self, digest: Kind, _must_end: MustEnd) -> Result<(Value, bool), Error> {
        // There is no content to compare.
        Ok((Digest::new(digest).value(), true))
    }

    fn commit(self: Box<Self>) -> Result<(Box<dyn Committed + 'a>, Vec<Warning>), Error> {
        Ok((self, Vec::new()))
    }
}

impl Committed for Open<'_> {
    fn sync_name(&self) -> Result<(), Error> {
        self.0.path.directory.sync(&self.0.file).map_err(|error| {
            let error = self.0.path.failed(Operation::FlushName)(error);
            Error { aftermath: Aftermath::Complete, ..error }
        })
    }

    fn tidy(self: Box<Self>) {}
}
