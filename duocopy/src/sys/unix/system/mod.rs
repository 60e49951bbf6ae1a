//! What differs between the Unix systems. Each module below provides the same names; this one selects.
//!
//! `FILE_CLOCK`, `LOOKUP`, `WALK`, `has_magic_links`, `may_compress`, `device`, `advise_sequential`, `open_direct`,
//! `overrides_owners`, `path_of`, `protection`, `sync_all_of`, `sync_directory` and `rename_no_replace` are for the
//! other files of Unix; the rest is for everybody.

#[cfg(not(target_os = "linux"))]
mod bsd;
#[cfg(target_os = "freebsd")]
mod freebsd;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;

#[cfg(target_os = "freebsd")]
use freebsd as this;
#[cfg(target_os = "linux")]
use linux as this;
#[cfg(target_os = "macos")]
use macos as this;

pub use this::{
    CAN_DROP_CACHED, FILE_CLOCK, HAS_ACCESS_LISTS, LOOKUP, PIPE_BUF, WALK, advise_sequential, confine,
    device, drop_cached, file_system_kind, free_memory, fresh_stat, has_magic_links, has_writer,
    is_anonymous_device, is_cached, mark_written, may_compress, name_prepared, open_direct, overrides_owners,
    path_of, prepare_file, protection, rename_no_replace, set_direct, sync_all_of, sync_directory,
    unmark_written,
};
