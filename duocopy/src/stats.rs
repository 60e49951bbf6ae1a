//! What `--stats` says: who waited for whom, and how full the blocks were.

use crate::progress::Role;
use std::time::{Duration, Instant};

/// Counts while a copy goes on, as one of the two sees it.
#[derive(Debug)]
pub struct Meter {
    role: Role,
    begun: Instant,
    /// For the other side to fill a block or give one back.
    waited: Duration,
    /// For `--bwlimit`.
    held_back: Duration,
    blocks: u64,
    /// How often so many quarters of the blocks were filled when this side asked for one.
    quarters: [u64; 5],
    /// All that it found filled.
    filled: u64,
}

impl Meter {
    pub fn start(role: Role, blocks: usize) -> Self {
        let blocks = blocks as u64;
        Self {
            role,
            begun: Instant::now(),
            waited: Duration::ZERO,
            held_back: Duration::ZERO,
            blocks,
            quarters: [0; 5],
            filled: 0,
        }
    }

    /// Times what waits for the other side, and passes on what it returns.
    pub fn wait<T>(&mut self, wait: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let result = wait();
        self.waited += begun.elapsed();
        result
    }

    /// Times what only takes time because somebody wanted that.
    pub fn hold_back(&mut self, wait: impl FnOnce()) {
        let begun = Instant::now();
        wait();
        self.held_back += begun.elapsed();
    }

    /// So many blocks wait for the Writer now.
    pub fn see(&mut self, filled: u64) {
        let filled = filled.min(self.blocks);
        self.quarters[(filled * 4 / self.blocks) as usize] += 1;
        self.filled += filled;
    }

    /// What there is to say after so many bytes, before anything else is done.
    pub fn conclude(&self, bytes: u64) -> Vec<String> {
        self.say(bytes, self.begun.elapsed())
    }

    fn say(&self, bytes: u64, took: Duration) -> Vec<String> {
        let (took, waited) = (took.as_secs_f64().max(1e-9), self.waited.as_secs_f64());
        let share = waited / took;
        let rate = bytes as f64 / took / f64::from(1 << 20);
        let times = self.quarters.iter().sum::<u64>().max(1);
        let (mean, all) = (self.filled as f64 / times as f64, self.blocks as f64);
        // The block that is being written counts as filled, and the one that is being read does not.
        let few = 1.0 + all / 8.0;
        let (what, own, other, all_for_us) = match self.role {
            Role::Reader => ("empty", "reading SRC", "writing DST", mean <= few),
            Role::Writer => ("filled", "writing DST", "reading SRC", mean >= all - few),
        };
        // What both say must not contradict: each knows only how long it has waited itself, and both see the blocks.
        let bottleneck = match share {
            _ if self.held_back.as_secs_f64() / took >= 0.5 => "--bwlimit is the bottleneck".into(),
            0.5.. => format!("{other} is the bottleneck"),
            ..0.1 if all_for_us => format!("{own} is the bottleneck"),
            _ => "reading and writing are about equally fast".into(),
        };
        let [fewer, quarter, half, most, full] = self.quarters.map(|count| count * 100 / times);
        vec![
            format!(
                "{}: {bytes} bytes in {took:.3} s ({rate:.0} MiB/s), of which {waited:.3} s ({:.0} %) were spent \
                 waiting for {what} blocks: {bottleneck}",
                self.role,
                share * 100.0
            ),
            format!(
                "{}: blocks that were filled when it asked for one: less than a quarter {fewer} %, a quarter \
                 {quarter} %, half {half} %, three quarters {most} %, all {full} %",
                self.role
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_not_the_bottleneck() {
        let says = |role, waited, filled: [u64; 4]| {
            let mut meter = Meter::start(role, 4);
            meter.waited = Duration::from_millis(waited);
            for filled in filled {
                meter.see(filled);
            }
            meter.say(100 << 20, Duration::from_secs(1)).join("\n")
        };
        let said = says(Role::Reader, 900, [0, 4, 4, 9]);
        assert!(said.contains("(100 MiB/s), of which 0.900 s (90 %)"), "{said}");
        assert!(
            said.ends_with("less than a quarter 25 %, a quarter 0 %, half 0 %, three quarters 0 %, all 75 %"),
            "{said}"
        );
        let (none, some, all) = ([0, 1, 1, 1], [1, 2, 3, 2], [3, 4, 3, 4]);
        for (role, waited, filled, bottleneck) in [
            (Role::Reader, 900, all, "writing DST is"),
            (Role::Writer, 900, none, "reading SRC is"),
            (Role::Reader, 0, none, "reading SRC is"),
            (Role::Writer, 0, all, "writing DST is"),
            // Who did not wait knows nothing of whether the other one did.
            (Role::Reader, 0, some, "about equally fast"),
            (Role::Writer, 0, some, "about equally fast"),
            (Role::Writer, 300, all, "about equally fast"),
        ] {
            let said = says(role, waited, filled);
            assert!(said.contains(bottleneck), "{said}");
        }
    }
}
