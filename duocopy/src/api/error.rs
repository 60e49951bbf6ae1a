//! Errors of a copy: kinds that a program can tell apart, without sentences for people.

use super::aftermath::Aftermath;
use super::operation::{Operation, SharedOption};
use super::request::Role;
use super::source_change::SourceChange;
use super::system_error::SystemError;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// The error of a copy that failed, or that could not begin.
///
/// Both processes of a pair report the same kind, except where only one of them can know it (it was interrupted, its
/// peer died). `Display` writes a line for a log, made from the name of the kind; the caller writes the sentences for
/// people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// The kind of failure.
    pub kind: ErrorKind,
    /// The half that failed; `None` before the roles are known.
    pub role: Option<Role>,
    /// The path that the failure concerns, if this process may know it.
    #[serde(with = "super::os_path::option")]
    pub path: Option<PathBuf>,
    /// The operation that failed.
    pub operation: Option<Operation>,
    /// The system's error.
    pub cause: Option<SystemError>,
    /// The state of the destination after the failure.
    pub aftermath: Aftermath,
}

/// The kind of a failure. There is one for each failure that calls for a different remedy. The number in parentheses is
/// the exit code of `duocopy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorKind {
    /// An empty path (2).
    EmptyPath,
    /// A path that names a device, on Windows (2).
    DevicePath,
    /// A path with a colon in a name, on Windows (2).
    StreamPath,
    /// A name that is too long for the file system (2).
    LongPath,
    /// A path that cannot be made absolute, or whose working directory cannot be determined (2).
    UnusablePath,
    /// `-` for a copy that knows both paths (2).
    StandardStream,
    /// A user in [`Request::peer_users`](crate::Request::peer_users) that does not exist (2).
    UnknownUser(String),
    /// A group in [`Request::peer_groups`](crate::Request::peer_groups) that does not exist (2).
    UnknownGroup(String),
    /// Only processes of this user can join, and this user is not among the allowed ones (2).
    OwnUserNotAllowed,

    /// An operation on the source failed (5).
    Source,
    /// The source is a directory (5).
    SourceIsDirectory,
    /// The source is not a regular file, and this copy reads only those (5).
    SourceNotRegular,
    /// The source is a symbolic link, and this Writer does not create links (12).
    SourceIsLink,
    /// The copy must share its blocks with the source, which a copy by two processes cannot do (12).
    CannotReflink,
    /// The source changed while it was read (5).
    SourceChanged(SourceChange),
    /// A Reader took a dead one's place, and a stream cannot be read again (5).
    SourceNotRepeatable,
    /// A Reader took a dead one's place, and the source is not the one that the dead one read (5).
    SourceDiffers,
    /// The copy was to resume past the end of the source (5).
    ResumePastEnd {
        /// The offset in bytes.
        position: u64,
    },
    /// Nobody opened the other end of a named pipe in time (10).
    FifoNotOpened,

    /// An operation on the destination failed (6, or 7 if the cause is a full disk or quota).
    Destination,
    /// The directory of the destination does not exist (6).
    NoSuchDirectory,
    /// The path that must name a directory names something else (6).
    NotADirectory,
    /// Another file has the name of the temporary file, the journal or the backup's link, and cannot be used or removed
    /// (6).
    NameTaken {
        /// Its path.
        #[serde(with = "super::os_path")]
        found: PathBuf,
    },
    /// Another program has the destination open, and the system does not replace it (6).
    DestinationBusy {
        /// The path of the complete copy, which was kept.
        #[serde(with = "super::os_path")]
        copy: PathBuf,
    },
    /// The destination is immutable or append-only, or the backup that would be replaced is (6).
    DestinationProtected,
    /// The directory of the destination is immutable or append-only (6).
    DirectoryProtected,
    /// Something is mounted at the destination, which therefore cannot be replaced (6).
    DestinationIsMountPoint,
    /// In a sticky directory, only the owner of the destination or of the directory may replace it (6).
    StickyDirectory,
    /// The program that reads a stream output has ended (6).
    OutputClosed,

    /// Source and destination are the same file (12).
    SameFile,
    /// The destination is a directory (12).
    DestinationIsDirectory,
    /// The destination is a device, a pipe or a socket, and this copy replaces only files (12).
    DestinationIsSpecial,
    /// The source is a file that this copy would remove: the temporary file, journal or backup of the destination (12).
    SourceIsTemporary,
    /// The directory takes no files, as those of `/proc` (12).
    DirectoryTakesNoFiles,
    /// The destination is a link to nothing (12).
    DanglingLink,
    /// The destination is a link in a loop of links (12).
    LinkLoop,
    /// The destination is a link to a directory (12).
    LinkToDirectory,
    /// The destination is a link, and this copy follows none (12).
    LinkNotFollowed,
    /// A symbolic link on the way to the source or the destination belongs to another user, in a sticky directory that
    /// others can write to (12).
    ForeignLink {
        /// Its path.
        #[serde(with = "super::os_path")]
        found: PathBuf,
    },
    /// The destination, or the backup that would be replaced, belongs to another user, in a sticky directory that others
    /// can write to (12).
    ForeignFile {
        /// Its path.
        #[serde(with = "super::os_path")]
        found: PathBuf,
    },
    /// The destination is a directory of another user, in a sticky directory that others can write to, and was not
    /// named as a directory (12).
    ForeignTarget,
    /// The destination is a named pipe of another user, and the copy may not replace anything (12).
    ForeignFifo,
    /// The destination exists, and may not be replaced (12).
    DestinationExists,
    /// An earlier copy of the same command has written this destination (12).
    DestinationJustWritten,
    /// The user has decided to keep the destination (1).
    Declined,
    /// The destination was created during the copy, and may not be replaced (12).
    DestinationAppeared,
    /// The destination stopped being a regular file during the copy (12).
    DestinationChangedType,
    /// The destination's directory was moved or replaced during the copy (12).
    DirectoryMoved,
    /// The temporary file was removed or replaced during the copy (12).
    TemporaryFileReplaced,
    /// A dead Writer's temporary file is gone: another process removed or completed it (12).
    TemporaryFileGone,
    /// Several processes keep taking the temporary file from each other (12).
    TemporaryFileContended,
    /// Another copy writes to this destination (12).
    DestinationLocked,
    /// Another copy took over the temporary file of a dead Writer (12).
    TemporaryFileTaken,
    /// The file system has no locks, so a leftover cannot be told from a living copy's file (12).
    NoLocks {
        /// The leftover.
        #[serde(with = "super::os_path")]
        found: PathBuf,
    },
    /// The source has more bytes than [`Request::max_bytes`](crate::Request::max_bytes) (12).
    TooLarge {
        /// The number of bytes that the source has at least.
        bytes: u64,
        /// The number of bytes that are allowed.
        max: u64,
    },
    /// A stream output cannot be read back (12).
    CannotReread,
    /// The destination is a disk, whose content would be lost (12).
    DiskNotReplaced,
    /// A Writer took a dead one's place, and a stream output cannot be resumed (12).
    OutputNotResumable,
    /// Another object took the place of the destination while it was being opened (12).
    OutputReplaced,
    /// A dead Writer committed a file that is not the whole copy (12).
    CommittedTooEarly,
    /// The two processes were started with different options (12).
    OptionsDiffer(SharedOption),
    /// The Reader sent more extended attributes than any file can have (12).
    TooManyAttributes,
    /// A backup would replace the source (12).
    BackupIsSource {
        /// The backup's name.
        #[serde(with = "super::os_path")]
        backup: PathBuf,
    },
    /// A backup would replace something that is not a regular file (12).
    BackupIsSpecial {
        /// The backup's name.
        #[serde(with = "super::os_path")]
        backup: PathBuf,
    },
    /// The name of a numbered backup would be too long for its number, and the shorter one is taken (12).
    BackupExists {
        /// The backup's name.
        #[serde(with = "super::os_path")]
        backup: PathBuf,
    },
    /// The old destination cannot be given a second name (12).
    BackupFailed,
    /// The peer's user is not among the allowed ones (12).
    PeerNotAllowed {
        /// The user's number, if it is known.
        user: Option<u32>,
    },
    /// The peer died, and a process of another user took its place (12).
    PeerChanged {
        /// That user's number.
        user: u32,
    },
    /// The peer did not prove which user it belongs to (12).
    PeerUnproven,
    /// The name is in use for another copy (12).
    NameInUse {
        /// The tag of the other copy: both paths, separated by a NUL, or the tag of two halves.
        there: Vec<u8>,
        /// The processes there.
        processes: Vec<u32>,
    },
    /// Something that is not a pipe of this user has the name of the pipe or of one of its files (12).
    ForeignPipe {
        /// The problem, for people.
        what: String,
    },
    /// The directory to meet in is not safe, or is not a directory of this user (12).
    ForeignDirectory {
        /// The problem, for people.
        what: String,
    },

    /// The copy differs from the source, after the stream or when it was read back (4).
    Mismatch {
        /// True if the difference was found when the copy was read back.
        reread: bool,
        /// The number of bytes that were resumed from an earlier copy.
        resumed: u64,
    },
    /// The peer died (8).
    PeerDied,
    /// The peer was interrupted (8).
    PeerInterrupted,
    /// The peer failed, and this version does not understand why (1).
    PeerFailed,
    /// The Writer died while it committed, or just before, or had not finished 10 s after this process was asked to
    /// stop (8). The [`Aftermath`] says what is known.
    DiedCommitting,
    /// The second process ended before it met this one (8).
    SecondProcessEnded,
    /// The second process could not be started (1).
    SecondProcess,
    /// The caller stopped the copy (128 + the number of the signal).
    Interrupted,
    /// Both ends of the pipe, or the wanted one, are taken (9).
    TooManyInstances {
        /// The process at the Reader's end.
        reader: Option<u32>,
        /// The process at the Writer's end.
        writer: Option<u32>,
        /// Bytes read so far.
        read: u64,
        /// Bytes written so far.
        written: u64,
    },
    /// An earlier pair is still ending, or waits for a replacement (9).
    PairEnding {
        /// The processes there.
        processes: Vec<u32>,
    },
    /// No peer came in time (10).
    PeerTimeout,
    /// The peer speaks another version of the protocol (11).
    OtherVersion {
        /// This program's.
        ours: u32,
        /// The peer's.
        theirs: u32,
    },
    /// Shared memory could not be created or used (1, or 7 if it is full).
    SharedMemory {
        /// The step that failed, for a log.
        step: String,
    },
    /// The directory to meet in could not be used (1).
    Meeting {
        /// The step that failed, for a log.
        step: String,
    },
    /// A process has been arriving or leaving for more than half a second, and is perhaps stopped (1).
    PipeBusy,
    /// The pipe was removed while this process waited for its peer (1).
    PipeRemoved,
    /// The pipe failed in another way, or the peer broke the protocol (1).
    Pipe {
        /// The pipe's own words, for a log.
        what: String,
    },
    /// The destination exists and was kept. Only the two halves see this as an error.
    #[doc(hidden)]
    Skipped,
}

impl ErrorKind {
    /// Returns whether only the process that fails can report this kind, and not its peer.
    pub(crate) fn is_of_one_process(&self) -> bool {
        matches!(
            self,
            Self::EmptyPath
                | Self::DevicePath
                | Self::StreamPath
                | Self::LongPath
                | Self::UnusablePath
                | Self::StandardStream
                | Self::UnknownUser(_)
                | Self::UnknownGroup(_)
                | Self::OwnUserNotAllowed
                | Self::SecondProcess
                | Self::SecondProcessEnded
                | Self::Interrupted
                | Self::PipeRemoved
                | Self::Skipped
        )
    }

    /// Replaces the path in this kind, if it has one. (Backups are names without a directory.)
    pub(crate) fn with_path(mut self, replace: impl FnOnce(&Path) -> PathBuf) -> Self {
        match &mut self {
            Self::NameTaken { found: path }
            | Self::DestinationBusy { copy: path }
            | Self::NoLocks { found: path }
            | Self::ForeignLink { found: path }
            | Self::ForeignFile { found: path } => *path = replace(path),
            _ => {}
        }
        self
    }

    /// Removes paths and texts: for a peer that must not learn them, or whose own are not to be trusted.
    pub(crate) fn without_details(self) -> Self {
        match self.with_path(|_| PathBuf::new()) {
            Self::BackupIsSource { .. } => Self::BackupIsSource { backup: PathBuf::new() },
            Self::BackupExists { .. } => Self::BackupExists { backup: PathBuf::new() },
            Self::BackupIsSpecial { .. } => Self::BackupIsSpecial { backup: PathBuf::new() },
            Self::NameInUse { .. } => Self::NameInUse { there: Vec::new(), processes: Vec::new() },
            Self::ForeignPipe { .. } => Self::ForeignPipe { what: String::new() },
            Self::ForeignDirectory { .. } => Self::ForeignDirectory { what: String::new() },
            Self::SharedMemory { .. } => Self::SharedMemory { step: String::new() },
            Self::Meeting { .. } => Self::Meeting { step: String::new() },
            Self::Pipe { .. } => Self::Pipe { what: String::new() },
            other => other,
        }
    }
}

impl Error {
    /// An error of this kind, without further details.
    #[must_use]
    pub fn new(kind: ErrorKind) -> Self {
        Self { kind, role: None, path: None, operation: None, cause: None, aftermath: Aftermath::Unmentioned }
    }

    /// An error of this kind that concerns this path.
    #[must_use]
    pub fn at(kind: ErrorKind, path: &Path) -> Self {
        Self { path: Some(path.into()), ..Self::new(kind) }
    }

    /// An operation on the source that failed.
    pub(crate) fn source(path: &Path, operation: Operation, cause: impl Into<SystemError>) -> Self {
        Self::failed(ErrorKind::Source, path, operation, cause.into())
    }

    /// An operation on the destination that failed.
    pub(crate) fn destination(path: &Path, operation: Operation, cause: impl Into<SystemError>) -> Self {
        Self::failed(ErrorKind::Destination, path, operation, cause.into())
    }

    /// Converts the error of a system call. Interrupted calls are repeated, so an interrupt means that a
    /// [`Stop`](crate::Stop) has ended a loop.
    fn failed(kind: ErrorKind, path: &Path, operation: Operation, cause: SystemError) -> Self {
        if cause.kind() == io::ErrorKind::Interrupted {
            return Self::at(ErrorKind::Interrupted, path);
        }
        Self::at(kind, path).doing(operation, cause)
    }

    /// Adds the operation that failed, and the system's error.
    #[must_use]
    pub(crate) fn doing(self, operation: Operation, cause: impl Into<SystemError>) -> Self {
        Self { operation: Some(operation), cause: Some(cause.into()), ..self }
    }

    /// Returns whether a disk, a quota or shared memory is full.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
        self.cause.as_ref().is_some_and(|cause| full.contains(&cause.kind()))
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self::new(kind)
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.kind)?;
        if let Some(operation) = self.operation {
            write!(f, " ({operation:?})")?;
        }
        if let Some(path) = &self.path {
            write!(f, ": {}", path.display())?;
        }
        if let Some(cause) = &self.cause {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_ref().map(|cause| cause as _)
    }
}
