//! What no correct peer writes into a pipe's file.

use super::{BLOCK, BLOCKS};
use crate::util::{Name, Random};
use blockpipe::offsets::{
    self, BEGUN, BLOCK_SIZE, CLOSED, CONSUMER_ALLOWS_REPLACEMENT, CONSUMER_HELLO, CONSUMER_PID,
    CONSUMER_REASON, CONSUMER_RESUME_POINTS, EMPTIED, FILLED, GENERATION, HEADER_LENGTH, MAGIC, NAME, PARKED,
    PRODUCER_ALLOWS_REPLACEMENT, PRODUCER_HELLO, PRODUCER_PID, PRODUCER_REASON, PRODUCER_RESUME_POINTS,
    SLOTS, STATE, TAG, TAG_HASH, TAG_LENGTH, TRAILER, VERDICT, VERSION,
};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Every word of the header that has a meaning, with its width.
pub const WORDS: &[(u64, usize)] = &[
    (MAGIC, 8),
    (VERSION, 4),
    (STATE, 4),
    (GENERATION, 8),
    (BLOCK_SIZE, 8),
    (offsets::BLOCKS, 8),
    (PRODUCER_PID, 4),
    (CONSUMER_PID, 4),
    (TAG_LENGTH, 8),
    (TAG_HASH, 8),
    (NAME, 4),
    (TAG, 4),
    (PRODUCER_HELLO, 8),
    (PRODUCER_HELLO + 512, 8),
    (CONSUMER_HELLO, 8),
    (CONSUMER_HELLO + 512, 8),
    (FILLED, 8),
    (PARKED, 4),
    (PRODUCER_ALLOWS_REPLACEMENT, 4),
    (PRODUCER_RESUME_POINTS, 8),
    (PRODUCER_RESUME_POINTS + 8, 8),
    (PRODUCER_RESUME_POINTS + 16, 8),
    (PRODUCER_RESUME_POINTS + 24, 8),
    (PRODUCER_RESUME_POINTS + 32, 8),
    (PRODUCER_RESUME_POINTS + 40, 8),
    (CLOSED, 8),
    (TRAILER, 8),
    (TRAILER + 56, 8),
    (EMPTIED, 8),
    (PARKED + 4, 4),
    (BEGUN, 4),
    (CONSUMER_RESUME_POINTS, 8),
    (CONSUMER_RESUME_POINTS + 8, 8),
    (CONSUMER_RESUME_POINTS + 16, 8),
    (CONSUMER_RESUME_POINTS + 24, 8),
    (CONSUMER_RESUME_POINTS + 32, 8),
    (CONSUMER_RESUME_POINTS + 40, 8),
    (CONSUMER_ALLOWS_REPLACEMENT, 4),
    (VERDICT, 8),
    (PRODUCER_REASON, 4),
    (PRODUCER_REASON + 4, 4),
    (CONSUMER_REASON, 4),
    (CONSUMER_REASON + 4, 4),
];
pub const COMMITTING: u64 = 1;
const COMPLETE: u64 = 2;

/// Kinds of corruption that are tried before each kind of step.
pub const COUNTERS: u64 = 2;
pub const RESUME_POINTS: u64 = 3;
pub const TOO_EARLY: u64 = 100;
pub const ENDED: u64 = 101;

/// The pipe's file, as a process sees it that does not follow the protocol.
pub struct Memory(File);

impl Memory {
    pub fn open(name: &Name) -> Option<Self> {
        let file = File::options().read(true).write(true).open(name.path()).ok()?;
        (file.metadata().ok()?.len() >= HEADER_LENGTH).then_some(Self(file))
    }

    pub fn truncate(&self, length: u64) {
        self.0.set_len(length).expect("the file can be truncated");
    }

    pub fn get(&self, at: u64) -> u64 {
        let mut word = [0; 8];
        // Past the end of the file there is nothing.
        let _ = self.0.read_at(&mut word, at);
        u64::from_le_bytes(word)
    }

    pub fn set(&self, at: u64, width: usize, value: u64) {
        // Never makes the file longer: that is another test.
        if self.0.metadata().is_ok_and(|metadata| metadata.len() >= at + width as u64) {
            self.0.write_all_at(&value.to_le_bytes()[..width], at).expect("the file can be written to");
        }
    }

    pub fn stage(&self) -> u64 {
        self.get(VERDICT) & 0xff
    }

    /// Corrupts the file in a random way, and returns a description.
    pub fn corrupt(&self, random: &mut Random) -> String {
        let kind = random.below(12);
        self.corrupt_with(kind, random)
    }

    pub fn corrupt_with(&self, kind: u64, random: &mut Random) -> String {
        let generation = self.get(GENERATION);
        let extreme = [u64::MAX, u64::MAX - 1, 1 << 63, i64::MAX as u64, 1 << 32, u64::MAX - BLOCK as u64];
        let far = extreme[random.below(6) as usize] - random.below(3);
        match kind {
            TOO_EARLY => {
                self.set(VERDICT, 8, generation << 8 | COMMITTING);
                "committing".into()
            }
            ENDED => {
                self.set(VERDICT, 8, generation << 8 | COMPLETE);
                self.set(STATE, 4, 0);
                "complete and over".into()
            }
            // The verdict, with this generation or another one.
            0 | 1 => {
                let other = u64::from(random.below(4) == 0);
                let value = (generation ^ other) << 8 | random.below(7);
                self.set(VERDICT, 8, value);
                format!("verdict {value:#x}")
            }
            // Both counters, so that their difference is plausible.
            COUNTERS => {
                let difference = random.below(BLOCKS as u64 + 1);
                self.set(EMPTIED, 8, far - difference);
                self.set(FILLED, 8, far);
                format!("both counters {far:#x} - {difference}")
            }
            // All resume points of both sides, with or without `begun`.
            RESUME_POINTS => {
                for points in [PRODUCER_RESUME_POINTS, CONSUMER_RESUME_POINTS] {
                    self.set(points, 8, far);
                    self.set(points + 32, 8, far);
                }
                let begun = random.below(2);
                if begun == 1 {
                    self.set(BEGUN, 4, 1);
                }
                format!("all progress {far:#x}, begun {begun}")
            }
            // A descriptor.
            4..=6 => {
                let at = SLOTS + 64 * random.below(BLOCKS as u64) + 8 * random.below(7);
                let value = self.value_for(at, far, random);
                self.set(at, 8, value);
                format!("descriptor {at} {value:#x}")
            }
            // Everything at once.
            7 if random.below(3) == 0 => {
                let mut header = [0; HEADER_LENGTH as usize];
                header.chunks_exact_mut(8).for_each(|word| {
                    word.copy_from_slice(&random.below(u64::MAX).to_le_bytes());
                });
                self.0.write_all_at(&header, 0).expect("the file can be written to");
                "the whole header".into()
            }
            _ => {
                let (at, width) = WORDS[random.below(WORDS.len() as u64) as usize];
                let value = self.value_for(at, far, random);
                self.set(at, width, value);
                format!("word {at} {value:#x}")
            }
        }
    }

    pub fn value_for(&self, at: u64, far: u64, random: &mut Random) -> u64 {
        let now = self.get(at);
        match random.below(8) {
            0 => 0,
            1 => random.below(4),
            2 => now.wrapping_add(1),
            3 => now.wrapping_sub(1),
            4 => now ^ 1 << random.below(64),
            5 => self.get(WORDS[random.below(WORDS.len() as u64) as usize].0),
            6 => random.below(u64::MAX),
            _ => far,
        }
    }
}
