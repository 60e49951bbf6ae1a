//! What FreeBSD has of its own.

pub use super::bsd::*;
pub use crate::sys::unsupported::path_of;

use crate::sys::unix::dir::BY_NAME;
use rustix::fd::OwnedFd;
use rustix::fs::{Advice, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use std::ffi::OsStr;
use std::fs::File;
use std::io;

/// How to open a directory on the way to a file, which needs no right to read it: `O_EXEC` of fcntl.h, which rustix does
/// not have. With `O_DIRECTORY` it is `O_SEARCH`.
pub const WALK: OFlags = OFlags::from_bits_retain(0x0004_0000);

/// Converts a device number as the standard library does.
pub fn device(number: rustix::fs::Dev) -> u64 {
    number
}

/// Advises the system that the file is read once from its start. Without that the copy is slower, not wrong.
pub fn advise_sequential(file: &File) {
    let _ = rustix::fs::fadvise(file, 0, None, Advice::Sequential);
}

/// Opens a file so that reads bypass the cache, if the file system can do that. It does not tell whether it can.
pub fn open_direct(directory: &OwnedFd, name: &OsStr) -> io::Result<(File, bool)> {
    let open = || rustix::fs::openat(directory, name, BY_NAME | OFlags::DIRECT, Mode::empty());
    Ok((retry_on_intr(open)?.into(), false))
}

/// Makes reads and writes bypass the cache from now on, or use it again.
///
/// While they bypass it, addresses, offsets and lengths must be multiples of what the disk requires; otherwise a call
/// fails with [`io::ErrorKind::InvalidInput`].
pub fn set_direct(file: &File, direct: bool) -> io::Result<()> {
    let mut flags = rustix::fs::fcntl_getfl(file)?;
    flags.set(OFlags::DIRECT, direct);
    Ok(rustix::fs::fcntl_setfl(file, flags)?)
}

/// Syncs a directory to the medium.
pub fn sync_directory(directory: &OwnedFd) -> rustix::io::Result<()> {
    rustix::fs::fsync(directory)
}

/// Fails: there is no such call, and the caller links and unlinks instead.
pub fn rename_no_replace(_directory: &OwnedFd, _from: &OsStr, _to: &OsStr) -> rustix::io::Result<()> {
    Err(Errno::NOSYS)
}
