//! The old destination under another name (`--backup`), as GNU `cp` names it.

use crate::exit::{self, Failure};
use crate::options::Backup;
use crate::place::Place;
use crate::sys::{Entry, FileId};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

/// Others may take numbers at the same time.
const TRIES: u64 = 1000;

/// Gives what is at the destination now another name, too. The destination itself stays until it is replaced, so that
/// there is one at every moment.
pub fn keep(place: &Place, how: Backup, source: FileId) -> Result<(), Failure> {
    match place.directory.entry(&place.name) {
        Ok(Some(Entry::Regular(_))) if how != Backup::None => {}
        // What cannot be looked at cannot be replaced either, which says so.
        _ => return Ok(()),
    }
    let kept = match (how, highest(place)) {
        (_, Err(error)) => Err(error),
        (Backup::Numbered, Ok(highest)) => numbered(place, highest.unwrap_or(0)),
        (Backup::Existing, Ok(Some(highest))) => numbered(place, highest),
        (_, Ok(_)) => {
            check(place, how, source)?;
            simple(place)
        }
    };
    kept.map_err(|error| {
        let doing = "giving the old file another name (--backup)";
        if !matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied) {
            return Failure::destination(&place.path, doing, &error);
        }
        let remedy = "the file system has no second names for files, or only its owner may give it one \
                      (fs.protected_hardlinks): copy without --backup";
        Failure::refused(&place.path, &format!("{doing}: {error}"), remedy)
    })
}

/// What has the simple name must be something that may be replaced, and not the source.
pub fn check(place: &Place, how: Backup, source: FileId) -> Result<(), Failure> {
    let numbered =
        how == Backup::Numbered || how == Backup::Existing && matches!(highest(place), Ok(Some(_)));
    if numbered || how == Backup::None {
        return Ok(());
    }
    let name = simple_name(place);
    let shown = exit::show(Path::new(&name));
    match place.directory.entry(&name) {
        Ok(Some(Entry::Regular(id))) if id == source => {
            let what = format!("its backup, {shown}, would take the place of the source");
            Err(Failure::refused(&place.path, &what, "rename the source, or use --backup=numbered"))
        }
        Ok(Some(Entry::Directory | Entry::Other)) => {
            let what = format!("the name of its backup, {shown}, belongs to what is no regular file");
            Err(Failure::refused(&place.path, &what, "move that away, or use --backup=numbered"))
        }
        _ => Ok(()),
    }
}

/// Takes away what a copy has left that was killed between two steps: a second name of what is, or was, the destination.
pub fn tidy(place: &Place) {
    if let Ok(Some(Entry::Regular(_))) = place.directory.entry(&place.backup()) {
        let _ = place.directory.remove_if_exists(&place.backup());
    }
}

/// The highest number that is taken, if there is one.
fn highest(place: &Place) -> io::Result<Option<u64>> {
    let number = |name: &OsStr| {
        let rest = name.as_encoded_bytes().strip_prefix(place.name.as_encoded_bytes())?;
        let digits = std::str::from_utf8(rest.strip_prefix(b".~")?.strip_suffix(b"~")?).ok()?;
        let only_digits = digits.bytes().all(|digit| digit.is_ascii_digit());
        only_digits.then(|| digits.parse::<u64>())?.ok().filter(|number| *number < u64::MAX - TRIES)
    };
    Ok(place.directory.names()?.iter().filter_map(|name| number(name)).max())
}

fn numbered(place: &Place, highest: u64) -> io::Result<()> {
    for number in highest + 1..=highest + TRIES {
        match place.directory.link(&place.name, &with(&place.name, &format!(".~{number}~"))) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other,
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// In the place of an earlier one, in one step.
fn simple(place: &Place) -> io::Result<()> {
    let (backup, between) = (simple_name(place), place.backup());
    match place.directory.link(&place.name, &backup) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => return other,
    }
    place.directory.link(&place.name, &between)?;
    let renamed = place.directory.rename_over(&between, &backup);
    // Two names of one file are not renamed over each other; and a name too many is nobody's.
    place.directory.remove_if_exists(&between)?;
    renamed
}

fn simple_name(place: &Place) -> OsString {
    let suffix = std::env::var("SIMPLE_BACKUP_SUFFIX").ok();
    let suffix = suffix.filter(|suffix| !suffix.is_empty() && !suffix.contains(std::path::is_separator));
    with(&place.name, suffix.as_deref().unwrap_or("~"))
}

fn with(name: &OsStr, suffix: &str) -> OsString {
    let mut name = name.to_owned();
    name.push(suffix);
    name
}
