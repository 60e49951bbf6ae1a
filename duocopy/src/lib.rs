//! Copies a file with two processes that share nothing but a name.

#![forbid(unsafe_code)]
#![deny(clippy::exit, clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro)]
#![allow(dead_code, reason = "stubs")]

mod api;
mod engine {
    pub mod plan;
}
mod session {
    pub mod status;
}

pub use api::*;
pub use engine::plan::{Plan, PlannedDestination, PlannedSource};

/// The pipes that exist now, seen from outside.
pub mod status {
    pub use crate::session::status::{Phase, PipeStatus, ProcessStatus, pipe, pipes, remove_dead};
}

/// Whether files have owners here that the copy can take over.
pub const HAS_OWNERS: bool = cfg!(unix);
/// Whether files have extended attributes here that the copy can take over.
pub const HAS_ATTRIBUTES: bool = cfg!(any(target_os = "linux", target_os = "macos"));
/// Whether files have access lists here that the copy can take over.
pub const HAS_ACCESS_LISTS: bool = cfg!(target_os = "linux");

/// Stub.
///
/// # Errors
/// Stub.
pub fn run(_request: &Request, _observer: &mut dyn Observer, _stop: &Stop) -> Result<Outcome, Error> {
    todo!()
}
/// Stub.
///
/// # Errors
/// Stub.
pub fn preflight(_request: &Request) -> Result<Plan, Error> {
    todo!()
}
/// Stub.
///
/// # Errors
/// Stub.
pub fn resolve(request: &Request) -> Result<Request, Error> {
    Ok(request.clone())
}
/// Stub.
pub fn second_process(_stop: &Stop) -> bool {
    false
}
/// Returns the permission bits that this process takes away from new files. Stub.
pub fn umask() -> u32 {
    0o022
}
/// Returns a word as the user's shell reads it back, whatever bytes it has. Nothing in it moves a cursor. Stub.
pub fn shell_quote(word: &[u8]) -> String {
    String::from_utf8_lossy(word).into_owned()
}
/// Returns the name of the user with this number, if there is one. Stub.
pub fn user_name(_user: u32) -> Option<String> {
    None
}

/// The signals that stop this process, or ask it for a status line. Stub.
#[derive(Clone, Debug, Default)]
pub struct Signals(Stop);

impl Signals {
    /// From now on the first signal that stops requests a [`Stop`], and a second one ends the process at once with
    /// `base` and the signal's number as its exit code. Stub.
    ///
    /// # Errors
    /// The system's, if a signal cannot be watched.
    pub fn watch(_base: u8) -> std::io::Result<Self> {
        Ok(Self::default())
    }
    /// Returns what the first signal requests.
    pub fn stop(&self) -> Stop {
        self.0.clone()
    }
    /// Returns the number of the signal that stopped this process, if one did. Stub.
    pub fn number(&self) -> Option<u8> {
        None
    }
    /// Returns whether somebody asked for a status line since the last call. Stub.
    pub fn status_requested(&self) -> bool {
        false
    }
}
