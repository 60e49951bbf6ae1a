//! The destination of a copy: a file that appears under its name in one step, or a stream output.
//!
//! Types enforce the order of the steps: a [`Destination`] is staged ([`Staged`]), then ready (`Ready`), then
//! committed (`Committed`). Each state borrows the destination, so that the caller still has it after a failure, and
//! decides whether to [keep](Destination::keep) or to [discard](Destination::discard) what was written.

mod atomic;
mod backup;
mod checkpoint;
mod contract;
#[cfg(test)]
pub mod fake;
mod in_place;
mod inspect;
pub mod journal;
mod journaling;
mod link;
mod metadata;
mod observed;
mod open;
mod path;
mod replace;
mod rights;
mod same_file;
mod settle;
mod sparse;
mod staging;
mod stream;
#[cfg(test)]
mod tests;
mod xattr;

pub use atomic::AtomicFile;
pub use contract::{Destination, Policy, Staged, WritePlan};
pub use inspect::{Found, check_directory, inspect, inspect_early};
pub use metadata::SourceMetadata;
pub use observed::Observed;
pub use open::open;
pub use path::Links;
pub use rights::lost_owner;
pub use stream::{StreamOutput, is_stream};
