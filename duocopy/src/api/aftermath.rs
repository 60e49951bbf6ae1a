//! The state of the destination after a failed copy.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The state of the destination after a failure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Aftermath {
    /// The kind of failure implies the state, or nothing could have changed yet.
    #[default]
    Unmentioned,
    /// The destination is unchanged.
    Unchanged,
    /// The destination is unchanged. A part of the copy is kept beside it, and the next run resumes it.
    Kept {
        /// Bytes from the start that are safe on the disk.
        bytes: u64,
    },
    /// The destination is unchanged. A temporary file may remain, which the next run resumes or removes.
    PartialMayRemain {
        /// Its path, if this process may know it.
        #[serde(with = "super::os_path::option")]
        path: Option<PathBuf>,
    },
    /// The destination has a part of the copy, because a stream output cannot be rolled back.
    Incomplete,
    /// The whole copy was written, perhaps not all of it to the disk: the Writer of a stream output died at the end.
    Written,
    /// The destination is the copy, but a power failure now may bring back the old file.
    Complete,
    /// The destination was the copy, but has been written to since.
    Changed,
    /// The destination is either the copy or unchanged, and this process cannot tell which.
    Undetermined,
}

impl Aftermath {
    /// Replaces or removes the path, if it has one.
    pub(crate) fn with_path(self, replace: impl FnOnce(&Path) -> Option<PathBuf>) -> Self {
        match self {
            Self::PartialMayRemain { path: Some(path) } => Self::PartialMayRemain { path: replace(&path) },
            other => other,
        }
    }
}
