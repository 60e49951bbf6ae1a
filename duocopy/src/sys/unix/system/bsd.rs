//! The parts that macOS and FreeBSD have in common.

pub use crate::sys::unix::file::fstat as fresh_stat;
pub use crate::sys::unsupported::{
    CAN_DROP_CACHED, HAS_ACCESS_LISTS, confine, drop_cached, file_system_kind, free_memory, has_magic_links,
    has_writer, is_anonymous_device, is_cached, mark_written, may_compress, name_prepared, prepare_file,
    protection, unmark_written,
};

use nix::time::ClockId;
use rustix::fs::OFlags;
use std::fs::File;

/// How to open a file or a directory only to look it up. This user must be allowed to read it.
pub const LOOKUP: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK);

/// The clock from which files get their times.
pub const FILE_CLOCK: ClockId = ClockId::CLOCK_REALTIME;

/// `PIPE_BUF` of limits.h: a pipe that is ready for writing takes at least this many bytes.
pub const PIPE_BUF: usize = 512;

/// Returns whether this process has an owner's rights over every file.
pub fn overrides_owners() -> bool {
    rustix::process::geteuid().is_root()
}

/// Succeeds: no directory is open for lookups only, and a file system that cannot sync names does without it.
#[expect(clippy::unnecessary_wraps, reason = "the signature is that of Linux")]
pub fn sync_all_of(_file: &File) -> rustix::io::Result<()> {
    Ok(())
}
