//! Measures where the time of a half goes, without slowing it down.

use crate::api::{Role, Stats};
use std::time::{Duration, Instant};

/// Collects the statistics of one half while a copy runs.
#[derive(Debug)]
pub struct Meter {
    role: Role,
    begun: Instant,
    /// The times for which Reader and Writer had waited before this meter started.
    before: [Duration; 2],
    held_back: Duration,
    blocks: u64,
    fill: [u64; 5],
}

impl Meter {
    pub fn start(role: Role, blocks: usize, waited: [Duration; 2]) -> Self {
        let (begun, held_back, blocks) = (Instant::now(), Duration::ZERO, blocks as u64);
        Self { role, begun, before: waited, held_back, blocks, fill: [0; 5] }
    }

    /// Runs a wait that the rate limit requires, and counts its time.
    pub fn hold_back(&mut self, wait: impl FnOnce()) {
        let begun = Instant::now();
        wait();
        self.held_back += begun.elapsed();
    }

    /// Counts how many blocks are filled now.
    pub fn count(&mut self, filled: u64) {
        let filled = filled.min(self.blocks);
        self.fill[(filled * 4 / self.blocks) as usize] += 1;
    }

    /// Returns the statistics up to now. `waited` has the total times for which Reader and Writer have waited.
    pub fn conclude(&self, bytes: u64, waited: [Duration; 2]) -> Stats {
        let duration = self.begun.elapsed();
        let waited = [0, 1].map(|side| waited[side].saturating_sub(self.before[side]).min(duration));
        Stats {
            role: self.role,
            bytes,
            duration,
            waited,
            held_back: self.held_back,
            fill: self.fill,
            blocks: self.blocks,
            flushing: None,
            rereading: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fill_is_counted_in_quarters_and_waits_from_the_start() {
        let second = Duration::from_secs(1);
        let mut meter = Meter::start(Role::Reader, 4, [second; 2]);
        for filled in [0, 4, 4, 9, 1] {
            meter.count(filled);
        }
        let stats = meter.conclude(7, [second, second + Duration::from_nanos(1)]);
        assert_eq!((stats.bytes, stats.fill), (7, [1, 1, 0, 0, 3]));
        assert_eq!(stats.waited, [Duration::ZERO, Duration::from_nanos(1)]);
    }
}
