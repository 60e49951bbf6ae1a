//! What macOS has of its own.

pub use super::bsd::*;

use crate::sys::unix::dir::BY_NAME;
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, RenameFlags};
use rustix::io::retry_on_intr;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// How to open a directory on the way to a file, which needs no right to read it: `O_EXEC` of fcntl.h, which rustix does
/// not have. With `O_DIRECTORY` it is `O_SEARCH`.
pub const WALK: OFlags = OFlags::from_bits_retain(0x4000_0000);

/// Converts a device number as the standard library does.
pub fn device(number: rustix::fs::Dev) -> u64 {
    i64::from(number).cast_unsigned()
}

/// Does nothing: the system detects sequential reads by itself.
pub fn advise_sequential(_file: &File) {}

/// Opens a file so that what is read from it does not stay in the cache. What is in the cache already may be used.
pub fn open_direct(directory: &OwnedFd, name: &OsStr) -> io::Result<(File, bool)> {
    let file = retry_on_intr(|| rustix::fs::openat(directory, name, BY_NAME, Mode::empty()))?;
    let _ = rustix::fs::fcntl_nocache(&file, true);
    Ok((file.into(), false))
}

/// Stops, or resumes, keeping what is read and written in the cache. What is in the cache already may be used.
pub fn set_direct(file: &File, direct: bool) -> io::Result<()> {
    Ok(rustix::fs::fcntl_nocache(file, direct)?)
}

/// Syncs a directory to the medium. `fsync` alone would stop at the disk's own cache.
pub fn sync_directory(directory: &OwnedFd) -> rustix::io::Result<()> {
    rustix::fs::fcntl_fullfsync(directory).or_else(|_| rustix::fs::fsync(directory))
}

/// Returns the path that leads to this directory now.
pub fn path_of(directory: &OwnedFd) -> Option<PathBuf> {
    let path = rustix::fs::getpath(directory).ok()?;
    Some(OsString::from_vec(path.into_bytes()).into())
}

/// Renames a file; fails if the new name is taken.
pub fn rename_no_replace(directory: &OwnedFd, from: &OsStr, to: &OsStr) -> rustix::io::Result<()> {
    rustix::fs::renameat_with(directory, from, directory, to, RenameFlags::NOREPLACE)
}
