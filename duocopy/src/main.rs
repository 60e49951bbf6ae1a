//! Copies a file with two processes that share nothing but a name.

#![forbid(unsafe_code)]

mod args;
mod backup;
mod cache;
mod checkpoint;
mod copy;
mod digest;
mod dry_run;
mod exit;
mod journal;
mod metadata;
mod options;
mod output;
mod pace;
mod partner;
mod peers;
mod place;
mod plan;
mod progress;
mod reader;
mod record;
mod report;
mod sandbox;
mod sink;
mod source;
mod stats;
mod status;
mod sys;
mod temporary;
mod verdict;
mod writer;

use args::{Form, Permission, Task};
use exit::Failure;
use options::{Options, Show};
use peers::Peers;
use plan::Paths;
use progress::Role;
use serde_json::json;
use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let task = args::parse();
    let done = sys::Signals::watch(exit::SIGNAL)
        .map_err(|error| Failure::new(exit::FAILED, format!("watching for signals: {error}")))
        .and_then(|signals| match &task {
            Task::Show(query) => status::run(query, &signals),
            Task::Copy(form, options) => copy(form, options, &signals),
        });
    match done {
        Ok(()) => ExitCode::from(exit::COMPLETE),
        Err(failure) => {
            progress::say(&failure.message);
            ExitCode::from(failure.code)
        }
    }
}

/// Copies, and tells programs how that ended.
fn copy(form: &Form, options: &Options, signals: &sys::Signals) -> Result<(), Failure> {
    let begun = Instant::now();
    let copied = run(form, options, signals);
    let failure = match &copied {
        Ok(done) => done.not_kept.clone(),
        Err(failure) => Some(failure.clone()),
    };
    let skipped = failure.as_ref().filter(|failure| failure.code == exit::SKIPPED);
    if options.json {
        let code =
            failure.as_ref().filter(|_| skipped.is_none()).map_or(exit::COMPLETE, |failure| failure.code);
        let (bytes, checksum) =
            copied.as_ref().map(|done| (done.bytes, done.kind.name(&done.digest))).ok().unzip();
        report::object(
            "end",
            json!({
                "code": code,
                "message": failure.as_ref().map(|failure| &failure.message),
                "dry_run": options.dry_run,
                "bytes": bytes,
                "checksum": checksum.flatten().map(|(name, value)| json!({ "algorithm": name, "value": value })),
                "seconds": begun.elapsed().as_secs_f64(),
            }),
        );
    }
    if let Some(failure) = skipped {
        // Who asks what would be done is told that nothing would.
        if options.verbose || options.dry_run && !options.quiet {
            progress::say(&failure.message);
        }
        return Ok(());
    }
    failure.map_or(Ok(()), Err)
}

fn run(form: &Form, options: &Options, signals: &sys::Signals) -> Result<copy::Summary, Failure> {
    let (paths, name, role, permission) = match form {
        Form::Pair { source, destination, name } => {
            let paths = Paths::of_both(source, destination)?;
            let name = name.as_ref().map_or_else(|| paths.job(), |name| name.as_encoded_bytes().to_vec());
            (paths, name, None, Permission::of_both(options))
        }
        Form::Alone { source, destination } => {
            // Nobody else may come to it by accident.
            let random = RandomState::new().hash_one(std::process::id());
            let name = format!("duocopy cp {random:016x}").into_bytes();
            (Paths::of_both(source, destination)?, name, None, Permission::of_both(options))
        }
        Form::Read { source, name } => {
            let paths = Paths::of_the_source(source)?;
            (paths, name.as_encoded_bytes().to_vec(), Some(Role::Reader), Permission::of_both(options))
        }
        Form::Write { destination, name, permission } => {
            let paths = Paths::of_the_destination(destination)?;
            (paths, name.as_encoded_bytes().to_vec(), Some(Role::Writer), *permission)
        }
    };
    let peers = Peers::of(options)?;
    if options.dry_run {
        return dry_run::run(&paths, role, permission, options);
    }
    let job = copy::Job {
        paths: &paths,
        name,
        role,
        starts_partner: matches!(form, Form::Alone { .. }),
        permission,
        outlet: Cell::new(false),
        peers,
        options,
        signals,
    };
    let mut progress = progress::Progress::new(options);
    let begun = Instant::now();
    let done = copy::run(&job, &mut progress)?;
    let seconds = begun.elapsed().as_secs_f64();
    let complete =
        format!("complete: {} bytes in {seconds:.3} s{}", done.bytes, done.kind.show(&done.digest));
    if options.progress == Show::Always {
        progress.note(&complete);
    } else {
        progress.detail(&complete);
    }
    Ok(done)
}
