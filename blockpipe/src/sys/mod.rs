//! The seam to the operating system. Nothing above it has a `cfg`; nothing below it knows what a pipe is.
//!
//! # The contract: the same names on every system
//!
//! **[`Seats`]** decide which process has which role. A key (128 bits) stands for one pipe in a directory
//! ([`Location`]): this user's own, or a chosen one, where the system supports that.
//! - `open(location, key)` opens the pipe's object or creates an empty one; it never touches anything that this
//!   library did not create ([`OpenError::Foreign`]). Where objects outlive their processes, it also returns whether
//!   this one is new.
//! - `existing(location, key)` creates nothing; observers use it. `keys(location)` lists the keys of all existing
//!   pipes, where the system can list them.
//! - `publish_user(side, generation)`: under the gate, before a seat is taken, publishes proof of the caller's uid,
//!   which lasts as long as the process. `peer_card(side, generation)` returns a [`Card`]: the uid that has been proved so
//!   (`None` where users have no numbers, and for a user that this process's namespace has none for), and `is_held()`,
//!   whether that very process still lives.
//! - `header_copy()` copies the header, so that nobody can take it away from an observer.
//! - `lock_gate(until)` / `unlock_gate()`: one process at a time checks the seats and takes one. `false` after the
//!   deadline.
//! - `is_current()`: under the gate, whether the key still leads to this object. If not, the caller restarts.
//! - `is_held(seat)`: whether *another* holder has the seat. Takes nothing and disturbs nobody.
//! - `take(seat)`: only under the gate. `release(seat)`: explicit; the kernel does it for a dead process.
//! - `unlink()`: only under the gate; from then on the key leads nowhere. Holders keep their object.
//!   `peer_can_unlink()`: `false` if this process may be the only one of the pair that is able to.
//! - `location()`: for messages. `directory(location)`: the path of the directory of all pipes, if they are files, for
//!   messages, too. `Seats::directory()`: that directory as it was opened, for a sandbox.
//!
//! **[`Segment`]** is memory that two processes share, page-aligned and zero at first.
//! - `Seats::header()`: 8192 bytes, reserved. It lives as long as it is mapped and never shrinks.
//! - `Seats::create_region(generation, length)` reserves memory before it maps it: lack of space is an error here and
//!   never a fault later. `Seats::open_region` maps what the other side made and checks that it is that long; either
//!   side may call it while the other one lives. If a producer died before anybody opened what it had made, the next
//!   one of the same generation can create the region again, with another length. Where memory disappears with its last
//!   holder, it may be gone with a dead producer: `NotFound`.
//!
//! **[`Bell`]** wakes a sleeper in another process. `Seats::bell(generation, sleeper)` opens it: each side has one, and a
//! replacement opens the same bell as the dead process.
//! - `sleep(word, limit)` sleeps while `word` is 1, up to `limit`. It may wake up for no reason. Where the kernel can
//!   report that the peer's seat was lost, this wakes it, too. A wake-up that is sent before the sleep, with the word
//!   set to 0, is not lost.
//! - `ring(word)` wakes the one sleeper of this bell. The word is 0 already.
//!
//! **`forks()`** returns a number that is another one in a forked child, without a system call. Shared memory is not
//! inherited by a child: a segment that is dropped there unmaps nothing, and seats that are dropped there stay taken.
//!
//! Errors are `io::Error` and numbers are plain: a port can be written from this page alone. The types that the
//! contract shares with its callers are in `contract.rs`.

mod contract;

#[cfg(unix)]
mod cards;
#[cfg(unix)]
mod fcntl;
#[cfg(any(target_os = "macos", blockpipe_portable))]
mod fifo;
#[cfg(any(target_os = "freebsd", blockpipe_portable))]
mod flock;
#[cfg(unix)]
mod folder;
#[cfg(unix)]
mod forks;
#[cfg(unix)]
mod lock;
#[cfg(unix)]
mod network;
#[cfg(any(target_os = "macos", all(target_os = "linux", not(blockpipe_portable))))]
mod ofd;
#[cfg(all(unix, feature = "readiness"))]
mod readiness;
#[cfg(unix)]
mod system;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;
#[cfg(unix)]
mod zeros;

pub use contract::Side;
pub(crate) use contract::{Location, OpenError, pause};
#[cfg(unix)]
pub(crate) use forks::forks;
#[cfg(all(unix, feature = "readiness"))]
pub use readiness::Readiness;
#[cfg(unix)]
pub use unix::Directory;
#[cfg(unix)]
pub(crate) use unix::{Bell, Card, Seats, Segment, directory};
#[cfg(windows)]
pub use windows::Directory;
#[cfg(all(windows, feature = "readiness"))]
pub use windows::Readiness;
#[cfg(windows)]
pub(crate) use windows::{Bell, Card, Seats, Segment, directory};

/// Windows has no fork.
#[cfg(windows)]
pub(crate) fn forks() -> u32 {
    0
}

#[cfg(not(any(target_os = "freebsd", target_os = "linux", target_os = "macos", windows)))]
compile_error!(
    "blockpipe runs on Linux, Windows, macOS and FreeBSD. For another system write src/sys/<system>.rs after the \
     contract in src/sys/mod.rs: `Seats`, `Segment` and `Bell`; or, where a pipe can be a file, only \
     src/sys/system/<system>.rs with what src/sys/system.rs selects."
);
