//! Linux without its own calls (`--cfg blockpipe_portable`), to run what other systems share.

pub(crate) use super::super::fifo::{Bell, forget as unlink_bells};
pub(crate) use super::super::flock::{Locks, hold, is_held};
pub(crate) use super::super::zeros::write_zeros as reserve;

use std::io;
use std::ptr::NonNull;

/// Returns the directory of this user's pipes. It differs from the usual one on Linux: the locks differ, and a process
/// that uses the one kind would take the pipes of the other kind for dead.
pub(crate) fn directory() -> String {
    format!("/dev/shm/blockpipe-portable-{}", rustix::process::geteuid().as_raw())
}

/// There are no user namespaces.
pub(crate) fn unknown_user() -> Option<u32> {
    None
}

/// Does nothing: there is no portable way.
#[expect(clippy::unnecessary_wraps, reason = "other systems ask the kernel")]
pub(crate) fn keep_from_children(_address: NonNull<u8>, _length: usize) -> io::Result<()> {
    Ok(())
}
