//! Inspects a destination and decides whether a copy may replace it, with the same result for a copy and for
//! `--dry-run`.

use super::contract::Policy;
use super::path::{DestinationPath, Links};
use super::{backup, staging, stream};
use crate::api::{Error, ErrorKind, Operation, Overwrite};
use crate::record::SourceRecord;
use crate::sys::{FileOwner, Stat};
use crate::times;
use std::path::Path;

/// The state of the destination that a copy would find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A pipe, a device or standard output: what is written cannot be rolled back.
    Stream,
    /// Nothing: the copy creates a file.
    Absent,
    /// A file that the copy replaces.
    Existing(Stat),
}

/// Inspects a destination without changing anything. Returns the error with which a copy would end, as far as that is
/// known now; for a destination that the copy would keep, that is [`ErrorKind::Skipped`].
///
/// `streams` says whether the copy may write to a stream, `rereads` whether it reads back what it wrote, and `resume`
/// whether it may resume an interrupted copy.
pub fn inspect(
    path: &Path,
    policy: &Policy,
    source: Option<&SourceRecord>,
    streams: bool,
    rereads: bool,
    resume: bool,
) -> Result<Found, Error> {
    let source = source.unwrap_or(&SourceRecord::STREAM);
    if streams && stream::is_stream(path) {
        stream::check(path, policy, rereads)?;
        policy.check_limit(path, source.stat.length)?;
        return Ok(Found::Stream);
    }
    inspect_file(path, policy, source, |path| {
        resume && staging::already_committed(path, policy, source).is_some()
    })
}

/// Returns an error if another user may have put this directory where the user means a file.
pub fn check_directory(path: &Path) -> Result<(), Error> {
    match DestinationPath::open_path(path, Links::FOLLOWED) {
        Ok(found) if matches!(found.directory.owner_of(&found.name), Ok(FileOwner::Suspect)) => {
            Err(found.refused(ErrorKind::ForeignTarget))
        }
        // The path is a root or the like, or cannot be inspected; then the copy fails for that reason.
        _ => Ok(()),
    }
}

/// Inspects a destination before the Reader arrives. A destination that has a journal is not refused because it exists:
/// it may be the complete copy of a Writer that was killed before it could report that.
pub fn inspect_early(path: &Path, policy: &Policy) -> Result<(), Error> {
    if stream::is_stream(path) {
        return stream::check(path, policy, false);
    }
    let has_journal = |path: &DestinationPath| !matches!(path.directory.entry(&path.journal()), Ok(None));
    inspect_file(path, policy, &SourceRecord::STREAM, has_journal).map(drop)
}

fn inspect_file(
    path: &Path,
    policy: &Policy,
    source: &SourceRecord,
    is_own: impl FnOnce(&DestinationPath) -> bool,
) -> Result<Found, Error> {
    let path = DestinationPath::open_path(path, policy.links(source))?;
    let existing = examine(&path, policy, source, || is_own(&path))?;
    // A copy notices this when it creates its temporary file; a dry run creates none.
    path.directory.check_writable().map_err(path.failed(Operation::Temporary))?;
    Ok(existing.map_or(Found::Absent, Found::Existing))
}

/// Returns the file that the copy replaces, if there is one. Fails if the copy must not or cannot replace it; otherwise
/// that would show only after all data is copied. If `is_own` returns true, the destination is this very copy, and is
/// not replaced.
pub fn examine(
    path: &DestinationPath,
    policy: &Policy,
    source: &SourceRecord,
    is_own: impl FnOnce() -> bool,
) -> Result<Option<Stat>, Error> {
    policy.check_limit(&path.path, source.stat.length)?;
    let existing = staging::inspect(path, policy, source)?;
    let check = |old: &Stat| {
        check_overwrite(&path.path, policy, old, source)?;
        path.check_owner(&path.name)?;
        path.check_replaceable(&path.name, old)?;
        backup::check(path, policy, source.stat.file)
    };
    if let Some(Err(error)) = existing.as_ref().map(check)
        && !is_own()
    {
        return Err(error);
    }
    if path.directory.protection().is_fixed {
        return Err(path.refused(ErrorKind::DirectoryProtected));
    }
    Ok(existing)
}

/// Returns an error if the overwrite policy keeps this destination. Times that differ by less than what both file
/// systems can store count as equal. A stream has no age: it counts as newer.
pub fn check_overwrite(path: &Path, policy: &Policy, old: &Stat, source: &SourceRecord) -> Result<(), Error> {
    // One of the two file systems may not be able to store the time that the other one has.
    let step = times::step_of(old).max(times::step_of(&source.stat));
    let [old, new] = [old.modified, source.stat.modified].map(|time| times::truncate(time, step));
    let is_older = || source.is_stream || old < new;
    match policy.overwrite {
        Overwrite::Replace => Ok(()),
        Overwrite::ReplaceIfOlder if is_older() => Ok(()),
        Overwrite::Refuse => Err(Error::at(ErrorKind::DestinationExists, path)),
        Overwrite::Skip | Overwrite::ReplaceIfOlder => Err(Error::at(ErrorKind::Skipped, path)),
    }
}
