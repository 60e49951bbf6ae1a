//! Copies a file with two processes that share nothing but a name.

#![forbid(unsafe_code)]
#![deny(clippy::exit, clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro)]

mod api;
mod attributes;
mod cache;
mod dest;
mod digest;
mod record;
mod sys;
mod engine { pub mod plan; }
mod session { pub mod status; }

pub use api::*;
pub use engine::plan::{Plan, PlannedDestination, PlannedSource};

/// The pipes that exist now, seen from outside.
pub mod status {
    pub use crate::session::status::{Phase, PipeStatus, ProcessStatus, pipe, pipes, remove_dead};
}

/// Stub.
pub fn run(_request: &Request, _observer: &mut dyn Observer, _stop: &Stop) -> Result<Outcome, Error> { todo!() }
/// Stub.
pub fn preflight(_request: &Request) -> Result<Plan, Error> { todo!() }
/// Stub.
pub fn resolve(_request: &Request) -> Result<Request, Error> { todo!() }
/// Stub.
pub fn second_process(_stop: &Stop) -> bool { todo!() }
