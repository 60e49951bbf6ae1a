//! Open files: what they are, their content, and their attributes and times.

use super::constants::{
    ERROR_LOCK_VIOLATION, ERROR_SHARING_VIOLATION, FILE_ATTRIBUTE_COMPRESSED, FILE_ATTRIBUTE_HIDDEN,
    FILE_ATTRIBUTE_READONLY, FILE_ATTRIBUTE_SPARSE_FILE, FILE_ATTRIBUTE_SYSTEM, FILE_FLAG_BACKUP_SEMANTICS,
    FILE_FLAG_SEQUENTIAL_SCAN, FILE_SHARE_DELETE, FILE_SHARE_READ, MODE_HIDDEN, MODE_SYSTEM, MODE_WRITABLE,
};
use crate::sys::contract::{FileId, FileKind, Stat};
use std::ffi::OsString;
use std::fs::{self, File, FileTimes, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::windows::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

/// Windows counts time from the first, and [`UNIX_EPOCH`] is the second.
const FROM_1601_TO_1970: Duration = Duration::from_secs(11_644_473_600);

/// Holds everything that the system tells about an open file.
#[derive(Clone, Debug)]
pub(super) struct Information {
    pub id: FileId,
    pub metadata: fs::Metadata,
    pub links: u64,
}

impl Information {
    /// Asks about an open file; fails for a device or a pipe.
    pub fn of(file: &File) -> io::Result<Self> {
        if !winapi_util::file::typ(file)?.is_disk() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file but a device or a pipe"));
        }
        let by_handle = winapi_util::file::information(file)?;
        let id = FileId { device: by_handle.volume_serial_number(), inode: by_handle.file_index() };
        Ok(Self { id, metadata: file.metadata()?, links: by_handle.number_of_links() })
    }
}

impl From<&Information> for Stat {
    fn from(about: &Information) -> Self {
        let attributes = about.metadata.file_attributes();
        let time =
            |ticks: u64| ((ticks / 10_000_000).cast_signed(), (ticks % 10_000_000 * 100).cast_signed());
        Self {
            file: about.id,
            length: about.metadata.len(),
            modified: time(about.metadata.last_write_time()),
            // Windows has this time, but no crate asks for it. Nothing can write to a source while it is open here.
            changed: (0, 0),
            accessed: time(about.metadata.last_access_time()),
            mode: mode_of(attributes),
            owner: (0, 0),
            // File numbers contain how often they were reused, so they alone identify a file.
            birth_time: 0,
            has_holes: attributes & (FILE_ATTRIBUTE_SPARSE_FILE | FILE_ATTRIBUTE_COMPRESSED) != 0,
        }
    }
}

fn mode_of(attributes: u32) -> u32 {
    let bit = |attribute: u32, bit: u32| if attributes & attribute == 0 { 0 } else { bit };
    let write = if attributes & FILE_ATTRIBUTE_READONLY == 0 { 0o222 } else { 0 };
    0o444 | write | bit(FILE_ATTRIBUTE_HIDDEN, MODE_HIDDEN) | bit(FILE_ATTRIBUTE_SYSTEM, MODE_SYSTEM)
}

/// Returns the metadata of an open file; fails for a device or a pipe.
pub fn fstat(file: &File) -> io::Result<Stat> {
    Ok((&Information::of(file)?).into())
}

/// Returns the metadata of the file that a path leads to. Links are followed.
pub fn stat(path: &Path) -> io::Result<Stat> {
    fstat(&OpenOptions::new().access_mode(0).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(path)?)
}

/// Returns the kind of an open file.
pub fn file_kind(file: &File) -> io::Result<FileKind> {
    let kind = winapi_util::file::typ(file)?;
    Ok(match kind.is_disk() {
        true if file.metadata()?.is_dir() => FileKind::Directory,
        true => FileKind::Regular,
        false if kind.is_pipe() => FileKind::Pipe,
        false => FileKind::Device,
    })
}

/// Returns the kind of the file at a path. A link counts as a regular file.
pub fn file_kind_at(path: &Path) -> io::Result<FileKind> {
    Ok(if fs::symlink_metadata(path)?.is_dir() { FileKind::Directory } else { FileKind::Regular })
}

/// Opens a file or a stream for reading it once from the start.
///
/// Nothing can write to the file meanwhile, because the time of the last write is not reliable while a file is open for
/// writing.
pub fn open_source(path: &Path) -> io::Result<File> {
    let flags = FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_SEQUENTIAL_SCAN;
    OpenOptions::new()
        .read(true)
        .share_mode(FILE_SHARE_READ | FILE_SHARE_DELETE)
        .custom_flags(flags)
        .open(path)
}

/// Fills the buffer from this offset on; fails if the file ends before that.
pub fn read_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match file.seek_read(buffer, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                buffer = &mut buffer[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}

/// Writes all bytes at this offset.
pub fn write_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.seek_write(bytes, offset)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => {
                bytes = &bytes[written..];
                offset += written as u64;
            }
        }
    }
    Ok(())
}

/// Reserves space, so that a full disk is noticed before the copy starts.
pub fn preallocate(file: &File, length: u64) -> io::Result<()> {
    if file.metadata()?.len() < length { file.set_len(length) } else { Ok(()) }
}

/// Runs `act` while others can read a locked file: a lock on Windows excludes even another handle of the same process.
///
/// Another copy may lock the file in the meantime. It copies the same source and continues from the same bytes, or it
/// removes the file. If it has the lock at the end, this call fails.
pub fn while_others_may_read<T>(file: &File, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    // If unlocking fails, so does the read in `act`. The standard library unlocks twice, and Wine reports another error
    // than Windows for the second time.
    let _ = file.unlock();
    let result = act();
    file.try_lock()?;
    result
}

/// Checks whether a call failed because another program has the file open or locked.
pub fn is_busy(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ResourceBusy
        || matches!(error.raw_os_error(), Some(ERROR_SHARING_VIOLATION | ERROR_LOCK_VIOLATION))
}

/// Checks that this is a regular file with one name. The directory's access list decides who can open it.
pub fn is_private_file(file: &File) -> bool {
    is_own_file(file)
}

/// Checks that this is a regular file with one name.
pub fn is_own_file(file: &File) -> bool {
    is_only_name(file)
}

/// Checks that this is a regular file with one name.
pub fn is_only_name(file: &File) -> bool {
    let is_own = |it: Information| it.metadata.is_file() && !it.metadata.is_symlink() && it.links == 1;
    Information::of(file).is_ok_and(is_own)
}

/// Checks that the file was opened for writing, too.
pub fn is_writable(mut file: &File) -> bool {
    file.write(&[]).is_ok()
}

/// Makes the file read-only or writable.
pub fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    let mut permissions: Permissions = file.metadata()?.permissions();
    permissions.set_readonly(mode & MODE_WRITABLE == 0);
    file.set_permissions(permissions)
}

/// Sets the times of the last access and the last write, each as [`Stat`] has it.
pub fn set_times(file: &File, accessed: (i64, i64), modified: (i64, i64)) -> io::Result<()> {
    let time = |(seconds, nanoseconds): (i64, i64)| {
        let since_1601 = Duration::new(seconds.unsigned_abs(), nanoseconds.unsigned_abs() as u32);
        UNIX_EPOCH.checked_add(since_1601).and_then(|time| time.checked_sub(FROM_1601_TO_1970))
    };
    match (time(accessed), time(modified)) {
        (Some(accessed), Some(modified)) => {
            file.set_times(FileTimes::new().set_accessed(accessed).set_modified(modified))
        }
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// Returns the name of an attribute that came from another process; `None` if it is not Unicode.
pub fn attribute_name(name: &[u8]) -> Option<OsString> {
    String::from_utf8(name.to_vec()).ok().map(OsString::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Directory;
    use std::ffi::OsStr;

    #[test]
    fn a_locked_file_is_read_by_others_and_locked_again() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open_path(folder.path()).unwrap();
        let file = directory.create_new(OsStr::new("a"), 0o600).unwrap();
        let other = directory.open_existing(OsStr::new("a")).unwrap();
        file.try_lock().unwrap();
        write_at(&file, b"content", 0).unwrap();
        assert!(other.try_lock().is_err());
        while_others_may_read(&file, || read_at(&other, &mut [0; 7], 0)).unwrap();
        assert!(other.try_lock().is_err());
        while_others_may_read(&file, || Ok(other.try_lock()?)).unwrap_err();
        let _ = other.unlock();
        file.try_lock().unwrap();
    }
}
