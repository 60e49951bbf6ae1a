//! The cost of handing blocks over from one process to another: `blockpipe` compared with two threads of one process
//! and with the system's own means.
//!
//! `cargo bench -p blockpipe --bench handoff` measures. Without `--bench`, as under `cargo test --benches`, every
//! candidate hands over a small amount, which is checked, and nothing is timed. `BLOCKPIPE_BENCH_MIB` sets the amount
//! (the number of messages grows with it), `BLOCKPIPE_BENCH_ROUNDS` the number of rounds.

#[cfg(target_os = "linux")]
mod util;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    use util::{Blockpipe, Candidate, Task, far_descriptors, large_pipe, pipe, socket, two_threads};

    let candidates = [
        Candidate::processes("blockpipe", Blockpipe::near, Blockpipe::far),
        Candidate::processes("blockpipe (again: the noise)", Blockpipe::near, Blockpipe::far),
        Candidate::threads("two threads of one process", two_threads),
        Candidate::processes("pipe", pipe, far_descriptors),
        // Messages do not fill even a small pipe.
        Candidate::processes("pipe, 1 MiB large", large_pipe, far_descriptors)
            .only(|task| matches!(task, Task::Blocks(_))),
        Candidate::processes("Unix socket", socket, far_descriptors),
    ];
    util::run(&candidates, &[])
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("LEFT OUT: the measurement of hand-overs is written for Linux");
}
