//! What a copy would do.

use crate::api::Backup;
use std::path::PathBuf;

/// What a copy would do, as far as one look can tell ([`preflight`](crate::preflight)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What this process would read, if it may be the Reader.
    pub source: Option<PlannedSource>,
    /// What this process would write, if it may be the Writer.
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
        /// How the old one would be kept.
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
