//! Errors: the one table from kinds to exit codes, sentences and remedies.

use super::audience::{Audience, SIGNAL, printable, role_name, show, show_name, show_tag, user};
use super::cause::{
    CHECK_SHARED_MEMORY, FREE_SHARED_MEMORY, MORE_FILES, MORE_MEMORY, MORE_PROCESSES, cause,
    destination_operation, destination_remedy, meeting_remedy, source_operation, source_remedy,
};
use crate::cli::hint;
use duocopy::{Aftermath, Error, ErrorKind as Kind, Parties, Role, SharedOption, SourceChange};
use std::io;
use std::path::Path;

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const MISMATCH: u8 = 4;
const SOURCE: u8 = 5;
const DESTINATION: u8 = 6;
const NO_SPACE: u8 = 7;
const PEER: u8 = 8;
const TOO_MANY: u8 = 9;
const TIMEOUT: u8 = 10;
const OTHER_VERSION: u8 = 11;
const REFUSED: u8 = 12;

/// The entry of the table for a kind.
struct Row {
    code: u8,
    /// What failed: a sentence that the path and the system's reason can follow.
    what: String,
    /// What to do about it; may be empty.
    remedy: String,
}

fn row(code: u8, what: impl Into<String>, remedy: impl Into<String>) -> Row {
    Row { code, what: what.into(), remedy: remedy.into() }
}

/// Returns the exit code for an error; `signal` is the number of the one that stopped this process.
pub fn exit_code(error: &Error, to: &Audience, signal: Option<u8>) -> u8 {
    match (&error.kind, signal) {
        (Kind::Interrupted, Some(number)) => SIGNAL.saturating_add(number),
        _ => look_up(error, to).code,
    }
}

/// Returns the message for an error: `<what failed>: <path>: <the system's reason>; <what is left>; <remedy>`.
pub fn message(error: &Error, to: &Audience) -> String {
    let Row { what, mut remedy, code } = look_up(error, to);
    let mut text = what;
    if let Some(peer) = error.role.filter(|role| to.role != Some(*role) && !to.started_both())
        && [FAILED, MISMATCH, SOURCE, DESTINATION, NO_SPACE, TIMEOUT, REFUSED].contains(&code)
        && !matches!(error.kind, Kind::Interrupted | Kind::PeerTimeout | Kind::PeerFailed)
    {
        let peer = role_name(peer);
        text = format!("the {peer} failed: {text}");
        // The halves do not tell each other their paths.
        if error.path.is_none() && to.request.is_half() {
            remedy = format!("the {peer}'s own message says more");
        }
    }
    for part in [path(error).map(|path| to.show(path)), reason(error)].into_iter().flatten() {
        text = format!("{text}: {part}");
    }
    if error.cause.as_ref().is_some_and(duocopy::SystemError::is_too_many_files) {
        remedy = MORE_FILES.into();
    } else if cause(error) == io::ErrorKind::OutOfMemory {
        remedy = MORE_MEMORY.into();
    }
    let left = aftermath(error, to);
    for clause in [left, remedy] {
        if !clause.is_empty() {
            // Below a list, a clause has a line of its own.
            let separator = if text.contains('\n') { "\n" } else { "; " };
            text = format!("{text}{separator}{clause}");
        }
    }
    text
}

/// Returns the path to name; `None` if there is none, or if what is left at the destination names it.
fn path(error: &Error) -> Option<&Path> {
    match &error.kind {
        Kind::NameTaken { found }
        | Kind::NoLocks { found }
        | Kind::ForeignLink { found }
        | Kind::ForeignFile { found }
            if !found.as_os_str().is_empty() =>
        {
            Some(found)
        }
        _ if happened_to_a_process(error) && error.aftermath != Aftermath::Unmentioned => None,
        _ => error.path.as_deref(),
    }
}

/// Returns what the system, or the pipe, said.
fn reason(error: &Error) -> Option<String> {
    match (&error.kind, &error.cause) {
        (Kind::ForeignPipe { what } | Kind::ForeignDirectory { what }, None) if !what.is_empty() => {
            Some(printable(what))
        }
        (_, cause) => cause.as_ref().map(|cause| printable(&cause.to_string())),
    }
}

fn happened_to_a_process(error: &Error) -> bool {
    matches!(
        error.kind,
        Kind::PeerDied
            | Kind::PeerInterrupted
            | Kind::DiedCommitting
            | Kind::SecondProcessEnded
            | Kind::Interrupted
    )
}

/// Returns what is at the destination now; empty if the message says it already.
fn aftermath(error: &Error, to: &Audience) -> String {
    let named = to.destination();
    let is_named = path(error).is_some_and(|path| to.show(path) == named);
    let it = if is_named { "the destination" } else { &named };
    match &error.aftermath {
        Aftermath::Unmentioned => String::new(),
        Aftermath::Unchanged => format!("{it} is unchanged"),
        Aftermath::Kept { bytes } => {
            format!("{it} is unchanged, and {bytes} bytes of the copy are kept, which the next run resumes")
        }
        Aftermath::PartialMayRemain { path } => {
            let place = path.as_ref().map_or("beside it".into(), |path| format!("at {}", show(path)));
            format!(
                "{it} is unchanged; a partial copy may remain {place}, which the next run resumes or removes"
            )
        }
        Aftermath::Incomplete => format!("what was written to {it} is not the whole copy"),
        Aftermath::Written => format!("everything was written to {it}, perhaps not all of it to the disk"),
        Aftermath::Complete => {
            format!("{it} is complete, but a power failure now may bring back what was there before")
        }
        Aftermath::Changed => format!("{it} was replaced, and another program has changed it since"),
        Aftermath::Undetermined => {
            format!(
                "{it} may be complete or unchanged, which cannot be told from here: compare it with the source"
            )
        }
    }
}

#[expect(clippy::too_many_lines, reason = "one table")]
#[rustfmt::skip]
fn look_up(error: &Error, to: &Audience) -> Row {
    const SNAPSHOT: &str = "copy again when nothing writes to it, or copy a snapshot";
    const ONE_PROGRAM: &str = "let only one program write there, then copy again";
    const NAME_FILE: &str = "name the file in it";
    const WAIT: &str = "wait until it ends";
    let (pipe, peer) = (to.pipe(), to.peer(error.role));
    match &error.kind {
        Kind::EmptyPath => row(USAGE, "a path is empty", "give the path of a file"),
        Kind::DevicePath => row(USAGE, "the path names a device", "give the path of a file"),
        Kind::StreamPath => row(USAGE, "a name with a colon is a stream of a file", "give the path of a file"),
        Kind::LongPath => row(USAGE, "the name is too long", "give a shorter name"),
        Kind::UnusablePath => row(USAGE, "cannot use the path", "give the path of a file"),
        Kind::StandardStream => row(USAGE, "only `duocopy read` and `duocopy write` accept a standard stream",
            "for a file of this name, give ./-"),
        Kind::UnknownUser(name) => row(USAGE, format!("cannot look up the user {}", printable(name)),
            "give --peer-user a name or a number that exists here"),
        Kind::UnknownGroup(name) => row(USAGE, format!("cannot look up the group {}", printable(name)),
            "give --peer-group a name or a number that exists here"),
        Kind::OwnUserNotAllowed => row(USAGE,
            "without --dir only processes of this user can meet, and --peer-user or --peer-group excludes this user",
            "name a directory for both with --dir"),

        Kind::Source => row(SOURCE, source_operation(error.operation), source_remedy(error)),
        Kind::SourceIsDirectory => row(SOURCE, "the source is a directory", "name a file in it"),
        Kind::SourceNotRegular => row(SOURCE, "the source is not a regular file",
            "name a regular file, or use `duocopy read`, which reads anything"),
        Kind::SourceIsLink => row(REFUSED, "the source is a symbolic link, and only `duocopy cp` creates links",
            "copy the file that it leads to"),
        Kind::CannotReflink => row(REFUSED, "two processes cannot make a copy that shares blocks with the source",
            "use --reflink=auto, or `cp`"),
        Kind::SourceChanged(change) => {
            let what = match change {
                SourceChange::Shrank { from, to } => format!("shrank from {from} to {to} bytes"),
                SourceChange::Grew { from, to } => format!("grew from {from} to {to} bytes"),
                SourceChange::Modified => "was written to".into(),
                SourceChange::Replaced => "was replaced by another file".into(),
            };
            row(SOURCE, format!("the source {what} while it was read"), SNAPSHOT)
        }
        Kind::SourceNotRepeatable => row(SOURCE, "a stream cannot be read again after a process died",
            "copy again from the start"),
        Kind::SourceDiffers => row(SOURCE, "the source is not the one that was read before", SNAPSHOT),
        Kind::ResumePastEnd { position } => row(SOURCE,
            format!("cannot resume at byte {position}, which is past the end of the source"),
            "copy again with --no-resume"),
        Kind::FifoNotOpened => row(TIMEOUT, "timed out waiting for another program to open the pipe",
            "start that program in time, or raise --wait"),

        Kind::Destination => {
            let code = if error.is_no_space() { NO_SPACE } else { DESTINATION };
            row(code, destination_operation(error.operation), destination_remedy(error))
        }
        Kind::NoSuchDirectory => row(DESTINATION, "there is no such directory",
            if to.request.is_half() { "name a file" } else { "create it first, or name a file" }),
        Kind::NotADirectory => row(DESTINATION, "not a directory", "name a directory, or copy one SRC without -t"),
        Kind::NameTaken { .. } => row(DESTINATION,
            "another file has the name of a temporary file of this copy",
            match cause(error) {
                io::ErrorKind::ReadOnlyFilesystem => destination_remedy(error),
                _ => "remove it, or ask its owner to remove it",
            }),
        Kind::DestinationBusy { copy } => row(DESTINATION, "another program has the destination open",
            format!("the complete copy is kept{}: end that program and copy again, or rename the copy yourself", named(" in ", copy) )),
        Kind::DestinationProtected => row(DESTINATION,
            "the destination, or its old backup, is immutable or append-only, so it cannot be replaced",
            "remove the attribute (chattr -ia), or choose another destination"),
        Kind::DirectoryProtected => row(DESTINATION,
            "the directory of the destination is immutable or append-only, so no file can be renamed there",
            "remove the attribute (chattr -ia), or choose another directory"),
        Kind::DestinationIsMountPoint => row(DESTINATION,
            "the destination is a mount point, which cannot be replaced",
            "copy to the file that is mounted there, or unmount it"),
        Kind::StickyDirectory => row(DESTINATION,
            "the directory is sticky: only the owner of the destination, or of the directory, may replace it",
            "copy as one of the two, or choose another destination"),
        Kind::OutputClosed => row(DESTINATION, "the program that reads the output has ended",
            "find out why it ended, then copy again"),

        Kind::SameFile => row(REFUSED, "source and destination are the same file", "name another destination"),
        Kind::DestinationIsDirectory => row(REFUSED, "the destination is a directory", NAME_FILE),
        Kind::DestinationIsSpecial => row(REFUSED,
            "the destination is a device, a pipe or a socket, and only regular files are replaced",
            "name a regular file, or use `duocopy write`"),
        Kind::SourceIsTemporary => row(REFUSED,
            "the source is a temporary file, journal or backup of an earlier copy to this destination, and this copy would remove it",
            "rename the source first"),
        Kind::DirectoryTakesNoFiles => row(REFUSED, "cannot create files in the directory of the destination",
            "choose another directory"),
        Kind::DanglingLink => row(REFUSED, "the destination is a dangling link",
            "remove it, or name the file that it names"),
        Kind::LinkLoop => row(REFUSED, "the destination is a link in a loop of links", "remove it"),
        Kind::LinkToDirectory => row(REFUSED, "the destination is a link to a directory", NAME_FILE),
        Kind::LinkNotFollowed => row(REFUSED, "the destination is a link, which `write` does not follow",
            "name the file itself"),
        Kind::ForeignLink { .. } => row(REFUSED,
            "a symbolic link of another user, in a sticky directory that others can write to, is not followed",
            "name the file itself, or have its owner remove the link"),
        Kind::ForeignFile { .. } => row(REFUSED,
            "a file of another user, in a sticky directory that others can write to, is neither replaced nor written to",
            "name another destination, or have its owner remove the file"),
        Kind::ForeignTarget => row(REFUSED,
            "the destination is a directory of another user, in a sticky directory that others can write to",
            "if the copy belongs there, name the directory with a slash at its end, or with --target-directory"),
        Kind::ForeignFifo => row(REFUSED, "the destination is a named pipe of another user",
            "find out who reads from it, then write to it with --force"),
        Kind::DestinationExists => row(REFUSED, "the destination exists", replace_remedy(to)),
        Kind::DestinationJustWritten => row(REFUSED, "an earlier source of this command has the same destination",
            "copy this one to another directory, or use --backup=numbered"),
        Kind::Declined => row(FAILED, "not replaced, as you decided", ""),
        Kind::DestinationAppeared => row(REFUSED, "the destination was created during the copy",
            replace_remedy(to)),
        Kind::DestinationChangedType => row(REFUSED,
            "the destination stopped being a regular file during the copy",
            "find out which program replaced it, then copy again"),
        Kind::DirectoryMoved => row(REFUSED,
            "the directory of the destination was moved or replaced during the copy", "copy again"),
        Kind::TemporaryFileReplaced => row(REFUSED,
            "another program removed or replaced the temporary file of this copy", ONE_PROGRAM),
        Kind::TemporaryFileGone => row(REFUSED,
            "the temporary file of the process that died is gone: another process removed or completed it",
            ONE_PROGRAM),
        Kind::TemporaryFileContended => row(REFUSED,
            "several copies keep replacing each other's temporary file", "start only one at a time"),
        Kind::DestinationLocked => row(REFUSED, "another copy writes to this destination", WAIT),
        Kind::TemporaryFileTaken => row(REFUSED, "another copy has taken over the temporary file of this one",
            WAIT),
        Kind::NoLocks { .. } => row(REFUSED,
            "the file system has no locks, so a leftover cannot be told from the file of a running copy",
            "remove it if no other copy writes there"),
        Kind::TooLarge { bytes, max } => row(REFUSED,
            format!("the source has at least {bytes} bytes, and --max-bytes allows {max}"),
            "raise --max-bytes, or copy a smaller source"),
        Kind::CannotReread => row(REFUSED, "the output cannot be read back",
            "copy to a file, or leave out --verify=reread"),
        Kind::DiskNotReplaced => row(REFUSED, "the destination is a disk, and its content would be lost",
            "name another destination, or overwrite it with --force"),
        Kind::OutputNotResumable => row(REFUSED, "an output that is not a regular file cannot be resumed",
            "copy again from the start"),
        Kind::OutputReplaced => row(REFUSED,
            "another object took the place of the destination while it was opened",
            "find out which program did that, then copy again"),
        Kind::CommittedTooEarly => row(REFUSED,
            "the process that died has committed a file that is not the whole copy",
            "check it, then copy again"),
        Kind::OptionsDiffer(option) => {
            let options = match option {
                SharedOption::Checksum => "--verify or --hash",
                SharedOption::Overwrite => "--update, --no-clobber or --backup",
            };
            let what = format!("the two processes were started with different {options}");
            row(REFUSED, what, "start both with the same options")
        }
        Kind::TooManyAttributes => row(REFUSED, "the source has more extended attributes than a file can have",
            "check the other process, or copy without --preserve"),
        Kind::BackupIsSource { backup } => row(REFUSED,
            format!("the backup{} would replace the source", named_file(backup)),
            "rename the source, or use --backup=numbered"),
        Kind::BackupIsSpecial { backup } => row(REFUSED,
            format!("the backup{} would replace something that is not a regular file", named_file(backup)),
            "move that away, or use --backup=numbered"),
        Kind::BackupExists { backup } => row(REFUSED,
            format!("the backup{} exists, and there is no room for a number in a longer name", named_file(backup)),
            "move that away, or use --backup=simple, which replaces it"),
        Kind::BackupFailed => row(REFUSED, "cannot keep the old destination under another name (--backup)",
            "the file system has no hard links, or only the file's owner may create one (fs.protected_hardlinks): copy without --backup"),
        Kind::PeerNotAllowed { user: number } => {
            let who = number.map_or("an unknown user".into(), user);
            let what = format!(
                "the other process belongs to {who}, which --peer-user and --peer-group do not allow"
            );
            row(REFUSED, what, "find out who started it, or allow this user")
        }
        Kind::PeerChanged { user: number } => row(REFUSED,
            format!("a process of {} has replaced one of another user", user(*number)),
            "check who can enter the directory in --dir, or copy without --replace-within"),
        Kind::PeerUnproven => row(REFUSED, "the other process has not proved which user it belongs to",
            "check who can enter the directory in --dir"),
        Kind::NameInUse { there, processes } => row(REFUSED,
            format!("{pipe} is in use for another copy:\n  there: {} ({})\n  here:  {}", show_tag(there), list(processes), to.tag() ),
            "choose another NAME, or wait until that copy ends"),
        Kind::ForeignDirectory { .. } => row(REFUSED, "cannot use the directory of the pipe",
            match &to.request.dir {
                Some(_) => "name a directory in which only the two users can write (chmod 2770, and a group of both)",
                None => "give both processes, with --dir or DUOCOPY_DIR, a directory of this user that nobody else may enter (chmod 700)",
            }),
        Kind::ForeignPipe { .. } => row(REFUSED, "cannot use the pipe",
            "nothing was changed: find out who created it, and remove it if it is not needed"),

        Kind::Mismatch { reread, resumed } => {
            let what = match reread {
                true => "the copy that was read back differs from what was written",
                false => "the copy differs from the source (checksum or length)",
            };
            let remedy = match resumed {
                0 => "check this machine's memory and disks, then copy again",
                _ => "the part that was resumed may have been changed in between: copy again",
            };
            row(MISMATCH, what, remedy)
        }
        Kind::PeerDied => row(PEER, format!("{peer} died"), again(error)),
        Kind::PeerInterrupted => row(PEER, format!("{peer} was interrupted"), again(error)),
        Kind::PeerFailed => row(FAILED, format!("{peer} failed"), "read its own message, then copy again"),
        Kind::DiedCommitting => row(PEER, format!("{peer} did not finish committing the copy"), again(error)),
        Kind::SecondProcessEnded => row(PEER, "the second process ended unexpectedly", "copy again"),
        Kind::SecondProcess => row(FAILED, "cannot start the second process", match cause(error) {
            io::ErrorKind::WouldBlock => MORE_PROCESSES.into(),
            _ => format!("start this command twice: {}", hint::command(&to.request, Role::Writer)),
        }),
        Kind::Interrupted => row(FAILED, "interrupted", ""),
        Kind::TooManyInstances { reader, writer, read, written } => {
            let what = if to.started_both() {
                format!("too many instances: {pipe} is in use")
            } else {
                let seat = |name: &str, process: &Option<u32>| {
                    process.map(|process| format!("its {name} (process {process})"))
                };
                let seats: Vec<_> =
                    seat("Reader", reader).into_iter().chain(seat("Writer", writer)).collect();
                format!("too many instances: {pipe} already has {}", seats.join(" and "))
            };
            let remedy = match to.request.parties {
                Parties::Pair { name: None, .. } | Parties::Both { .. } => WAIT,
                _ => "wait until it ends, or choose another NAME",
            };
            row(TOO_MANY, format!("{what}; {read} bytes are read and {written} written so far"), remedy)
        }
        Kind::PairEnding { processes } => row(TOO_MANY,
            format!("too many instances: an earlier copy at {pipe} ({}) is still ending, or waits for a replacement", list(processes) ),
            "try again in a moment, or with its options (--replace-within)"),
        Kind::PeerTimeout => {
            let time = to.request.connect_timeout.map(|time| humantime::format_duration(time).to_string());
            let after = time.map_or(String::new(), |time| format!(" after {time}"));
            row(
                TIMEOUT,
                format!("timed out{after} waiting for the other process at {pipe}"),
                "start it in time, or raise --wait",
            )
        }
        Kind::OtherVersion { ours, theirs } => row(OTHER_VERSION,
            format!("the process at {pipe} speaks version {theirs} of the protocol, this one version {ours}"),
            "use the same duocopy for both"),
        Kind::SharedMemory { .. } if error.is_no_space() => row(NO_SPACE, "cannot reserve shared memory",
            FREE_SHARED_MEMORY),
        Kind::SharedMemory { step } => {
            let remedy = match cause(error) {
                io::ErrorKind::FileTooLarge => "raise `ulimit -f`, or use a smaller --buffer-size",
                _ => CHECK_SHARED_MEMORY,
            };
            row(FAILED, format!("cannot use shared memory{}", in_parentheses(step)), remedy)
        }
        Kind::Meeting { step } => {
            // The step may name the directory again.
            let is_named = error.path.as_deref().is_some_and(|path| step.contains(&*path.to_string_lossy()));
            let step = if is_named { String::new() } else { in_parentheses(step) };
            row(FAILED, format!("cannot use the directory of the pipe{step}"), meeting_remedy(error, to))
        }
        Kind::PipeRemoved => row(FAILED,
            format!("{pipe} was removed while this process waited for the other one"),
            "copy again; if it happens whenever a user logs out, see RemoveIPC in logind.conf"),
        Kind::PipeBusy => row(FAILED,
            format!("a process has been arriving at {pipe}, or leaving it, for more than half a second"),
            "if it is stopped, continue or end it, then try again"),
        Kind::Pipe { what } => row(FAILED, format!("{pipe} failed{}", in_parentheses(what)),
            "copy again, with the same duocopy for both processes"),
        Kind::Skipped => row(0, "skipped: the destination exists", ""),
    }
}

/// Returns this text in parentheses, with a space before them; nothing if this process does not know it.
fn in_parentheses(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" ({})", printable(text)) }
}

/// Returns a path with what comes before it; nothing if this process may not know it.
fn named(before: &str, path: &Path) -> String {
    if path.as_os_str().is_empty() { String::new() } else { format!("{before}{}", show(path)) }
}

/// Returns the name of a backup with a space before it; nothing if this process may not know it.
fn named_file(backup: &Path) -> String {
    if backup.as_os_str().is_empty() { String::new() } else { format!(" {}", show_name(backup.as_os_str())) }
}

fn list(processes: &[u32]) -> String {
    let numbers: Vec<_> = processes.iter().map(u32::to_string).collect();
    match &numbers[..] {
        [] => "gone meanwhile".into(),
        [one] => format!("process {one}"),
        more => format!("processes {}", more.join(" and ")),
    }
}

/// After the peer's death: a remedy unless what is known of the destination says it.
fn again(error: &Error) -> &'static str {
    match error.aftermath {
        Aftermath::Undetermined | Aftermath::Complete => "",
        Aftermath::Written => "compare it with the source",
        _ => "copy again",
    }
}

fn replace_remedy(to: &Audience) -> String {
    let flag = match () {
        () if to.request.is_half() => "--force",
        // A link has no attributes that a file could get.
        () if to.request.only_attributes => "--remove-destination",
        () => "--update=all",
    };
    format!("name another one, or replace it with {flag}")
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
