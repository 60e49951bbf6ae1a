//! The command line: the only part of the program that speaks to people.

pub mod args;
mod options;
mod values;
