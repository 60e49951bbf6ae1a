//! A copy as each of its two processes sees it: which half this one is, and what both halves have in common.
//!
//! Only this file, the two halves, and what their end means know that there is another process. Reader and Writer are the
//! program's words; in the library they hold the producer and the consumer.

use crate::args::Permission;
use crate::cache::Pages;
use crate::digest::{Kind, Value};
use crate::dry_run;
use crate::exit::{self, Failure};
use crate::options::Options;
use crate::peers::Peers;
use crate::plan::Paths;
use crate::progress::{Presence, Progress, Role, View};
use crate::reader;
use crate::record::TargetRecord;
use crate::sys::{self, Signals};
use crate::writer;
use blockpipe::{End, Geometry, Monitor, Phase, Pipe, PipeError, Reason, Side};
use std::cell::Cell;
use std::ffi::OsString;

/// One copy as this process sees it.
#[derive(Debug)]
pub struct Job<'a> {
    pub paths: &'a Paths,
    /// Where the two meet.
    pub name: Vec<u8>,
    /// The role, if this process can have only one.
    pub role: Option<Role>,
    /// Whether this process starts the other one.
    pub starts_partner: bool,
    /// What it may do as the Writer.
    pub permission: Permission,
    /// Whether what is written goes out, and cannot be taken back.
    pub outlet: Cell<bool>,
    /// Who the other process may belong to.
    pub peers: Peers,
    pub options: &'a Options,
    pub signals: &'a Signals,
}

/// What was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    pub bytes: u64,
    pub kind: Kind,
    pub digest: Value,
    /// What was to be taken over from the source and could not be: the copy is complete all the same.
    pub not_kept: Option<Failure>,
}

/// Why a half stops: for a reason of its own, or because the pipe says so.
#[derive(Debug)]
pub enum Stop {
    Own(Failure),
    /// The same, but the partner goes on waiting: for another one in the place of a dead one.
    Aside(Failure),
    Pipe(PipeError),
}

impl Stop {
    /// Whether the partner died without a word, and this side did nothing wrong.
    pub fn by_a_death(&self) -> bool {
        matches!(self, Self::Pipe(PipeError::PartnerDied | PipeError::NoPartner))
    }

    /// Whether somebody stopped one of the two.
    pub fn by_an_interrupt(&self) -> bool {
        match self {
            Self::Pipe(PipeError::Aborted { reason, .. }) => reason.code == u32::from(exit::PARTNER),
            Self::Pipe(error) => matches!(error, PipeError::Interrupted),
            Self::Own(_) | Self::Aside(_) => false,
        }
    }

    /// Whether what was written may be gone on with, if the user wants that.
    pub fn leaves_something_good(&self) -> bool {
        !matches!(self, Self::Own(failure) if [exit::MISMATCH, exit::SKIPPED].contains(&failure.code))
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Own(failure)
    }
}

impl From<PipeError> for Stop {
    fn from(error: PipeError) -> Self {
        Self::Pipe(error)
    }
}

/// What passes through the caches on its way (`docs/benchmarks.md`).
pub const PRIVATE: usize = 64 << 10;

impl Job<'_> {
    fn pipe(&self) -> Pipe {
        let pipe = Pipe::named(&self.name);
        match &self.options.dir {
            Some(dir) => pipe.in_directory(dir),
            None => pipe,
        }
    }

    /// Where the pipe is a file, if it is one.
    pub fn pipe_directory(&self) -> Option<OsString> {
        self.pipe().directory()
    }

    /// Where a block's bytes are looked at if others than this user may write to the block meanwhile: what counts in
    /// the checksum is then what was read, or is written.
    pub fn private_copy(&self) -> Option<Pages> {
        self.options.dir.is_some().then(|| Pages::new(PRIVATE))
    }
}

/// Takes the role that is free, and does it.
pub fn run(job: &Job, progress: &mut Progress) -> Result<Summary, Failure> {
    let interrupted = Reason::new(exit::PARTNER.into(), "was interrupted");
    let mut pipe = job.pipe().job(job.paths.job()).interrupt(job.signals.stop.clone(), interrupted);
    if let Some(wait) = job.options.wait {
        pipe = pipe.patience(wait);
    }
    if let Some(time) = job.options.replace_within {
        pipe = pipe.replace_within(time);
    }
    let joined = match job.role {
        None => pipe.join(),
        Some(Role::Reader) => pipe.join_as_producer().map(End::Producer),
        Some(Role::Writer) => {
            // It may be the first, and is held up until the Reader is ready.
            let mut lonely = job.lonely_message(Role::Reader);
            // Only the Reader can be told, and it has to come for that.
            if let Err(failure) = dry_run::look_before_waiting(job.paths, job.permission) {
                lonely = format!("{lonely}\nIt will be refused, as it looks now: {}", failure.message);
            }
            progress.start((None, lonely, String::new()), job.signals.clone(), || View::NOBODY);
            let joined = pipe.join_as_consumer().map(End::Consumer);
            progress.finish();
            joined
        }
    };
    match joined {
        Ok(End::Producer(producer)) => reader::read(producer, job, progress),
        Ok(End::Consumer(consumer)) => writer::write(consumer, job, progress),
        Err(error) => Err(job.explain_refusal(error)),
    }
}

/// Whom this process deals with: said if it is somebody else.
pub fn check_partner(
    partner: Role,
    user: Result<Option<u32>, PipeError>,
    job: &Job,
    progress: &Progress,
) -> Result<(), Stop> {
    let user = match user {
        Err(PipeError::Io { source, .. }) => {
            let what = format!("the other process has not proved which user it belongs to ({source})");
            return Err(Failure::new(exit::REFUSED, format!("{what}; look who can enter --dir")).into());
        }
        other => other?,
    };
    if let Some(user) = user.filter(|user| sys::effective_user() != Some(*user)) {
        progress.note(&format!("the {partner} belongs to user {}", exit::show_user(user)));
    }
    Ok(job.peers.check(user)?)
}

/// The two processes do not compute the same.
pub fn other_check(path: &std::path::Path) -> Failure {
    let what = "the other process was started with another --verify or --hash";
    Failure::refused(path, what, "start both with the same ones")
}

pub fn say_stats(stats: &[String], job: &Job, progress: &Progress) {
    if job.options.stats {
        for line in stats {
            progress.stats(line);
        }
    }
}

/// Translates the library's view into the program's.
pub fn view(monitor: Monitor, own: Role) -> impl FnMut() -> View + Send + 'static {
    let terminal = sys::terminal_id();
    move || {
        let now = monitor.snapshot();
        let lives = match own {
            Role::Reader => now.consumer.is_some(),
            Role::Writer => now.producer_lives,
        };
        let blocks = now.geometry.map_or(1, Geometry::blocks) as u64;
        let theirs = now.target.map_or(0, |target| TargetRecord::unpack(&target).terminal);
        View {
            partner: match now.phase {
                Phase::Over => Presence::Dismissed,
                _ if lives => Presence::Here,
                // The Writer says what it works on as soon as it can; and a Reader was there before it.
                _ if own == Role::Writer || now.target.is_some() => Presence::Died,
                _ => Presence::NotYet,
            },
            read: now.sent,
            written: now.done,
            buffer: now.waiting_blocks.min(blocks) * 100 / blocks,
            asleep: now.asleep.map(|side| match side {
                Side::Producer => Role::Reader,
                Side::Consumer => Role::Writer,
            }),
            drawn_by_partner: own == Role::Reader && terminal != 0 && theirs == terminal,
        }
    }
}
