//! The page cache: what is in it, and how to bypass it.

use super::files::is_disk;
use crate::sys::unix::dir::BY_NAME;
use rustix::fd::OwnedFd;
use rustix::fs::{Advice, FsWord, Mode, OFlags};
use rustix::io::{Errno, ReadWriteFlags, retry_on_intr};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::num::NonZeroU64;
use std::ops::Range;

/// `TMPFS_MAGIC` of linux/magic.h.
const TMPFS: FsWord = 0x0102_1994;

/// Returns the free space in bytes if the file is on a file system that is memory. A disk is not, although its node is.
pub fn free_memory(file: &File) -> Option<u64> {
    let system = rustix::fs::fstatfs(file).ok().filter(|system| system.f_type == TMPFS && !is_disk(file))?;
    let size = u64::try_from(system.f_bsize).unwrap_or(0);
    // A tmpfs that reports no blocks has no limit.
    Some(if system.f_blocks == 0 { u64::MAX } else { system.f_bavail.saturating_mul(size) })
}

/// Checks whether the byte at this offset can be read without waiting for a device. A file system that cannot tell
/// counts as one that need not wait.
pub fn is_cached(file: &File, offset: u64) -> bool {
    let mut byte = [0];
    let read = rustix::io::preadv2(file, &mut [IoSliceMut::new(&mut byte)], offset, ReadWriteFlags::NOWAIT);
    !matches!(read, Err(Errno::AGAIN))
}

/// Makes reads and writes bypass the cache from now on, or use it again.
///
/// While they bypass it, addresses, offsets and lengths must be multiples of what the disk requires; otherwise a call
/// fails with [`io::ErrorKind::InvalidInput`].
pub fn set_direct(file: &File, direct: bool) -> io::Result<()> {
    // A tmpfs accepts the flag but has nothing except the cache.
    if direct && free_memory(file).is_some() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let mut flags = rustix::fs::fcntl_getfl(file)?;
    flags.set(OFlags::DIRECT, direct);
    Ok(rustix::fs::fcntl_setfl(file, flags)?)
}

/// [`drop_cached`] does something.
pub const CAN_DROP_CACHED: bool = true;

/// Starts to write changed bytes of this range to the disk, and drops those from the cache that are on the disk already.
///
/// After a write only the first effect shows: hardly any of the new bytes are on the disk yet.
pub fn drop_cached(file: &File, bytes: Range<u64>) {
    // The system would take an empty range for everything up to the end of the file.
    let Some(length) = NonZeroU64::new(bytes.end.saturating_sub(bytes.start)) else { return };
    // Linux calls this advice, but it starts to write without waiting (mm/fadvise.c). If it does nothing, the copy is
    // still right.
    let _ = rustix::fs::fadvise(file, bytes.start, Some(length), Advice::DontNeed);
}

/// Opens a file so that reads come from the medium and not from the page cache.
///
/// The second value says whether the file system does that. If it does not, the cache was asked to drop the file.
pub fn open_direct(directory: &OwnedFd, name: &OsStr) -> io::Result<(File, bool)> {
    match retry_on_intr(|| rustix::fs::openat(directory, name, BY_NAME | OFlags::DIRECT, Mode::empty())) {
        // A tmpfs accepts the flag but has nothing except the cache.
        Ok(file) if rustix::fs::fstatfs(&file)?.f_type != TMPFS => return Ok((file.into(), true)),
        Ok(_) | Err(Errno::INVAL) => {}
        Err(error) => return Err(error.into()),
    }
    let file = retry_on_intr(|| rustix::fs::openat(directory, name, BY_NAME, Mode::empty()))?;
    let _ = rustix::fs::fadvise(&file, 0, None, Advice::DontNeed);
    Ok((file.into(), false))
}
