//! Marks a file that a copy writes to, so that nobody who may only read it can seem to be its Writer.
//!
//! The lock that keeps two copies apart can be taken by everybody who may open the file, even only for reading. The mark
//! is a lock of another kind (`F_OFD_SETLK` of fcntl(2)), which needs a descriptor for writing and belongs to it, not to
//! the process.

use nix::fcntl::{FcntlArg, fcntl};
use std::fs::File;
use std::io;

/// A lock on the first byte of a file.
fn lock(kind: i32) -> libc::flock {
    let small = |number| libc::c_short::try_from(number).unwrap_or_else(|_| unreachable!("a small number"));
    libc::flock { l_type: small(kind), l_whence: small(libc::SEEK_SET), l_start: 0, l_len: 1, l_pid: 0 }
}

/// Marks the file as written to, until its descriptor is closed. Some file systems do not have such locks, and some
/// files are open for reading only; then nothing happens.
pub fn mark_written(file: &File) {
    let _ = fcntl(file, FcntlArg::F_OFD_SETLK(&lock(libc::F_WRLCK)));
}

/// Removes the mark.
pub fn unmark_written(file: &File) {
    let _ = fcntl(file, FcntlArg::F_OFD_SETLK(&lock(libc::F_UNLCK)));
}

/// Returns whether another process has marked the file. Fails if the file system does not know.
pub fn has_writer(file: &File) -> io::Result<bool> {
    let mut found = lock(libc::F_RDLCK);
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut found))?;
    Ok(i32::from(found.l_type) == libc::F_WRLCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_descriptor_for_writing_marks_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let [reader, writer] = [File::open(file.path()).unwrap(), file.reopen().unwrap()];
        mark_written(&reader);
        fcntl(&reader, FcntlArg::F_OFD_SETLK(&lock(libc::F_RDLCK))).unwrap();
        reader.lock().unwrap();
        assert!(!has_writer(file.as_file()).unwrap());
        drop(reader);
        mark_written(&writer);
        assert!(has_writer(file.as_file()).unwrap() && !has_writer(&writer).unwrap());
        unmark_written(&writer);
        assert!(!has_writer(file.as_file()).unwrap());
    }
}
