//! The content of a disk after a power cut.

use super::disk::{Entry, Log, copy_image};
use crate::util::*;
use std::fs::File;
use std::sync::Arc;

/// The unit in which a disk loses what was written.
const SECTOR: usize = 512;

/// What becomes of the writes since the last flush.
#[derive(Clone, Copy, Debug)]
pub enum Loss {
    AllLost,
    NoneLost,
    /// Each sector is kept with a probability of this many eighths.
    Eighths(u64),
}

/// When the power fails, and what that loses.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// Nothing in the log from here on has happened.
    pub position: usize,
    pub loss: Loss,
}

/// Makes the image `cut` for one cut after the other.
pub struct Images<'a> {
    folder: &'a Folder,
    log: Arc<Log>,
    /// The image `flushed` contains the log's writes up to here.
    flushed: usize,
}

impl<'a> Images<'a> {
    pub fn new(folder: &'a Folder, image: &str, log: Arc<Log>) -> Self {
        copy_image(folder, image, "flushed");
        Self { folder, log, flushed: 0 }
    }

    /// Makes the image of a cut. Each cut must be at the position of the last one or after it.
    pub fn make(&mut self, cut: Cut, random: &mut Random) {
        let entries = self.log.entries();
        let is_flush = |entry: &Entry| matches!(entry, Entry::Flush);
        let durable = entries[..cut.position].iter().rposition(is_flush).unwrap_or(0);
        self.apply("flushed", &entries[self.flushed..durable], || true);
        self.flushed = durable;
        copy_image(self.folder, "flushed", "cut");
        let is_kept = || match cut.loss {
            Loss::AllLost => false,
            Loss::NoneLost => true,
            Loss::Eighths(kept) => random.next() % 8 < kept,
        };
        self.apply("cut", &entries[durable..cut.position], is_kept);
    }

    /// Writes the sectors of these entries to an image, except those that are not kept.
    fn apply(&self, image: &str, entries: &[Entry], mut is_kept: impl FnMut() -> bool) {
        let image = File::options().write(true).open(self.folder.path(image)).expect("opening an image");
        for entry in entries {
            let Entry::Write { offset, length, at } = *entry else { continue };
            let bytes = self.log.bytes(length, at);
            for (offset, sector) in (offset..).step_by(SECTOR).zip(bytes.chunks(SECTOR)) {
                if is_kept() {
                    image.write_all_at(sector, offset).expect("writing to an image");
                }
            }
        }
    }
}
