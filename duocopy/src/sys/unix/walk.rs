//! Resolves paths one name at a time, and does not follow symbolic links of other users in sticky directories.
//!
//! In a sticky directory that others can write to, such as `/tmp`, anybody can create a link with an expected name. So
//! a link there is followed only if it belongs to the user of this process or to the owner of the directory. Linux has
//! the same rule (`fs.protected_symlinks`), but an administrator can switch it off, it ignores directories that only a
//! group can write to, and it cannot apply to a link that a program reads and follows itself. Here the rule always
//! applies: to root as well, and to each link on the way and in a chain.

use super::system;
use crate::sys::contract::{FileOwner, ForeignLink, foreign_link};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::{Errno, retry_on_intr};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The most links to follow in one path, as in the kernel.
const MAX_LINKS: usize = 40;

/// The owner that the kernel reports for every user that this container does not know (`/proc/sys/fs/overflowuid`), and
/// the group for every such group. Two files with this owner may belong to two users.
pub const UNKNOWN_USER: u32 = 65534;

/// Opens a directory for looking up names. A relative path starts at `start`, or without one at the current directory.
pub fn open_directory(start: Option<&OwnedFd>, path: &Path) -> io::Result<OwnedFd> {
    let begin = OsStr::new(if path.is_absolute() { "/" } else { "." });
    let mut here = match start {
        Some(start) => open_part(start, begin, system::LOOKUP)?,
        None => open_part(CWD, begin, system::LOOKUP)?,
    };
    let (mut shown, mut rest, mut links) = (PathBuf::new(), parts(path), 0);
    if path.is_absolute() {
        shown.extend(rest.pop());
    }
    while let Some(part) = rest.pop() {
        let access = if rest.is_empty() { system::LOOKUP } else { system::WALK };
        let error = match open_part(&here, &part, access | OFlags::NOFOLLOW) {
            Ok(next) => {
                shown.push(&part);
                here = next;
                continue;
            }
            Err(error @ (Errno::NOTDIR | Errno::LOOP | Errno::MLINK)) => error,
            Err(error) => return Err(error.into()),
        };
        if system::has_magic_links(&here) {
            here = open_part(&here, &part, access)?;
            shown.push(&part);
            continue;
        }
        let Some(target) = read_link(&here, &part).map_err(|error| below(&shown, error))? else {
            return Err(error.into());
        };
        links += 1;
        if links > MAX_LINKS {
            return Err(Errno::LOOP.into());
        }
        rest.extend(parts(&target));
    }
    Ok(here)
}

/// Opens the file that a path leads to. Links are followed, as far as [`read_link`] allows it.
pub fn open_file(path: &Path, access: OFlags) -> io::Result<File> {
    let (mut path, mut here, mut shown) = (path.to_owned(), None, PathBuf::new());
    for _ in 0..=MAX_LINKS {
        let parent = path.parent().unwrap_or(Path::new(""));
        // A path such as `..` or `/` has no last name, and leads to a directory.
        let name = path.file_name().map_or_else(|| OsString::from("."), OsStr::to_owned);
        let directory = if path.file_name().is_some() { parent } else { &path };
        let there = open_directory(here.as_ref(), directory).map_err(|error| below(&shown, error))?;
        shown.push(directory);
        let open = |access| retry_on_intr(|| rustix::fs::openat(&there, &name, access, Mode::empty()));
        if system::has_magic_links(&there) {
            return Ok(open(access | OFlags::CLOEXEC)?.into());
        }
        match read_link(&there, &name).map_err(|error| below(&shown, error))? {
            None => return Ok(open(access | OFlags::CLOEXEC | OFlags::NOFOLLOW)?.into()),
            Some(target) => (path, here) = (target, Some(there)),
        }
    }
    Err(Errno::LOOP.into())
}

/// Returns the target of a symbolic link; `None` if the name is not a link, or does not exist. A link that must not be
/// followed is an error, which [`foreign_link`] recognises.
pub fn read_link(directory: &OwnedFd, name: &OsStr) -> io::Result<Option<PathBuf>> {
    // Each attempt fails only if somebody has replaced the link in between.
    for _ in 0..MAX_LINKS {
        let Some(before) = stat_link(directory, name)? else { return Ok(None) };
        let target = match rustix::fs::readlinkat(directory, name, Vec::new()) {
            // Another file has this name by now.
            Err(Errno::INVAL | Errno::NOENT) => continue,
            other => other?,
        };
        // Make sure that the owner belongs to the link that was read. In a sticky directory, only the owner of a link
        // or of the directory can replace it.
        let Some(after) = stat_link(directory, name)? else { continue };
        if (before.st_dev, before.st_ino, before.st_uid) != (after.st_dev, after.st_ino, after.st_uid) {
            continue;
        }
        if owner(&rustix::fs::fstat(directory)?, after.st_uid) == FileOwner::Suspect {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, ForeignLink(name.into())));
        }
        return Ok(Some(OsString::from_vec(target.into_bytes()).into()));
    }
    Err(Errno::LOOP.into())
}

/// Classifies the owner of a file in this directory.
pub fn owner(directory: &Stat, user: u32) -> FileOwner {
    let (own, mode) = (rustix::process::geteuid().as_raw(), Mode::from_raw_mode(directory.st_mode));
    let is_shared = mode.contains(Mode::SVTX) && mode.intersects(Mode::WGRP | Mode::WOTH);
    match user {
        user if user == own => FileOwner::ThisUser,
        user if is_shared && (user != directory.st_uid || user == UNKNOWN_USER) => FileOwner::Suspect,
        _ => FileOwner::Other,
    }
}

fn stat_link(directory: &OwnedFd, name: &OsStr) -> io::Result<Option<Stat>> {
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => Ok(Some(stat)),
        Ok(_) | Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn open_part(directory: impl AsFd, part: &OsStr, access: OFlags) -> rustix::io::Result<OwnedFd> {
    let flags = access | OFlags::DIRECTORY | OFlags::CLOEXEC;
    retry_on_intr(|| rustix::fs::openat(&directory, part, flags, Mode::empty()))
}

/// Returns the names in a path, the last one first.
fn parts(path: &Path) -> Vec<OsString> {
    path.components().rev().map(|part| part.as_os_str().to_owned()).collect()
}

/// Adds the directory of a link to the error that names the link.
fn below(directory: &Path, error: io::Error) -> io::Error {
    match foreign_link(&error) {
        Some(link) => io::Error::new(error.kind(), ForeignLink(directory.join(link))),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn the_owner_of_a_file_in_a_sticky_directory_decides() {
        let own = rustix::process::geteuid().as_raw();
        let (host, guest) = (own + 1, own + 2);
        let mut directory = rustix::fs::stat(".").unwrap();
        let cases = [
            (0o1777, host, own, FileOwner::ThisUser),
            (0o1777, host, host, FileOwner::Other),
            (0o1777, host, guest, FileOwner::Suspect),
            (0o1777, own, guest, FileOwner::Suspect),
            (0o1775, host, guest, FileOwner::Suspect),
            (0o1757, host, guest, FileOwner::Suspect),
            (0o1755, host, guest, FileOwner::Other),
            (0o0777, host, guest, FileOwner::Other),
            // This container may know neither of the two users.
            (0o1777, UNKNOWN_USER, UNKNOWN_USER, FileOwner::Suspect),
        ];
        for (mode, of_directory, of_file, expected) in cases {
            (directory.st_mode, directory.st_uid) = (mode, of_directory);
            assert_eq!(owner(&directory, of_file), expected, "{mode:o} {of_directory} {of_file}");
        }
    }

    #[test]
    fn a_path_leads_where_the_kernel_would_lead_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(path("a/b")).unwrap();
        std::fs::write(path("a/b/file"), "x").unwrap();
        for (target, name) in [
            ("a/b", "relative"),
            ("../relative/..", "a/up"),
            (path("a").to_str().unwrap(), "absolute"),
            ("loop", "loop"),
            ("nowhere", "dangling"),
            ("relative/file", "to-file"),
            ("to-file", "a/again"),
        ] {
            symlink(target, path(name)).unwrap();
        }
        symlink(path("to-file"), path("a/b/back")).unwrap();
        for there in [
            "",
            ".",
            "a/..",
            "relative",
            "a/up",
            "absolute/b",
            "a/b/../../relative/..",
            "loop",
            "dangling",
            "a/b/file",
            "none",
        ] {
            let ours = open_directory(None, &path(there)).map(|fd| rustix::fs::fstat(fd).unwrap().st_ino);
            let kernel = std::fs::File::open(path(there).join("."));
            let kernel = kernel.map(|file| rustix::fs::fstat(file).unwrap().st_ino);
            let (ours, kernel) =
                (ours.map_err(|it| it.raw_os_error()), kernel.map_err(|it| it.raw_os_error()));
            assert_eq!(ours, kernel, "{there}");
        }
        let id = |file: &File| rustix::fs::fstat(file).unwrap().st_ino;
        for there in
            ["a/b/file", "to-file", "a/b/back", "relative/../b", "..", "loop", "dangling", "a/b/file/none"]
        {
            let ours = open_file(&path(there), OFlags::RDONLY).map(|file| id(&file));
            let kernel = File::open(path(there)).map(|file| id(&file));
            let (ours, kernel) =
                (ours.map_err(|it| it.raw_os_error()), kernel.map_err(|it| it.raw_os_error()));
            assert_eq!(ours, kernel, "{there}");
        }
    }
}
