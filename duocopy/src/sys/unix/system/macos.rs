//! What macOS has of its own.

pub use crate::sys::unix::file::fstat as fresh_stat;
pub use crate::sys::unsupported::{
    CAN_DROP_CACHED, HAS_ACCESS_LISTS, confine, drop_cached, file_system_kind, free_memory, has_magic_links,
    is_anonymous_device, is_cached, may_compress, name_prepared, prepare_file, protection,
};

use nix::time::ClockId;
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, RenameFlags};
use rustix::io::retry_on_intr;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// How to open a file or a directory only to look it up. This user must be allowed to read it.
pub const LOOKUP: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK);

/// How to open a directory on the way to a file, which needs no right to read it: `O_EXEC` of fcntl.h, which rustix does
/// not have. With `O_DIRECTORY` it is `O_SEARCH`.
pub const WALK: OFlags = OFlags::from_bits_retain(0x4000_0000);

/// The clock from which files get their times.
pub const FILE_CLOCK: ClockId = ClockId::CLOCK_REALTIME;

/// `PIPE_BUF` of limits.h: a pipe that is ready for writing takes at least this many bytes.
pub const PIPE_BUF: usize = 512;

/// Returns whether this process may do with any file what only its owner may do.
pub fn overrides_owners() -> bool {
    rustix::process::geteuid().is_root()
}

/// Converts a device number as the standard library does.
pub fn device(number: rustix::fs::Dev) -> u64 {
    i64::from(number).cast_unsigned()
}

/// Converts a mode to a number.
pub fn mode_bits(mode: Mode) -> u32 {
    mode.bits().into()
}

/// Returns `None`: the umask can only be read by setting it.
pub fn read_umask() -> Option<u32> {
    None
}

/// Does nothing: the system detects sequential reads by itself.
pub fn advise_sequential(_file: &File) {}

/// Opens a file so that what is read from it does not stay in the cache. What is in the cache already may be used.
pub fn open_direct(directory: &OwnedFd, name: &OsStr) -> io::Result<(File, bool)> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = retry_on_intr(|| rustix::fs::openat(directory, name, flags, Mode::empty()))?;
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

/// Succeeds: no directory is open for lookups only, and a file system that cannot sync names does without it.
#[expect(clippy::unnecessary_wraps, reason = "the signature is that of Linux")]
pub fn sync_all_of(_file: &File) -> rustix::io::Result<()> {
    Ok(())
}

/// Renames a file; fails if the new name is taken.
pub fn rename_no_replace(directory: &OwnedFd, from: &OsStr, to: &OsStr) -> rustix::io::Result<()> {
    rustix::fs::renameat_with(directory, from, directory, to, RenameFlags::NOREPLACE)
}
