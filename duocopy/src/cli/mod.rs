//! The command line: the only part of the program that speaks to people.

pub mod args;
mod as_cp;
pub mod copies;
pub mod end;
mod hint;
mod json;
mod options;
pub mod output;
pub mod progress;
pub mod render;
pub mod status;
mod values;
