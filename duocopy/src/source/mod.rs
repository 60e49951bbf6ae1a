//! Where the Reader gets the bytes: a regular file, or a stream that is read once.

mod contract;
#[cfg(test)]
pub mod fake;
mod file;
mod open;
mod settle;
mod stream;

pub use contract::{Piece, Source, Supply};
pub use open::{check_continues, is_stream, look_up, open};
