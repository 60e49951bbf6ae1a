//! `--dry-run`: what a copy would do, as far as one look can tell. Nothing is made or changed, and nobody is waited for.

use crate::args::{Existing, Permission};
use crate::backup;
use crate::copy::Summary;
use crate::exit::{self, Failure};
use crate::options::{Backup, Options, Verify};
use crate::output::{Outlet, allow};
use crate::place::Place;
use crate::plan::{self, Paths};
use crate::progress::{self, Role};
use crate::record::SourceRecord;
use crate::sink;
use crate::source::Source;
use crate::sys::{self, FileKind};
use crate::temporary;
use std::path::Path;

pub fn run(
    paths: &Paths,
    role: Option<Role>,
    permission: Permission,
    options: &Options,
) -> Result<Summary, Failure> {
    let mut would = Vec::new();
    let mut source = None;
    if role != Some(Role::Writer) {
        let (what, record) = look_at_source(paths.source(), role.is_some(), options)?;
        would.push(what);
        source = record;
    }
    if role != Some(Role::Reader) {
        would.push(look_at_destination(
            paths.destination(),
            role.is_some(),
            options.verify == Verify::Reread,
            permission,
            source.as_ref(),
        )?);
    }
    if !options.quiet {
        progress::say(&format!("would {}", would.join(" and ")));
    }
    let bytes = source.and_then(|source| source.known_length()).unwrap_or(0);
    Ok(Summary { bytes, kind: crate::digest::Kind::Nothing, digest: [0; 32], not_kept: None })
}

/// What a `write` can see before anybody has come. It may exist because an earlier copy has not had the time to say that
/// it is complete: then the journal is still there.
pub fn look_before_waiting(paths: &Paths, permission: Permission) -> Result<(), Failure> {
    let path = paths.destination();
    if Outlet::is_at(path) {
        return Ok(());
    }
    let place = Place::find(path, permission.follow_links)?;
    let continues = !matches!(place.directory.entry(&place.journal()), Ok(None));
    match look_at_destination(path, true, false, permission, None) {
        Err(failure) if continues && failure.code == exit::REFUSED => Ok(()),
        other => other.map(drop),
    }
}

/// What would be read. Standard input and pipes are not opened: somebody would notice.
fn look_at_source(
    path: &Path,
    streams: bool,
    options: &Options,
) -> Result<(String, Option<SourceRecord>), Failure> {
    let shown = exit::show(path);
    let passes = |nature| matches!(nature, FileKind::Pipe | FileKind::Device);
    if plan::is_standard(path) || streams && sys::file_kind_at(path).is_ok_and(passes) {
        return Ok((format!("read {shown} until it ends"), None));
    }
    let source = Source::open(path, options.digest(), streams)?;
    let record = *source.record();
    let length = record.known_length().map_or("until it ends".into(), |length| format!("({length} bytes)"));
    Ok((format!("read {shown} {length}"), Some(record)))
}

fn look_at_destination(
    path: &Path,
    streams: bool,
    read_again: bool,
    permission: Permission,
    source: Option<&SourceRecord>,
) -> Result<String, Failure> {
    let shown = exit::show(path);
    if streams && Outlet::is_at(path) {
        Outlet::check(path, permission, read_again)?;
        return Ok(format!("write to {shown} as it comes, which cannot be taken back"));
    }
    let source = source.copied().unwrap_or(SourceRecord::STREAM);
    let place = Place::find(path, permission.follow_links)?;
    allow(path, permission, source.length)?;
    let replaces = temporary::look_at(&place, &source)?;
    if !place.directory.is_writable() {
        let error = std::io::ErrorKind::PermissionDenied.into();
        return Err(Failure::destination(path, "making a temporary file beside it", &error));
    }
    let Some(old) = replaces else { return Ok(format!("make {shown}, which does not exist")) };
    if permission.existing != Existing::Replace {
        sink::keep_existing(path, &permission, &old, &source)?;
    }
    let kept = match permission.backup {
        Backup::None => "",
        Backup::Numbered => ", which is kept under a name with a number",
        Backup::Simple | Backup::Existing => {
            backup::check(&place, permission.backup, source.file)?;
            ", which is kept under another name"
        }
    };
    Ok(format!("replace {shown}{kept}"))
}
