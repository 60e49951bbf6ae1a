//! Unix: POSIX calls, in files that all Unix systems share, and in [`system`] what each has of its own.

mod attributes;
mod dir;
mod file;
mod paths;
mod private;
mod signals;
mod stream;
mod system;
mod users;
mod walk;

pub use attributes::{
    HAS_ATTRIBUTES, access_list, attribute_name, attributes, plain_mode, remove_attribute, set_access_list,
    set_attribute,
};
pub use dir::Directory;
pub use file::{
    MODE_WITHOUT_SETID, check_close, file_kind, file_kind_at, fstat, is_busy, is_known_owner, is_only_name,
    is_own_file, is_private_file, is_writable, next_data, open_source, others_may_write, preallocate,
    read_at, read_file_clock, set_mode, set_owner, set_times, set_user, stat, while_others_may_read,
    write_at,
};
pub use paths::{absolute, case_fold, normalize, remember_working_directory, shell_quote};
pub use private::PrivateDirectory;
pub use signals::Signals;
pub use stream::{
    check_standard_output, open_stream_output, poll_ready, standard_input, standard_output, sync_stream,
    terminal_id,
};
pub use system::{
    CAN_DROP_CACHED, HAS_ACCESS_LISTS, PIPE_BUF, confine, drop_cached, file_system_kind, free_memory,
    fresh_stat, has_writer, is_anonymous_device, is_cached, mark_written, name_prepared, prepare_file,
    set_direct, unmark_written,
};
pub use users::{
    HAS_OWNERS, effective_user, group_id, group_members, is_member, remember_names, umask, user_id, user_name,
};
