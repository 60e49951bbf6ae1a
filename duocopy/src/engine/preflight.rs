//! Checks a request without copying: for a dry run, and for a Writer that waits.

use super::paths;
use super::plan::{Plan, PlannedDestination, PlannedSource};
use crate::api::{Error, ErrorKind, Request, Role, Stop, Verify};
use crate::dest::{self, Found, Policy};
use crate::record::SourceRecord;
use crate::session::Peers;
use crate::source::{self, Reading};
use std::path::Path;

/// Returns what [`run`](crate::run) would do with this request. Creates and changes nothing, and does not wait for a
/// peer. `stop` ends it early.
///
/// # Errors
/// Those with which `run` would fail, as far as they are known before the peer arrives.
pub fn preflight(request: &Request, stop: &Stop) -> Result<Plan, Error> {
    let request = &paths::resolve(request)?;
    Peers::of(request)?;
    let (source, destination) = request.paths();
    let source = source.map(|path| inspect_source(path, request, stop)).transpose()?;
    let record = source.as_ref().and_then(|(_, record)| record.as_ref());
    let destination = destination.map(|path| inspect_destination(path, record, request, stop)).transpose()?;
    Ok(Plan { source: source.map(|(source, _)| source), destination })
}

/// Returns an error if a Writer that waits for its Reader would refuse the copy if the Reader arrived now.
pub fn early_refusal(request: &Request, stop: &Stop) -> Result<(), Error> {
    let (_, Some(path)) = request.paths() else { return Ok(()) };
    let refused = |error| Error { role: Some(Role::Writer), ..error };
    dest::inspect_early(path, &Policy::of(request, stop)).map_err(refused)
}

/// Inspects a source. Pipes and standard input are not opened, because the process at their other end would notice.
fn inspect_source(
    path: &Path,
    request: &Request,
    stop: &Stop,
) -> Result<(PlannedSource, Option<SourceRecord>), Error> {
    if request.reads_streams() && source::is_stream(path) {
        source::look_up(path)?;
        return Ok((PlannedSource { path: path.into(), length: None }, None));
    }
    let source = source::open(path, Reading::of(request), stop)?;
    let record = *source.record();
    Ok((PlannedSource { path: path.into(), length: record.known_length() }, Some(record)))
}

fn inspect_destination(
    path: &Path,
    source: Option<&SourceRecord>,
    request: &Request,
    stop: &Stop,
) -> Result<PlannedDestination, Error> {
    let (policy, path) = (Policy::of(request, stop), path.to_owned());
    let rereads = request.verify == Verify::Reread;
    match dest::inspect(&path, &policy, source, request.is_half(), rereads, request.resumes()) {
        Ok(Found::Stream) => Ok(PlannedDestination::Stream { path }),
        Ok(Found::Absent) => Ok(PlannedDestination::Create { path }),
        Ok(Found::Existing(_)) => Ok(PlannedDestination::Replace { path, backup: policy.backup }),
        Err(error) if error.kind == ErrorKind::Skipped => Ok(PlannedDestination::Keep { path }),
        Err(error) => Err(error),
    }
}
