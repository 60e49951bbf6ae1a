//! The seam to the operating system. Nothing above it has a `cfg`; nothing below it knows what a pipe is.
//!
//! # The contract that every system fills with the same names
//!
//! **[`Seats`]** decide who is who. A key (128 bits) stands for one pipe in a place: this user's own, or a directory
//! that several users can enter, where the system has such.
//! - `open(place, key)` opens the pipe's object or makes an empty one; it never touches something that this library did
//!   not make ([`OpenError::Foreign`]). Where objects outlive their processes it also says whether this one is new.
//! - `existing(place, key)` makes nothing and is for whoever only looks. `keys(place)`: of all that are there, where the
//!   system can list them.
//! - `publish_user(side, generation)`: under the gate, before a seat is taken: leaves what only this user can leave, and
//!   what lasts as long as the process. `user(side, generation)`: who has left it, as the kernel knows; `None` where
//!   users have no numbers.
//! - `header_copy()`: of what is there, which nobody can take away from who only looks.
//! - `lock_gate(until)` / `unlock_gate()`: one process at a time looks and sits down. `false` after the deadline.
//! - `current()`: under the gate, whether the key still leads to this object. If not, start again.
//! - `held(seat)`: whether *another* holder has the seat. Takes nothing and disturbs nobody.
//! - `take(seat)`: only under the gate. `release(seat)`: explicit; the kernel does it for a dead process.
//! - `forget()`: only under the gate: the key leads nowhere from here on; holders keep their object.
//! - `location()`: for messages. `directory(place)`: where all of them are, if they are files.
//!
//! **[`Segment`]** is memory that two processes see, aligned to a page, zero at first.
//! - `Seats::header()`: 4096 bytes, reserved. It lives as long as it is mapped and never shrinks.
//! - `Seats::create_region(generation, length)` reserves before it maps: no space is an error here and never a
//!   fault later. `Seats::open_region` maps what the other side made and checks that it is that long; either side may
//!   call it while the other one lives. A producer that died before anybody opened what it had made is no hindrance for
//!   the next one of the same generation, which may want another length. Where memory goes with its last holder, it may be gone with a dead one:
//!   `NotFound`.
//!
//! **[`Bell`]** wakes a sleeper in another process. `open(seats, generation, sleeper)`: each side has one, and a
//! newcomer who takes a dead one's place opens the same.
//! - `sleep(word, limit)`: sleeps while `word` is 1, at most `limit`; may wake for nothing, and where the kernel can
//!   say so, does when the partner's seat is lost. A ring that was given
//!   before the sleep, with the word put to 0, is not lost.
//! - `ring(word)`: wakes the one sleeper of this bell. The word is 0 already.
//!
//! Errors are `io::Error` and numbers are plain: a port can be written from this page alone.

use std::io;

#[cfg(unix)]
mod fcntl;
#[cfg(any(target_os = "macos", blockpipe_portable))]
mod fifo;
#[cfg(any(target_os = "freebsd", blockpipe_portable))]
mod flock;
#[cfg(unix)]
mod folder;
#[cfg(any(target_os = "macos", all(target_os = "linux", not(blockpipe_portable))))]
mod ofd;
#[cfg(unix)]
mod unix;

#[cfg(target_os = "freebsd")]
#[path = "freebsd.rs"]
mod system;
#[cfg(all(target_os = "linux", not(blockpipe_portable)))]
#[path = "linux.rs"]
mod system;
#[cfg(target_os = "macos")]
#[path = "macos.rs"]
mod system;
#[cfg(all(target_os = "linux", blockpipe_portable))]
#[path = "portable.rs"]
mod system;
#[cfg(windows)]
#[path = "windows.rs"]
mod system;

pub(crate) use system::Bell;
#[cfg(windows)]
pub(crate) use system::{Seats, Segment, directory};
#[cfg(unix)]
pub(crate) use {
    folder::directory,
    unix::{Seats, Segment},
};

#[cfg(not(any(target_os = "freebsd", target_os = "linux", target_os = "macos", windows)))]
compile_error!(
    "blockpipe runs on Linux, Windows, macOS and FreeBSD. For another system write src/sys/<system>.rs after the \
     contract in src/sys/mod.rs: `Seats`, `Segment` and `Bell`; or, where a pipe can be a file, only what src/sys/unix.rs \
     takes from `system`: `directory`, `Locks`, `hold`, `is_held`, `reserve`, `keep_from_children`, `Bell` and `unlink_bells`."
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
