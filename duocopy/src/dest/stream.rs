//! A stream output as the destination: standard output, a pipe or a device. Its output cannot be rolled back.

use super::contract::{Access, Begun, Committed, Destination, Policy, Prepared, Ready, Staged, WritePlan};
use super::metadata::SourceMetadata;
use super::path::{DestinationPath, Links};
use crate::api::{Error, ErrorKind, Loss, LossReason, Operation, Overwrite, Preserved, Warning, is_standard};
use crate::cache::{CachePolicy, Pages};
use crate::digest::{Digest, Kind, MustEnd, PIECE, Value};
use crate::record::{ResumePoint, TargetRecord};
use crate::sys::{self, FileKind, FileOwner};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Returns whether this path names a stream: a standard stream, a pipe or a device.
pub fn is_stream(path: &Path) -> bool {
    let is_other = |kind| matches!(kind, FileKind::Pipe | FileKind::Device | FileKind::Disk);
    is_standard(path) || sys::file_kind_at(path).is_ok_and(is_other)
}

/// Returns an error if the copy must not write to this stream.
pub fn check(path: &Path, policy: &Policy, rereads: bool) -> Result<(), Error> {
    if rereads {
        return Err(Error::at(ErrorKind::CannotReread, path));
    }
    if is_standard(path) {
        let opening = |error| Error::destination(path, Operation::Open, error);
        return sys::standard_output().map(drop).map_err(opening);
    }
    let stream = DestinationPath::open_path(path, Links::Refused)?;
    let inspecting = |error: io::Error| Error::destination(path, Operation::Stat, error);
    let kind = sys::file_kind_at(path).map_err(inspecting)?;
    check_owner(&stream, policy, kind, stream.directory.owner_of(&stream.name).map_err(inspecting)?)
}

/// Returns an error if this user must not write to a stream of this kind and owner.
///
/// Any user can create a FIFO and read what is written to it. So a FIFO of another user needs `--force`, and so does
/// a disk, because its content is lost. Other devices need no `--force`: only root can create them.
fn check_owner(
    stream: &DestinationPath,
    policy: &Policy,
    kind: FileKind,
    owner: FileOwner,
) -> Result<(), Error> {
    let refused = |kind| Err(Error::at(kind, &stream.path));
    let is_forced = policy.overwrite == Overwrite::Replace;
    match (kind, owner) {
        (_, FileOwner::Suspect) => refused(ErrorKind::ForeignFile { found: stream.path.clone() }),
        (FileKind::Disk, _) if !is_forced => refused(ErrorKind::DiskNotReplaced),
        (FileKind::Pipe, FileOwner::Other) if !is_forced => refused(ErrorKind::ForeignFifo),
        _ => Ok(()),
    }
}

/// A stream output that is open.
#[derive(Debug)]
pub struct StreamOutput {
    file: File,
    path: PathBuf,
    policy: Policy,
    /// The most bytes that can be written at once without blocking.
    max_write: usize,
    cache: CachePolicy,
    warnings: Vec<Warning>,
}

impl StreamOutput {
    /// Opens a stream. Returns `None` if it is a named pipe that no process reads yet.
    pub fn open(path: &Path, policy: &Policy, rereads: bool) -> Result<Option<Self>, Error> {
        check(path, policy, rereads)?;
        let opening = |error: io::Error| Error::destination(path, Operation::Open, error);
        let (file, max_write) = if is_standard(path) {
            let file = sys::standard_output().map_err(opening)?;
            // The pipe stays in blocking mode, because other processes use it, too. So only as much is written at once
            // as surely fits once the pipe is ready.
            let is_pipe = sys::file_kind(&file).map_err(opening)? == FileKind::Pipe;
            (file, if is_pipe { sys::PIPE_BUF } else { usize::MAX })
        } else {
            let stream = DestinationPath::open_path(path, Links::Refused)?;
            let kind = sys::file_kind_at(path).map_err(opening)?;
            let opened = sys::open_stream_output(&stream.directory, &stream.name).map_err(opening)?;
            let Some(file) = opened else { return Ok(None) };
            if sys::file_kind(&file).map_err(opening)? != kind {
                return Err(Error::at(ErrorKind::OutputReplaced, path));
            }
            // Nothing has been written yet, and nobody can replace a stream that is open.
            check_owner(&stream, policy, kind, stream.directory.owner_of_open(&file).map_err(opening)?)?;
            (file, usize::MAX)
        };
        let (path, policy, cache) = (path.to_path_buf(), policy.clone(), CachePolicy::default());
        let warnings = vec![Warning::Irreversible { path: path.clone() }];
        Ok(Some(Self { file, path, policy, max_write, cache, warnings }))
    }

    fn failed(&self, operation: Operation, error: io::Error) -> Error {
        let kind = match error.kind() {
            io::ErrorKind::BrokenPipe => ErrorKind::OutputClosed,
            _ => ErrorKind::Destination,
        };
        Error::at(kind, &self.path).doing(operation, error)
    }
}

impl Destination for StreamOutput {
    fn record(&self) -> TargetRecord {
        TargetRecord { terminal: sys::terminal_id(), is_stream: true, ..TargetRecord::default() }
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
            return Err(Error::at(ErrorKind::OutputNotResumable, &self.path));
        }
        // Only a disk has a page cache. Standard output is left alone, because other processes share it.
        let is_disk = || sys::file_kind(&self.file).is_ok_and(|kind| kind == FileKind::Disk);
        let warnings = if is_standard(&self.path) || !is_disk() {
            CachePolicy::not_applicable(&self.path, plan.cache)
        } else {
            self.cache.set(&self.file, &self.path, 0, plan.cache)
        };
        Ok((Box::new(Open(self)), Digest::new(plan.digest), warnings))
    }

    fn keep(&mut self, _reached: Option<ResumePoint>) -> u64 {
        0
    }

    fn discard(&mut self) {}
}

/// The stream in each of its states. Each trait has the operations of one state.
struct Open<'a>(&'a mut StreamOutput);

impl<'a> Staged<'a> for Open<'a> {
    fn check_limit(&self, bytes: u64) -> Result<(), Error> {
        self.0.policy.check_limit(&self.0.path, bytes)
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<usize, Error> {
        let some = &bytes[..bytes.len().min(self.0.max_write)];
        let file = &self.0.file;
        let written = match sys::poll_ready(file, true) {
            Ok(true) => self.0.cache.transfer(file, (offset, some.len()), || (&*file).write(some)),
            Ok(false) => return Ok(0),
            Err(error) => Err(error),
        };
        match written {
            // This is the end of a device.
            Ok(0) => Err(self.0.failed(Operation::Write, io::ErrorKind::StorageFull.into())),
            Ok(written) => Ok(written),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(0)
            }
            Err(error) => Err(self.0.failed(Operation::Write, error)),
        }
    }

    fn write_zeros(&mut self, offset: u64, length: u64) -> Result<u64, Error> {
        let zeros = Pages::new(length.min(PIECE as u64) as usize);
        self.write(offset, &zeros).map(|written| written as u64)
    }

    fn reached(&mut self, point: ResumePoint) -> Result<(), Error> {
        self.0.cache.written_up_to(&self.0.file, point.position);
        Ok(())
    }

    fn prepare(
        self: Box<Self>,
        whole: ResumePoint,
        metadata: &SourceMetadata,
        durable: bool,
    ) -> Result<(Box<dyn Ready<'a> + 'a>, Prepared), Error> {
        let output = &*self.0;
        if durable {
            sys::sync_stream(&output.file).map_err(|error| output.failed(Operation::Flush, error))?;
        }
        sys::check_close(&output.file).map_err(|error| output.failed(Operation::Write, error))?;
        let everything = Loss { what: Preserved::Everything, reason: LossReason::Stream };
        let not_preserved = if metadata.is_empty() { Vec::new() } else { vec![everything] };
        let warnings = output.cache.end(&output.file, &output.path, whole.position).into_iter().collect();
        Ok((self, Prepared { not_preserved, warnings }))
    }
}

impl<'a> Ready<'a> for Open<'a> {
    fn reread(&mut self, _digest: Kind, _must_end: MustEnd) -> Result<(Value, bool), Error> {
        Err(Error::at(ErrorKind::CannotReread, &self.0.path))
    }

    fn commit(self: Box<Self>) -> Result<(Box<dyn Committed + 'a>, Vec<Warning>), Error> {
        Ok((self, Vec::new()))
    }
}

impl Committed for Open<'_> {
    fn sync_name(&self) -> Result<(), Error> {
        Ok(())
    }

    fn tidy(self: Box<Self>) {}
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::api::Request;
    use crate::cache::CacheUse;

    #[test]
    fn a_stream_takes_everything_once() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        use std::io::Read;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        let policy = Policy::of(&Request::write("", ""), &crate::api::Stop::new());
        let plan = WritePlan {
            digest: Kind::Nothing,
            cache: CacheUse { direct: false, drops: false, flushes: false },
        };
        let open_stream = |path: &Path, rereads| StreamOutput::open(path, &policy, rereads);
        let middle = ResumePoint { position: 1, sum: 0 };
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert!(is_stream(&path) && is_stream(Path::new("-")) && !is_stream(folder.path()));
        assert!(open_stream(&path, false).unwrap().is_none(), "no process reads it");
        assert_eq!(open_stream(&path, true).unwrap_err().kind, ErrorKind::CannotReread);
        let mut reader = sys::open_source(&path).unwrap();
        let mut output = open_stream(&path, false).unwrap().unwrap();
        assert_eq!(output.take_warnings(), [Warning::Irreversible { path: path.clone() }]);
        assert!(output.record().is_stream && output.access().is_none());
        assert_eq!(output.stage(middle, plan, &|| false).err().unwrap().kind, ErrorKind::OutputNotResumable);
        let (mut staged, ..) = output.stage(ResumePoint::default(), plan, &|| false).unwrap();
        assert_eq!(staged.write(0, b"abc"), Ok(3));
        assert_eq!(staged.write_zeros(3, 2), Ok(2));
        let mut read = [1; 5];
        reader.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"abc\0\0");
        drop(reader);
        assert_eq!(staged.write(5, b"x").unwrap_err().kind, ErrorKind::OutputClosed);
        drop(staged);
        assert_eq!(output.keep(Some(middle)), 0);
        let mut full = open_stream(Path::new("/dev/full"), false).unwrap().unwrap();
        let (mut staged, ..) = full.stage(ResumePoint::default(), plan, &|| false).unwrap();
        assert!(staged.write(0, b"x").unwrap_err().is_no_space());
    }
}
