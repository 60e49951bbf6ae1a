//! What FreeBSD has of its own about files.

pub use crate::sys::unsupported::*;

use crate::sys::Freedom;
use rustix::fd::OwnedFd;
use rustix::fs::{Advice, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::ops::Range;

/// Opens a file only to look at it. It must be one that this user may read.
pub const LOOK: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK);

pub fn device(number: rustix::fs::Dev) -> u64 {
    number
}

pub fn bits(mode: Mode) -> u32 {
    mode.bits().into()
}

/// Advice that a file is read once from its start.
pub fn read_ahead(file: &File) {
    let _ = rustix::fs::fadvise(file, 0, None, Advice::Sequential);
}

/// Opens a file so that reads come from the medium and not from the cache, as far as the file system does that,
/// which it does not tell.
pub fn open_past_the_cache(directory: &OwnedFd, name: &OsStr) -> io::Result<(File, bool)> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::DIRECT;
    Ok((retry_on_intr(|| rustix::fs::openat(directory, name, flags, Mode::empty()))?.into(), false))
}

/// Has reads and writes go past the cache from now on, or through it again. Then addresses, places and lengths must be
/// multiples of what the disk wants, or they fail ([`io::ErrorKind::InvalidInput`]).
pub fn set_direct(file: &File, direct: bool) -> io::Result<()> {
    let mut flags = rustix::fs::fcntl_getfl(file)?;
    flags.set(OFlags::DIRECT, direct);
    Ok(rustix::fs::fcntl_setfl(file, flags)?)
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

/// Brings a directory to the disk.
pub fn flush(directory: &OwnedFd) -> rustix::io::Result<()> {
    rustix::fs::fsync(directory)
}

/// There is no such call.
pub fn rename_to_a_free_name(_directory: &OwnedFd, _from: &OsStr, _to: &OsStr) -> rustix::io::Result<()> {
    Err(Errno::NOSYS)
}

/// There is nothing here that fits.
pub fn confine(_freedom: &Freedom) -> Vec<String> {
    Vec::new()
}
