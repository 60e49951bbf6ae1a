//! Gate and seats as open-file-description locks on bytes 0, 1 and 2 of the pipe's file.
//!
//! These locks belong to the open file and not to the process, so closing some other descriptor does not lose them,
//! and the kernel drops them when the last descriptor goes, however the process ends. They do survive in a child
//! that was forked without exec; the documentation says so.

use super::folder::Folder;
use super::unix::Lock;
use rustix::fd::{AsRawFd, OwnedFd};
use std::io;

#[derive(Debug)]
pub(super) struct Locks;

impl Locks {
    /// `file` is the pipe's, in every call.
    pub(super) fn new() -> Self {
        Self
    }

    /// `false` if somebody else has it.
    #[expect(clippy::unused_self, reason = "on other systems there are more files")]
    pub(super) fn take(&self, _folder: &Folder, _name: &str, file: &OwnedFd, lock: Lock) -> io::Result<bool> {
        match fcntl_lock(file, libc::F_OFD_SETLK, lock, libc::F_WRLCK) {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    #[expect(clippy::unused_self, reason = "as in `take`")]
    pub(super) fn give_back(&self, file: &OwnedFd, lock: Lock) -> io::Result<()> {
        fcntl_lock(file, libc::F_OFD_SETLK, lock, libc::F_UNLCK).map(drop)
    }

    /// Whether somebody else has it. Takes nothing.
    #[expect(clippy::unused_self, reason = "as in `take`")]
    pub(super) fn is_taken(
        &self,
        _folder: &Folder,
        _name: &str,
        file: &OwnedFd,
        lock: Lock,
    ) -> io::Result<bool> {
        Ok(fcntl_lock(file, libc::F_OFD_GETLK, lock, libc::F_WRLCK)?
            != i32::from(libc::F_UNLCK as libc::c_short))
    }

    /// Removes what belongs to the locks beside the pipe's file.
    #[expect(clippy::unused_self, reason = "as in `take`")]
    pub(super) fn forget(&self, _directory: &OwnedFd, _name: &str, _file: &OwnedFd) {}
}

/// One byte's lock through `fcntl`; returns the kind of lock that the kernel put into the answer.
fn fcntl_lock(
    file: &OwnedFd,
    command: i32,
    byte: Lock,
    kind: impl TryInto<libc::c_short>,
) -> io::Result<i32> {
    // SAFETY: a `flock` is numbers only, and all zeros are numbers.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind.try_into().unwrap_or_default();
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock.l_start = byte as libc::off_t;
    lock.l_len = 1;
    // SAFETY: the descriptor is open, and these commands read and write one `flock`, which outlives the call.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut lock) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(lock.l_type.into()) }
}
