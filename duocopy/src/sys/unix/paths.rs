//! Paths, and words for a shell.

use crate::sys::contract::BadPath;
use crate::sys::text::is_hidden;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Returns the same path for all ways to write it: without doubled slashes, and without one at the end. A relative path
/// stays relative, and keeps a dot at its start: `./-` is a file.
#[expect(clippy::unnecessary_wraps, reason = "on Windows some paths cannot name a file")]
pub fn normalize(path: &Path) -> Result<PathBuf, BadPath> {
    Ok(path.components().collect())
}

/// The path of the working directory. A confined process cannot ask for it any more, and cannot change it.
static REMEMBERED: OnceLock<PathBuf> = OnceLock::new();

/// Looks up the path of the working directory, for [`absolute`] in a process that is about to be confined. An error if
/// there is such a path, and the system cannot return it now: another process would use another name for the same file.
pub fn remember_working_directory() -> io::Result<()> {
    let here = loop {
        match std::env::current_dir() {
            Ok(path) => break path,
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::NotFound
                | io::ErrorKind::PermissionDenied
                | io::ErrorKind::InvalidFilename => {
                    break unnamed_directory();
                }
                _ => return Err(error),
            },
        }
    };
    let _ = REMEMBERED.set(here);
    Ok(())
}

/// Returns the absolute path, for names and messages. If the path of the working directory cannot be found, because it is
/// too long or leads through a directory that this user may not read, device and inode stand for it.
pub fn absolute(path: &Path) -> PathBuf {
    let path = if path.is_relative() && path != "" { &working_directory().join(path) } else { path };
    if path.is_relative() { path.into() } else { std::path::absolute(path).unwrap_or_else(|_| path.into()) }
}

fn working_directory() -> PathBuf {
    std::env::current_dir().ok().or_else(|| REMEMBERED.get().cloned()).unwrap_or_else(unnamed_directory)
}

/// Stands for a working directory whose path cannot be found.
fn unnamed_directory() -> PathBuf {
    let here = rustix::fs::stat(".").map_or((0, 0), |stat| (stat.st_dev, stat.st_ino));
    format!("(directory {:x}:{})", here.0, here.1).into()
}

/// Returns the name unchanged: directories on Unix distinguish all names.
pub fn case_fold(name: &OsStr) -> OsString {
    name.to_owned()
}

/// Quotes a word for a POSIX shell, whatever bytes it has. The result contains nothing that
/// [`printable`](crate::sys::printable) would escape.
pub fn shell_quote(word: &[u8]) -> String {
    match std::str::from_utf8(word) {
        Ok(text)
            if !text.is_empty()
                && text
                    .chars()
                    .all(|c| (c.is_alphanumeric() && !is_hidden(c)) || "/._-+=:,@%".contains(c)) =>
        {
            text.into()
        }
        Ok(text) if !text.contains(is_hidden) => format!("'{}'", text.replace('\'', r"'\''")),
        // This does not use `$'...'`, which older POSIX shells do not know. A substitution loses the line breaks at its
        // end, so those are taken from IFS: a space, a tab and a line break. A `!` would recall a command in an
        // interactive shell.
        _ => {
            let end = word.iter().rposition(|byte| *byte != b'\n').map_or(0, |last| last + 1);
            let text = &word[..end];
            let escaped = text.iter().enumerate().map(|(at, byte)| match byte {
                b'%' => "%%".into(),
                b'-' if at == 0 => "\\055".into(),
                b' '..=b'~' if !b"'\\!".contains(byte) => char::from(*byte).into(),
                _ => format!("\\{byte:03o}"),
            });
            let breaks = "${IFS#??}".repeat(word.len() - text.len());
            format!("\"$(printf '{}'){breaks}\"", escaped.collect::<String>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_only_where_a_shell_needs_it() {
        let words = ["duocopy", "/a b/c", "it's", "", "/plain-1.2"].map(|word| shell_quote(word.as_bytes()));
        assert_eq!(words.join(" "), r"duocopy '/a b/c' 'it'\''s' '' /plain-1.2");
        assert_eq!(shell_quote(b"a'\n\xff\\%"), r#""$(printf 'a\047\012\377\134%%')""#);
        assert_eq!(shell_quote("-\u{202e}-".as_bytes()), r#""$(printf '\055\342\200\256-')""#);
        assert_eq!(shell_quote("\u{3164}!a".as_bytes()), r#""$(printf '\343\205\244\041a')""#);
        assert_eq!(shell_quote(b"a\n\n"), r#""$(printf 'a')${IFS#??}${IFS#??}""#);
    }
}
