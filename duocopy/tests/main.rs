//! The tests of the program, in one executable: what they share is compiled once, and they wait side by side.

#![allow(clippy::wildcard_imports, reason = "tests use most of util")]

// Replaces the built-in `#[test]`.
#[macro_use(note, test)]
extern crate harness;

mod util;

// The portable build has another pipe (`sys` of blockpipe). What concerns only files or the output is not run again.
#[cfg(unix)]
mod attacks;
#[cfg(not(blockpipe_portable))]
mod cache;
#[cfg(all(target_os = "linux", not(blockpipe_portable)))]
mod changes;
#[cfg(not(blockpipe_portable))]
mod command_line;
mod cp;
#[cfg(all(unix, not(blockpipe_portable)))]
mod cp_flags;
#[cfg(not(blockpipe_portable))]
mod destination;
#[cfg(all(target_os = "linux", not(blockpipe_portable)))]
mod directories;
#[cfg(not(blockpipe_portable))]
mod embed;
#[cfg(unix)]
mod every_call;
mod every_step;
#[cfg(not(blockpipe_portable))]
mod existing;
mod failures;
#[cfg(all(target_os = "linux", not(blockpipe_portable)))]
mod file_systems;
mod halves;
#[cfg(unix)]
mod hardening;
#[cfg(unix)]
mod hostile;
#[cfg(all(target_os = "linux", not(blockpipe_portable)))]
mod hosts;
mod interrupted;
mod layers;
#[cfg(unix)]
mod limits;
mod lone_reader;
#[cfg(all(target_os = "linux", not(blockpipe_portable)))]
mod made_up_files;
#[cfg(not(blockpipe_portable))]
mod memory;
#[cfg(all(target_os = "linux", not(blockpipe_portable)))]
mod messages;
#[cfg(all(target_os = "linux", not(blockpipe_portable)))]
mod misbehaving;
#[cfg(not(blockpipe_portable))]
mod names;
#[cfg(unix)]
mod no_usual_place;
#[cfg(all(unix, not(blockpipe_portable)))]
mod output;
mod pair;
#[cfg(unix)]
mod parties;
#[cfg(all(target_os = "linux", not(blockpipe_portable)))]
mod power_cuts;
#[cfg(not(blockpipe_portable))]
mod preserve;
#[cfg(not(blockpipe_portable))]
mod progress;
#[cfg(all(target_os = "linux", not(blockpipe_portable)))]
mod protected;
mod replaced;
mod resume;
#[cfg(unix)]
mod soak;
#[cfg(not(blockpipe_portable))]
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
#[cfg(all(unix, not(blockpipe_portable)))]
mod working_directory;

fn main() -> std::process::ExitCode {
    #[cfg(windows)]
    util::send_event_if_asked();
    harness::run()
}
