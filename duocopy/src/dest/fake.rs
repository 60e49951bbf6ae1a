//! A destination for tests: it notes what is done with it, and fails at a step if the test asks for it.

use super::SourceMetadata;
use super::contract::{Access, Begun, Committed, Destination, Prepared, Ready, Staged, WritePlan};
use crate::api::{Error, ErrorKind, Warning};
use crate::digest::{Digest, Kind, MustEnd, Value};
use crate::record::{ResumePoint, TargetRecord};
use std::cell::RefCell;

#[derive(Debug, Default)]
pub struct FakeDestination {
    pub record: TargetRecord,
    pub begins: ResumePoint,
    pub already_committed: bool,
    pub content: Vec<u8>,
    /// The names of the methods that were called, without repetitions in a row.
    pub calls: RefCell<Vec<&'static str>>,
    /// The method that fails.
    pub fails_at: Option<&'static str>,
    /// The data that is read back, if it is not the content.
    pub reread: Option<Value>,
    /// The result of `keep`.
    pub kept: u64,
}

impl FakeDestination {
    fn call(&self, name: &'static str) -> Result<(), Error> {
        let mut calls = self.calls.borrow_mut();
        if calls.last() != Some(&name) {
            calls.push(name);
        }
        if self.fails_at == Some(name) { Err(Error::new(ErrorKind::Destination)) } else { Ok(()) }
    }
}

impl Destination for FakeDestination {
    fn record(&self) -> TargetRecord {
        self.record
    }

    fn access(&self) -> Option<Access<'_>> {
        None
    }

    fn resume_point(&self) -> ResumePoint {
        self.begins
    }

    fn already_committed(&self) -> bool {
        self.already_committed
    }

    fn take_warnings(&mut self) -> Vec<Warning> {
        Vec::new()
    }

    fn stage<'a>(
        &'a mut self,
        at: ResumePoint,
        plan: WritePlan,
        _must_end: MustEnd,
    ) -> Result<Begun<'a>, Error> {
        self.call("stage")?;
        self.content.truncate(at.position as usize);
        let digest = Digest::resume(plan.digest, at.sum).expect("a checksum that can be continued");
        Ok((Box::new(Open(self)), digest, Vec::new()))
    }

    fn keep(&mut self, _reached: Option<ResumePoint>) -> u64 {
        let _ = self.call("keep");
        self.kept
    }

    fn discard(&mut self) {
        let _ = self.call("discard");
    }
}

struct Open<'a>(&'a mut FakeDestination);

impl<'a> Staged<'a> for Open<'a> {
    fn check_limit(&self, _bytes: u64) -> Result<(), Error> {
        self.0.call("check_limit")
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<usize, Error> {
        self.0.call("write")?;
        assert_eq!(offset, self.0.content.len() as u64, "written in order");
        self.0.content.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn write_zeros(&mut self, offset: u64, length: u64) -> Result<u64, Error> {
        self.0.call("write_zeros")?;
        self.0.content.resize((offset + length) as usize, 0);
        Ok(length)
    }

    fn reached(&mut self, _point: ResumePoint) -> Result<(), Error> {
        self.0.call("reached")
    }

    fn prepare(
        self: Box<Self>,
        _whole: ResumePoint,
        _metadata: &SourceMetadata,
        _durable: bool,
    ) -> Result<(Box<dyn Ready<'a> + 'a>, Prepared), Error> {
        self.0.call("prepare")?;
        Ok((self, Prepared::default()))
    }
}

impl<'a> Ready<'a> for Open<'a> {
    fn reread(&mut self, digest: Kind, _must_end: MustEnd) -> Result<(Value, bool), Error> {
        self.0.call("reread")?;
        let mut digest = Digest::new(digest);
        digest.update(&self.0.content);
        Ok((self.0.reread.unwrap_or(digest.value()), true))
    }

    fn commit(self: Box<Self>) -> Result<(Box<dyn Committed + 'a>, Vec<Warning>), Error> {
        self.0.call("commit")?;
        Ok((self, Vec::new()))
    }
}

impl Committed for Open<'_> {
    fn sync_name(&self) -> Result<(), Error> {
        self.0.call("sync_name")
    }

    fn tidy(self: Box<Self>) {
        let _ = self.0.call("tidy");
    }
}
