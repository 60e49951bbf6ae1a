//! The seam to the operating system. Nothing above it has a `cfg`; nothing below it knows what a pipe is.
//!
//! # The contract that every system fills with the same names
//!
//! **[`Seats`]** decide who is who. A key (128 bits) stands for one pipe of this user.
//! - `open(key)` opens the pipe's object or makes an empty one; it never touches something that this library did
//!   not make ([`OpenError::Foreign`]). Where objects outlive their processes, making one also removes those that
//!   killed pairs left under other keys.
//! - `lock_gate(until)` / `unlock_gate()`: one process at a time looks and sits down. `false` after the deadline.
//! - `current()`: under the gate, whether the key still leads to this object. If not, start again.
//! - `held(seat)`: whether *another* holder has the seat. Takes nothing and disturbs nobody.
//! - `take(seat)`: only under the gate. `release(seat)`: explicit; the kernel does it for a dead process.
//! - `forget()`: only under the gate: the key leads nowhere from here on; holders keep their object.
//! - `where_it_is()`: for messages.
//!
//! **[`Segment`]** is memory that two processes see, aligned to a page, zero at first.
//! - `Seats::header()`: 4096 bytes, reserved. It lives as long as it is mapped and never shrinks.
//! - `Seats::create_region(generation, length)` reserves before it maps: no space is an error here and never a
//!   fault later. `Seats::open_region` maps what the other side made and checks that it is that long.
//!
//! **[`Bell`]** wakes a sleeper in another process. `open(key, generation, sleeper)`: each side has one.
//! - `sleep(word, limit)`: sleeps while `word` is 1, at most `limit`; may wake for nothing. A ring that was given
//!   before the sleep, with the word put to 0, is not lost.
//! - `ring(word)`: wakes the one sleeper of this bell. The word is 0 already.
//!
//! Errors are `io::Error` and numbers are plain: a port can be written from this page alone.

use std::io;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as system;
#[cfg(target_os = "linux")]
mod unix;

#[cfg(target_os = "linux")]
pub(crate) use {
    linux::Bell,
    unix::{Seats, Segment},
};

#[cfg(not(target_os = "linux"))]
compile_error!(
    "blockpipe runs on Linux so far. Windows, macOS and FreeBSD need only the items listed in \
     blockpipe/src/sys/mod.rs: contributions are welcome."
);

/// One of the two ends of a pipe. Each is a seat that at most one living process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The end that fills blocks and sends them.
    Producer,
    /// The end that takes blocks and gives them back.
    Consumer,
}

/// A short sleep between two looks at something that nobody rings a bell for: the gate, and a pair that leaves.
#[expect(clippy::disallowed_methods, reason = "the one place where the library sleeps without a bell")]
pub(crate) fn pause(time: std::time::Duration) {
    std::thread::sleep(time);
}

/// Why a pipe's object could not be opened.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// Something is there that this library did not make.
    Foreign {
        path: String,
        what: &'static str,
    },
    Io {
        doing: String,
        source: io::Error,
    },
}
