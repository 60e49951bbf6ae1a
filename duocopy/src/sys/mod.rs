//! Everything that differs between operating systems: files, directories, users, signals, the sandbox.
//!
//! Each system module provides the same names with the same signatures, and this module selects one of them. Only the
//! modules below this one may test for a system (`cfg(target_os)`), and they import nothing from the rest of the
//! program. The types that all of them share are in `contract.rs`. What a system lacks comes from `unsupported.rs`.
//! There is no `unsafe`: crates make the calls.
//!
//! | part | provides |
//! |---|---|
//! | directories | [`Directory`]: calls relative to an open directory, so that nobody can move it away in between; [`foreign_link`]; [`PrivateDirectory`]; [`prepare_file`], [`name_prepared`] |
//! | open files | [`fstat`], [`fresh_stat`], [`stat`], [`file_kind`], [`file_kind_at`], [`file_system_kind`], [`is_private_file`], [`is_own_file`], [`is_only_name`], [`is_writable`], [`is_busy`] |
//! | content | [`open_source`], [`read_at`], [`write_at`], [`next_data`], [`preallocate`], [`check_close`], [`while_others_may_read`], [`mark_written`], [`unmark_written`], [`has_writer`] |
//! | page cache | [`set_direct`], [`drop_cached`], [`CAN_DROP_CACHED`], [`is_cached`], [`free_memory`] |
//! | streams | [`standard_input`], [`standard_output`], [`check_standard_output`], [`open_stream_output`], [`poll_ready`], [`sync_stream`], [`PIPE_BUF`] |
//! | metadata | [`set_mode`], [`set_owner`], [`set_user`], [`is_known_owner`], [`others_may_write`], [`set_times`], [`read_file_clock`], [`umask`], [`MODE_WITHOUT_SETID`] |
//! | extended attributes | [`attributes`], [`set_attribute`], [`remove_attribute`], [`attribute_name`], [`HAS_ATTRIBUTES`] |
//! | access lists | [`AccessList`], [`access_list()`], [`set_access_list`], [`plain_mode`], [`HAS_ACCESS_LISTS`] |
//! | paths and words | [`normalize`], [`absolute`], [`remember_working_directory`], [`case_fold`], [`shell_quote`], [`printable`] |
//! | users | [`effective_user`], [`user_id`], [`group_id`], [`user_name`], [`remember_names`], [`is_member`], [`group_members`], [`HAS_OWNERS`] |
//! | this process | [`Signals`], [`confine`], [`terminal_id`] |

mod access_list;
mod contract;
mod text;
#[cfg(unix)]
mod unix;
#[cfg(not(target_os = "linux"))]
mod unsupported;
#[cfg(windows)]
mod windows;

pub use access_list::AccessList;
pub use contract::{
    Attribute, BadPath, DefaultList, DirectoryRight, Entry, Existing, FileId, FileKind, FileOwner,
    FileSystemKind, NoReplace, SandboxGap, SandboxPolicy, Stat, Time, Unconfined, foreign_link, is_refusal,
};
pub use text::printable;
#[cfg(unix)]
pub use unix::*;
#[cfg(windows)]
pub use windows::*;
