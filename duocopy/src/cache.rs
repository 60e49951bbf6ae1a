//! What a half does about the page cache, for its own file: `--direct` and `--drop-cache`.

use crate::exit;
use crate::sys;
use std::fs::File;
use std::io;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::time::{Duration, Instant};

/// A multiple of what any disk or page asks for.
const PAGE: usize = 64 << 10;
/// What disks ask for at least.
const SECTOR: u64 = 512;
/// So much is brought to the disk, or let go, at once while the copy goes on (`docs/benchmarks.md`).
const STEP: u64 = 4 << 20;
/// What is written takes a while to get to the disk, and can be let go only then.
const ON_ITS_WAY: u64 = 64 << 20;

/// A copy that is slower than this for a step has checkpoints often enough, and no hurry at the end.
const SLOW: Duration = Duration::from_millis(250);

/// How a file passes through the page cache.
#[derive(Debug, Default)]
pub struct Passage {
    /// Past it.
    direct: bool,
    /// From where on it went through it all the same.
    not_from: Option<u64>,
    /// What is written is to be on the disk at the end.
    flushes: bool,
    /// Nothing stays in it.
    drops: bool,
    /// Up to here it has been told about, and when.
    told: u64,
    since: Option<Instant>,
}

/// What the user wants of the cache for one of the two files.
#[derive(Clone, Copy, Debug)]
pub struct CacheUse {
    pub direct: bool,
    pub drops: bool,
    pub flushes: bool,
}

impl Passage {
    /// As the user wants it from this place on. Notes say what cannot be.
    pub fn set(&mut self, file: &File, path: &Path, from: u64, usage: CacheUse) -> Vec<String> {
        let denied = if usage.direct { sys::set_direct(file, true).err() } else { None };
        self.direct = usage.direct && denied.is_none();
        (self.drops, self.flushes, self.told) = (usage.drops, usage.flushes, from);
        let path = exit::show(path);
        let denied = denied.map(|error| {
            format!("{path}: --direct is not to be had here, so the page cache is used ({error})")
        });
        let kept = if !sys::CAN_DROP_CACHED {
            Some("there is no --drop-cache on this system")
        } else if sys::free_memory(file).is_some() {
            Some("this file system is the cache, so that --drop-cache has no effect")
        } else {
            None
        };
        let kept = kept.filter(|_| usage.drops).map(|what| format!("{path}: {what}"));
        denied.into_iter().chain(kept).collect()
    }

    /// What to say where there is no cache to pass, or one that others pass too.
    pub fn none(path: &Path, usage: CacheUse) -> Vec<String> {
        let what =
            "--direct and --drop-cache have no effect on standard input and output, pipes and terminals";
        let wanted = usage.direct || usage.drops;
        wanted.then(|| format!("{}: {what}", exit::show(path))).into_iter().collect()
    }

    /// Reads or writes. What the disk cannot do directly (at the end of a file, or in odd pieces) goes through the
    /// cache, like everything behind it.
    pub fn pass<T>(
        &mut self,
        file: &File,
        (place, length): (u64, usize),
        mut act: impl FnMut() -> io::Result<T>,
    ) -> io::Result<T> {
        if !self.direct {
            return act();
        }
        let odd = !place.is_multiple_of(SECTOR) || !(length as u64).is_multiple_of(SECTOR);
        let result = if odd { Err(io::ErrorKind::InvalidInput.into()) } else { act() };
        if !matches!(&result, Err(error) if error.kind() == io::ErrorKind::InvalidInput) {
            return result;
        }
        sys::set_direct(file, false)?;
        self.direct = false;
        self.not_from = Some(place);
        act()
    }

    /// The file is read up to here.
    pub fn read_up_to(&mut self, file: &File, place: u64) {
        if self.drops && place >= self.told + STEP {
            sys::drop_cached(file, self.told..place);
            self.told = place;
        }
    }

    /// The file is written up to here: what is left to be flushed at the end is little.
    pub fn written_up_to(&mut self, file: &File, place: u64) {
        if !self.flushes && !self.drops || place < self.told + STEP {
            return;
        }
        // What has got to the disk in the meantime, by a checkpoint, would go from the cache.
        let fast = self.since.replace(Instant::now()).is_none_or(|since| since.elapsed() < SLOW);
        if fast || self.drops {
            sys::drop_cached(file, self.told..place);
        }
        self.told = place;
        if self.drops {
            sys::drop_cached(file, place.saturating_sub(8 * ON_ITS_WAY)..place.saturating_sub(ON_ITS_WAY));
        }
    }

    /// All of so many bytes are read, or on the disk. A note if it was not as the user wants it.
    pub fn end(&self, file: &File, path: &Path, length: u64) -> Option<String> {
        if self.drops {
            sys::drop_cached(file, 0..length);
        }
        // The end of a file is seldom that of a sector.
        let from = self.not_from.filter(|from| from + STEP < length)?;
        let path = exit::show(path);
        Some(format!(
            "{path}: from byte {from} on --direct was not possible: what came was not in whole sectors"
        ))
    }
}

/// Memory that begins with a page, as direct reads want it.
#[derive(Debug)]
pub struct Pages {
    memory: Vec<u8>,
    start: usize,
    length: usize,
}

impl Pages {
    pub fn new(most: usize) -> Self {
        let memory = vec![0; most + PAGE];
        let start = memory.as_ptr().align_offset(PAGE);
        Self { memory, start, length: most }
    }

    /// So much of it is used from now on: not more than at first.
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
