//! Standard streams, and the terminal.

use super::file::file_kind;
use crate::sys::contract::FileKind;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, IsTerminal};
use std::os::windows::io::AsHandle;

/// How many bytes to write to a pipe at once. A write waits until all of them fit.
pub const PIPE_BUF: usize = 4096;

/// Duplicates standard input.
pub fn standard_input() -> io::Result<File> {
    Ok(io::stdin().as_handle().try_clone_to_owned()?.into())
}

/// Duplicates standard output.
pub fn standard_output() -> io::Result<File> {
    Ok(io::stdout().as_handle().try_clone_to_owned()?.into())
}

/// Checks that standard output was open when the process started.
///
/// # Errors
/// Fails as a write would.
pub fn check_standard_output() -> io::Result<()> {
    standard_output().map(drop)
}

/// Writes what a file has in the cache to the medium. A pipe is left alone, because syncing it would wait for its
/// reader.
pub fn sync_stream(file: &File) -> io::Result<()> {
    if file_kind(file)? == FileKind::Regular { file.sync_all() } else { Ok(()) }
}

/// Returns a number for the terminal on standard error; 0 if it is not a terminal, or one that has no identity.
pub fn terminal_id() -> u64 {
    match std::env::var_os("WT_SESSION") {
        Some(session) if io::stderr().is_terminal() => {
            let mut hasher = DefaultHasher::new();
            session.hash(&mut hasher);
            hasher.finish().max(1)
        }
        _ => 0,
    }
}
