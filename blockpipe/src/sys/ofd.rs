//! Gate and seats as open-file-description locks on bytes 0, 1 and 2 of the pipe's file.
//!
//! These locks belong to the open file and not to the process, so closing another descriptor does not lose them, and
//! the kernel drops them when the last descriptor is closed, however the process ends. They do survive in a child that
//! was forked without exec; the documentation warns of that.

use super::fcntl;
use super::folder::Folder;
use super::lock::Lock;
use rustix::fd::OwnedFd;
use std::io;

#[derive(Debug)]
pub(crate) struct Locks;

impl Locks {
    /// Creates the locks. In every call, `file` is the pipe's file.
    pub(crate) fn new() -> Self {
        Self
    }

    /// Takes the lock. Returns `false` if another process has it.
    #[expect(clippy::unused_self, reason = "other systems use more files")]
    pub(crate) fn take(&self, _folder: &Folder, _name: &str, file: &OwnedFd, lock: Lock) -> io::Result<bool> {
        match fcntl::lock(file, libc::F_OFD_SETLK, lock as u8, libc::F_WRLCK) {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    #[expect(clippy::unused_self, reason = "as in `take`")]
    pub(crate) fn release(&self, file: &OwnedFd, lock: Lock) -> io::Result<()> {
        fcntl::lock(file, libc::F_OFD_SETLK, lock as u8, libc::F_UNLCK).map(drop)
    }

    /// Returns whether another process has the lock. Takes nothing.
    #[expect(clippy::unused_self, reason = "as in `take`")]
    pub(crate) fn is_held(
        &self,
        _folder: &Folder,
        _name: &str,
        file: &OwnedFd,
        lock: Lock,
    ) -> io::Result<bool> {
        Ok(fcntl::lock(file, libc::F_OFD_GETLK, lock as u8, libc::F_WRLCK)? != libc::F_UNLCK as libc::c_short)
    }

    /// Does nothing: these locks need no files beside the pipe's.
    #[expect(clippy::unused_self, reason = "as in `take`")]
    pub(crate) fn unlink_files(&self, _directory: &OwnedFd, _name: &str, _file: &OwnedFd) {}
}

/// Locks a user card as only a process that may write to it can.
pub(crate) fn hold(file: &OwnedFd) -> io::Result<()> {
    fcntl::lock(file, libc::F_OFD_SETLK, 0, libc::F_WRLCK).map(drop)
}

/// Returns whether a process that may write to the user card holds its lock now.
pub(crate) fn is_held(file: &OwnedFd, _own: bool) -> io::Result<bool> {
    Ok(fcntl::lock(file, libc::F_OFD_GETLK, 0, libc::F_RDLCK)? == libc::F_WRLCK as libc::c_short)
}
