//! What Linux has of its own.

mod cache;
mod files;
mod lock;
mod prepared;
mod sandbox;
mod syscalls;

pub use cache::{CAN_DROP_CACHED, drop_cached, free_memory, is_cached, open_direct, set_direct};
pub use files::{FILE_CLOCK, file_system_kind, fresh_stat};
pub use lock::{has_writer, mark_written, unmark_written};
pub use prepared::{name_prepared, prepare_file};
pub use sandbox::confine;

use crate::sys::contract::Protection;
use rustix::fd::OwnedFd;
use rustix::fs::{Advice, AtFlags, CWD, FsWord, OFlags, RenameFlags, StatxAttributes, StatxFlags};
use rustix::thread::CapabilitySet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// How to open a file or a directory only to look it up, which needs no right to read it.
pub const LOOKUP: OFlags = OFlags::PATH;

/// How to open a directory on the way to a file.
pub const WALK: OFlags = OFlags::PATH;

/// `PIPE_BUF` of limits.h: a pipe that is ready for writing takes at least this many bytes.
pub const PIPE_BUF: usize = 4096;

/// Some extended attributes are access lists.
pub const HAS_ACCESS_LISTS: bool = true;

/// Returns whether the file system may compress this file: Btrfs and Bcachefs, whose options decide, and every file with
/// that attribute.
pub fn may_compress(file: &File) -> bool {
    const COMPRESSING: [FsWord; 2] = [0x9123_683e, 0xca45_1a4e];
    let has_attribute = || {
        let stat = rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::empty());
        stat.is_ok_and(|stat| stat.stx_attributes.contains(StatxAttributes::COMPRESSED))
    };
    rustix::fs::fstatfs(file).is_ok_and(|about| COMPRESSING.contains(&about.f_type)) || has_attribute()
}

/// Returns whether links in this directory may lead elsewhere than their text says, as in `/proc/self/fd`. Only the
/// kernel can follow such links.
pub fn has_magic_links(directory: &OwnedFd) -> bool {
    rustix::fs::fstatfs(directory).is_ok_and(|about| about.f_type == files::PSEUDO[0])
}

/// Returns what protects this name in the directory, or, for an empty name, the directory itself. Neither a file system
/// that does not keep such attributes nor a kernel before 5.8 tells everything.
pub fn protection(directory: &OwnedFd, name: &OsStr) -> Protection {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH;
    rustix::fs::statx(directory, name, flags, StatxFlags::empty()).map_or(Protection::default(), |stat| {
        let has = |attribute| stat.stx_attributes.intersects(attribute);
        Protection {
            is_fixed: has(StatxAttributes::IMMUTABLE | StatxAttributes::APPEND),
            is_mount_point: has(StatxAttributes::MOUNT_ROOT),
        }
    })
}

/// Returns whether this process may do with any file what only its owner may do.
pub fn overrides_owners() -> bool {
    rustix::thread::capabilities(None).is_ok_and(|it| it.effective.contains(CapabilitySet::FOWNER))
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

/// Advises the system that the file is read once from its start. Without that the copy is slower, not wrong.
pub fn advise_sequential(file: &File) {
    let _ = rustix::fs::fadvise(file, 0, None, Advice::Sequential);
}

/// Syncs a directory to the medium.
pub fn sync_directory(directory: &OwnedFd) -> rustix::io::Result<()> {
    rustix::fs::fsync(directory)
}

/// Syncs everything on the file system of this file.
pub fn sync_all_of(file: &File) -> rustix::io::Result<()> {
    rustix::fs::syncfs(file)
}

/// Returns the path that leads to this directory now; `None` if `/proc` is not mounted.
pub fn path_of(directory: &OwnedFd) -> Option<PathBuf> {
    let link = format!("/proc/self/fd/{}", directory.as_raw_fd());
    let path = rustix::fs::readlinkat(CWD, link, Vec::new()).ok()?;
    Some(OsString::from_vec(path.into_bytes()).into())
}

/// Renames a file; fails if the new name is taken.
pub fn rename_no_replace(directory: &OwnedFd, from: &OsStr, to: &OsStr) -> rustix::io::Result<()> {
    rustix::fs::renameat_with(directory, from, directory, to, RenameFlags::NOREPLACE)
}
