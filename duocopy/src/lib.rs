//! Copies a file with two processes that share nothing but a name.
//!
//! The first process is the *Reader*: it opens only the source. The second is the *Writer*: it opens only the
//! destination. Blocks of shared memory change owner between them, and a final handshake gives both the same verdict.
//! The destination is the old file or the new one at every moment. Either process can be killed anywhere.
//!
//! A [`Request`] describes a copy, [`run`] makes it, [`Event`]s report its progress, and an [`Outcome`] or an [`Error`]
//! its result. The library prints nothing. It changes no process-wide state unless the caller requests it: [`Signals`],
//! [`umask`] and [`Request::sandbox`] are for the `main` of a program.
//!
//! ```no_run
//! use duocopy::{ErrorKind, Event, Outcome, Request, Stop, Verify, run, second_process};
//!
//! // This program is also its own second process. Without this call, no copy by `Request::both` succeeds.
//! if second_process(&Stop::new()) {
//!     return;
//! }
//! let mut request = Request::both("big.iso", "/mnt/usb/big.iso");
//! request.verify = Verify::Reread;
//! let mut observer = |event| {
//!     if let Event::Progress(progress) = event {
//!         eprintln!("{} bytes", progress.written);
//!     }
//! };
//! match run(&request, &mut observer, &Stop::new()) {
//!     Ok(Outcome::Complete { bytes, .. }) => println!("{bytes} bytes are on the disk"),
//!     Ok(Outcome::Skipped { .. }) => unreachable!("this request replaces what is there"),
//!     Err(error) if error.is_no_space() => println!("free some space first"),
//!     Err(error) if error.kind == ErrorKind::SameFile => println!("nothing to do"),
//!     Err(error) => println!("failed: {error}"),
//! }
//! ```
//!
//! With [`Request::pair`], [`Request::read`] and [`Request::write`], something else starts the second process: a user,
//! a service, or a program of another user ([`Request::dir`]).

// One promise needs it: session/meeting.rs.
#![deny(unsafe_code)]
#![deny(clippy::exit, clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro)]

mod api;
mod attributes;
mod cache;
mod dest;
mod digest;
mod engine;
mod process;
mod record;
mod session;
mod source;
mod sys;
mod times;

pub use api::{
    Aftermath, Backup, Checksum, Destination, Error, ErrorKind, Event, Fsync, Hash, LayoutReason, Loss,
    LossReason, Observer, Operation, Outcome, Overwrite, Parties, Presence, Preserve, Preserved, Progress,
    Request, Role, SandboxGap, SharedOption, SourceChange, SourceLinks, Sparse, Stats, Step, Stop,
    SystemError, Verify, Warning,
};
pub use engine::{Parents, Plan, PlannedDestination, PlannedSource, preflight, resolve, run, second_process};
pub use process::{
    HAS_ACCESS_LISTS, HAS_ATTRIBUTES, HAS_OWNERS, Signals, absolute, check_standard_output, printable,
    shell_quote, umask, user_name,
};

/// The pipes that exist now, seen from outside.
pub mod status {
    pub use crate::session::status::{Phase, PipeStatus, ProcessStatus, pair, pipe, pipes, remove_dead};
}

/// Functions for the fuzzers.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    use crate::dest::journal;

    /// Length of a journal in bytes.
    pub const JOURNAL_LENGTH: usize = journal::LENGTH;

    /// Returns the checksum that seals a sector.
    pub fn checksum(bytes: &[u8]) -> u64 {
        crate::digest::of(bytes)
    }

    /// Parses a journal and checks what any accepted one must satisfy; returns whether it was accepted.
    ///
    /// # Panics
    /// If the journal is accepted and should not be.
    pub fn journal(content: &[u8; JOURNAL_LENGTH]) -> bool {
        let Some((heading, recorded)) = journal::parse(content) else { return false };
        assert!(recorded.durable.position <= heading.origin.source.stat.length);
        // The part of a stream that was read cannot be read again.
        assert_eq!(heading.fits(&heading), !heading.origin.source.is_stream);
        true
    }
}
