//! Hostile peers, hostile third users, and halves that an attacker has taken over: they can waste time, and do no more
//! than the manual says.

// These modules make system calls inside other processes, and know the registers of one processor.
#[cfg(all(target_os = "linux", target_arch = "x86_64", not(blockpipe_portable)))]
mod attempts;
#[cfg(not(blockpipe_portable))]
mod beside;
#[cfg(all(target_os = "linux", target_arch = "x86_64", not(blockpipe_portable)))]
mod calls;
mod claims;
#[cfg(not(blockpipe_portable))]
mod rights;
#[cfg(all(target_os = "linux", target_arch = "x86_64", not(blockpipe_portable)))]
mod sandbox;
// Only Linux has user namespaces, and only Linux tells which process of the same user holds a card.
#[cfg(not(blockpipe_portable))]
mod seats;
#[cfg(not(blockpipe_portable))]
mod sticky;
#[cfg(all(target_os = "linux", target_arch = "x86_64", not(blockpipe_portable)))]
mod tracee;
