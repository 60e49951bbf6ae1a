//! Copies a file with two processes that share nothing but a name.

#![forbid(unsafe_code)]

mod cli;

use cli::args::{self, Task};
use cli::end::{End, conclude};
use cli::output::say;
use cli::progress::Screen;
use cli::render::SIGNAL;
use cli::status;
use cli::{Settings, output};
use duocopy::{Error, Request, Signals};
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let signals = match Signals::watch(SIGNAL) {
        Ok(signals) => signals,
        Err(error) => {
            say(&format!("cannot watch for signals: {error}"));
            return ExitCode::FAILURE;
        }
    };
    if duocopy::second_process(&signals.stop()) {
        return ExitCode::SUCCESS;
    }
    ExitCode::from(match args::parse() {
        Task::Status(query) => status::run(&query, &signals),
        Task::Copy(request, settings) => copy(*request, settings, &signals),
    })
}

/// Copies, or says what a copy would do, and returns the exit code.
fn copy(request: Request, settings: Settings, signals: &Signals) -> u8 {
    let begun = Instant::now();
    let request = Request { umask: duocopy::umask(), ..request };
    let mut screen = Screen::new(&request, settings, signals);
    if settings.json
        && let Err(error) = duocopy::check_standard_output()
    {
        return output::failed(&error);
    }
    let result = run(&request, &mut screen, signals);
    conclude(&mut screen, result, begun, signals.number())
}

fn run(request: &Request, screen: &mut Screen, signals: &Signals) -> Result<End, Error> {
    let request = duocopy::resolve(request)?;
    screen.to.request = request.clone();
    if screen.settings.dry_run {
        return Ok(End::Planned(duocopy::preflight(&request, &signals.stop())?));
    }
    Ok(End::Copied(duocopy::run(&request, screen, &signals.stop())?))
}
