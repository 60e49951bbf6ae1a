//! The result of a copy that did not fail.

use super::system_error::SystemError;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::PathBuf;

/// The result of a copy that did not fail. Both processes return the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The destination holds every byte, as durable as the request asked for.
    Complete {
        /// Length of the copy.
        bytes: u64,
        /// The checksum that both processes computed; `None` with [`Verify::None`](crate::Verify::None).
        checksum: Option<Checksum>,
        /// The metadata that [`Request::preserve`](crate::Request::preserve) asked for and that could not be preserved.
        not_preserved: Vec<Loss>,
    },
    /// The destination exists and was kept, as [`Request::overwrite`](crate::Request::overwrite) asked for.
    Skipped {
        /// The destination.
        #[serde(with = "super::os_path")]
        path: PathBuf,
    },
}

/// A checksum over the whole copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Checksum {
    /// CRC-64/NVME.
    Crc64(u64),
    /// BLAKE3, 256 bits.
    Blake3([u8; 32]),
}

/// Metadata of the source that could not be preserved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// The metadata.
    pub what: Preserved,
    /// The reason.
    pub reason: LossReason,
}

impl Loss {
    /// Changes the system's error, if that is the reason.
    pub(crate) fn map_system(mut self, change: impl FnOnce(SystemError) -> SystemError) -> Self {
        if let LossReason::System(error) = self.reason {
            self.reason = LossReason::System(change(error));
        }
        self
    }
}

/// Metadata that a copy may preserve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Preserved {
    /// All that was asked for.
    Everything,
    /// User and group.
    Ownership,
    /// Permission bits.
    Mode,
    /// The set-user-ID and set-group-ID bits.
    SetIdBits,
    /// The times of the last access and the last modification.
    Timestamps,
    /// All extended attributes.
    Attributes,
    /// All access lists.
    AccessLists,
    /// The extended attribute, or the access list, of this name.
    Attribute(OsString),
}

/// The reason why metadata was not preserved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LossReason {
    /// The source or the destination is a stream, which has nothing but content.
    Stream,
    /// The system refused to set it.
    System(SystemError),
    /// The file system stored another value, for example a rounded time.
    OtherValue,
    /// This system does not have it.
    Unsupported,
    /// It did not reach this Writer: it was sent to one that died.
    NotReceived,
    /// The Reader could not read it.
    Unreadable,
    /// It grants rights, and the Reader may belong to another user.
    OtherUser,
    /// Only the superuser can set it.
    NotPrivileged,
    /// It grants rights, and the owner of the copy is not that of the source.
    OtherOwner,
    /// An earlier Writer has put the copy in place without it, and a copy that is in place is not changed.
    InPlace,
}
