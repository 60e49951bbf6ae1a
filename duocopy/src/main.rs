//! Copies a file with two processes that share nothing but a name.

#![forbid(unsafe_code)]

mod cli;

fn main() {
    let _ = cli::args::parse();
}
