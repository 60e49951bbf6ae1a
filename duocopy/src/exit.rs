//! Exit codes, decided in one place, and the failures that carry them.

use crate::sys;
use std::fmt::Display;
use std::io;
use std::path::Path;

pub const COMPLETE: u8 = 0;
pub const FAILED: u8 = 1;
pub const USAGE: u8 = 2;
pub const NOT_KEPT: u8 = 3;
pub const MISMATCH: u8 = 4;
pub const SOURCE: u8 = 5;
pub const DESTINATION: u8 = 6;
pub const NO_SPACE: u8 = 7;
pub const PARTNER: u8 = 8;
pub const TOO_MANY: u8 = 9;
pub const NO_PARTNER: u8 = 10;
pub const OTHER_VERSION: u8 = 11;
pub const REFUSED: u8 = 12;
/// Never said outside: nothing was to be done. Ends with 0.
pub const SKIPPED: u8 = 255;
/// Plus the number of the signal.
pub const SIGNAL: u8 = 128;

/// What to do about shared memory that is full.
pub const MORE_SHARED_MEMORY: &str = if cfg!(windows) {
    "end other programs or enlarge the page file, or use a smaller --buffer-size"
} else {
    "free some of it (df -h /dev/shm, ls -l /dev/shm), or use a smaller --buffer-size"
};
/// What to do about shared memory that cannot be had at all.
pub const LOOK_AT_SHARED_MEMORY: &str = if cfg!(windows) {
    "look at the rights of the programs that use this pipe"
} else {
    "look at the rights and the mount of /dev/shm"
};
/// What to do about a disk that fails.
pub const LOOK_AT_THE_DISK: &str =
    if cfg!(windows) { "look at its disk (chkdsk)" } else { "look at its disk (dmesg)" };

/// What a code means, without the path that it happened to.
pub fn in_general(code: u8) -> &'static str {
    match code {
        MISMATCH => "the checksums differ",
        SOURCE => "the source failed",
        DESTINATION => "the destination failed",
        NO_SPACE => "no space is left",
        REFUSED => "it refuses this copy",
        SKIPPED => "what is there stays as it is",
        NO_PARTNER => "a pipe was not opened within --wait",
        _ => "it failed",
    }
}

/// Why this process did not succeed: the exit code, and a message that names the path and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: u8,
    pub message: String,
}

impl Failure {
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The source failed: `what` happened to it, and what to do.
    pub fn source(path: &Path, what: impl Display, remedy: &str) -> Self {
        Self::new(SOURCE, format!("{}: {what}; {remedy}", show(path)))
    }

    /// The destination failed while `doing` something with it. No space and quota have their own code.
    pub fn destination(path: &Path, doing: &str, error: &io::Error) -> Self {
        let path = show(path);
        match error.kind() {
            io::ErrorKind::StorageFull => Self::new(
                NO_SPACE,
                format!("{path}: {doing}: {error}; free some space there, or choose another place"),
            ),
            io::ErrorKind::QuotaExceeded => Self::new(
                NO_SPACE,
                format!("{path}: {doing}: {error}; have the quota raised, or free some of it"),
            ),
            kind => Self::new(DESTINATION, format!("{path}: {doing}: {error}; {}", destination_remedy(kind))),
        }
    }

    /// The other end of a named pipe stays closed.
    pub fn nobody_opens(path: &Path, for_what: &str) -> Self {
        let what = format!("nobody has opened this pipe for {for_what} within --wait");
        let remedy = "start the other program in time, or wait longer";
        Self::new(NO_PARTNER, format!("{}: {what}; {remedy}", show(path)))
    }

    /// The destination exists, and is to stay.
    pub fn skipped(path: &Path) -> Self {
        Self::new(SKIPPED, format!("{} exists, and stays as it is", show(path)))
    }

    pub fn refused(path: &Path, what: &str, remedy: &str) -> Self {
        Self::new(REFUSED, format!("{}: {what}; {remedy}", show(path)))
    }
}

fn destination_remedy(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::NotFound => "make its directory first",
        io::ErrorKind::NotADirectory => "a part of its path is a file: choose another place",
        io::ErrorKind::PermissionDenied => {
            "run as a user who may write in its directory, or choose another place"
        }
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only: choose another place",
        io::ErrorKind::InvalidFilename => {
            "choose another name: it is too long, or has characters that may not be in one"
        }
        io::ErrorKind::FileTooLarge => "the file system or `ulimit -f` allows no file of this size",
        _ => LOOK_AT_THE_DISK,
    }
}

/// A path for people: as it is, except that control characters are escaped.
pub fn show(path: &Path) -> String {
    printable(&path.to_string_lossy())
}

/// A user for people: name and number, or only the number.
pub fn show_user(user: u32) -> String {
    sys::user_name(user).map_or_else(|| user.to_string(), |name| format!("{name} ({user})"))
}

/// Text that cannot move the cursor or hide anything on a terminal.
pub fn printable(text: &str) -> String {
    // Also what turns the direction of the text, or has no width.
    let hides = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().flat_map(|c| if hides(c) { c.escape_default().collect() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_others_kept() {
        assert_eq!(printable("a\n\x1b[2Jü"), "a\\n\\u{1b}[2Jü");
    }

    #[test]
    fn no_space_has_its_own_code_whatever_was_done() {
        let failure = |kind| Failure::destination(Path::new("x"), "writing", &io::Error::from(kind)).code;
        assert_eq!(failure(io::ErrorKind::StorageFull), NO_SPACE);
        assert_eq!(failure(io::ErrorKind::QuotaExceeded), NO_SPACE);
        assert_eq!(failure(io::ErrorKind::PermissionDenied), DESTINATION);
    }
}
