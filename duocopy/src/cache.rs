//! How a process uses the page cache for its own file: `--direct` and `--drop-cache`.

use crate::api::Warning;
use crate::sys;
use std::fs::File;
use std::io;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::time::{Duration, Instant};

/// A multiple of the alignment that any disk or page needs.
const ALIGNMENT: usize = 64 << 10;
/// The smallest piece that a disk transfers.
const SECTOR: u64 = 512;
/// How many bytes are flushed or dropped at once while the copy runs (`docs/benchmarks.md`).
const STEP: u64 = 4 << 20;
/// How far flushing may lag behind writing. Only pages that are on the disk can be dropped.
const LAG: u64 = 64 << 20;
/// A copy that needs longer than this for a step is flushed by its checkpoints, and has little left at the end.
const SLOW: Duration = Duration::from_millis(250);

/// How one of the two files should use the page cache.
#[derive(Clone, Copy, Debug)]
pub struct CacheUse {
    /// Go past the cache.
    pub direct: bool,
    /// Leave nothing of the file in the cache.
    pub drops: bool,
    /// Have everything on the disk at the end, so that it is better to begin early.
    pub flushes: bool,
}

/// How a file uses the page cache, and up to which offset the system knows it.
#[derive(Debug, Default)]
pub struct CachePolicy {
    direct_io: bool,
    /// Where the file began to go through the cache although it should not.
    fallback_offset: Option<u64>,
    flushes: bool,
    drops: bool,
    /// The offset up to which the system was asked to flush or to drop the file, the last time at `since`.
    advised: u64,
    since: Option<Instant>,
}

impl CachePolicy {
    /// Uses the cache like this from offset `from` on. Warns of what the system cannot do.
    pub fn set(&mut self, file: &File, path: &Path, from: u64, usage: CacheUse) -> Vec<Warning> {
        let denied = if usage.direct { sys::set_direct(file, true).err() } else { None };
        self.direct_io = usage.direct && denied.is_none();
        (self.drops, self.flushes, self.advised) = (usage.drops, usage.flushes, from);
        let path = path.to_path_buf();
        let denied =
            denied.map(|error| Warning::DirectUnavailable { path: path.clone(), cause: error.into() });
        let kept = match () {
            () if !usage.drops => None,
            () if !sys::CAN_DROP_CACHED => Some(Warning::DropCacheUnavailable { path }),
            () if sys::free_memory(file).is_some() => Some(Warning::DropCacheUseless { path }),
            () => None,
        };
        denied.into_iter().chain(kept).collect()
    }

    /// Warns that a stream has no page cache, or one that other programs use too.
    pub fn not_applicable(path: &Path, usage: CacheUse) -> Vec<Warning> {
        let wanted = usage.direct || usage.drops;
        wanted.then(|| Warning::NoPageCache { path: path.into() }).into_iter().collect()
    }

    /// Runs a read or a write of `length` bytes at this offset.
    ///
    /// Direct I/O transfers only whole sectors. From the first piece that is none (the end of a file, or less), the file
    /// goes through the cache.
    pub fn transfer<T>(
        &mut self,
        file: &File,
        (offset, length): (u64, usize),
        mut transfer: impl FnMut() -> io::Result<T>,
    ) -> io::Result<T> {
        if !self.direct_io {
            return transfer();
        }
        let odd = !offset.is_multiple_of(SECTOR) || !(length as u64).is_multiple_of(SECTOR);
        let result = if odd { Err(io::ErrorKind::InvalidInput.into()) } else { transfer() };
        if !matches!(&result, Err(error) if error.kind() == io::ErrorKind::InvalidInput) {
            return result;
        }
        sys::set_direct(file, false)?;
        self.direct_io = false;
        self.fallback_offset = Some(offset);
        transfer()
    }

    /// Takes note that the file is read up to this offset.
    pub fn read_up_to(&mut self, file: &File, offset: u64) {
        if self.drops && offset >= self.advised + STEP {
            sys::drop_cached(file, self.advised..offset);
            self.advised = offset;
        }
    }

    /// Takes note that the file is written up to this offset, and begins to flush it, so that little is left at the end.
    pub fn written_up_to(&mut self, file: &File, offset: u64) {
        if !self.flushes && !self.drops || offset < self.advised + STEP {
            return;
        }
        // The call also drops pages that a checkpoint has flushed meanwhile. A slow copy does not need it.
        let fast = self.since.replace(Instant::now()).is_none_or(|since| since.elapsed() < SLOW);
        if fast || self.drops {
            sys::drop_cached(file, self.advised..offset);
        }
        self.advised = offset;
        if self.drops {
            sys::drop_cached(file, offset.saturating_sub(8 * LAG)..offset.saturating_sub(LAG));
        }
    }

    /// Ends the use of the file once all of its `length` bytes are read, or on the disk. Warns if direct I/O was not
    /// possible for a part of it.
    pub fn end(&self, file: &File, path: &Path, length: u64) -> Option<Warning> {
        if self.drops {
            sys::drop_cached(file, 0..length);
        }
        // Few files end with a whole sector: their last piece does not count.
        let offset = self.fallback_offset.filter(|offset| offset + STEP < length)?;
        Some(Warning::DirectUntil { path: path.into(), offset })
    }
}

/// Memory that begins at a page boundary, as direct I/O needs it.
#[derive(Debug)]
pub struct Pages {
    memory: Vec<u8>,
    start: usize,
    length: usize,
}

impl Pages {
    /// Allocates zeroed memory.
    pub fn new(length: usize) -> Self {
        let memory = vec![0; length + ALIGNMENT];
        let start = memory.as_ptr().align_offset(ALIGNMENT);
        Self { memory, start, length }
    }

    /// Uses only the first `length` bytes from now on: at most as many as were allocated.
    pub fn resize(&mut self, length: usize) {
        self.length = length;
    }
}

impl Deref for Pages {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.start..][..self.length]
    }
}

impl DerefMut for Pages {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..][..self.length]
    }
}
