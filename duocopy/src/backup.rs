//! The old destination under another name (`--backup`), as GNU `cp` names it.

use crate::exit::Failure;
use crate::options::Backup;
use crate::os::Entry;
use crate::place::Place;
use std::ffi::{OsStr, OsString};
use std::io;

/// Others may take numbers at the same time.
const TRIES: u64 = 1000;

/// Gives what is at the destination now another name, too. The destination itself stays until it is replaced, so that
/// there is one at every moment.
pub fn keep(place: &Place, how: Backup) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        let doing = "giving the old file another name (--backup)";
        match error.kind() {
            io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied => {
                let what = format!("{doing}: {error}");
                Failure::refused(
                    &place.path,
                    &what,
                    "this file system may have no second names: copy without --backup",
                )
            }
            _ => Failure::destination(&place.path, doing, &error),
        }
    };
    match place.directory.entry(&place.name) {
        Ok(Some(Entry::Regular(_))) if how != Backup::None => {}
        // What cannot be looked at cannot be replaced either, which says so.
        _ => return Ok(()),
    }
    match how {
        Backup::None => Ok(()),
        Backup::Simple => simple(place),
        Backup::Numbered => numbered(place, highest(place).map_err(failed)?.unwrap_or(0)),
        Backup::Existing => match highest(place).map_err(failed)? {
            Some(highest) => numbered(place, highest),
            None => simple(place),
        },
    }
    .map_err(failed)
}

/// The highest number that is taken, if there is one.
fn highest(place: &Place) -> io::Result<Option<u64>> {
    let number = |name: &OsStr| {
        let rest = name.as_encoded_bytes().strip_prefix(place.name.as_encoded_bytes())?;
        let digits = std::str::from_utf8(rest.strip_prefix(b".~")?.strip_suffix(b"~")?).ok()?;
        digits.parse::<u64>().ok()
    };
    Ok(place.directory.names()?.iter().filter_map(|name| number(name)).max())
}

fn numbered(place: &Place, highest: u64) -> io::Result<()> {
    for number in (highest + 1)..=highest.saturating_add(TRIES) {
        match place.directory.link(&place.name, &with(&place.name, &format!(".~{number}~"))) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other,
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// In the place of an earlier one, in one step.
fn simple(place: &Place) -> io::Result<()> {
    let suffix = std::env::var("SIMPLE_BACKUP_SUFFIX").ok();
    let suffix = suffix.filter(|suffix| !suffix.is_empty() && !suffix.contains(std::path::is_separator));
    let (backup, between) = (with(&place.name, suffix.as_deref().unwrap_or("~")), place.backup());
    // Of a copy that was killed just here.
    place.directory.remove_if_there(&between)?;
    place.directory.link(&place.name, &between)?;
    let renamed = place.directory.rename_over(&between, &backup);
    // Two names of one file are not renamed over each other; and a name too many is nobody's.
    place.directory.remove_if_there(&between)?;
    renamed
}

fn with(name: &OsStr, suffix: &str) -> OsString {
    let mut name = name.to_owned();
    name.push(suffix);
    name
}
