//! Keeps the old destination under another name (`--backup`), which is the name that GNU `cp` gives it.

use super::contract::Policy;
use super::path::DestinationPath;
use super::staging;
use crate::api::{Backup, Error, ErrorKind, Operation};
use crate::sys::{Entry, FileId};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;

/// The most numbers to try while other processes take them.
const MAX_TRIES: u64 = 1000;

/// Gives the file at the destination a second name. It keeps the first one until it is replaced, so that there is a
/// destination at every moment.
pub fn keep(path: &DestinationPath, policy: &Policy, source: FileId) -> Result<(), Error> {
    match path.directory.entry(&path.name) {
        Ok(Some(Entry::Regular(_))) if policy.backup != Backup::None => {}
        Ok(Some(Entry::Link(_))) if policy.backup != Backup::None && path.replaces_links => {}
        // A destination that cannot be inspected cannot be replaced either, and that reports why.
        _ => return Ok(()),
    }
    let kept = match highest_for(path, policy) {
        Err(error) => Err(error),
        Ok(Some(highest)) => numbered(path, highest),
        Ok(None) => {
            let name = simple_name(path, policy);
            match path.directory.link(&path.name, &name) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    check_simple(path, &name, source)?;
                    replace_simple(path, &name)
                }
                other => other,
            }
        }
    };
    kept.map_err(|error| {
        if error.kind() == io::ErrorKind::AlreadyExists && is_link_foreign(path) {
            return staging::name_taken(path, &path.backup(), None);
        }
        // The file system has no hard links, or only the owner of the file may create one.
        let unsupported =
            matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied);
        let kind = if unsupported { ErrorKind::BackupFailed } else { ErrorKind::Destination };
        path.refused(kind).doing(Operation::Backup, error)
    })
}

/// Checks that a simple backup replaces nothing but a regular file, and not the source, and that there is a name for a
/// numbered one.
pub fn check(path: &DestinationPath, policy: &Policy, source: FileId) -> Result<(), Error> {
    if policy.backup == Backup::None {
        return Ok(());
    }
    let failed = path.failed(Operation::Backup);
    if let Some(highest) = highest_for(path, policy).map_err(&failed)? {
        let [name, other] = [1, 2].map(|more| numbered_name(path, highest + more));
        // A name that is too long loses its number.
        let is_taken = name == other && path.directory.entry(&name).map_err(failed)?.is_some();
        let backup = PathBuf::from(name);
        return if is_taken { Err(path.refused(ErrorKind::BackupExists { backup })) } else { Ok(()) };
    }
    check_simple(path, &simple_name(path, policy), source)
}

fn check_simple(path: &DestinationPath, name: &OsStr, source: FileId) -> Result<(), Error> {
    let kind = match path.directory.entry(name) {
        Ok(Some(Entry::Regular(id))) if id == source => {
            ErrorKind::BackupIsSource { backup: PathBuf::from(name) }
        }
        Ok(Some(Entry::Directory | Entry::Link(_) | Entry::Other)) => {
            ErrorKind::BackupIsSpecial { backup: PathBuf::from(name) }
        }
        Ok(Some(Entry::Regular(_))) if is_link_foreign(path) => {
            return Err(staging::name_taken(path, &path.backup(), None));
        }
        Ok(Some(Entry::Regular(_))) => {
            path.check_owner(name)?;
            return path.check_replaceable(
                name,
                &path.directory.stat(name).map_err(path.failed(Operation::Backup))?,
            );
        }
        _ => return Ok(()),
    };
    Err(path.refused(kind))
}

/// Removes the extra link to the destination that remains if a copy was killed while it replaced a simple backup.
///
/// The link may belong to another user, as the old destination did. A link to the same file as the destination can be
/// removed without losing anything; any other file of this name is not ours.
pub fn remove_leftover(path: &DestinationPath) {
    if matches!(path.directory.entry(&path.backup()), Ok(Some(_))) && !is_link_foreign(path) {
        let _ = path.directory.remove_if_exists(&path.backup());
    }
}

/// Returns whether the name of the extra link leads to something that is not the destination.
fn is_link_foreign(path: &DestinationPath) -> bool {
    match (path.directory.entry(&path.backup()), path.directory.entry(&path.name)) {
        (Ok(None), _) => false,
        (Ok(Some(Entry::Regular(link))), Ok(Some(Entry::Regular(destination))))
        | (Ok(Some(Entry::Link(link))), Ok(Some(Entry::Link(destination)))) => link != destination,
        _ => true,
    }
}

/// Returns the highest number that a backup has so far, or `None` if the next one gets no number.
fn highest_for(path: &DestinationPath, policy: &Policy) -> io::Result<Option<u64>> {
    match policy.backup {
        Backup::None | Backup::Simple => Ok(None),
        Backup::Numbered => highest(path).map(|highest| Some(highest.unwrap_or(0))),
        Backup::Existing => highest(path),
    }
}

/// Returns the highest number that a backup has, if there is one, and this user may list the directory.
fn highest(path: &DestinationPath) -> io::Result<Option<u64>> {
    let number = |name: &OsStr| {
        let rest = name.as_encoded_bytes().strip_prefix(path.name.as_encoded_bytes())?;
        let digits = std::str::from_utf8(rest.strip_prefix(b".~")?.strip_suffix(b"~")?).ok()?;
        let only_digits = digits.bytes().all(|digit| digit.is_ascii_digit());
        only_digits.then(|| digits.parse::<u64>())?.ok().filter(|number| *number < u64::MAX - MAX_TRIES)
    };
    match path.directory.names() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        names => Ok(names?.iter().filter_map(|name| number(name)).max()),
    }
}

fn numbered(path: &DestinationPath, highest: u64) -> io::Result<()> {
    for number in highest + 1..=highest + MAX_TRIES {
        match path.directory.link(&path.name, &numbered_name(path, number)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other,
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Makes a simple backup, which replaces an older one in one step.
fn replace_simple(path: &DestinationPath, backup: &OsStr) -> io::Result<()> {
    let between = path.backup();
    path.directory.link(&path.name, &between)?;
    let renamed = path.directory.rename_over(&between, backup);
    // rename(2) does nothing if both names are links to one file. Then the extra one is still there.
    remove_leftover(path);
    renamed
}

fn simple_name(path: &DestinationPath, policy: &Policy) -> OsString {
    path.directory.extended_name(&path.name, &policy.backup_suffix)
}

fn numbered_name(path: &DestinationPath, number: u64) -> OsString {
    path.directory.extended_name(&path.name, &format!(".~{number}~"))
}
