//! What FreeBSD has of its own: `_umtx_op`, which waits on addresses that other processes see.

use super::Side;
pub(super) use super::flock::{Locks, hold, is_held};
use super::unix::Seats;
pub(super) use super::unix::write_zeros as reserve;
use rustix::fd::OwnedFd;
use std::io;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// The directory of this user's pipes; only this user can enter it. `/tmp` is in memory on many systems.
pub(super) fn directory() -> String {
    format!("/tmp/blockpipe-{}", rustix::process::geteuid().as_raw())
}

/// Children that are forked do not get these pages.
pub(super) fn keep_from_children(address: NonNull<u8>, length: usize) -> io::Result<()> {
    // SAFETY: the range is a whole mapping of this process; the call changes only what its children get.
    if unsafe { libc::minherit(address.as_ptr().cast(), length, libc::INHERIT_NONE) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Bells are words here: there is nothing beside the pipe's file.
pub(super) fn unlink_bells(_directory: &OwnedFd, _key: &str) {}

/// A wait on the sleeper's word; not one of the private kind, because the other side is another process.
#[derive(Debug)]
pub(crate) struct Bell;

impl Bell {
    #[expect(clippy::unnecessary_wraps, reason = "other systems open a named object here")]
    pub(crate) fn open(_seats: &Seats, _generation: u64, _sleeper: Side) -> io::Result<Self> {
        Ok(Self)
    }

    #[expect(clippy::unused_self, reason = "other systems sleep on the object and not on the word")]
    pub(crate) fn sleep(&self, word: &AtomicU32, limit: Duration) {
        let mut limit = libc::timespec {
            tv_sec: libc::time_t::try_from(limit.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        };
        // SAFETY: the word is four bytes, aligned, and mapped as long as it is borrowed; without a size (the fourth
        // argument) the fifth is a `timespec`, which outlives the call. Every outcome means the same: look again.
        unsafe {
            libc::_umtx_op(
                word.as_ptr().cast(),
                libc::UMTX_OP_WAIT_UINT,
                1,
                null_mut(),
                (&raw mut limit).cast(),
            )
        };
    }

    #[expect(clippy::unused_self, reason = "as in `sleep`")]
    pub(crate) fn ring(&self, word: &AtomicU32) {
        // SAFETY: as in `sleep`; wakes at most one.
        unsafe { libc::_umtx_op(word.as_ptr().cast(), libc::UMTX_OP_WAKE, 1, null_mut(), null_mut()) };
    }
}
