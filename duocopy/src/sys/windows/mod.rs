//! Windows: a directory is held open so that nobody can move it, and files are opened by their path below it.

mod dir;
mod file;
mod paths;
mod signals;
mod stream;

pub use super::unsupported::{
    CAN_DROP_CACHED, HAS_ACCESS_LISTS, HAS_ATTRIBUTES, HAS_OWNERS, MODE_WITHOUT_SETID, attributes, confine,
    drop_cached, effective_user, free_memory, group_id, group_members, is_cached, is_member, is_owned_by,
    is_pseudo_fs, next_data, open_stream_output, poll_ready, remove_attribute, set_attribute, set_direct,
    set_owner, umask, user_id, user_name,
};
pub use dir::Directory;
pub use file::{
    attribute_name, copy_mode_and_owner, file_kind, file_kind_at, fstat, is_busy, is_own_file,
    is_private_file, is_writable, open_source, preallocate, read_at, set_mode, set_times, stat,
    while_others_may_read, write_at,
};
pub use paths::{case_fold, normalize, shell_quote};
pub use signals::Signals;
pub use stream::{PIPE_BUF, standard_input, standard_output, sync_stream, terminal_id};

// From winnt.h and winbase.h.
const FILE_ATTRIBUTE_READONLY: u32 = 0x1;
const FILE_ATTRIBUTE_HIDDEN: u32 = 0x2;
const FILE_ATTRIBUTE_SYSTEM: u32 = 0x4;
const FILE_ATTRIBUTE_SPARSE_FILE: u32 = 0x200;
const FILE_ATTRIBUTE_COMPRESSED: u32 = 0x800;
const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
const FILE_FLAG_SEQUENTIAL_SCAN: u32 = 0x0800_0000;
const FILE_FLAG_NO_BUFFERING: u32 = 0x2000_0000;
const FILE_SHARE_READ: u32 = 1;
const FILE_SHARE_WRITE: u32 = 2;
const FILE_SHARE_DELETE: u32 = 4;
const FILE_WRITE_ATTRIBUTES: u32 = 0x100;
const GENERIC_READ: u32 = 0x8000_0000;
const ERROR_ACCESS_DENIED: i32 = 5;
const ERROR_SHARING_VIOLATION: i32 = 32;
const ERROR_LOCK_VIOLATION: i32 = 33;

/// The mode bit that says that a file is not read-only.
const MODE_WRITABLE: u32 = 0o200;
/// Attributes that Unix does not have, above the bits of a Unix mode.
const MODE_HIDDEN: u32 = 1 << 16;
const MODE_SYSTEM: u32 = 1 << 17;
