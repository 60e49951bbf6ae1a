//! Events that a copy reports while it runs, and the means to stop it.

use super::error::Error;
use super::outcome::Preserved;
use super::request::Role;
use super::system_error::SystemError;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Receives the events of a copy.
///
/// It is called from a thread of its own, one event at a time, so that a slow observer never holds up the copy. Events
/// that are still queued when the copy ends are delivered before [`run`](crate::run) returns.
pub trait Observer: Send {
    /// Receives an event.
    fn event(&mut self, event: Event);
}

impl<F: FnMut(Event) + Send> Observer for F {
    fn event(&mut self, event: Event) {
        self(event);
    }
}

/// Something that happened in a copy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// This process has its role.
    Joined {
        /// The role.
        role: Role,
        /// The name under which the two meet: bytes of any kind, or both paths separated by a NUL.
        pipe: Vec<u8>,
    },
    /// This process waits for its peer to arrive.
    Waiting {
        /// The role that is missing.
        missing: Role,
        /// Why the Writer would refuse the copy if its peer came now.
        refusal: Option<Error>,
    },
    /// The peer belongs to another user.
    PeerUser {
        /// The peer's role.
        role: Role,
        /// The number of its user, unless this process's user namespace has none for that user.
        user: Option<u32>,
    },
    /// This process takes the place of one that died.
    Replaced {
        /// The role of both.
        role: Role,
    },
    /// The Reader divided the shared memory into blocks.
    Layout {
        /// Length of the source in bytes, if it is known.
        length: Option<u64>,
        /// Number of blocks.
        blocks: usize,
        /// Bytes in a block.
        block_size: usize,
        /// Why this number of blocks was chosen.
        reason: LayoutReason,
    },
    /// The copy begins.
    Started {
        /// The role of this process.
        role: Role,
        /// The name under which the two meet, as in [`Event::Joined`].
        pipe: Vec<u8>,
        /// Length of the source in bytes, if it is known.
        length: Option<u64>,
    },
    /// The copy continues one that was interrupted.
    Resumed {
        /// The bytes from the start that need not be copied again.
        position: u64,
        /// True if they are read again, for a checksum that needs it.
        rereads: bool,
    },
    /// The progress of the copy, about ten times in a second while it runs.
    Progress(Progress),
    /// The copy enters a step that has no bytes to count.
    Step(Step),
    /// A problem that the user should know of, but that does not stop the copy.
    Warning(Warning),
    /// The statistics of one half, at the end, if [`Request::stats`](crate::Request::stats) is set.
    Stats(Stats),
}

/// The progress of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The presence of the peer.
    pub peer: Presence,
    /// Bytes read so far.
    pub read: u64,
    /// Bytes written so far.
    pub written: u64,
    /// Percentage of the blocks that are filled.
    pub buffer: u64,
    /// The half that waits because the other one is slower.
    pub waiting: Option<Role>,
    /// True if the peer shows its progress on the terminal of this process, so that this one need not.
    pub peer_shows: bool,
}

impl Progress {
    /// The progress before the peer has arrived.
    pub(crate) const ALONE: Self =
        Self { peer: Presence::NotYet, read: 0, written: 0, buffer: 0, waiting: None, peer_shows: false };
}

/// The presence of the peer, as one process sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Presence {
    /// It has not arrived yet.
    NotYet,
    /// It is there.
    Here,
    /// It died.
    Died,
    /// The verdict is known. The peer may have left, and is not needed any more.
    Finished,
}

/// Why the Reader chose this number of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LayoutReason {
    /// The request said so.
    Requested,
    /// The request said so, as nearly as whole pages and blocks allow.
    Adjusted,
    /// The source needs no more.
    SmallSource,
    /// More blocks would not make the copy of a source of this length faster.
    ShortSource,
    /// Data from a stream may arrive in bursts.
    Stream,
    /// Data from a disk may arrive in bursts.
    Disk,
    /// The source is in memory, and few blocks stay in the processor's caches.
    Memory,
}

/// A step that has no bytes to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// The Reader reads the source again: its inode has changed, and only the content shows whether that matters.
    Comparing,
    /// The Writer flushes the copy to the disk.
    Flushing,
    /// The Writer reads the copy back.
    Rereading,
}

/// A problem that the user should know of, but that does not stop the copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Warning {
    /// The sandbox does not cover everything.
    Unconfined {
        /// What the process can still do.
        gap: SandboxGap,
        /// The reason, for people.
        reason: String,
    },
    /// The requested block or buffer size is impossible, so the nearest possible ones are used.
    LayoutAdjusted {
        /// Number of blocks.
        blocks: u64,
        /// Bytes in a block.
        block_size: u64,
    },
    /// The file cannot be read or written past the page cache.
    DirectUnavailable {
        /// The file.
        #[serde(with = "super::os_path")]
        path: PathBuf,
        /// The system's error.
        cause: SystemError,
    },
    /// From this offset on the file went through the page cache, because the pieces were not whole sectors.
    DirectUntil {
        /// The file.
        #[serde(with = "super::os_path")]
        path: PathBuf,
        /// The offset in bytes.
        offset: u64,
    },
    /// This system cannot drop pages from its cache.
    DropCacheUnavailable {
        /// The file.
        #[serde(with = "super::os_path")]
        path: PathBuf,
    },
    /// The file system is in memory, so there is no cache to drop.
    DropCacheUseless {
        /// The file.
        #[serde(with = "super::os_path")]
        path: PathBuf,
    },
    /// Standard streams, pipes and terminals have no page cache to go past or to drop.
    NoPageCache {
        /// The stream.
        #[serde(with = "super::os_path")]
        path: PathBuf,
    },
    /// The destination is not a regular file: what is written cannot be rolled back.
    Irreversible {
        /// The destination.
        #[serde(with = "super::os_path")]
        path: PathBuf,
    },
    /// The file system has no locks, so nothing keeps two copies from the same destination.
    NoLocks {
        /// The system's error.
        cause: SystemError,
    },
    /// No thread can be started that records how much of the copy is on the disk, so nothing is left to resume if the
    /// Writer is killed.
    NoCheckpoints {
        /// The system's error.
        cause: SystemError,
    },
    /// The copy was meant to replace nothing, but the file system cannot rename without replacing. The destination was
    /// checked just before the rename.
    NotExclusive {
        /// The destination.
        #[serde(with = "super::os_path")]
        path: PathBuf,
    },
    /// What an interrupted copy left does not fit this one, which restarts from the beginning.
    Restarted,
    /// Owner and group of the old destination were not kept, and their rights were removed.
    OwnerNotKept {
        /// The destination.
        #[serde(with = "super::os_path")]
        path: PathBuf,
    },
    /// The new file does not have these properties of the file that it replaced.
    NotHandedOn {
        /// The destination.
        #[serde(with = "super::os_path")]
        path: PathBuf,
        /// The missing properties.
        what: Vec<Preserved>,
    },
    /// The copy was read back through the page cache, because the file system has no direct reads.
    RereadCached,
    /// This Reader failed after an earlier Reader had sent everything, so the copy is complete despite this error.
    TooLate(Box<Error>),
}

/// Something that a confined process can still do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SandboxGap {
    /// Other files can still be opened.
    Paths,
    /// Other system calls can still be made.
    SystemCalls,
}

/// The statistics of one half: how long it took, and how long it waited.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// The half.
    pub role: Role,
    /// Bytes that this process moved, without those that were resumed.
    pub bytes: u64,
    /// From the first block to the last.
    pub duration: Duration,
    /// How long the Reader waited for empty blocks, and the Writer for filled ones.
    pub waited: [Duration; 2],
    /// How long the Reader held back for [`Request::rate_limit`](crate::Request::rate_limit).
    pub held_back: Duration,
    /// How often none, a quarter, a half, three quarters and all of the blocks were filled when this half asked for
    /// one.
    pub fill: [u64; 5],
    /// Number of blocks.
    pub blocks: u64,
    /// How long the Writer flushed at the end, if it did.
    pub flushing: Option<Duration>,
    /// How long the Writer read the copy back, if it did.
    pub rereading: Option<Duration>,
}

/// Stops a copy from another thread, or from a signal handler.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Makes a stop that is not requested yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the copy to stop. Both processes end within 50 ms, unless the Writer has begun to commit: then it
    /// is too late, and the copy completes. A Reader waits at most 10 s for that
    /// ([`ErrorKind::DiedCommitting`](crate::ErrorKind::DiedCommitting)).
    pub fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Returns whether the stop was requested.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

impl From<Arc<AtomicBool>> for Stop {
    /// Stops when the flag becomes true.
    fn from(flag: Arc<AtomicBool>) -> Self {
        Self(flag)
    }
}
