#![doc = include_str!("../README.md")]
#![deny(unsafe_code, clippy::exit, clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro)]
#![cfg_attr(loom, allow(dead_code, reason = "the model checker drives only the ring"))]

mod ring;
#[cfg(all(blockpipe_steps, not(loom)))]
mod steps;
mod sync;
mod words;

// A model checker's atomics are not words in shared memory, so it runs the ring without the rest.
#[cfg(not(loom))]
#[allow(unsafe_code, reason = "views blocks as slices of shared memory")]
mod block;
#[cfg(not(loom))]
mod committing;
#[cfg(not(loom))]
mod consumer;
#[cfg(not(loom))]
mod directory;
#[cfg(not(loom))]
mod end;
#[cfg(not(loom))]
mod error;
#[cfg(not(loom))]
mod held;
#[cfg(not(loom))]
mod identity;
#[cfg(not(loom))]
mod io;
#[cfg(not(loom))]
mod layout;
#[cfg(not(loom))]
#[allow(unsafe_code, reason = "views mapped bytes as types")]
mod memory;
#[cfg(not(loom))]
mod monitor;
#[cfg(not(loom))]
mod nudge;
#[cfg(not(loom))]
#[doc(hidden)]
pub mod offsets;
#[cfg(not(loom))]
mod overview;
#[cfg(not(loom))]
mod pipe;
#[cfg(not(loom))]
mod producer;
#[cfg(all(feature = "readiness", not(loom)))]
mod readiness;
#[cfg(not(loom))]
mod reason;
#[cfg(not(loom))]
mod spin;
#[cfg(not(loom))]
#[allow(unsafe_code, reason = "makes system calls and mappings")]
mod sys;
#[cfg(not(loom))]
mod wait;
#[cfg(not(loom))]
mod window;

#[cfg(all(feature = "readiness", not(loom)))]
pub use sys::Readiness;
#[cfg(not(loom))]
pub use {
    block::{EmptyBlock, FilledBlock, Trust, TrustedPeer, UntrustedPeer},
    committing::Committing,
    consumer::Consumer,
    error::{JoinError, PipeError},
    io::{Reader, Writer},
    layout::{Geometry, VERSION as PROTOCOL_VERSION},
    monitor::{Monitor, Phase, Snapshot},
    nudge::Canceller,
    overview::{pipes, remove_dead},
    pipe::{End, Pipe},
    producer::Producer,
    reason::Reason,
    ring::{BlockHeader, ResumePoint, Trailer},
    sys::{Directory, Side},
};
