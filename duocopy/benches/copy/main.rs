//! How long `duocopy` and other tools take to copy a file, and how much of the processors.
//!
//! `cargo bench -p duocopy` measures every case, `cargo bench -p duocopy -- new sparse` these two. Without `--bench`,
//! as under `cargo test --benches`, every candidate copies a small file once and is checked, and nothing is timed.
//! `DUOCOPY_BENCH_DIR` says where to copy, `DUOCOPY_BENCH_MIB` how much where the case does not say, and
//! `DUOCOPY_BENCH_ROUNDS` how often. With `DUOCOPY_BENCH_OTHER=PROGRAM` there are cases more that compare this build with
//! another one: `builds-new`, `builds-flushed`, `builds-small`, `builds-cp`.

mod candidate;
mod cases;
mod files;
mod report;
#[path = "../../../blockpipe/benches/util/statistics.rs"]
mod statistics;

fn main() -> std::process::ExitCode {
    let outcome = match std::env::args().nth(1).as_deref() {
        Some(candidate::WRITE_ONLY) => files::write_as_much(),
        Some(candidate::ALONE) => files::copy_alone(),
        _ => cases::measure(),
    };
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("copy: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}
