//! Files that are opened before the process is confined, and named later.

use rustix::fd::AsFd;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, fchmod, fstat, linkat, openat};
use rustix::io::{Errno, retry_on_intr};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Opens a new file for [`name_prepared`], because a confined process cannot create one. `None` if that fails.
pub fn prepare_file<D: AsFd>(directory: &D, name: &OsStr) -> Option<File> {
    let own = Mode::RUSR | Mode::WUSR;
    let open = |name: &OsStr, flags| {
        retry_on_intr(|| openat(directory, name, flags | OFlags::RDWR | OFlags::CLOEXEC, own))
    };
    let file = match open(OsStr::new("."), OFlags::TMPFILE) {
        // The file system does not support files without a name.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => {
            open(name, OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW).ok()?
        }
        other => other.ok()?,
    };
    // The next copy of this user must be able to open the file, whatever the umask took away. A file system that refuses
    // modes decides about them itself.
    if Mode::from_raw_mode(fstat(&file).ok()?.st_mode) != own {
        let _ = fchmod(&file, own);
    }
    Some(file.into())
}

/// Gives a prepared file its name; fails if the name is taken.
pub fn name_prepared<D: AsFd>(directory: &D, file: File, name: &OsStr) -> io::Result<File> {
    if fstat(&file)?.st_nlink > 0 {
        return Ok(file);
    }
    // Before Linux 6.10 only root may link by the descriptor alone. The second call needs `/proc`.
    linkat(&file, c"", directory, name, AtFlags::EMPTY_PATH).or_else(|_| {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        linkat(CWD, path, directory, name, AtFlags::SYMLINK_FOLLOW)
    })?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_prepared_file_has_no_name_until_it_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (directory, name) = (File::open(folder.path()).unwrap(), OsStr::new("a"));
        let count = || fs::read_dir(folder.path()).unwrap().count();
        let prepared = prepare_file(&directory, name).unwrap();
        assert_eq!(count(), 0);
        let file = name_prepared(&directory, prepared, name).unwrap();
        let (there, metadata) = (fs::metadata(folder.path().join(name)).unwrap(), file.metadata().unwrap());
        assert_eq!((there.ino(), there.mode() & 0o7777, there.len(), count()), (metadata.ino(), 0o600, 0, 1));
    }
}
