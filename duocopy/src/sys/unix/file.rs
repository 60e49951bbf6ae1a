//! Open files: what they are, their content, and their mode, owner and times.

use super::walk::UNKNOWN_USER;
use super::{system, walk};
use crate::sys::contract::{FileId, FileKind, Stat, Time};
use rustix::fs::{FallocateFlags, OFlags, SeekFrom, Timestamps, seek};
use rustix::io::{Errno, retry_on_intr};
use std::fs::{File, Metadata, Permissions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, PermissionsExt, fchown};
use std::path::Path;
use std::time::UNIX_EPOCH;

/// The mode bits that give nobody the rights of a file's owner or group: all but set-user-ID and set-group-ID.
pub const MODE_WITHOUT_SETID: u32 = 0o1777;

/// Returns the metadata of an open file.
pub fn fstat(file: &File) -> io::Result<Stat> {
    Ok((&file.metadata()?).into())
}

/// Returns the metadata of the file that a path leads to. Links are followed.
pub fn stat(path: &Path) -> io::Result<Stat> {
    Ok((&std::fs::metadata(path)?).into())
}

impl From<&Metadata> for Stat {
    fn from(metadata: &Metadata) -> Self {
        let birth_time = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Self {
            file: FileId { device: metadata.dev(), inode: metadata.ino() },
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            accessed: (metadata.atime(), metadata.atime_nsec()),
            mode: metadata.mode() & 0o7777,
            owner: (metadata.uid(), metadata.gid()),
            birth_time: birth_time.map_or(0, |time| time.as_nanos() as u64),
            has_holes: metadata.blocks() * 512 < metadata.len(),
        }
    }
}

/// Returns the kind of an open file.
pub fn file_kind(file: &File) -> io::Result<FileKind> {
    Ok(kind_in(&file.metadata()?))
}

/// Returns the kind of the file at a path. A link counts as a regular file.
pub fn file_kind_at(path: &Path) -> io::Result<FileKind> {
    Ok(kind_in(&std::fs::symlink_metadata(path)?))
}

fn kind_in(metadata: &Metadata) -> FileKind {
    match metadata.file_type() {
        kind if kind.is_dir() => FileKind::Directory,
        kind if kind.is_fifo() || kind.is_socket() => FileKind::Pipe,
        kind if kind.is_char_device() => FileKind::Device,
        kind if kind.is_block_device() => FileKind::Disk,
        _ => FileKind::Regular,
    }
}

/// Opens a file or a stream for reading it once from the start. Opening a FIFO that has no writer does not block. A link
/// that must not be followed is an error, which [`foreign_link`](crate::sys::foreign_link) recognises.
pub fn open_source(path: &Path) -> io::Result<File> {
    let file = walk::open_file(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
    system::advise_sequential(&file);
    Ok(file)
}

/// Fills the buffer from this offset on; fails if the file ends before that.
pub fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    file.read_exact_at(buffer, offset)
}

/// Writes all bytes at this offset.
pub fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.write_all_at(bytes, offset)
}

/// Returns the first range at or after this offset that is not a hole; `None` if only holes follow.
///
/// There are no holes where the file system does not report them, or where a filter of system calls forbids the call.
/// The call moves the file's own offset.
pub fn next_data(file: &File, offset: u64) -> io::Result<Option<Range<u64>>> {
    let range =
        seek(file, SeekFrom::Data(offset)).and_then(|start| Ok(start..seek(file, SeekFrom::Hole(start))?));
    match range {
        Ok(range) => Ok(Some(range)),
        Err(Errno::NXIO) => Ok(None),
        Err(Errno::INVAL | Errno::NOTSUP | Errno::NOSYS | Errno::PERM) => Ok(Some(offset..u64::MAX)),
        Err(error) => Err(error.into()),
    }
}

/// Reserves space where the file system can, so that a full disk is noticed before the copy starts.
pub fn preallocate(file: &File, length: u64) -> io::Result<()> {
    if length == 0 {
        return Ok(());
    }
    // Reserving memory costs a third of the time that writing to it takes. It is enough to check that there is some.
    if let Some(free) = system::free_memory(file) {
        let allocated = file.metadata()?.blocks() * 512;
        return if length.saturating_sub(allocated) > free { Err(Errno::NOSPC.into()) } else { Ok(()) };
    }
    // Data that is written to reserved space would not be compressed.
    if system::may_compress(file) {
        return Ok(());
    }
    match retry_on_intr(|| rustix::fs::fallocate(file, FallocateFlags::empty(), 0, length)) {
        Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => Err(error.into()),
        // Any other error means that it cannot reserve space.
        _ => Ok(()),
    }
}

/// Runs `act` while others can read a locked file. Locks on Unix are advisory and keep nobody from reading.
pub fn while_others_may_read<T>(_file: &File, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    act()
}

/// Returns `false`: no open file of another program makes a call fail on Unix.
pub fn is_busy(_error: &io::Error) -> bool {
    false
}

/// Returns the error that the file system reports only once a descriptor is closed: writes may have failed since they
/// were accepted. The file itself stays open.
pub fn check_close(file: &File) -> io::Result<()> {
    Ok(retry_on_intr(|| {
        let duplicate = rustix::io::fcntl_dupfd_cloexec(file, 0)?;
        nix::unistd::close(duplicate).map_err(|error| Errno::from_raw_os_error(error as i32))
    })?)
}

/// Checks that this is a regular file with one name, which only this user can open.
pub fn is_private_file(file: &File) -> bool {
    let own = rustix::process::geteuid().as_raw();
    file.metadata()
        .is_ok_and(|it| it.is_file() && it.uid() == own && it.nlink() == 1 && it.mode() & 0o7777 == 0o600)
}

/// Checks that this is a regular file of this user with one name.
pub fn is_own_file(file: &File) -> bool {
    let own = rustix::process::geteuid().as_raw();
    is_only_name(file) && file.metadata().is_ok_and(|it| it.uid() == own)
}

/// Checks that this is a regular file with one name. It may belong to any user.
pub fn is_only_name(file: &File) -> bool {
    file.metadata().is_ok_and(|it| it.is_file() && it.nlink() == 1)
}

/// Checks that the file was opened for reading and writing.
pub fn is_writable(file: &File) -> bool {
    rustix::fs::fcntl_getfl(file).is_ok_and(|flags| flags & OFlags::RWMODE == OFlags::RDWR)
}

/// Returns whether a mode may let users other than the owner write. With an access list, the group bits are the mask.
pub fn others_may_write(mode: u32) -> bool {
    mode & 0o022 != 0
}

/// Sets the permission bits.
pub fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(mode))
}

/// Sets user and group. If this user may not do that, sets the group and still returns the error.
pub fn set_owner(file: &File, (user, group): (u32, u32)) -> io::Result<()> {
    fchown(file, Some(user), Some(group)).inspect_err(|_| {
        let _ = fchown(file, None, Some(group));
    })
}

/// Gives the file to another user, which only the superuser may do.
pub fn set_user(file: &File, user: u32) -> io::Result<()> {
    fchown(file, Some(user), None)
}

/// Checks that these numbers, which a file of this process has, stand for one user and one group. In a user namespace
/// they may stand for any user or group that it does not know; then no file can be given to them. A file with set-ID
/// bits loses them in this check.
pub fn is_known_owner(file: &File, (user, group): (u32, u32)) -> bool {
    let is_refused = || {
        let given = fchown(file, Some(user), Some(group));
        given.is_err_and(|error| error.raw_os_error() == Some(Errno::INVAL.raw_os_error()))
    };
    user != UNKNOWN_USER && group != UNKNOWN_USER || !is_refused()
}

/// Sets the times of the last access and the last write, each as [`Stat`] has it.
pub fn set_times(file: &File, accessed: Time, modified: Time) -> io::Result<()> {
    Ok(rustix::fs::futimens(file, &timestamps(accessed, modified))?)
}

pub(super) fn timestamps(accessed: Time, modified: Time) -> Timestamps {
    let [last_access, last_modification] =
        [accessed, modified].map(|(tv_sec, tv_nsec)| rustix::fs::Timespec { tv_sec, tv_nsec });
    Timestamps { last_access, last_modification }
}

/// Returns the time that the kernel would give to a file that is written to now; `None` if the clock cannot be read.
pub fn read_file_clock() -> Option<Time> {
    let now = nix::time::clock_gettime(system::FILE_CLOCK).ok()?;
    Some((now.tv_sec(), now.tv_nsec()))
}
