//! What Linux has of its own about files.

use rustix::fd::OwnedFd;
use rustix::fs::{Advice, FallocateFlags, Mode, OFlags, RenameFlags};
use rustix::io::{Errno, retry_on_intr};
use std::ffi::OsStr;
use std::fs::File;
use std::io;

/// Opens a file only to look at it, which needs no right to read it.
pub const LOOK: OFlags = OFlags::PATH;
/// `TMPFS_MAGIC` of linux/magic.h.
const TMPFS: rustix::fs::FsWord = 0x0102_1994;

pub fn device(number: rustix::fs::Dev) -> u64 {
    number
}

pub fn bits(mode: Mode) -> u32 {
    mode.bits()
}

/// Advice that a file is read once from its start.
pub fn read_ahead(file: &File) {
    let _ = rustix::fs::fadvise(file, 0, None, Advice::Sequential);
}

/// Reserves space. In memory that would be to write zeros, which takes as long as the copy; there it is only looked
/// whether there is enough.
pub fn reserve(file: &File, length: u64) -> rustix::io::Result<()> {
    let system = rustix::fs::fstatfs(file)?;
    if system.f_type != TMPFS {
        return rustix::fs::fallocate(file, FallocateFlags::empty(), 0, length);
    }
    let taken = rustix::fs::fstat(file)?.st_blocks.cast_unsigned() * 512;
    let free = system.f_bavail * system.f_bsize.cast_unsigned();
    // One without a limit says that it has no blocks.
    if system.f_blocks > 0 && free + taken < length { Err(Errno::NOSPC) } else { Ok(()) }
}

/// Opens a file so that reads come from the medium and not from the page cache. The second value says whether
/// the file system does that; where it does not, the cache was at least asked to forget the file.
pub fn open_past_the_cache(directory: &OwnedFd, name: &OsStr) -> io::Result<(File, bool)> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    match retry_on_intr(|| rustix::fs::openat(directory, name, flags | OFlags::DIRECT, Mode::empty())) {
        // A tmpfs opens it too, but has nothing besides the cache.
        Ok(file) if rustix::fs::fstatfs(&file)?.f_type != TMPFS => return Ok((file.into(), true)),
        Ok(_) | Err(Errno::INVAL) => {}
        Err(error) => return Err(error.into()),
    }
    let file = retry_on_intr(|| rustix::fs::openat(directory, name, flags, Mode::empty()))?;
    let _ = rustix::fs::fadvise(&file, 0, None, Advice::DontNeed);
    Ok((file.into(), false))
}

/// Brings a directory to the disk.
pub fn flush(directory: &OwnedFd) -> rustix::io::Result<()> {
    rustix::fs::fsync(directory)
}

/// Renames; an error if the new name is taken.
pub fn rename_to_a_free_name(directory: &OwnedFd, from: &OsStr, to: &OsStr) -> rustix::io::Result<()> {
    rustix::fs::renameat_with(directory, from, directory, to, RenameFlags::NOREPLACE)
}
