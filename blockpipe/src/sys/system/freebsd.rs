//! The parts that are specific to FreeBSD: `_umtx_op`, which waits on addresses across processes.

pub(crate) use super::super::flock::{Locks, hold, is_held};
pub(crate) use super::super::zeros::write_zeros as reserve;

use super::super::contract::Side;
use super::super::folder::Folder;
use rustix::fd::OwnedFd;
use std::io;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// Returns the directory of this user's pipes; only this user can enter it. `/tmp` is in memory on many systems.
pub(crate) fn directory() -> String {
    format!("/tmp/blockpipe-{}", rustix::process::geteuid().as_raw())
}

/// There are no user namespaces.
pub(crate) fn unknown_user() -> Option<u32> {
    None
}

/// Keeps these pages out of forked children.
pub(crate) fn keep_from_children(address: NonNull<u8>, length: usize) -> io::Result<()> {
    // SAFETY: the range is a whole mapping of this process; the call changes only what its children get.
    if unsafe { libc::minherit(address.as_ptr().cast(), length, libc::INHERIT_NONE) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Does nothing: bells are words in the header, and there is no file beside the pipe's.
pub(crate) fn unlink_bells(_directory: &OwnedFd, _key: &str) {}

/// A wait on the sleeper's word. It is not private, because the other side is another process.
#[derive(Debug)]
pub(crate) struct Bell;

impl Bell {
    #[expect(clippy::unnecessary_wraps, reason = "other systems open a named object here")]
    pub(crate) fn open(_folder: &Folder, _key: &str, _sleeper: Side) -> io::Result<Self> {
        Ok(Self)
    }

    #[expect(clippy::unused_self, reason = "other systems sleep on an object instead of the word")]
    pub(crate) fn sleep(&self, word: &AtomicU32, limit: Duration) {
        let mut limit = libc::timespec {
            tv_sec: libc::time_t::try_from(limit.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        };
        // SAFETY: the word is four bytes, aligned, and mapped as long as it is borrowed; without a size (the fourth
        // argument) the fifth is a `timespec`, which outlives the call. Every outcome means the same: check again.
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
        // SAFETY: as in `sleep`; wakes at most one sleeper.
        unsafe { libc::_umtx_op(word.as_ptr().cast(), libc::UMTX_OP_WAKE, 1, null_mut(), null_mut()) };
    }
}
