//! What was being done, and remedies for what the system said.

use super::audience::Audience;
use duocopy::{Error, Operation};
use std::io;

pub const CHECK_SHARED_MEMORY: &str = if cfg!(windows) {
    "check the rights of the programs that use this pipe"
} else {
    "check the rights and the mount of /dev/shm, or set DUOCOPY_DIR to a directory of this user (chmod 700)"
};
pub const FREE_SHARED_MEMORY: &str = if cfg!(windows) {
    "end other programs or enlarge the page file, or use a smaller --buffer-size"
} else {
    "free some of it (df -h /dev/shm, ls -l /dev/shm), or use a smaller --buffer-size"
};
/// The remedy for a process that may not open any more files.
pub const MORE_FILES: &str = if cfg!(windows) {
    "end other programs, then try again"
} else {
    "let it open more files (raise `ulimit -n`), then try again"
};
/// The remedy for a process that may not use any more memory.
pub const MORE_MEMORY: &str = if cfg!(windows) {
    "end other programs, or use a smaller --buffer-size"
} else {
    "let it use more memory (raise `ulimit -v`), or use a smaller --buffer-size"
};
/// The remedy for a user who may not start any more processes or threads. (A thread that gets no memory for its stack
/// fails with the same error.)
pub const MORE_PROCESSES: &str = "let this user run more processes and threads (raise `ulimit -u`, or `ulimit -v` if \
                                  memory is limited), then try again";
const REDIRECT: &str = "redirect it to or from a file or a program";
const OTHER_NAME: &str = "choose another name: it is too long, or has characters that are not allowed";
const CHECK_DISK: &str = if cfg!(windows) { "check the disk (chkdsk)" } else { "check the disk (dmesg)" };

pub fn cause(error: &Error) -> io::ErrorKind {
    error.cause.as_ref().map_or(io::ErrorKind::Other, duocopy::SystemError::kind)
}

fn is_not_open(error: &Error) -> bool {
    error.cause.as_ref().is_some_and(duocopy::SystemError::is_not_open)
}

pub fn source_operation(operation: Option<Operation>) -> &'static str {
    match operation {
        Some(Operation::Open) => "cannot open the source",
        Some(Operation::Stat) => "cannot inspect the source",
        Some(Operation::ReadPrefix) => "cannot read the beginning of the source again",
        Some(Operation::ReadAttributes) => "cannot read the extended attributes of the source",
        _ => "cannot read the source",
    }
}

pub fn source_remedy(error: &Error) -> String {
    match (error.operation, cause(error)) {
        _ if is_not_open(error) => REDIRECT.into(),
        (Some(Operation::ReadAttributes), _) => "copy without --preserve=xattr,acl".into(),
        (_, io::ErrorKind::NotFound) => "check the spelling of the path".into(),
        (_, io::ErrorKind::NotADirectory) => "a part of the path is a file: check its spelling".into(),
        (_, io::ErrorKind::PermissionDenied) => "run as a user who may read it".into(),
        // On Windows: ERROR_SHARING_VIOLATION and ERROR_LOCK_VIOLATION.
        _ if cfg!(windows) && matches!(error.cause.as_ref().and_then(|it| it.code), Some(32 | 33)) => {
            "end the program that has it open for writing, or copy a snapshot".into()
        }
        (_, io::ErrorKind::ResourceBusy) => "end the program that uses it, or copy a snapshot".into(),
        _ => format!("{CHECK_DISK}, then copy again"),
    }
}

pub fn destination_operation(operation: Option<Operation>) -> &'static str {
    match operation {
        Some(Operation::Open) => "cannot open the destination",
        Some(Operation::Stat) => "cannot inspect the destination",
        Some(Operation::ReadPrefix) => "cannot read back what was copied before",
        Some(Operation::OpenDirectory) => "cannot open the directory of the destination",
        Some(Operation::MakeDirectory) => "cannot make the directory of the destination",
        Some(Operation::Temporary) => "cannot create a temporary file beside the destination",
        Some(Operation::Reserve) => "cannot reserve space for the destination",
        Some(Operation::Punch) => "cannot make a hole in the destination",
        Some(Operation::Truncate) => "cannot discard data that was not acknowledged",
        Some(Operation::SetLength) => "cannot set the length of the destination",
        Some(Operation::SetMode) => "cannot set the mode of the destination",
        Some(Operation::Journal) => "cannot write the journal of the destination",
        Some(Operation::Flush) => "cannot flush the copy to the disk",
        Some(Operation::Reread) => "cannot read back the copy",
        Some(Operation::Backup) => "cannot keep the old destination under another name (--backup)",
        Some(Operation::Rename) => "cannot rename the copy to its final name",
        Some(Operation::FlushName) => "cannot flush the name of the copy to the disk",
        Some(Operation::Write | Operation::Read | Operation::ReadAttributes) | None => {
            "cannot write to the destination"
        }
    }
}

pub fn destination_remedy(error: &Error) -> &'static str {
    match cause(error) {
        _ if is_not_open(error) => REDIRECT,
        _ if error.cause.as_ref().is_some_and(duocopy::SystemError::is_bad_encoding) => OTHER_NAME,
        // The directory is there, and so is the temporary file.
        io::ErrorKind::NotFound if error.operation == Some(Operation::Rename) => OTHER_NAME,
        io::ErrorKind::StorageFull => "free some space there, or choose another destination",
        io::ErrorKind::QuotaExceeded => "raise the quota, or free some of it",
        io::ErrorKind::NotFound => "create its directory first",
        io::ErrorKind::NotADirectory => "a part of its path is a file: choose another destination",
        io::ErrorKind::PermissionDenied => {
            "run as a user who may write in its directory, or choose another destination"
        }
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only: choose another destination",
        io::ErrorKind::InvalidFilename => OTHER_NAME,
        io::ErrorKind::FileTooLarge => "the file system or `ulimit -f` allows no file of this size",
        _ => CHECK_DISK,
    }
}

/// The remedy for a directory in which two processes cannot meet.
pub fn meeting_remedy(error: &Error, to: &Audience) -> &'static str {
    match cause(error) {
        _ if cfg!(windows) => "leave out --dir (and DUOCOPY_DIR)",
        _ if to.request.dir.is_none() => CHECK_SHARED_MEMORY,
        io::ErrorKind::NotFound => {
            "create this directory first, for a group that both users belong to (chmod 2770)"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "let both users write in this directory: chmod 2770, and a group of both"
        }
        _ => "check this directory and its file system",
    }
}
