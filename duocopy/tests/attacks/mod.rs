//! Hostile peers, hostile third users, and halves that are taken over: what they can do is a waste of time, and what the
//! manual says.

// These make system calls inside other processes, and know the registers of one processor.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod attempts;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod calls;
mod claims;
mod rights;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod sandbox;
mod sticky;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod tracee;
