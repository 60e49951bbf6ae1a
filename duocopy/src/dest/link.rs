//! Creates a symbolic link under a temporary name, and renames it over the destination once it is complete.

use super::contract::{Access, Begun, Committed, Destination, Policy, Prepared, Ready, Staged, WritePlan};
use super::inspect::examine;
use super::metadata::SourceMetadata;
use super::path::DestinationPath;
use super::replace::Replacement;
use super::{backup, rights, staging};
use crate::api::{Aftermath, Error, ErrorKind, Loss, LossReason, Operation, Preserve, Preserved, Warning};
use crate::digest::{Digest, Kind, MustEnd, Value};
use crate::record::{ResumePoint, SourceRecord, TargetRecord};
use crate::sys::{self, Entry, FileOwner};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::Path;

/// The longest link of any system.
const LONGEST: usize = 64 << 10;

/// A link that replaces the destination in one step.
#[derive(Debug)]
pub struct LinkFile {
    path: DestinationPath,
    policy: Policy,
    source: SourceRecord,
    text: Vec<u8>,
    /// True once the link has its temporary name.
    is_created: bool,
    /// The temporary file that a copy of a file would use: empty and locked, it keeps other copies to this destination
    /// away.
    lock: File,
    warnings: Vec<Warning>,
}

impl LinkFile {
    /// Inspects the destination, and refuses one that must not be replaced. After an error nothing has changed.
    pub fn open(path: &Path, policy: &Policy, source: &SourceRecord) -> Result<Self, Error> {
        let path = DestinationPath::resolve(path, policy.links(source))?;
        let existing = examine(&path, policy, source, || false)?;
        if policy.only_attributes && !policy.remove_destination && existing.is_some() {
            return Err(path.refused(ErrorKind::DestinationExists));
        }
        let mut warnings = Vec::new();
        let lock = staging::acquire(&path, policy, source, false, &mut warnings)?.file;
        backup::remove_leftover(&path);
        Ok(Self {
            path,
            policy: policy.clone(),
            source: *source,
            text: Vec::new(),
            is_created: false,
            lock,
            warnings,
        })
    }

    /// Creates the link under its temporary name. Replaces a link of this user that a killed copy left there.
    fn create(&mut self) -> Result<(), Error> {
        let (directory, name) = (&self.path.directory, self.path.link());
        let is_left_over = matches!(directory.entry(&name), Ok(Some(Entry::Link(_))))
            && matches!(directory.owner_of(&name), Ok(FileOwner::ThisUser));
        if is_left_over {
            directory.remove_if_exists(&name).map_err(self.path.failed(Operation::Temporary))?;
        }
        directory.create_symbolic_link(&name, &self.text).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => staging::name_taken(&self.path, &name, None),
            _ => self.path.failed(Operation::Temporary)(error),
        })?;
        self.is_created = true;
        Ok(())
    }

    /// Gives the link its owner and times. Returns what could not be preserved.
    fn set_metadata(&self, metadata: &SourceMetadata) -> Vec<Loss> {
        let (directory, name, stat) = (&self.path.directory, self.path.link(), &self.source.stat);
        let refused = |what, error: io::Error| Loss { what, reason: LossReason::System(error.into()) };
        let mut lost = Vec::new();
        if metadata.wants(Preserve::Ownership) {
            let set = directory.set_link_owner(&name, stat.owner);
            lost.extend(set.err().map(rights::lost_owner));
        }
        if metadata.wants(Preserve::Timestamps) {
            let set = directory.set_link_times(&name, stat.accessed, stat.modified);
            lost.extend(set.err().map(|error| refused(Preserved::Timestamps, error)));
        }
        lost
    }

    /// Removes a temporary file. If this fails, the next copy of a link to this destination removes it.
    fn remove(&self, name: &OsStr) {
        let _ = self.path.directory.remove_if_exists(name);
    }

    fn remove_lock(&self) {
        if self.path.leads_to_open(&self.path.temporary(), &self.lock) {
            self.remove(&self.path.temporary());
        }
    }
}

impl Destination for LinkFile {
    fn record(&self) -> TargetRecord {
        // The record names no file: if this process dies while it commits, nobody can tell whether the link is in
        // place.
        TargetRecord { terminal: sys::terminal_id(), ..TargetRecord::default() }
    }

    fn access(&self) -> Option<Access<'_>> {
        None
    }

    fn resume_point(&self) -> ResumePoint {
        ResumePoint::default()
    }

    fn already_committed(&self) -> bool {
        false
    }

    fn take_warnings(&mut self) -> Vec<Warning> {
        std::mem::take(&mut self.warnings)
    }

    fn stage<'a>(
        &'a mut self,
        at: ResumePoint,
        plan: WritePlan,
        _must_end: MustEnd,
    ) -> Result<Begun<'a>, Error> {
        if at.position != 0 {
            return Err(staging::lost(&self.path, false));
        }
        Ok((Box::new(Open(self)), Digest::new(plan.digest), Vec::new()))
    }

    fn keep(&mut self, _reached: Option<ResumePoint>) -> u64 {
        self.discard();
        0
    }

    fn discard(&mut self) {
        if self.is_created {
            self.remove(&self.path.link());
        }
        self.remove_lock();
    }
}

/// The link in each of its states. Each trait has the operations of one state.
struct Open<'a>(&'a mut LinkFile);

impl<'a> Staged<'a> for Open<'a> {
    fn check_limit(&self, bytes: u64) -> Result<(), Error> {
        self.0.policy.check_limit(&self.0.path.path, bytes)
    }

    fn write(&mut self, _offset: u64, bytes: &[u8]) -> Result<usize, Error> {
        if self.0.text.len() + bytes.len() > LONGEST {
            return Err(self.0.path.failed(Operation::Write)(io::ErrorKind::InvalidFilename.into()));
        }
        self.0.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn write_zeros(&mut self, _offset: u64, _length: u64) -> Result<u64, Error> {
        // The text of a link contains no zeros.
        Err(self.0.path.failed(Operation::Write)(io::ErrorKind::InvalidFilename.into()))
    }

    fn reached(&mut self, _point: ResumePoint) -> Result<(), Error> {
        Ok(())
    }

    fn prepare(
        self: Box<Self>,
        _whole: ResumePoint,
        metadata: &SourceMetadata,
        _durable: bool,
    ) -> Result<(Box<dyn Ready<'a> + 'a>, Prepared), Error> {
        self.0.create()?;
        let not_preserved = self.0.set_metadata(metadata);
        Ok((self, Prepared { not_preserved, warnings: Vec::new() }))
    }
}

impl<'a> Ready<'a> for Open<'a> {
    fn reread(&mut self, digest: Kind, _must_end: MustEnd) -> Result<(Value, bool), Error> {
        let text = self.0.path.directory.symbolic_link(&self.0.path.link());
        let text = text.map_err(self.0.path.failed(Operation::Reread))?;
        let mut digest = Digest::new(digest);
        digest.update(&text.map(|(_, text)| text).unwrap_or_default());
        Ok((digest.value(), false))
    }

    fn commit(self: Box<Self>) -> Result<(Box<dyn Committed + 'a>, Vec<Warning>), Error> {
        let link = &mut *self.0;
        let name = link.path.link();
        let LinkFile { path, policy, source, lock, .. } = &*link;
        let replacement = Replacement { path, policy, source, name: &name, file: lock };
        let warning = replacement.put(|| Ok(()))?;
        // rename(2) does nothing if both names are links to one inode.
        link.remove(&name);
        Ok((self, warning.into_iter().collect()))
    }
}

impl Committed for Open<'_> {
    fn sync_name(&self) -> Result<(), Error> {
        self.0.path.directory.sync(&self.0.lock).map_err(|error| {
            let error = self.0.path.failed(Operation::FlushName)(error);
            Error { aftermath: Aftermath::Complete, ..error }
        })
    }

    fn tidy(self: Box<Self>) {
        self.0.remove_lock();
    }
}
