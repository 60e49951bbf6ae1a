//! What FreeBSD has of its own.

pub use crate::sys::unix::file::fstat as fresh_stat;
pub use crate::sys::unsupported::{
    CAN_DROP_CACHED, HAS_ACCESS_LISTS, confine, drop_cached, file_system_kind, free_memory, has_magic_links,
    is_anonymous_device, is_cached, may_compress, name_prepared, path_of, prepare_file, protection,
};

use nix::time::ClockId;
use rustix::fd::OwnedFd;
use rustix::fs::{Advice, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use std::ffi::OsStr;
use std::fs::File;
use std::io;

/// How to open a file or a directory only to look it up. This user must be allowed to read it.
pub const LOOKUP: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK);

/// How to open a directory on the way to a file, which needs no right to read it: `O_EXEC` of fcntl.h, which rustix does
/// not have. With `O_DIRECTORY` it is `O_SEARCH`.
pub const WALK: OFlags = OFlags::from_bits_retain(0x0004_0000);

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
    number
}

/// Converts a mode to a number.
pub fn mode_bits(mode: Mode) -> u32 {
    mode.bits().into()
}

/// Returns `None`: the umask can only be read by setting it.
pub fn read_umask() -> Option<u32> {
    None
}

/// Advises the system that the file is read once from its start. Without that the copy is slower, not wrong.
pub fn advise_sequential(file: &File) {
    let _ = rustix::fs::fadvise(file, 0, None, Advice::Sequential);
}

/// Opens a file so that reads bypass the cache, if the file system can do that. It does not tell whether it can.
pub fn open_direct(directory: &OwnedFd, name: &OsStr) -> io::Result<(File, bool)> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::DIRECT;
    Ok((retry_on_intr(|| rustix::fs::openat(directory, name, flags, Mode::empty()))?.into(), false))
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

/// Succeeds: no directory is open for lookups only, and a file system that cannot sync names does without it.
#[expect(clippy::unnecessary_wraps, reason = "the signature is that of Linux")]
pub fn sync_all_of(_file: &File) -> rustix::io::Result<()> {
    Ok(())
}

/// Fails: there is no such call, and the caller links and unlinks instead.
pub fn rename_no_replace(_directory: &OwnedFd, _from: &OsStr, _to: &OsStr) -> rustix::io::Result<()> {
    Err(Errno::NOSYS)
}
