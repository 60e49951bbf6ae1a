//! The absolute paths that a process knows, and the tag that is made from them.

use crate::api::{Destination, Error, ErrorKind, Operation, Parties, Request, is_standard};
use crate::session::HALVES;
use crate::session::status::pair_name;
use crate::sys::{self, BadPath};
use std::io;
use std::path::{Path, PathBuf, is_separator};

/// Returns the same request with absolute paths. A destination that is a directory gets the source's file name, as with
/// `cp`. Symbolic links are not followed.
///
/// # Errors
/// Exit codes 2 and 6: a path that cannot be made absolute, and a directory that does not exist.
pub fn resolve(request: &Request) -> Result<Request, Error> {
    let mut resolved = request.clone();
    match &mut resolved.parties {
        Parties::Pair { source, destination, .. } | Parties::Both { source, destination } => {
            let (from, file) = resolve_both(source, destination)?;
            (*source, *destination) = (from, Destination::File(file));
        }
        Parties::Read { source, .. } => *source = absolute_source(source)?,
        Parties::Write { destination, .. } => {
            let file = absolute(destination)?;
            if names_directory(destination) && !file.is_dir() {
                return Err(Error::at(ErrorKind::NoSuchDirectory, destination));
            }
            *destination = file;
        }
    }
    if let Some(dir) = &mut resolved.dir {
        *dir = std::path::absolute(&*dir).unwrap_or_else(|_| dir.clone());
    }
    Ok(resolved)
}

fn resolve_both(source: &Path, destination: &Destination) -> Result<(PathBuf, PathBuf), Error> {
    let typed = destination.path();
    if let Some(standard) = [source, typed].into_iter().find(|path| is_standard(path)) {
        return Err(Error::at(ErrorKind::StandardStream, standard));
    }
    let source = absolute_source(source)?;
    let mut file = absolute(typed)?;
    let must_be_directory = match destination {
        Destination::Directory(_) => true,
        Destination::Either(_) | Destination::File(_) => names_directory(typed),
    };
    let may_be_directory = !matches!(destination, Destination::File(_));
    if may_be_directory
        && file.is_dir()
        && let Some(name) = source.file_name()
    {
        file.push(name);
    } else if matches!(destination, Destination::Directory(_)) && file.exists() {
        return Err(Error::at(ErrorKind::NotADirectory, typed));
    } else if must_be_directory && !file.is_dir() {
        return Err(Error::at(ErrorKind::NoSuchDirectory, typed));
    }
    Ok((source, file))
}

/// Returns the absolute path of a source. It has no slash at its end, so a file that was named like a directory is
/// refused here, as by `cp`.
fn absolute_source(typed: &Path) -> Result<PathBuf, Error> {
    if names_directory(typed)
        && let Err(error) = std::fs::metadata(typed)
        && error.kind() == io::ErrorKind::NotADirectory
    {
        return Err(Error::source(typed, Operation::Open, error));
    }
    absolute(typed)
}

/// Returns whether this path can only name a directory, because it ends with a slash.
fn names_directory(path: &Path) -> bool {
    path.to_string_lossy().ends_with(is_separator)
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    if is_standard(path) {
        return Ok(path.into());
    }
    if path.as_os_str().is_empty() {
        return Err(ErrorKind::EmptyPath.into());
    }
    let absolute = std::path::absolute(path).map_err(|error| {
        let unusable = Error::at(ErrorKind::UnusablePath, path);
        Error { cause: Some(error.into()), ..unusable }
    })?;
    sys::normalize(&absolute).map_err(|bad| {
        let kind = match bad {
            BadPath::Device => ErrorKind::DevicePath,
            BadPath::Stream => ErrorKind::StreamPath,
            BadPath::TooLong => ErrorKind::LongPath,
        };
        Error::at(kind, path)
    })
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
    fn paths_become_absolute_and_plain() {
        use super::*;
        let resolved = |source: &str, destination: &str| resolve(&Request::pair(source, destination));
        let request = resolved("/a//b/", "/no such place/./c").unwrap();
        assert_eq!(tag(&request), b"/a/b\0/no such place/c");
        assert_eq!(resolve(&request).as_ref(), Ok(&request), "nothing is left to resolve");
        assert_eq!(resolved("/a/b", "/").unwrap().paths().1, Some(Path::new("/b")));
        let kind = |source, destination| resolved(source, destination).unwrap_err().kind;
        assert_eq!(kind("", "x"), ErrorKind::EmptyPath);
        assert_eq!(kind("/a", "-"), ErrorKind::StandardStream);
        assert_eq!(kind("/a", "/no such place/"), ErrorKind::NoSuchDirectory);
        let into = Destination::Directory("/dev/null".into());
        let request = Request::new(Parties::Both { source: "/a".into(), destination: into });
        assert_eq!(resolve(&request).unwrap_err().kind, ErrorKind::NotADirectory);
        assert_eq!(tag(&Request::read("a", "n")), HALVES);
        let half = resolve(&Request::write("/no such place/", "n")).unwrap_err();
        assert_eq!(half.kind, ErrorKind::NoSuchDirectory);
        for request in [Request::both("/dev/null/", "/b"), Request::read("/dev/null/", "n")] {
            assert_eq!(resolve(&request).unwrap_err().kind, ErrorKind::Source);
        }
    }
}
