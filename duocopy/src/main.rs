//! Copies a file with two processes that share nothing but a name.

#![forbid(unsafe_code)]

mod args;
mod checkpoint;
mod copy;
mod digest;
mod exit;
mod journal;
mod os;
mod partner;
mod place;
mod plan;
mod progress;
mod record;
mod sink;
mod source;
mod temporary;
mod verdict;

use args::{Arguments, Form, Show};
use exit::Failure;
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
    let paths = plan::Paths::resolve(&arguments.source, &arguments.destination)?;
    let name = match &arguments.form {
        Form::Pair(Some(name)) => name.as_encoded_bytes().to_vec(),
        Form::Pair(None) => paths.job(),
        // Nobody else may come to it by accident.
        Form::Alone => {
            let random = RandomState::new().hash_one(std::process::id());
            format!("duocopy cp {random:016x}").into_bytes()
        }
    };
    let job = copy::Job {
        paths: &paths,
        name,
        starts_partner: arguments.form == Form::Alone,
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
    Ok(())
}
