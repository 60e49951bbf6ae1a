//! The two halves of a copy.

mod commit;
mod feed;
mod half;
mod pace;
mod parents;
mod paths;
mod plan;
mod preflight;
mod reader;
mod run;
mod second;
mod serve;
mod stats;
#[cfg(test)]
mod tests;
mod verdict;
mod writer;

pub use parents::Parents;
pub use paths::resolve;
pub use plan::{Plan, PlannedDestination, PlannedSource};
pub use preflight::preflight;
pub use run::run;
pub use serve::second_process;
