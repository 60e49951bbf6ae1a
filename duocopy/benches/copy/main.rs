//! How long `duocopy` and other tools take to copy a file, and how much of the processors.
//!
//! `cargo bench -p duocopy` measures every case, `cargo bench -p duocopy -- new sparse` these two. Without `--bench`,
//! as under `cargo test --benches`, every candidate copies a small file once and is checked, and nothing is timed.
//! `DUOCOPY_BENCH_DIR` says where to copy, `DUOCOPY_BENCH_MIB` how much where the case does not say, and
//! `DUOCOPY_BENCH_ROUNDS` how often.

#[cfg(unix)]
mod candidate;
#[cfg(unix)]
mod cases;
#[cfg(unix)]
mod files;
#[cfg(unix)]
mod report;
#[cfg(unix)]
#[path = "../../../blockpipe/benches/util/statistics.rs"]
mod statistics;

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    use std::env;

    let write_only = env::args().any(|argument| argument == candidate::WRITE_ONLY);
    let outcome = if write_only { files::write_as_much() } else { cases::measure() };
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("copy: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(not(unix))]
fn main() {
    println!("LEFT OUT: what is compared with are tools of Unix");
}
