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
    /// How often so many blocks were filled when this side asked for one.
    filled: Vec<u64>,
}

impl Meter {
    pub fn start(role: Role, blocks: usize) -> Self {
        Self { role, begun: Instant::now(), waited: Duration::ZERO, filled: vec![0; blocks + 1] }
    }

    /// Times what waits for the other side, and passes on what it returns.
    pub fn wait<T>(&mut self, wait: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let result = wait();
        self.waited += begun.elapsed();
        result
    }

    /// So many blocks wait for the Writer now.
    pub fn see(&mut self, filled: u64) {
        let most = self.filled.len() - 1;
        self.filled[usize::try_from(filled).map_or(most, |filled| filled.min(most))] += 1;
    }

    /// What there is to say after so many bytes, before anything else is done.
    pub fn conclude(&self, bytes: u64) -> Vec<String> {
        self.say(bytes, self.begun.elapsed())
    }

    fn say(&self, bytes: u64, took: Duration) -> Vec<String> {
        let (took, waited) = (took.as_secs_f64().max(1e-9), self.waited.as_secs_f64());
        let share = waited / took;
        let rate = bytes as f64 / took / f64::from(1 << 20);
        let times = self.filled.iter().sum::<u64>().max(1);
        let mean = self.filled.iter().zip(0u64..).map(|(count, blocks)| count * blocks).sum::<u64>() as f64
            / times as f64;
        // The block that is being written counts as filled, and the one that is being read does not.
        let (what, own, other, all_for_us) = match self.role {
            Role::Reader => ("empty", "reading SRC", "writing DST", mean <= 1.5),
            Role::Writer => {
                ("filled", "writing DST", "reading SRC", mean + 1.5 >= (self.filled.len() - 1) as f64)
            }
        };
        // What both say must not contradict: each knows only how long it has waited itself, and both see the blocks.
        let bottleneck = match share {
            0.5.. => format!("{other} is the bottleneck"),
            ..0.1 if all_for_us => format!("{own} is the bottleneck"),
            _ => "reading and writing are about equally fast".into(),
        };
        let filled = self.filled.iter().enumerate().map(|(blocks, count)| (blocks, count * 100 / times));
        let filled: Vec<_> = filled.map(|(blocks, percent)| format!("{blocks}: {percent} %")).collect();
        vec![
            format!(
                "{}: {bytes} bytes in {took:.3} s ({rate:.0} MiB/s), of which {waited:.3} s ({:.0} %) were spent \
                 waiting for {what} blocks: {bottleneck}",
                self.role,
                share * 100.0
            ),
            format!("{}: blocks that were filled when it asked for one: {}", self.role, filled.join(", ")),
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
        assert!(said.ends_with("0: 25 %, 1: 0 %, 2: 0 %, 3: 0 %, 4: 75 %"), "{said}");
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
