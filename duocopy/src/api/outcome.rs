//! How a copy ended, if it did not fail.

use super::system_error::SystemError;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::PathBuf;

/// How a copy ended. Both processes return the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The destination holds every byte, as durable as the request asked for.
    Complete {
        /// Length of the copy.
        bytes: u64,
        /// What both processes computed; `None` with [`Verify::None`](crate::Verify::None).
        checksum: Option<Checksum>,
        /// What [`Request::preserve`](crate::Request::preserve) asked for and the copy did not get.
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

/// A property of the source that the copy did not get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// Which one.
    pub what: Preserved,
    /// Why.
    pub reason: LossReason,
}

/// Something that a copy may preserve.
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

/// Why a property was not preserved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LossReason {
    /// The source or the destination is a stream, which has nothing but content.
    Stream,
    /// The system refused to set it.
    System(SystemError),
    /// This system does not have it.
    Unsupported,
    /// It did not reach this Writer: it was sent to one that died.
    NotReceived,
    /// The Reader could not read it.
    Unreadable,
    /// It gives rights, and comes from another user.
    OtherUser,
    /// It gives rights, and the copy has another owner than the source.
    OtherOwner,
}
