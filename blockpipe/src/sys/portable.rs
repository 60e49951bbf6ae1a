//! Linux as if it had nothing of its own (`--cfg blockpipe_portable`): what other systems share is run here.

pub(crate) use super::fifo::Bell;
pub(super) use super::fifo::forget as unlink_bells;
pub(super) use super::flock::{Locks, hold, is_held};
pub(super) use super::unix::write_zeros as reserve;
use std::io;
use std::ptr::NonNull;

/// The directory of this user's pipes. Not Linux' own: the locks are others, and who has the one kind would take the
/// pipes of the other for dead.
pub(super) fn directory() -> String {
    format!("/dev/shm/blockpipe-portable-{}", rustix::process::geteuid().as_raw())
}

/// There is no portable way.
#[expect(clippy::unnecessary_wraps, reason = "other systems ask the kernel")]
pub(super) fn keep_from_children(_address: NonNull<u8>, _length: usize) -> io::Result<()> {
    Ok(())
}
