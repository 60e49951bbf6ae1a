//! The circumstances of an error: the operation that failed, and the option that differs.

use serde::{Deserialize, Serialize};

/// An option that must be the same for both processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SharedOption {
    /// [`Request::verify`](crate::Request::verify) or [`Request::hash`](crate::Request::hash).
    Checksum,
    /// [`Request::overwrite`](crate::Request::overwrite) or [`Request::backup`](crate::Request::backup).
    Overwrite,
}

/// The operation that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Opening the source or the destination.
    Open,
    /// Getting the status of the source or the destination.
    Stat,
    /// Reading the source.
    Read,
    /// Reading the beginning of a file again that was read or written before.
    ReadPrefix,
    /// Reading the source's extended attributes.
    ReadAttributes,
    /// Opening the destination's directory.
    OpenDirectory,
    /// Making a directory of the source's path below the destination.
    MakeDirectory,
    /// Creating or opening the temporary file.
    Temporary,
    /// Reserving space for the copy.
    Reserve,
    /// Writing.
    Write,
    /// Making a hole.
    Punch,
    /// Discarding what an earlier Writer did not acknowledge.
    Truncate,
    /// Setting the copy's length.
    SetLength,
    /// Setting the copy's mode or owner.
    SetMode,
    /// Writing the journal.
    Journal,
    /// Flushing the copy to the disk.
    Flush,
    /// Reading the copy back.
    Reread,
    /// Giving the old destination its backup name.
    Backup,
    /// Renaming the copy to its final name.
    Rename,
    /// Flushing the name to the disk, after the copy was complete.
    FlushName,
}
