//! The tests of the program, in one executable: what they share is compiled once, and they wait side by side.

#![allow(clippy::wildcard_imports, reason = "tests use most of util")]

// Replaces the built-in `#[test]`.
#[macro_use(note, test)]
extern crate harness;

#[macro_use]
mod util;

mod cache;
mod cli;
#[cfg(unix)]
mod every_call;
mod every_step;
mod existing;
mod halves;
#[cfg(unix)]
mod hardening;
#[cfg(unix)]
mod hostile;
mod interrupted;
#[cfg(all(target_os = "linux", not(blockpipe_portable)))]
mod messages;
#[cfg(unix)]
mod parties;
mod preserve;
mod replaced;
mod resume;
#[cfg(unix)]
mod soak;
mod sparse;
mod stats;
mod status;
#[cfg(unix)]
mod strangers;
#[cfg(unix)]
mod streams;
#[cfg(windows)]
mod windows;

fn main() -> std::process::ExitCode {
    harness::run()
}
