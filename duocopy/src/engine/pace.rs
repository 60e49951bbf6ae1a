//! Limits the Reader to a rate (`--bwlimit`), and spreads its reads evenly over time.

use std::time::{Duration, Instant};

/// The time that one read is worth at most, so that the data reaches the peer steadily and not in bursts.
const QUANTUM: Duration = Duration::from_millis(50);

/// Limits the Reader to a rate.
#[derive(Debug)]
pub struct Pace {
    bytes_per_second: u64,
    /// The time at which the bytes that were read so far are due.
    due: Instant,
}

impl Pace {
    pub fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second, due: Instant::now() }
    }

    /// Returns how many bytes to read at once: `most` or fewer.
    pub fn at_once(&self, most: usize) -> usize {
        let bytes = (u128::from(self.bytes_per_second) * QUANTUM.as_millis() / 1000) as usize;
        // Whole pages if possible: reading or writing a part of a page is slow.
        (if bytes < 4096 { bytes.max(1) } else { bytes & !4095 }).min(most)
    }

    /// Counts bytes that were read at once, and waits until the next read is due: at most about a second.
    #[expect(clippy::disallowed_methods, reason = "it waits for time to pass, not for another process")]
    pub fn spend(&mut self, bytes: usize) {
        // After a delay (a slow peer, a late wake-up), only one quantum is made up for, so that no burst follows.
        let earliest = Instant::now().checked_sub(QUANTUM).unwrap_or(self.due);
        let cost = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
        self.due = self.due.max(earliest) + cost;
        std::thread::sleep(self.due.saturating_duration_since(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_at_once_is_a_twentieth_of_a_second_in_whole_pages() {
        for (rate, most, bytes) in
            [(11 << 20, 1 << 20, 573_440), (10 << 20, 65_536, 65_536), (1000, 4096, 50), (1, 4096, 1)]
        {
            assert_eq!(Pace::new(rate).at_once(most), bytes, "{rate}");
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the pause is what is tested")]
    fn a_pause_is_not_made_up_for() {
        let mut pace = Pace::new(1 << 20);
        std::thread::sleep(Duration::from_millis(300));
        let begun = Instant::now();
        pace.spend(200 << 10);
        assert!(begun.elapsed() >= Duration::from_millis(140), "{:?}", begun.elapsed());
    }
}
