//! What happened to a source.

use serde::{Deserialize, Serialize};

/// The way in which a source changed while it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceChange {
    /// It became shorter.
    Shrank {
        /// Its length in bytes when it was opened.
        from: u64,
        /// Its length in bytes after it was read.
        to: u64,
    },
    /// It became longer.
    Grew {
        /// Its length in bytes when it was opened.
        from: u64,
        /// Its length in bytes after it was read.
        to: u64,
    },
    /// Its content was written to.
    Modified,
    /// Another file took its path.
    Replaced,
}
