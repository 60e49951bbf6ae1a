//! What Linux has of its own about files.

pub use super::attributes::{attributes, remove_attribute, set_attribute};

mod sandbox;

pub use sandbox::confine;

use rustix::fd::OwnedFd;
use rustix::fs::{Advice, Mode, OFlags, RenameFlags};
use rustix::io::{Errno, retry_on_intr};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::ops::Range;

/// Opens a file only to look at it, which needs no right to read it.
pub const LOOK: OFlags = OFlags::PATH;
/// `TMPFS_MAGIC` of linux/magic.h.
const TMPFS: rustix::fs::FsWord = 0x0102_1994;
/// Those of linux/magic.h whose files are made when they are read: proc, sysfs, cgroup, cgroup2, debugfs, tracefs,
/// securityfs.
const MADE_WHEN_READ: [rustix::fs::FsWord; 7] =
    [0x9fa0, 0x6265_6572, 0x0027_e0eb, 0x6367_7270, 0x6462_6720, 0x7472_6163, 0x7363_6673];

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

/// What is free, in bytes, of a file system that is memory.
pub fn free_memory(file: &File) -> Option<u64> {
    let system = rustix::fs::fstatfs(file).ok().filter(|system| system.f_type == TMPFS)?;
    let size = u64::try_from(system.f_bsize).unwrap_or(0);
    // Without blocks it has no limit.
    Some(if system.f_blocks == 0 { u64::MAX } else { system.f_bavail.saturating_mul(size) })
}

/// Whether the byte at this place of a file can be had without waiting for a device.
pub fn is_in_memory(file: &File, place: u64) -> bool {
    let mut byte = [0];
    let flags = rustix::io::ReadWriteFlags::NOWAIT;
    let read = rustix::io::preadv2(file, &mut [io::IoSliceMut::new(&mut byte)], place, flags);
    // A file system that cannot tell says that it cannot.
    !matches!(read, Err(Errno::AGAIN))
}

/// Has reads and writes go past the cache from now on, or through it again. Then addresses, places and lengths must be
/// multiples of what the disk wants, or they fail ([`io::ErrorKind::InvalidInput`]).
pub fn set_direct(file: &File, direct: bool) -> io::Result<()> {
    // It says yes, and has nothing besides the cache.
    if direct && free_memory(file).is_some() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let mut flags = rustix::fs::fcntl_getfl(file)?;
    flags.set(OFlags::DIRECT, direct);
    Ok(rustix::fs::fcntl_setfl(file, flags)?)
}

/// [`let_go`] does something.
pub const LETS_GO: bool = true;

/// Begins to bring what is new in these bytes of a file to the disk, and lets what is there already go from the cache.
/// Whoever has just written them gets the first of it: hardly any is there already.
pub fn let_go(file: &File, bytes: Range<u64>) {
    if bytes.is_empty() {
        // It would mean everything up to the end.
        return;
    }
    // Linux calls it advice; it writes without waiting (mm/fadvise.c). Nothing to be done is no failure.
    let length = NonZeroU64::new(bytes.end - bytes.start);
    let _ = rustix::fs::fadvise(file, bytes.start, length, Advice::DontNeed);
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

/// What a pipe takes when it takes anything: `PIPE_BUF` of limits.h.
pub const PIPE_ROOM: usize = 4096;

/// Whether the file system says lengths that mean nothing.
pub fn lengths_are_made_up(file: &File) -> bool {
    rustix::fs::fstatfs(file).is_ok_and(|about| MADE_WHEN_READ.contains(&about.f_type))
}

/// Brings a directory to the disk.
pub fn flush(directory: &OwnedFd) -> rustix::io::Result<()> {
    rustix::fs::fsync(directory)
}

/// Renames; an error if the new name is taken.
pub fn rename_to_a_free_name(directory: &OwnedFd, from: &OsStr, to: &OsStr) -> rustix::io::Result<()> {
    rustix::fs::renameat_with(directory, from, directory, to, RenameFlags::NOREPLACE)
}

/// There are extended attributes here.
pub const HAS_ATTRIBUTES: bool = true;
/// And access lists among them.
pub const HAS_ACCESS_LISTS: bool = true;
