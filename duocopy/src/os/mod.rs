//! What differs between systems about files, terminals and signals. Crates first; no `unsafe`.
//!
//! One module with the same names on every system:
//! - [`open_source`]: opens for reading and never blocks on what is not a file.
//! - [`Directory`]: calls relative to an open directory, so that nobody can move it away in between.
//! - [`preallocate`], [`take_mode_and_owner`], [`punched`]: the file's space and rights.
//! - [`FileId`], [`terminal`]: which file, which terminal.
//! - [`Signals`]: a flag for the first signal; a second one ends the process at once.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use unix::*;

/// One file of this machine, while it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    pub device: u64,
    pub inode: u64,
}
