//! Writes to standard output, which carries only what the user asked for, and to standard error. A command fails if it
//! cannot write to standard output.

use super::render::printable_lines;
use std::io::{self, Write};

/// The exit code of a command whose output could not be written, if nothing else has failed.
pub const NOT_WRITTEN: u8 = 1;

/// Writes one line, or several, to standard error, which may be closed.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr(), "duocopy: {}", printable_lines(text));
}

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
