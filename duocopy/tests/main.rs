//! The tests of the program, in one executable: what they share is compiled once, and they wait side by side.

#![allow(clippy::wildcard_imports, reason = "tests use most of util")]

// Replaces the built-in `#[test]`.
#[macro_use(note, test)]
extern crate harness;

mod util;

#[cfg(unix)]
mod attacks;
mod cache;
#[cfg(target_os = "linux")]
mod changes;
mod command_line;
mod cp;
mod destination;
#[cfg(target_os = "linux")]
mod directories;
mod embed;
#[cfg(unix)]
mod every_call;
mod every_step;
mod existing;
mod failures;
mod halves;
#[cfg(unix)]
mod hardening;
#[cfg(unix)]
mod hostile;
mod interrupted;
mod layers;
#[cfg(unix)]
mod limits;
mod lone_reader;
mod memory;
#[cfg(all(target_os = "linux", not(blockpipe_portable)))]
mod messages;
#[cfg(target_os = "linux")]
mod misbehaving;
mod names;
#[cfg(unix)]
mod no_usual_place;
#[cfg(unix)]
mod output;
mod pair;
#[cfg(unix)]
mod parties;
#[cfg(target_os = "linux")]
mod power_cuts;
mod preserve;
mod progress;
#[cfg(target_os = "linux")]
mod protected;
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
mod third_process;
#[cfg(windows)]
mod windows;
#[cfg(unix)]
mod working_directory;

fn main() -> std::process::ExitCode {
    #[cfg(windows)]
    util::send_event_if_asked();
    harness::run()
}
