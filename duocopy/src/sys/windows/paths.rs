//! Paths, and words for the command interpreter.

use crate::sys::contract::BadPath;
use crate::sys::text::is_hidden;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf, Prefix};

/// The longest name in characters (UTF-16 units) that a directory can have.
const LONGEST_NAME: usize = 255;

/// Returns the same absolute path for all ways to write it: the drive letter is a capital, and the prefix `\\?\` is
/// removed where the path means the same without it.
///
/// A name with a colon is refused: the part after it names a stream of the file, or, at the start of a path, the part
/// before it a drive. So is a device, such as `NUL` or `CON`.
pub fn normalize(path: &Path) -> Result<PathBuf, BadPath> {
    let path = &std::path::absolute(path).map_err(|_| BadPath::Unusable)?;
    if let Some(Component::Prefix(prefix)) = path.components().next()
        && matches!(prefix.kind(), Prefix::DeviceNS(_))
    {
        return Err(BadPath::Device);
    }
    let any_name = |is_bad: fn(&OsStr) -> bool| {
        path.components().any(|part| matches!(part, Component::Normal(name) if is_bad(name)))
    };
    if any_name(|name| name.as_encoded_bytes().contains(&b':')) {
        return Err(BadPath::Stream);
    }
    // The system would refuse it only at the final rename, because the temporary file has another name.
    if any_name(|name| name.encode_wide().count() > LONGEST_NAME) {
        return Err(BadPath::TooLong);
    }
    Ok(without_verbatim_prefix(path.components().collect()))
}

/// Returns the absolute path, for names and messages.
pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Does nothing: no process is confined, and paths are absolute from the start.
#[expect(clippy::unnecessary_wraps, reason = "on Unix the system may not know the path now")]
pub fn remember_working_directory() -> io::Result<()> {
    Ok(())
}

fn without_verbatim_prefix(path: PathBuf) -> PathBuf {
    let Some(Component::Prefix(prefix)) = path.components().next() else { return path };
    let drive = |letter: u8| format!(r"{}:\", letter.to_ascii_uppercase() as char).into();
    let (root, is_verbatim): (OsString, bool) = match prefix.kind() {
        Prefix::Disk(letter) => (drive(letter), false),
        Prefix::VerbatimDisk(letter) => (drive(letter), true),
        Prefix::VerbatimUNC(server, share) => {
            let mut root = OsString::from(r"\\");
            root.push(server);
            root.push(r"\");
            root.push(share);
            root.push(r"\");
            (root, true)
        }
        _ => return path,
    };
    let mut short = PathBuf::from(root);
    short.extend(path.components().skip(2));
    // Some names exist only with the prefix, such as one that ends with a dot. They keep it.
    if is_verbatim && std::path::absolute(&short).ok().as_ref() != Some(&short) {
        return path;
    }
    short
}

/// Returns the name in lower case, because most directories do not distinguish case.
///
/// In a directory that does, copies to two names that differ only in case wait for each other.
pub fn case_fold(name: &OsStr) -> OsString {
    name.to_str().map_or_else(|| name.to_ascii_lowercase(), |name| name.to_lowercase().into())
}

/// Quotes a word for the command interpreter. Characters that control a terminal or
/// hide text become question marks.
pub fn shell_quote(word: &[u8]) -> String {
    let word = String::from_utf8_lossy(word);
    let is_plain = |c: char| c.is_alphanumeric() && !is_hidden(c) || r"\/._-+:@~".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.into();
    }
    // Backslashes directly before a quote would escape it, so they are doubled there.
    let (mut quoted, mut backslashes) = (String::from("\""), 0);
    for c in word.chars() {
        if c == '"' {
            quoted.extend(std::iter::repeat_n('\\', backslashes + 1));
        }
        backslashes = if c == '\\' { backslashes + 1 } else { 0 };
        if is_hidden(c) { quoted.push('?') } else { quoted.push(c) }
    }
    quoted.extend(std::iter::repeat_n('\\', backslashes));
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_path_has_one_form() {
        let same = |path: &str| normalize(Path::new(path)).unwrap().into_os_string().into_string().unwrap();
        assert_eq!(same(r"c:\a\b"), r"C:\a\b");
        assert_eq!(same(r"\\?\c:\a\b"), r"C:\a\b");
        assert_eq!(same(r"\\?\c:\a\ends with a dot."), r"\\?\c:\a\ends with a dot.");
        assert_eq!(same(r"\\?\UNC\server\share\a"), r"\\server\share\a");
        assert_eq!(same(r"\\server\share\a"), r"\\server\share\a");
        for stream in [r"C:\a\c:stream", r"C:\a:b\c", r"\\?\C:\a\c:q"] {
            assert_eq!(normalize(Path::new(stream)), Err(BadPath::Stream), "{stream}");
        }
        let long = format!(r"C:\{}", r"directory\".repeat(40));
        assert_eq!(same(&format!(r"\\?\{long}file")), format!("{long}file"));
        assert_eq!(normalize(Path::new(&"a".repeat(256))), Err(BadPath::TooLong));
        assert_eq!(normalize(Path::new(r"\\.\NUL")), Err(BadPath::Device));
    }

    #[test]
    fn names_that_differ_in_case_are_one() {
        assert_eq!(case_fold(OsStr::new(r"C:\Größe\ÄÖ.TXT")), OsStr::new(r"c:\größe\äö.txt"));
    }

    #[test]
    fn commands_are_quoted_as_the_command_interpreter_reads_them() {
        for (word, command) in [
            (r"C:\a.txt", r"C:\a.txt"),
            (r"C:\a b", r#""C:\a b""#),
            ("", r#""""#),
            (r#"a"b"#, r#""a\"b""#),
            (r"a b\", r#""a b\\""#),
        ] {
            assert_eq!(shell_quote(word.as_bytes()), command);
        }
    }
}
