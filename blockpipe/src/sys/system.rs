//! What differs between the systems on which a pipe is a file. Each file below provides the same names.
//!
//! - `directory()`: the usual path of this user's own directory of pipes.
//! - [`Locks`]: gate and seats, by what the system can lock. [`hold`] and [`is_held`]: the lock of a user card.
//! - `reserve(file, start, length)`: real memory for this part of the file, or an error.
//! - `keep_from_children(address, length)`: forked children do not get these pages.
//! - `unknown_user()`: the number that stands for every user that this process's user namespace does not know.
//! - [`Bell`]: opened by `Seats::bell`. `unlink_bells(directory, key)`: removes the files that belong to the bells.

#[cfg(target_os = "freebsd")]
mod freebsd;
#[cfg(all(target_os = "linux", not(blockpipe_portable)))]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(all(target_os = "linux", blockpipe_portable))]
mod portable;

#[cfg(target_os = "freebsd")]
use freebsd as this;
#[cfg(all(target_os = "linux", not(blockpipe_portable)))]
use linux as this;
#[cfg(target_os = "macos")]
use macos as this;
#[cfg(all(target_os = "linux", blockpipe_portable))]
use portable as this;

pub(crate) use this::{
    Bell, Locks, directory, hold, is_held, keep_from_children, reserve, unknown_user, unlink_bells,
};
