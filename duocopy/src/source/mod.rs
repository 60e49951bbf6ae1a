//! Where the Reader gets the bytes: a regular file, or a stream that is read once.

mod attributes_only;
mod contract;
#[cfg(test)]
pub mod fake;
mod file;
mod link;
mod open;
mod settle;
mod stream;

pub use contract::{Piece, Source, Supply};
pub use open::{Reading, check_continues, is_stream, look_up, open};
