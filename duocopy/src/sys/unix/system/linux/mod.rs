//! What Linux has of its own.

mod cache;
mod files;
mod prepared;
mod sandbox;
mod syscalls;

pub use cache::{CAN_DROP_CACHED, drop_cached, free_memory, is_cached, open_direct, set_direct};
pub use files::{FILE_CLOCK, file_system_kind, fresh_stat};
pub use prepared::{name_prepared, prepare_file};
pub use sandbox::confine;

use rustix::fd::OwnedFd;
use rustix::fs::{Advice, Mode, OFlags, RenameFlags};
use std::ffi::OsStr;
use std::fs::File;

/// How to open a file or a directory only to look it up, which needs no right to read it.
pub const LOOKUP: OFlags = OFlags::PATH;

/// How to open a directory on the way to a file.
pub const WALK: OFlags = OFlags::PATH;

/// `PIPE_BUF` of limits.h: a pipe that is ready for writing takes at least this many bytes.
pub const PIPE_BUF: usize = 4096;

/// Some extended attributes are access lists.
pub const HAS_ACCESS_LISTS: bool = true;

/// Returns whether links in this directory may lead elsewhere than their text says, as in `/proc/self/fd`. Only the
/// kernel can follow such links.
pub fn has_magic_links(directory: &OwnedFd) -> bool {
    rustix::fs::fstatfs(directory).is_ok_and(|about| about.f_type == files::PSEUDO[0])
}

/// Converts a device number as the standard library does.
pub fn device(number: rustix::fs::Dev) -> u64 {
    number
}

/// Returns whether the number belongs to a file system that is not on one block device (Btrfs, overlay, network). The
/// kernel assigns such a number at each mount.
pub fn is_anonymous_device(device: u64) -> bool {
    rustix::fs::major(device) == 0
}

/// Converts a mode to a number.
pub fn mode_bits(mode: Mode) -> u32 {
    mode.bits()
}

/// Reads the umask from `/proc`; `None` if that is not mounted.
pub fn read_umask() -> Option<u32> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let mask = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
    u32::from_str_radix(mask.trim(), 8).ok()
}

/// Advises the system that the file is read once from its start. Without that the copy is slower, not wrong.
pub fn advise_sequential(file: &File) {
    let _ = rustix::fs::fadvise(file, 0, None, Advice::Sequential);
}

/// Syncs a directory to the medium.
pub fn sync_directory(directory: &OwnedFd) -> rustix::io::Result<()> {
    rustix::fs::fsync(directory)
}

/// Renames a file; fails if the new name is taken.
pub fn rename_no_replace(directory: &OwnedFd, from: &OsStr, to: &OsStr) -> rustix::io::Result<()> {
    rustix::fs::renameat_with(directory, from, directory, to, RenameFlags::NOREPLACE)
}
