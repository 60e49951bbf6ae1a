//! Windows: a directory is held open so that nobody can move it, and files are opened by their path below it.

mod constants;
mod dir;
mod file;
mod paths;
mod private;
mod signals;
mod stream;

pub use super::unsupported::{
    CAN_DROP_CACHED, HAS_ACCESS_LISTS, HAS_ATTRIBUTES, HAS_OWNERS, MODE_WITHOUT_SETID, access_list,
    attributes, check_close, confine, drop_cached, effective_user, file_system_kind, free_memory, group_id,
    group_members, has_writer, is_anonymous_device, is_cached, is_known_owner, is_member, mark_written,
    name_prepared, next_data, open_stream_output, others_may_write, plain_mode, poll_ready, prepare_file,
    read_file_clock, remember_names, remove_attribute, set_access_list, set_attribute, set_direct, set_owner,
    set_user, umask, unmark_written, user_id, user_name,
};
pub use dir::Directory;
pub use file::{
    attribute_name, file_kind, file_kind_at, fstat, fstat as fresh_stat, is_busy, is_only_name, is_own_file,
    is_private_file, is_writable, open_source, preallocate, read_at, set_mode, set_times, stat,
    while_others_may_read, write_at,
};
pub use paths::{absolute, case_fold, normalize, remember_working_directory, shell_quote};
pub use private::PrivateDirectory;
pub use signals::Signals;
pub use stream::{
    PIPE_BUF, check_standard_output, standard_input, standard_output, sync_stream, terminal_id,
};
