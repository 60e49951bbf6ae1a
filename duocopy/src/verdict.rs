//! What the pipe's refusals and verdicts mean to the user: exit code, path and remedy.

use crate::args::Permission;
use crate::copy::Job;
use crate::exit::{self, Failure};
use crate::metadata::NOTHING;
use crate::output::Output;
use crate::place;
use crate::plan::show_job;
use crate::progress::{Role, command_line};
use crate::record::TargetRecord;
use crate::temporary::{self, Fate};
use blockpipe::{JoinError, Phase, PipeError, Reason, Side, Snapshot};
use std::path::Path;

impl Job<'_> {
    /// The name for people.
    pub fn show_name(&self) -> String {
        let name = if self.name == self.paths.job() { self.paths.show_job() } else { show_job(&self.name) };
        format!("\u{201c}{name}\u{201d}")
    }

    /// The command that the process in the other role is started with.
    fn command(&self, other: Role) -> String {
        let both = self.paths.both();
        let options = self.options.for_the_partner(both.is_none());
        let mut words: Vec<&[u8]> = vec![b"duocopy"];
        if both.is_none() {
            words.push(if other == Role::Reader { b"read" } else { b"write" });
        }
        words.extend(options.iter().map(String::as_bytes));
        // Absolute paths never look like flags; a name might.
        if self.name.starts_with(b"-") {
            words.push(b"--");
        }
        match both {
            Some((source, destination)) => {
                words.extend([source, destination].map(|path| path.as_os_str().as_encoded_bytes()));
                if self.name != self.paths.job() {
                    words.push(&self.name);
                }
            }
            // This half does not know what the other one works on.
            None => words.extend([if other == Role::Reader { b"SRC" } else { b"DST" }, &self.name[..]]),
        }
        command_line(words.into_iter())
    }

    /// What a complete copy has not got from its source.
    pub fn not_kept(&self, lost: &str) -> Failure {
        let what =
            format!("complete, but {} has not got from the source: {lost}", self.paths.show_destination());
        let remedy = if lost == NOTHING {
            "a stream has nothing else: leave out --preserve"
        } else {
            "run as a user who may set it, or leave it out of --preserve"
        };
        Failure::new(exit::NOT_KEPT, format!("{what}; {remedy}"))
    }

    /// What is said to whom nobody comes, if the process in this role is missing.
    pub fn lonely_message(&self, other: Role) -> String {
        let command = self.command(other);
        let who = match self.role {
            None => "second process".into(),
            Some(_) => other.to_string(),
        };
        let whom = match &self.options.dir {
            None => "the same user".into(),
            Some(dir) => format!("a user who may enter {}", exit::show(dir)),
        };
        format!("waiting for the {who}; start it as {whom}:\n  {command}")
    }

    /// What is said when the process in the other role has died and is waited for; empty if it is not.
    pub fn replacement_message(&self, other: Role) -> String {
        let Some(time) = self.options.replace_within else { return String::new() };
        let (time, command) = (humantime::format_duration(time), self.command(other));
        let same = if self.role.is_none() { "start the same command again" } else { "start it again" };
        format!("the {other} died; waiting up to {time} for another one: {same}:\n  {command}")
    }

    /// What was computed on the two sides, or read back, differs. An earlier run may have put the copy in its place
    /// already.
    pub fn mismatch(&self, what: &str, output: &dyn Output) -> Failure {
        let path = self.paths.show_destination();
        let state = if output.is_placed() {
            format!("{path}: {what}; it is what an interrupted copy has put there")
        } else {
            format!("{what}; {}", self.no_copy())
        };
        let remedy = match output.begins().position {
            0 => "check this machine's memory and disks, then copy again",
            _ => "what an interrupted copy had left may have been changed since; it is removed: copy again",
        };
        Failure::new(exit::MISMATCH, format!("{state}: {remedy}"))
    }

    /// Why this process got no role.
    pub fn explain_refusal(&self, error: JoinError) -> Failure {
        let name = self.show_name();
        match error {
            JoinError::TooManyInstances(there) => Failure::new(
                exit::TOO_MANY,
                format!(
                    "too many instances: the pipe {name} has its {} already; {}: {}",
                    seated(&there),
                    doing(&there),
                    if self.name == self.paths.job() {
                        "wait for its end"
                    } else {
                        "wait for its end, or choose another NAME"
                    }
                ),
            ),
            JoinError::Leaving(there) => Failure::new(
                exit::TOO_MANY,
                format!(
                    "too many instances: an earlier copy under the pipe {name} ({}) is still ending, or waits for a new \
                     partner (--replace-within); try again in a moment, or with its options",
                    living(&there)
                ),
            ),
            JoinError::OtherJob(there) => Failure::new(
                exit::REFUSED,
                format!(
                    "the pipe {name} is in use for another copy:\n  there: {} ({}, which goes on waiting)\n  here:  {}\n\
                 choose another NAME, or wait for its end",
                    show_job(&there.job),
                    living(&there),
                    self.paths.show_job()
                ),
            ),
            JoinError::OtherVersion { ours, theirs } => Failure::new(
                exit::OTHER_VERSION,
                format!(
                    "the process at the pipe {name} speaks version {theirs} of the protocol, this one version {ours}; \
                 use the same duocopy for both"
                ),
            ),
            JoinError::Foreign { path, what }
                if self.options.dir.as_ref().is_some_and(|dir| dir.as_os_str() == path.as_str()) =>
            {
                let remedy = "give it to a group that both users belong to (chmod 2770), or name another one";
                Failure::new(exit::REFUSED, format!("{}: {what}; {remedy}", exit::printable(&path)))
            }
            JoinError::Foreign { path, what } => Failure::new(
                exit::REFUSED,
                format!(
                    "{}: {what}; it was left alone: look who made it, and remove it if it is not needed",
                    exit::printable(&path)
                ),
            ),
            JoinError::Busy => Failure::new(
                exit::FAILED,
                format!(
                    "the pipe {name}: a process has been arriving or leaving for more than half a second; if it is \
                 stopped, continue or end it, then try again"
                ),
            ),
            JoinError::Aborted(reason) => self.told(Role::Reader, &reason, 0),
            JoinError::Interrupted => self.interrupted(0),
            JoinError::NoPartner => self.nobody_came(),
            JoinError::Io { doing, source } => no_pipe(&doing, &source, self.options.dir.as_deref()),
            other => Failure::new(exit::FAILED, format!("the pipe {name}: {other}")),
        }
    }

    /// What the Reader knows of where the other one writes: whether that can be taken back.
    pub fn learn(&self, there: &Snapshot) {
        if there.target.is_some_and(|target| TargetRecord::unpack(&target).outlet) {
            self.outlet.set(true);
        }
    }

    /// What became of the destination.
    fn no_copy(&self) -> String {
        let path = self.paths.show_destination();
        if self.outlet.get() {
            format!("what was written to {path} is not the whole copy")
        } else {
            format!("{path} is unchanged")
        }
    }

    /// The same, and what became of what was copied so far.
    fn unchanged(&self, kept: u64) -> String {
        let path = self.paths.show_destination();
        match kept {
            0 => format!("{}: copy again", self.no_copy()),
            _ => format!(
                "{path} is unchanged; {kept} bytes of the copy are safe beside it: copy again to go on from there"
            ),
        }
    }

    /// What the other side is told about our failure. A half that must not learn our path gets no message with one.
    pub fn reason(&self, failure: &Failure) -> Reason {
        let message = match self.paths.both() {
            Some(_) => failure.message.clone(),
            None => format!("{}; its own message says more", exit::in_general(failure.code)),
        };
        Reason::new(failure.code.into(), message)
    }

    /// What this process makes of the other one's failure, with `kept` bytes for the next copy.
    pub fn told(&self, by: Role, reason: &Reason, kept: u64) -> Failure {
        // What says *complete*, or is this side's to say, is no failure of the other one.
        let is_failure = |code: &u8| (exit::MISMATCH..=exit::REFUSED).contains(code);
        let code = u8::try_from(reason.code).ok().filter(is_failure).unwrap_or(exit::FAILED);
        let message = exit::printable(&reason.message);
        // Who has not said so is not told that nothing was to be done.
        let skips = Permission::of_both(self.options).skips() && self.paths.both().is_some();
        if reason.code == u32::from(exit::SKIPPED) && by == Role::Writer && skips {
            return Failure::new(exit::SKIPPED, message);
        }
        if code == exit::PARTNER {
            return Failure::new(code, format!("the {by} {message}; {}", self.unchanged(kept)));
        }
        Failure::new(code, format!("the {by} gave up: {message}"))
    }

    /// How the pipe ended, for the process in this role.
    pub fn explain(&self, error: PipeError, role: Role, there: &Snapshot, kept: u64) -> Failure {
        // Who was told to stop says so, unless something else ended the copy first.
        let stopped = match &error {
            PipeError::PartnerDied | PipeError::NoPartner => true,
            PipeError::Aborted { reason, .. } => reason.code == u32::from(exit::PARTNER),
            _ => false,
        };
        if stopped && self.signals.number().is_some() {
            return self.interrupted(kept);
        }
        match error {
            PipeError::Aborted { by: Side::Producer, reason } => self.told(Role::Reader, &reason, kept),
            PipeError::Aborted { by: Side::Consumer, reason } => self.told(Role::Writer, &reason, kept),
            PipeError::PartnerDied if role == Role::Writer => Failure::new(
                exit::PARTNER,
                format!("the Reader (process {}) died; {}", there.producer, self.unchanged(kept)),
            ),
            PipeError::PartnerDied if self.outlet.get() => {
                Failure::new(exit::PARTNER, format!("the Writer died; {}", self.unchanged(0)))
            }
            PipeError::PartnerDied => Failure::new(
                exit::PARTNER,
                format!(
                    "the Writer died; {} is unchanged, and a temporary file may be left{}, with which the next copy \
                     goes on, or which it removes: copy again",
                    self.paths.show_destination(),
                    self.paths.both().map_or(String::new(), |(_, destination)| {
                        format!(" ({})", place::temporary_path(destination))
                    })
                ),
            ),
            PipeError::DiedCommitting => self.look_at_the_destination(there),
            PipeError::NoPartner => self.nobody_came(),
            PipeError::Interrupted => self.interrupted(kept),
            PipeError::Io { doing, source } => no_shared_memory(&doing, &source),
            other => Failure::new(exit::FAILED, format!("the pipe {}: {other}", self.show_name())),
        }
    }

    /// The Writer died between its last word and the verdict: only the file itself can tell.
    fn look_at_the_destination(&self, there: &Snapshot) -> Failure {
        let path = self.paths.both().map(|(_, destination)| destination);
        let target = there.target.map(|target| TargetRecord::unpack(&target));
        let sent = there.closing.map_or([0; 32], |closing| closing.digest);
        let fate = |path, target| temporary::fate(path, &target, there.sent, self.options.digest(), &sent);
        if self.outlet.get() {
            let what =
                "the Writer died at the end; everything was written, perhaps not all of it to the disk";
            return Failure::new(exit::PARTNER, format!("{what}: compare it"));
        }
        let fate = match path.zip(target).map_or(Fate::Unknown, |(path, target)| fate(path, target)) {
            Fate::Replaced => "is complete, though a power failure now may bring back what was there before",
            Fate::Unchanged => "is unchanged: copy again",
            Fate::Changed => {
                "was replaced, and is not what was copied: somebody wrote to it since; copy again"
            }
            Fate::Unknown => {
                "may be complete or unchanged, which cannot be told from here: compare it with the source"
            }
        };
        Failure::new(
            exit::PARTNER,
            format!(
                "the Writer died while it put the copy in its place; {} {fate}",
                self.paths.show_destination()
            ),
        )
    }

    fn nobody_came(&self) -> Failure {
        Failure::new(
            exit::NO_PARTNER,
            format!(
                "nobody came to the pipe {} within --wait; start the second process in time",
                self.show_name()
            ),
        )
    }

    fn interrupted(&self, kept: u64) -> Failure {
        match self.signals.number() {
            Some(number) if kept > 0 => {
                Failure::new(exit::SIGNAL + number, format!("interrupted; {}", self.unchanged(kept)))
            }
            Some(number) => Failure::new(exit::SIGNAL + number, format!("interrupted; {}", self.no_copy())),
            // Nobody sent a signal: the partner that this process started has ended.
            None => Failure::new(
                exit::PARTNER,
                format!(
                    "the second process ended; {}, and what the next copy goes on with may be left beside it",
                    self.no_copy()
                ),
            ),
        }
    }
}

/// A pipe that could not be opened.
pub fn no_pipe(doing: &str, error: &std::io::Error, dir: Option<&Path>) -> Failure {
    use std::io::ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    let Some(dir) = dir else { return no_shared_memory(doing, error) };
    let remedy = match error.kind() {
        NotFound => "make this directory first, for a group that both users belong to (chmod 2770)".into(),
        PermissionDenied | ReadOnlyFilesystem => {
            format!(
                "both users must be able to write in {}: chmod 2770, and a group of both",
                exit::show(dir)
            )
        }
        Unsupported => "leave out --dir (and DUOCOPY_DIR)".into(),
        _ => return no_shared_memory(doing, error),
    };
    Failure::new(exit::FAILED, format!("{doing}: {error}; {remedy}"))
}

/// Shared memory that could not be had.
pub fn no_shared_memory(doing: &str, error: &std::io::Error) -> Failure {
    if error.kind() == std::io::ErrorKind::StorageFull {
        let remedy = exit::MORE_SHARED_MEMORY;
        return Failure::new(exit::NO_SPACE, format!("{doing}: {error}: shared memory is full; {remedy}"));
    }
    if error.kind() == std::io::ErrorKind::FileTooLarge {
        let remedy = "raise `ulimit -f`, or use a smaller --buffer-size";
        return Failure::new(exit::FAILED, format!("{doing}: {error}; {remedy}"));
    }
    Failure::new(exit::FAILED, format!("{doing}: {error}; {}", exit::LOOK_AT_SHARED_MEMORY))
}

/// Who has the seats.
fn seated(there: &Snapshot) -> String {
    let reader = there.producer_lives.then(|| format!("Reader (process {})", there.producer));
    let writer = there.consumer.map(|process| format!("Writer (process {process})"));
    let both: Vec<String> = reader.into_iter().chain(writer).collect();
    both.join(" and its ")
}

/// Who of an earlier pair is still there.
fn living(there: &Snapshot) -> String {
    match (there.producer_lives.then_some(there.producer), there.consumer) {
        (Some(producer), Some(consumer)) => format!("processes {producer} and {consumer}"),
        (Some(process), None) | (None, Some(process)) => format!("process {process}"),
        (None, None) => "gone meanwhile".into(),
    }
}

fn doing(there: &Snapshot) -> String {
    match there.phase {
        Phase::Opening | Phase::Alone => "they are starting".into(),
        Phase::Moving => format!("{} bytes are read and {} written so far", there.sent, there.done),
        Phase::Finishing | Phase::Committing | Phase::Over => {
            format!("they are finishing: {} bytes are written", there.done)
        }
    }
}
