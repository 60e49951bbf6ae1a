//! The result of a dry run.

use crate::api::Backup;
use std::path::PathBuf;

/// The actions that a copy would take, as far as [`preflight`](crate::preflight) can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The source that this process would read, if it may be the Reader.
    pub source: Option<PlannedSource>,
    /// The destination that this process would write, if it may be the Writer.
    pub destination: Option<PlannedDestination>,
}

/// A source that would be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedSource {
    /// Its path.
    pub path: PathBuf,
    /// Its length in bytes; `None` for a stream.
    pub length: Option<u64>,
}

/// A destination that would be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlannedDestination {
    /// A new file.
    Create {
        /// Its path.
        path: PathBuf,
    },
    /// A file that exists.
    Replace {
        /// Its path.
        path: PathBuf,
        /// The kind of backup that would be made of it.
        backup: Backup,
    },
    /// A stream output: what is written cannot be rolled back.
    Stream {
        /// Its path.
        path: PathBuf,
    },
    /// Nothing: the destination exists, and would be kept.
    Keep {
        /// Its path.
        path: PathBuf,
    },
}
