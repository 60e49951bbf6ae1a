//! The paths that a process knows, and the tag that is made from them.

use crate::api::{Destination, Error, ErrorKind, Operation, Parties, Request, SourceLinks, is_standard};
use crate::dest;
use crate::session::HALVES;
use crate::session::status::pair_name;
use crate::sys::{self, BadPath};
use std::io;
use std::path::{Path, PathBuf, is_separator};

/// Returns the same request with paths in their plain form. A destination that is a directory gets the source's file
/// name, as with `cp`. Symbolic links are not followed.
///
/// A relative path stays relative (except on Windows), because the path of the working directory may be too long, or
/// lead through a directory that this user may not enter.
///
/// # Errors
/// Exit codes 2 and 6: a path that cannot name a file, and a directory that does not exist.
pub fn resolve(request: &Request) -> Result<Request, Error> {
    let mut resolved = request.clone();
    if request.paths().0.is_some_and(names_directory) {
        // A link with a slash after it is the directory that it leads to.
        resolved.source_links = SourceLinks::Follow;
    }
    match &mut resolved.parties {
        Parties::Pair { source, destination, .. } | Parties::Both { source, destination } => {
            let (from, file) = resolve_both(source, destination)?;
            (*source, *destination) = (from, Destination::File(file));
        }
        Parties::Read { source, .. } => *source = plain_source(source)?,
        Parties::Write { destination, .. } => {
            let file = plain(destination)?;
            if names_directory(destination) && !file.is_dir() {
                return Err(Error::at(ErrorKind::NoSuchDirectory, destination));
            }
            *destination = file;
        }
    }
    Ok(resolved)
}

fn resolve_both(source: &Path, destination: &Destination) -> Result<(PathBuf, PathBuf), Error> {
    let typed = destination.path();
    if let Some(standard) = [source, typed].into_iter().find(|path| is_standard(path)) {
        return Err(Error::at(ErrorKind::StandardStream, standard));
    }
    let source = plain_source(source)?;
    let mut file = plain(typed)?;
    let must_be_directory = match destination {
        Destination::Directory(_) => true,
        Destination::Either(_) | Destination::File(_) => names_directory(typed),
    };
    let may_be_directory = !matches!(destination, Destination::File(_));
    if may_be_directory
        && file.is_dir()
        && let Some(name) = source.file_name()
    {
        if !must_be_directory {
            dest::check_directory(&file)?;
        }
        file.push(name);
    } else if matches!(destination, Destination::Directory(_)) && file.exists() {
        return Err(Error::at(ErrorKind::NotADirectory, typed));
    } else if must_be_directory && !file.is_dir() {
        return Err(Error::at(ErrorKind::NoSuchDirectory, typed));
    }
    Ok((source, file))
}

/// Returns the plain form of a source's path. It has no slash at its end, so a file that was named like a directory is
/// refused here, as by `cp`.
fn plain_source(typed: &Path) -> Result<PathBuf, Error> {
    if names_directory(typed)
        && let Err(error) = std::fs::metadata(typed)
        && error.kind() == io::ErrorKind::NotADirectory
    {
        return Err(Error::source(typed, Operation::Open, error));
    }
    plain(typed)
}

/// Returns whether this path can only name a directory, because of what it ends with: `/`, `/.` or `/..`.
fn names_directory(path: &Path) -> bool {
    let text = path.to_string_lossy();
    matches!(text.rsplit(is_separator).next(), None | Some("" | "." | ".."))
}

fn plain(path: &Path) -> Result<PathBuf, Error> {
    if is_standard(path) {
        return Ok(path.into());
    }
    if path.as_os_str().is_empty() {
        return Err(ErrorKind::EmptyPath.into());
    }
    let plain = sys::normalize(path).map_err(|bad| {
        let kind = match bad {
            BadPath::Device => ErrorKind::DevicePath,
            BadPath::Stream => ErrorKind::StreamPath,
            BadPath::TooLong => ErrorKind::LongPath,
            BadPath::Unusable => ErrorKind::UnusablePath,
        };
        Error::at(kind, path)
    })?;
    if plain.is_relative() {
        let unknown = |error| Error::at(ErrorKind::UnusablePath, path).doing(Operation::Stat, error);
        sys::remember_working_directory().map_err(unknown)?;
    }
    Ok(plain)
}

/// Returns the tag of a copy, on which both processes must agree: both paths of a pair, or that they are two halves.
pub fn tag(request: &Request) -> Vec<u8> {
    match request.paths() {
        (Some(source), Some(destination)) => pair_name(source, destination),
        _ => HALVES.into(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(unix)]
    fn paths_become_plain() {
        use super::*;
        use std::ffi::OsString;
        use std::os::unix::ffi::OsStringExt;
        let resolved = |source: &str, destination: &str| resolve(&Request::pair(source, destination));
        let request = resolved("/a//b/", "/no such place/./c").unwrap();
        assert_eq!(tag(&request), b"/a/b\0/no such place/c");
        assert_eq!(resolve(&request).as_ref(), Ok(&request), "nothing is left to resolve");
        let request = resolved("./a//b/", "no such place/./c").unwrap();
        assert_eq!(request.paths(), (Some(Path::new("./a/b")), Some(Path::new("no such place/c"))));
        let own = std::env::current_dir().unwrap();
        let there = [own.join("a/b"), own.join("no such place/c")].map(PathBuf::into_os_string);
        assert_eq!(tag(&request), there.map(OsString::into_vec).join(&0));
        assert_eq!(resolved("/a/b", "/").unwrap().paths().1, Some(Path::new("/b")));
        let kind = |source, destination| resolved(source, destination).unwrap_err().kind;
        let request = resolve(&Request::read("./-", "n")).unwrap();
        assert!(!is_standard(request.paths().0.unwrap()), "a file of this name");
        assert_eq!(kind("", "x"), ErrorKind::EmptyPath);
        assert_eq!(kind("/a", "-"), ErrorKind::StandardStream);
        for place in
            ["/no such place/", "/no such place/.", "/no such place/..", "no such place/.", "/dev/null/."]
        {
            assert_eq!(kind("/a", place), ErrorKind::NoSuchDirectory, "{place}");
            let half = resolve(&Request::write(place, "n")).unwrap_err();
            assert_eq!(half.kind, ErrorKind::NoSuchDirectory, "{place}");
        }
        for file in ["/no such place/...", "/no such place/x.", "/no such place/..x"] {
            assert!(resolved("/a", file).is_ok(), "{file}");
        }
        let into = Destination::Directory("/dev/null".into());
        let request = Request::new(Parties::Both { source: "/a".into(), destination: into });
        assert_eq!(resolve(&request).unwrap_err().kind, ErrorKind::NotADirectory);
        assert_eq!(tag(&Request::read("a", "n")), HALVES);
        for request in [Request::both("/dev/null/", "/b"), Request::read("/dev/null/.", "n")] {
            assert_eq!(resolve(&request).unwrap_err().kind, ErrorKind::Source);
        }
    }
}
