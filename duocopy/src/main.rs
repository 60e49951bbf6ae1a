//! Copies a file with two processes that share nothing but a name.

#![forbid(unsafe_code)]

mod args;
mod checkpoint;
mod copy;
mod digest;
mod exit;
mod journal;
mod os;
mod output;
mod pace;
mod partner;
mod place;
mod plan;
mod progress;
mod record;
mod sink;
mod source;
mod stats;
mod temporary;
mod verdict;

use args::{Arguments, Form, Permission, Show};
use exit::Failure;
use plan::Paths;
use progress::Role;
use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    match run(&args::parse()) {
        Ok(()) => ExitCode::from(exit::COMPLETE),
        Err(failure) => {
            progress::say(&failure.message);
            ExitCode::from(failure.code)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let signals = os::Signals::watch(exit::SIGNAL)
        .map_err(|error| Failure::new(exit::FAILED, format!("watching for signals: {error}")))?;
    let (paths, name, role, permission) = match &arguments.form {
        Form::Pair { source, destination, name } => {
            let paths = Paths::of_both(source, destination)?;
            let name = name.as_ref().map_or_else(|| paths.job(), |name| name.as_encoded_bytes().to_vec());
            (paths, name, None, Permission::ANYTHING)
        }
        Form::Alone { source, destination } => {
            // Nobody else may come to it by accident.
            let random = RandomState::new().hash_one(std::process::id());
            let name = format!("duocopy cp {random:016x}").into_bytes();
            (Paths::of_both(source, destination)?, name, None, Permission::ANYTHING)
        }
        Form::Read { source, name } => {
            let paths = Paths::of_the_source(source)?;
            (paths, name.as_encoded_bytes().to_vec(), Some(Role::Reader), Permission::ANYTHING)
        }
        Form::Write { destination, name, permission } => {
            let paths = Paths::of_the_destination(destination)?;
            (paths, name.as_encoded_bytes().to_vec(), Some(Role::Writer), *permission)
        }
    };
    let job = copy::Job {
        paths: &paths,
        name,
        role,
        starts_partner: matches!(arguments.form, Form::Alone { .. }),
        permission,
        outlet: Cell::new(false),
        options: &arguments.options,
        signals: &signals,
    };
    let mut progress = progress::Progress::new(&arguments.options);
    let begun = Instant::now();
    let done = copy::run(&job, &mut progress)?;
    let seconds = begun.elapsed().as_secs_f64();
    let complete =
        format!("complete: {} bytes in {seconds:.3} s{}", done.bytes, done.kind.show(&done.digest));
    if arguments.options.progress == Show::Always {
        progress.note(&complete);
    } else {
        progress.detail(&complete);
    }
    done.lost.map_or(Ok(()), |lost| {
        let what = format!("complete, but {} has not got from the source: {lost}", paths.show_destination());
        Err(Failure::new(
            exit::NOT_KEPT,
            format!("{what}; run as a user who may set it, or leave it out of --preserve"),
        ))
    })
}
