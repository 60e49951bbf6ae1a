//! The tests of the library with real processes, in one executable, so that their shared code is compiled once.
//!
//! `one_memory.rs` is not among them: sanitizers run it, without a harness.

// Replaces the built-in `#[test]`.
#[macro_use(note, test)]
extern crate harness;

mod util;

mod directory;
mod faults;
mod files;
mod handles;
mod holes;
#[cfg(unix)]
mod hostile;
mod layers;
mod replacement;
mod roles;
mod two_processes;
#[cfg(windows)]
mod windows;

fn main() -> std::process::ExitCode {
    // The tests start this program again as their actors.
    if util::is_actor() {
        handles::many_pipes();
        #[cfg(unix)]
        hostile::correct_end();
        util::actor::run();
    }
    harness::run()
}
