//! What macOS has of its own about files.

pub use super::attributes::{attributes, remove_attribute, set_attribute};

use crate::sys::Freedom;
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, RenameFlags};
use rustix::io::retry_on_intr;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::ops::Range;

/// Opens a file only to look at it. It must be one that this user may read.
pub const LOOK: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK);

/// As the standard library does it.
pub fn device(number: rustix::fs::Dev) -> u64 {
    i64::from(number).cast_unsigned()
}

pub fn bits(mode: Mode) -> u32 {
    mode.bits().into()
}

/// The system finds out by itself that a file is read from its start.
pub fn read_ahead(_file: &File) {}

/// Opens a file so that reads are not kept in the cache. What is there already may be used all the same.
pub fn open_past_the_cache(directory: &OwnedFd, name: &OsStr) -> io::Result<(File, bool)> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = retry_on_intr(|| rustix::fs::openat(directory, name, flags, Mode::empty()))?;
    let _ = rustix::fs::fcntl_nocache(&file, true);
    Ok((file.into(), false))
}

/// Has reads and writes not be kept in the cache from now on, or kept again. What is in it already may be used all the
/// same.
pub fn set_direct(file: &File, direct: bool) -> io::Result<()> {
    Ok(rustix::fs::fcntl_nocache(file, direct)?)
}

/// What is free, in bytes, of a file system that is memory: nobody tells which one is.
pub fn free_memory(_file: &File) -> Option<u64> {
    None
}

/// Whether the byte at this place of a file can be had without waiting for a device: nobody tells.
pub fn is_in_memory(_file: &File, _place: u64) -> bool {
    true
}

/// There is no such call.
pub const LETS_GO: bool = false;

/// Does nothing.
pub fn let_go(_file: &File, _bytes: Range<u64>) {}

/// What a pipe takes when it takes anything: `PIPE_BUF` of limits.h.
pub const PIPE_ROOM: usize = 512;

/// Whether the file system says lengths that mean nothing. Those that do are seldom mounted here.
pub fn lengths_are_made_up(_file: &File) -> bool {
    false
}

/// Brings a directory to the disk: `fsync` alone would bring it to the disk's cache.
pub fn flush(directory: &OwnedFd) -> rustix::io::Result<()> {
    rustix::fs::fcntl_fullfsync(directory).or_else(|_| rustix::fs::fsync(directory))
}

/// Renames; an error if the new name is taken.
pub fn rename_to_a_free_name(directory: &OwnedFd, from: &OsStr, to: &OsStr) -> rustix::io::Result<()> {
    rustix::fs::renameat_with(directory, from, directory, to, RenameFlags::NOREPLACE)
}

/// There is nothing here that fits.
pub fn confine(_freedom: &Freedom) -> Vec<String> {
    Vec::new()
}

/// There are extended attributes here.
pub const HAS_ATTRIBUTES: bool = true;
/// And access lists among them.
pub const HAS_ACCESS_LISTS: bool = false;
