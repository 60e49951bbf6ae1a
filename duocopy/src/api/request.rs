//! The request for a copy.

use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One of the two processes of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Opens only the source.
    Reader,
    /// Opens only the destination.
    Writer,
}

impl Role {
    /// Returns the role of the peer.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Reader => Self::Writer,
            Self::Writer => Self::Reader,
        }
    }
}

/// The processes that take part, and the paths that this one knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Parties {
    /// This process and one that the user starts with the same request. The order of arrival decides the roles.
    Pair {
        /// The file to read.
        #[serde(with = "super::os_path")]
        source: PathBuf,
        /// The file to write.
        destination: Destination,
        /// The name of the pipe where the two meet; `None`: a name made from both absolute paths.
        name: Option<OsString>,
    },
    /// This process reads, and starts a second one that writes ([`Request::second_process`]).
    Both {
        /// The file to read.
        #[serde(with = "super::os_path")]
        source: PathBuf,
        /// The file to write.
        destination: Destination,
    },
    /// This process is the Reader, and does not know the destination.
    Read {
        /// The file, pipe or device to read; `-` is standard input.
        #[serde(with = "super::os_path")]
        source: PathBuf,
        /// The name of the pipe where the two meet.
        name: OsString,
    },
    /// This process is the Writer, and does not know the source.
    Write {
        /// The file, pipe or device to write; `-` is standard output.
        #[serde(with = "super::os_path")]
        destination: PathBuf,
        /// The name of the pipe where the two meet.
        name: OsString,
    },
}

/// A destination path, and whether it may name a directory to put the file in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Destination {
    /// A file, or an existing directory to put the file in, as `cp` decides it.
    Either(#[serde(with = "super::os_path")] PathBuf),
    /// A file.
    File(#[serde(with = "super::os_path")] PathBuf),
    /// An existing directory to put the file in.
    Directory(#[serde(with = "super::os_path")] PathBuf),
}

impl Destination {
    /// Returns the path.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Either(path) | Self::File(path) | Self::Directory(path) => path,
        }
    }
}

/// The action if the destination exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Overwrite {
    /// It is replaced.
    Replace,
    /// It is replaced if it was modified before the source; otherwise the copy is skipped.
    ReplaceIfOlder,
    /// The copy is skipped.
    Skip,
    /// The copy fails.
    Refuse,
}

/// How to treat a source that is a symbolic link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceLinks {
    /// Copy the file that it leads to.
    Follow,
    /// Copy the link itself: create a link with the same text. Only with [`Parties::Both`], and not on Windows.
    Copy,
}

/// How the old destination is kept, with the names that GNU `cp` gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Backup {
    /// It is not kept.
    None,
    /// As `DST.~1~`, `DST.~2~`, …
    Numbered,
    /// Numbered if a numbered backup exists, otherwise simple.
    Existing,
    /// As `DST~`, or with another [suffix](Request::backup_suffix).
    Simple,
}

/// What must be on the disk before a copy counts as complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fsync {
    /// Nothing: the copy may still be in the page cache, as with `cp`.
    None,
    /// The content and the name.
    End,
}

/// The way in which the copy is compared with the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verify {
    /// Not at all.
    None,
    /// Each process computes a checksum of its own bytes.
    Stream,
    /// The Writer also reads the copy back, from the disk where the file system can do that.
    Reread,
}

/// The checksum that both processes compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hash {
    /// CRC-64/NVME: detects accidental changes, and continues from a resume point.
    Crc64,
    /// BLAKE3: also detects forgery; a resumed copy reads its beginning again.
    Blake3,
}

/// Where the destination gets holes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sparse {
    /// Where the source has them.
    Auto,
    /// Also in place of long runs of zeros.
    Always,
    /// Nowhere.
    Never,
}

/// Metadata of the source that the copy can preserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Preserve {
    /// Permission bits, on Linux with the access list (on Windows: whether the file may be written to).
    Mode,
    /// User and group.
    Ownership,
    /// The times of the last access and the last modification.
    Timestamps,
    /// Extended attributes, without access lists.
    Xattr,
    /// Access lists.
    Acl,
}

/// A copy to make: plain data, which a command line, a user interface or a test fills in.
///
/// Start from [`pair`](Self::pair), [`both`](Self::both), [`read`](Self::read) or [`write`](Self::write), and change
/// the fields that matter. The last line of a field's description says to which process it matters: it is *shared*
/// (both processes must have the same value, which the handshake compares), the *Reader's*, the *Writer's*, or each
/// process's *own*.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, as people think of them")]
pub struct Request {
    /// Which processes take part.
    pub parties: Parties,
    /// How long to wait for the peer, and for the other end of a named pipe; `None`: without a limit.
    /// Own.
    pub connect_timeout: Option<Duration>,
    /// If the peer dies, how long to wait for a replacement; `None`: its death ends the copy.
    /// Own, but it takes effect only if both processes have it.
    pub replace_within: Option<Duration>,
    /// The directory in which two users or containers meet; `None`: the user's own. Not on Windows.
    /// Shared: with different directories the two do not meet.
    #[serde(with = "super::os_path::option")]
    pub dir: Option<PathBuf>,
    /// Users (names or numbers) whose processes may be the peer. If both lists are empty, any user who can join may.
    /// Own.
    pub peer_users: Vec<String>,
    /// Groups (names or numbers) whose members' processes may be the peer.
    /// Own.
    pub peer_groups: Vec<String>,
    /// Bytes in a block, rounded up to whole pages of 4096 bytes, from 4 KiB to 1 GiB; `None`: chosen.
    /// The Reader's.
    pub block_size: Option<u64>,
    /// Bytes in all blocks together; `None`: chosen.
    /// The Reader's.
    pub buffer_size: Option<u64>,
    /// Bytes to read per second at most; `None`: no limit.
    /// The Reader's.
    pub rate_limit: Option<u64>,
    /// True to read directly from the disk, past the page cache.
    /// The Reader's.
    pub direct_source: bool,
    /// True to write directly to the disk, past the page cache.
    /// The Writer's.
    pub direct_destination: bool,
    /// True to leave nothing of the file in the page cache.
    /// Own: each process drops its own file.
    pub drop_cache: bool,
    /// What must be on the disk before the copy counts as complete.
    /// The Writer's.
    pub fsync: Fsync,
    /// How the copy is compared with the source. [`Verify::Reread`] is the Writer's and means [`Verify::Stream`] to the
    /// Reader.
    /// Shared only as to whether a checksum is computed.
    pub verify: Verify,
    /// The checksum algorithm.
    /// Shared.
    pub hash: Hash,
    /// Where the destination gets holes.
    /// The Writer's.
    pub sparse: Sparse,
    /// The metadata to preserve.
    /// The Writer's.
    pub preserve: Vec<Preserve>,
    /// What to do if the destination exists.
    /// Shared by a pair: the order of arrival must not decide it.
    pub overwrite: Overwrite,
    /// How the old destination is kept.
    /// Shared by a pair.
    pub backup: Backup,
    /// What a simple backup's name ends with: not empty, and no path separator in it.
    /// The Writer's.
    pub backup_suffix: String,
    /// True if a symbolic link as the destination stands for the file that it names; otherwise it is refused.
    /// The Writer's.
    pub follow_links: bool,
    /// True to create the file that a dangling symbolic link at the destination names; otherwise such a link is
    /// refused.
    /// The Writer's.
    pub create_through_links: bool,
    /// How to treat a source that is a symbolic link. A link that is copied replaces a link at the destination.
    /// The Reader's.
    pub source_links: SourceLinks,
    /// True if [`Parties::Both`] also reads pipes and devices. (The halves always do.)
    /// The Reader's.
    pub read_streams: bool,
    /// True to copy no content. If the destination exists, only its metadata is changed, in place.
    /// Shared by the processes of [`Parties::Both`]; elsewhere it has no effect.
    pub only_attributes: bool,
    /// True to replace the destination even if it is a symbolic link, and to take no attributes from it.
    /// The Writer's.
    pub remove_destination: bool,
    /// True to replace a destination that is a loop of links, and, if it is the source itself, to copy it to its
    /// [`backup`](Self::backup).
    /// The Writer's.
    pub force: bool,
    /// The most bytes to write; a longer source is refused.
    /// The Writer's.
    pub max_bytes: Option<u64>,
    /// True to keep what was copied after a failure or an interrupt, for the next run.
    /// The Writer's.
    pub keep_partial: bool,
    /// True to resume an interrupted copy.
    /// The Writer's.
    pub resume: bool,
    /// Permission bits that a new file does not get, like the umask of a process; see [`umask`](crate::umask).
    /// The Writer's.
    pub umask: u32,
    /// True to give up all rights that the half does not need, once its file is open. This confines the calling
    /// thread, and the threads that it starts later, for good: ask for it only in a process that exists for this copy.
    /// The Writer's file stays open until that process ends.
    /// Linux only; elsewhere nothing happens.
    /// Own.
    pub sandbox: bool,
    /// True to measure speed and waiting times ([`Event::Stats`](crate::Event::Stats)).
    /// Own; with [`Parties::Both`] of both processes.
    pub stats: bool,
    /// The program that [`Parties::Both`] starts as its second process. It must call
    /// [`second_process`](crate::second_process) before anything else, as `duocopy` does. `None`: the current program.
    /// Own.
    #[serde(with = "super::os_path::option")]
    pub second_process: Option<PathBuf>,
}

impl Request {
    /// A copy by this process and another one that is started with the same request.
    pub fn pair(source: impl Into<PathBuf>, destination: impl Into<PathBuf>) -> Self {
        let destination = Destination::Either(destination.into());
        Self::new(Parties::Pair { source: source.into(), destination, name: None })
    }

    /// A copy by this process and a second one that it starts: see [`second_process`](Self::second_process).
    pub fn both(source: impl Into<PathBuf>, destination: impl Into<PathBuf>) -> Self {
        let destination = Destination::Either(destination.into());
        Self::new(Parties::Both { source: source.into(), destination })
    }

    /// The half of a copy that reads.
    pub fn read(source: impl Into<PathBuf>, name: impl Into<OsString>) -> Self {
        Self::new(Parties::Read { source: source.into(), name: name.into() })
    }

    /// The half of a copy that writes. By default it replaces nothing and follows no link.
    pub fn write(destination: impl Into<PathBuf>, name: impl Into<OsString>) -> Self {
        let parties = Parties::Write { destination: destination.into(), name: name.into() };
        Self { overwrite: Overwrite::Refuse, follow_links: false, ..Self::new(parties) }
    }

    /// A copy by these parties with the usual options: replaces an existing destination, compares CRC-64/NVME
    /// checksums, flushes to the disk, resumes what was interrupted, and confines nothing.
    pub fn new(parties: Parties) -> Self {
        Self {
            parties,
            connect_timeout: None,
            replace_within: None,
            dir: None,
            peer_users: Vec::new(),
            peer_groups: Vec::new(),
            block_size: None,
            buffer_size: None,
            rate_limit: None,
            direct_source: false,
            direct_destination: false,
            drop_cache: false,
            fsync: Fsync::End,
            verify: Verify::Stream,
            hash: Hash::Crc64,
            sparse: Sparse::Auto,
            preserve: Vec::new(),
            overwrite: Overwrite::Replace,
            backup: Backup::None,
            backup_suffix: "~".into(),
            follow_links: true,
            create_through_links: false,
            source_links: SourceLinks::Follow,
            read_streams: false,
            only_attributes: false,
            remove_destination: false,
            force: false,
            max_bytes: None,
            keep_partial: false,
            resume: true,
            umask: 0o022,
            sandbox: false,
            stats: false,
            second_process: None,
        }
    }

    /// Returns the role of this process if its parties leave no choice.
    #[must_use]
    pub fn role(&self) -> Option<Role> {
        match self.parties {
            Parties::Pair { .. } => None,
            Parties::Both { .. } | Parties::Read { .. } => Some(Role::Reader),
            Parties::Write { .. } => Some(Role::Writer),
        }
    }

    /// Returns the source and the destination that this process knows.
    #[must_use]
    pub fn paths(&self) -> (Option<&Path>, Option<&Path>) {
        match &self.parties {
            Parties::Pair { source, destination, .. } | Parties::Both { source, destination } => {
                (Some(source), Some(destination.path()))
            }
            Parties::Read { source, .. } => (Some(source), None),
            Parties::Write { destination, .. } => (None, Some(destination)),
        }
    }

    /// Returns the name under which the two meet, if the request gives one.
    #[must_use]
    pub fn name(&self) -> Option<&OsStr> {
        match &self.parties {
            Parties::Pair { name, .. } => name.as_deref(),
            Parties::Both { .. } => None,
            Parties::Read { name, .. } | Parties::Write { name, .. } => Some(name),
        }
    }

    /// Returns whether this process knows only one of the two paths.
    #[must_use]
    pub fn is_half(&self) -> bool {
        matches!(self.parties, Parties::Read { .. } | Parties::Write { .. })
    }

    /// Returns whether the source may be something other than a regular file.
    pub(crate) fn reads_streams(&self) -> bool {
        self.is_half() || self.read_streams
    }

    /// Returns whether the copy may resume an interrupted one. Without a flush at the end, it is not known how much of
    /// that one is on the disk.
    pub(crate) fn resumes(&self) -> bool {
        self.resume && self.fsync == Fsync::End
    }

    /// Returns whether the copy may be skipped because the destination exists.
    pub(crate) fn may_skip(&self) -> bool {
        matches!(self.overwrite, Overwrite::Skip | Overwrite::ReplaceIfOlder)
    }

    /// Returns whether the copy preserves any extended attribute. Preserving the mode requires the access list.
    pub(crate) fn preserves_attributes(&self) -> bool {
        self.preserve.iter().any(|what| matches!(what, Preserve::Mode | Preserve::Xattr | Preserve::Acl))
    }
}

/// Returns whether this path stands for standard input or output.
pub(crate) fn is_standard(path: &Path) -> bool {
    path == "-"
}
