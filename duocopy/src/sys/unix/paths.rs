//! Paths, and words for a shell.

use crate::sys::contract::BadPath;
use crate::sys::text::is_hidden;
use std::ffi::{OsStr, OsString};
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

/// Looks up the path of the working directory, for [`absolute`] in a process that is about to be confined.
pub fn remember_working_directory() {
    let _ = REMEMBERED.set(working_directory());
}

/// Returns the absolute path, for names and messages. If the path of the working directory cannot be found, because it is
/// too long or leads through a directory that this user may not read, device and inode stand for it.
pub fn absolute(path: &Path) -> PathBuf {
    let path = if path.is_relative() && path != "" { &working_directory().join(path) } else { path };
    if path.is_relative() { path.into() } else { std::path::absolute(path).unwrap_or_else(|_| path.into()) }
}

fn working_directory() -> PathBuf {
    std::env::current_dir().ok().or_else(|| REMEMBERED.get().cloned()).unwrap_or_else(|| {
        let here = rustix::fs::stat(".").map_or((0, 0), |stat| (stat.st_dev, stat.st_ino));
        format!("(directory {:x}:{})", here.0, here.1).into()
    })
}

/// Returns the name unchanged: directories on Unix distinguish all names.
pub fn case_fold(name: &OsStr) -> OsString {
    name.to_owned()
}

/// Quotes a word for a POSIX shell, whatever bytes it has. The result contains nothing that [`printable`](crate::sys::printable) would
/// escape.
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
        // `$'...'` is known to bash, zsh, ksh and newer POSIX shells; \ooo is one byte.
        _ => {
            let escaped = word.iter().map(|byte| match byte {
                b'\'' | b'\\' => format!("\\{}", char::from(*byte)),
                b' '..=b'~' => char::from(*byte).into(),
                _ => format!("\\{byte:03o}"),
            });
            format!("$'{}'", escaped.collect::<String>())
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
        assert_eq!(shell_quote(b"a'\n\xff\\"), r"$'a\'\012\377\\'");
        assert_eq!(shell_quote("\u{202e}a".as_bytes()), r"$'\342\200\256a'");
        assert_eq!(shell_quote("\u{3164}a".as_bytes()), r"$'\343\205\244a'");
    }
}
