//! What differs between systems about files, terminals and signals. Crates first; no `unsafe`.
//!
//! One module with the same names on every system:
//! - [`open_source`]: opens for reading and never blocks on what is not a file.
//! - [`open_outlet`], [`standard_input`], [`standard_output`], [`ready`], [`nature`], [`flush`]: what is read or written as it comes.
//! - [`Directory`]: calls relative to an open directory, so that nobody can move it away in between.
//! - [`preallocate`], [`free_memory`], [`write_at`], [`read_at`], [`is_in_memory`], [`let_go`], [`set_direct`], [`take_mode_and_owner`]: the file's space, content,
//!   place in the cache and rights.
//! - [`attributes`], [`set_attribute`], [`remove_attribute`]: what a file has besides.
//! - [`is_private_file`], [`is_own_file`], [`is_writable`]: what an open file is, whatever its name says.
//! - [`while_others_may_read`], [`is_busy`]: where locks and open files are more than advice.
//! - [`plain`], [`quoted`], [`folded`]: a path and a word as this system writes them, and as it compares them.
//! - [`user`], [`group`], [`belongs`], [`show_user`], [`own_user`], [`members`]: who may be behind a process.
//! - [`Metadata`], [`look`], [`look_at`], [`identify`], [`FileId`], [`terminal`]: which file, which version of it, which terminal.
//! - [`confine`]: gives up what a process does not need any more ([`Freedom`]).
//! - [`Signals`]: a flag for the first signal; a second one ends the process at once.

use std::ffi::OsString;

#[cfg(unix)]
mod unix;
#[cfg(any(target_os = "freebsd", windows))]
mod unsupported;
#[cfg(unix)]
pub use unix::*;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub use windows::*;

/// What a process may still do with paths when it is confined.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "elsewhere nothing can be given up"))]
#[derive(Clone, Debug, Default)]
pub struct Freedom<'a> {
    /// In the directory of the pipe: read and remove files.
    pub pipes: Option<OsString>,
    /// In the destination's directory, and below it: make, change, and remove files.
    pub writes: Option<&'a Directory>,
    /// In another one, and below it: read.
    pub looks: Option<&'a Directory>,
}

/// One file of this machine, while it exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileId {
    pub device: u64,
    pub inode: u64,
}

/// What can be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    Regular,
    Folder,
    /// Also a socket.
    Pipe,
    /// One that bytes come from or go to: a terminal, `/dev/null`.
    Device,
    /// One that keeps them: a partition.
    Disk,
}

/// What a name in a directory stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    Regular(FileId),
    Folder,
    Other,
}
