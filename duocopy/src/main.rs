//! Copies a file with two processes that share nothing but a name.

#![forbid(unsafe_code)]

mod cli;

use cli::args::{self, Task};
use cli::output::say;
use cli::render::SIGNAL;
use cli::{copies, status};
use duocopy::Signals;
use std::process::ExitCode;

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
        Task::Copy(requests, settings) => copies::run(requests, settings, &signals),
    })
}
