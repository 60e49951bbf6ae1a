//! Copies a file with two processes that share nothing but a name.

#![forbid(unsafe_code)]
#![deny(clippy::exit, clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro)]

mod api;
mod attributes;
mod cache;
mod dest;
mod digest;
mod engine;
mod process;
mod record;
mod session;
mod source;
mod sys;

pub use api::{
    Aftermath, Backup, Checksum, Destination, Error, ErrorKind, Event, Fsync, Hash, LayoutReason, Loss,
    LossReason, Observer, Operation, Outcome, Overwrite, Parties, Presence, Preserve, Preserved, Progress,
    Request, Role, SandboxGap, SharedOption, SourceChange, Sparse, Stats, Step, Stop, SystemError, Verify,
    Warning,
};
pub use engine::{Plan, PlannedDestination, PlannedSource, preflight, resolve, run, second_process};
pub use process::{HAS_ACCESS_LISTS, HAS_ATTRIBUTES, HAS_OWNERS, Signals, shell_quote, umask, user_name};

/// The pipes that exist now, seen from outside.
pub mod status {
    pub use crate::session::status::{Phase, PipeStatus, ProcessStatus, pipe, pipes, remove_dead};
}
