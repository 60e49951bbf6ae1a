//! Who reads a message, and how names and paths are shown.

use duocopy::{Parties, Request, Role};
use std::ffi::OsStr;
use std::path::Path;

/// Plus the number of the signal: the exit code of a process that was interrupted.
pub const SIGNAL: u8 = 128;
/// The exit code of a copy that is complete, without all that should have been preserved.
pub const NOT_PRESERVED: u8 = 3;

/// Who reads a message: it decides which halves and paths a sentence names.
#[derive(Clone, Debug)]
pub struct Audience {
    pub request: Request,
    /// The half that this process is, if it is known.
    pub role: Option<Role>,
}

impl Audience {
    pub fn new(request: &Request) -> Self {
        Self { request: request.clone(), role: request.role() }
    }

    /// Returns whether the user started one process only, and knows of no halves.
    pub fn started_both(&self) -> bool {
        matches!(self.request.parties, Parties::Both { .. })
    }

    /// Returns what to call the other process, whose role an error may tell.
    pub fn peer(&self, role: Option<Role>) -> &'static str {
        match role.or(self.role.map(Role::other)) {
            _ if self.started_both() => "the second process",
            Some(Role::Reader) => "the Reader",
            Some(Role::Writer) => "the Writer",
            None => "the other process",
        }
    }

    pub fn destination(&self) -> String {
        match &self.request.parties {
            Parties::Write { destination, .. } => show_half(destination, Role::Writer),
            _ => self.request.paths().1.map_or("the destination".into(), show),
        }
    }

    /// Shows a path of this process.
    pub fn show(&self, path: &Path) -> String {
        match self.role {
            Some(role) if self.request.is_half() => show_half(path, role),
            _ => show(path),
        }
    }

    /// Returns what is copied, as [`show_tag`] shows what others copy.
    pub fn tag(&self) -> String {
        match self.request.paths() {
            (Some(source), Some(destination)) => format!("{} -> {}", show(source), show(destination)),
            _ => "`duocopy read` and `duocopy write`".into(),
        }
    }

    /// Returns the pipe with its name, if it has one that a user can know.
    pub fn pipe(&self) -> String {
        let name = match self.request.name() {
            Some(name) => show_name(name),
            None if self.started_both() => String::new(),
            None => self.tag(),
        };
        if name.is_empty() { "the pipe".into() } else { format!("the pipe {}", quoted(&name)) }
    }
}

pub fn role_name(role: Role) -> &'static str {
    match role {
        Role::Reader => "Reader",
        Role::Writer => "Writer",
    }
}

pub fn quoted(name: &str) -> String {
    format!("\u{201c}{name}\u{201d}")
}

/// Shows the name or the tag of a pipe: two paths are separated by a NUL.
pub fn show_tag(tag: &[u8]) -> String {
    let paths = tag.splitn(2, |byte| *byte == 0).map(duocopy::printable);
    paths.collect::<Vec<_>>().join(" -> ")
}

/// Shows the absolute path, and escapes characters that control a terminal or hide text.
pub fn show(path: &Path) -> String {
    // Not a file, and so in no directory.
    if path == "-" { "-".into() } else { show_name(duocopy::absolute(path).as_os_str()) }
}

/// Shows a name, and escapes characters that control a terminal or hide text.
pub fn show_name(name: &OsStr) -> String {
    duocopy::printable(name.as_encoded_bytes())
}

/// Shows the path of a half, which may be a standard stream.
pub fn show_half(path: &Path, role: Role) -> String {
    match role {
        _ if path != Path::new("-") => show(path),
        Role::Reader => "standard input".into(),
        Role::Writer => "standard output".into(),
    }
}

/// Escapes what could move the cursor, or hide or reorder text on a terminal.
pub fn printable(text: &str) -> String {
    duocopy::printable(text.as_bytes())
}

/// Escapes each line like [`printable`], and keeps the line breaks. Names and paths are escaped where they become a
/// part of a sentence; this catches any that were forgotten.
pub fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

pub fn user(number: u32) -> String {
    match duocopy::user_name(number) {
        Some(name) => format!("user {} ({number})", printable(&name)),
        None => format!("user {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_others_kept() {
        assert_eq!(printable("a\n\x1b[2J\u{202e}ü"), "a\\n\\u{1b}[2J\\u{202e}ü");
        assert_eq!(show_tag(b"/a\xff\0/b\0c"), "/a\\xff -> /b\\u{0}c");
        assert_eq!(printable_lines("a\n\x1b[2J\u{202e}ü"), "a\n\\u{1b}[2J\\u{202e}ü");
        assert_eq!(show_tag(b"/a\n\0/b"), "/a\\n -> /b");
    }
}
