//! `blockpipe` compared with other crates that move data between two processes, measured by the code of its own
//! benchmark.
//!
//! `cargo run --release --manifest-path blockpipe/compare/Cargo.toml -- --bench` measures. Without `--bench` every
//! candidate hands over a small amount, which is checked, and nothing is timed. `BLOCKPIPE_BENCH_MIB` sets the amount
//! (the number of messages grows with it), `BLOCKPIPE_BENCH_ROUNDS` the number of rounds.

mod channels;
mod descriptor;
mod iceoryx;
mod shmem;
#[path = "../../benches/util/mod.rs"]
mod util;

use channels::{Bytes, Memory};
use descriptor::Descriptor;
use iceoryx::Iceoryx;
use shmem::Shmem;
use std::process::ExitCode;
use util::{Blockpipe, Candidate, Task, far_descriptors, large_pipe, pipe, socket, two_threads};

fn main() -> ExitCode {
    let blocks: fn(Task) -> bool = |task| matches!(task, Task::Blocks(_));
    // A sender that is faster than its receiver, as in a stream, sleeps for milliseconds in iceoryx2, which leaves flow
    // control to its users.
    let messages: fn(Task) -> bool = |task| matches!(task, Task::PingPong | Task::Parked);
    // A polling candidate never sleeps.
    let awake: fn(Task) -> bool = |task| task != Task::Parked;
    let candidates = [
        Candidate::processes("blockpipe", Blockpipe::near, Blockpipe::far),
        Candidate::processes("blockpipe (again: the noise)", Blockpipe::near, Blockpipe::far),
        Candidate::processes("blockpipe, waiting for its descriptor", Descriptor::near, Descriptor::far),
        Candidate::threads("two threads of one process", two_threads),
        Candidate::processes("iceoryx2, polling", Iceoryx::near, Iceoryx::far)
            .only(|task| task == Task::PingPong),
        Candidate::processes("iceoryx2, with events", Iceoryx::near_with_events, Iceoryx::far_with_events)
            .only(messages),
        Candidate::processes("shmem-ipc, polling", Shmem::near_polling, Shmem::far_polling).only(awake),
        Candidate::processes("shmem-ipc, with event descriptors", Shmem::near, Shmem::far),
        Candidate::processes("ipc-channel, bytes", Bytes::near, Bytes::far),
        Candidate::processes("ipc-channel, shared memory", Memory::near, Memory::far).only(blocks),
        Candidate::processes("pipe", pipe, far_descriptors),
        Candidate::processes("pipe, 1 MiB large", large_pipe, far_descriptors).only(blocks),
        Candidate::processes("Unix socket", socket, far_descriptors),
    ];
    util::run(
        &candidates,
        &[
            "Polling takes a whole core of each process for as long as nothing comes; blockpipe spins for at most 50 µs, a producer for 20.",
            "ipc-channel makes shared memory anew for every block and copies into it, as its safe interface does.",
            "iceoryx2 serves many publishers and subscribers, and ipc-channel many senders; here there is one of each.",
        ],
    )
}
