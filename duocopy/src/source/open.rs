//! Opens a source, as a file, as a stream or as a symbolic link.

use super::attributes_only::AttributesOnly;
use super::contract::Source;
use super::file::FileSource;
use super::link::LinkSource;
use super::stream::StreamSource;
use crate::api::{Error, ErrorKind, Operation, Request, SourceLinks, Stop, is_standard};
use crate::digest::Kind;
use crate::record::SourceRecord;
use crate::sys::{self, Directory, FileKind, FileSystemKind};
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// The longest wait for a source on which another program has a lease. The kernel breaks a lease after 45 s
/// (`fs.lease-break-time`). A file system may return the same error for another reason, and never stop.
const LEASE_LIMIT: Duration = Duration::from_secs(60);

/// The options that concern the source.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    digest: Kind,
    /// True if the source may be something other than a regular file.
    streams: bool,
    /// True to copy a symbolic link itself.
    links: bool,
    only_attributes: bool,
}

impl Reading {
    pub fn of(request: &Request) -> Self {
        Self {
            digest: Kind::of(request),
            streams: request.reads_streams(),
            links: request.source_links == SourceLinks::Copy,
            only_attributes: request.only_attributes,
        }
    }
}

/// Opens a source.
pub fn open(path: &Path, reading: Reading, stop: &Stop) -> Result<Box<dyn Source>, Error> {
    let Reading { digest, streams, links, only_attributes } = reading;
    if links && let Some(link) = LinkSource::open(path, digest).map_err(|error| not_opened(path, error))? {
        return Ok(Box::new(link));
    }
    let source = open_content(path, digest, streams, stop)?;
    Ok(if only_attributes { Box::new(AttributesOnly::new(source)) } else { source })
}

/// Opens a source whose content is copied. Without `streams`, it must be a regular file.
fn open_content(path: &Path, digest: Kind, streams: bool, stop: &Stop) -> Result<Box<dyn Source>, Error> {
    let opening = |error: io::Error| not_opened(path, error);
    let standard = is_standard(path);
    let file = if standard { sys::standard_input() } else { open_leased(path, stop) }.map_err(opening)?;
    let kind = sys::file_kind(&file).map_err(opening)?;
    if kind == FileKind::Directory {
        return Err(Error::at(ErrorKind::SourceIsDirectory, path));
    }
    let is_stream = standard || kind != FileKind::Regular;
    if is_stream && !streams {
        return Err(Error::at(ErrorKind::SourceNotRegular, path));
    }
    let system = if is_stream { FileSystemKind::Local } else { sys::file_system_kind(&file) };
    let file = if is_stream || system == FileSystemKind::Pseudo {
        file
    } else {
        let source = FileSource::new(file, path, system, digest).map_err(opening)?;
        if !source.is_made_up() {
            return Ok(Box::new(source));
        }
        source.into_file()
    };
    // A copy must not be readable for users who may not read the source.
    let mode =
        if standard { None } else { sys::fstat(&file).ok().map(|stat| sys::plain_mode(&file, stat.mode).0) };
    let record = SourceRecord { digest, ..SourceRecord::STREAM };
    let record = match mode {
        Some(mode) => SourceRecord { stat: sys::Stat { mode, ..record.stat }, ..record },
        None => record,
    };
    Ok(Box::new(StreamSource::new(file, path, record, kind)))
}

/// Opens a source. If another program has a lease on it, waits until that program gives it back, or the kernel takes it
/// away.
#[expect(clippy::disallowed_methods, reason = "nothing wakes this process when a lease ends")]
fn open_leased(path: &Path, stop: &Stop) -> io::Result<File> {
    let begun = Instant::now();
    loop {
        match sys::open_source(path) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && begun.elapsed() < LEASE_LIMIT => {}
            opened => return opened,
        }
        if stop.is_requested() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Checks that a pipe or a device can be found, without opening it, or that standard input is open.
pub fn look_up(path: &Path) -> Result<(), Error> {
    let found = match path.parent() {
        _ if is_standard(path) => sys::standard_input().map(drop),
        Some(parent) => Directory::open_path(parent).map(drop),
        None => Ok(()),
    };
    found.map_err(|error| not_opened(path, error))
}

fn not_opened(path: &Path, error: io::Error) -> Error {
    match sys::foreign_link(&error) {
        Some(link) => Error::at(ErrorKind::ForeignLink { found: link.into() }, path),
        None => Error::source(path, Operation::Open, error),
    }
}

/// Returns whether another program would notice that the source is opened: it is a standard stream, a pipe or a device.
pub fn is_stream(path: &Path) -> bool {
    let passes = |kind| matches!(kind, FileKind::Pipe | FileKind::Device);
    is_standard(path) || sys::file_kind_at(path).is_ok_and(passes)
}

/// Checks that a Reader can continue the copy of another one, which requires the same version of the source.
pub fn check_continues(path: &Path, source: &SourceRecord, before: &SourceRecord) -> Result<(), Error> {
    match source.same_version(before) {
        true => Ok(()),
        false if source.is_stream => Err(Error::at(ErrorKind::SourceNotRepeatable, path)),
        false => Err(Error::at(ErrorKind::SourceDiffers, path)),
    }
}
