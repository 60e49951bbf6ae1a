//! Paths, and words for a shell.

use crate::sys::contract::BadPath;
use crate::sys::text::is_hidden;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Returns the same path for all ways to write it: without doubled slashes, and without one at the end.
#[expect(clippy::unnecessary_wraps, reason = "on Windows some paths cannot name a file")]
pub fn normalize(path: &Path) -> Result<PathBuf, BadPath> {
    Ok(path.components().collect())
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
