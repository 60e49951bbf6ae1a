//! Standard output: what the user asked for. A command whose output cannot be written fails.

use super::progress::say;
use std::io::{self, Write};

/// The exit code of a command whose output could not be written, if nothing else has failed.
pub const NOT_WRITTEN: u8 = 1;

/// Writes all of this at once, because another process may use the same pipe.
pub fn write(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes()).and_then(|()| output.flush())
}

/// Reports that standard output could not be written, and returns the exit code.
pub fn failed(error: &io::Error) -> u8 {
    say(&format!("cannot write to standard output: {error}"));
    NOT_WRITTEN
}
