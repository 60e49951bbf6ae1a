//! Locks on bytes of a file, through `fcntl`.

use rustix::fd::{AsRawFd, OwnedFd};
use std::io;

/// Changes or queries the lock on one byte. Returns the kind of lock that the kernel stored in the answer.
pub(crate) fn lock(
    file: &OwnedFd,
    command: i32,
    byte: u8,
    kind: impl TryInto<libc::c_short>,
) -> io::Result<libc::c_short> {
    // SAFETY: a `flock` holds only numbers, and all zeros are valid numbers.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind.try_into().unwrap_or_else(|_| unreachable!("kinds of locks are small numbers"));
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock.l_start = byte.into();
    lock.l_len = 1;
    // SAFETY: the descriptor is open, and these commands read and write one `flock`, which outlives the call.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut lock) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(lock.l_type) }
}
