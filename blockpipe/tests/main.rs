//! The tests of the library with real processes, in one executable, so that their shared code is compiled once.
//!
//! `one_memory.rs` is not among them: sanitizers run it, without a harness.

// Replaces the built-in `#[test]`.
#[macro_use(note, test)]
extern crate harness;

mod util;

mod blocks;
mod directory;
mod examples;
mod faults;
#[cfg(any(feature = "bytes", all(unix, feature = "readiness")))]
mod features;
mod files;
mod fork;
mod handles;
mod headers;
#[cfg(unix)]
mod hostile;
// On the portable build, the card of a process of the same user always looks held (docs/guarantees.md).
#[cfg(not(blockpipe_portable))]
mod identity;
mod layers;
mod opening;
#[cfg(unix)]
mod places;
mod replacement;
mod roles;
mod streams;
mod transfer;
mod two_processes;
mod verdicts;
mod waiting;
#[cfg(windows)]
mod windows;

fn main() -> std::process::ExitCode {
    // The tests start this program again as their actors.
    if util::is_actor() {
        handles::many_pipes();
        #[cfg(unix)]
        fork::run_case();
        #[cfg(unix)]
        hostile::correct::correct_end();
        util::actor::run();
    }
    harness::run()
}
