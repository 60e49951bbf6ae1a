//! What `--stats` says: who waited for whom, and how full the blocks were.

use crate::progress::Role;
use std::time::{Duration, Instant};

/// Counts while a copy goes on, as one of the two sees it.
#[derive(Debug)]
pub struct Meter {
    role: Role,
    begun: Instant,
    /// What the Reader and the Writer had waited for each other before.
    before: [Duration; 2],
    /// For `--bwlimit`.
    held_back: Duration,
    blocks: u64,
    /// How often so many quarters of the blocks were filled when this side asked for one.
    quarters: [u64; 5],
}

impl Meter {
    pub fn start(role: Role, blocks: usize, waited: [Duration; 2]) -> Self {
        let (begun, held_back, blocks) = (Instant::now(), Duration::ZERO, blocks as u64);
        Self { role, begun, before: waited, held_back, blocks, quarters: [0; 5] }
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
    }

    /// What there is to say after so many bytes, before anything else is done, when the two have waited for so long.
    pub fn conclude(&self, bytes: u64, waited: [Duration; 2]) -> Vec<String> {
        self.say(bytes, waited, self.begun.elapsed())
    }

    fn say(&self, bytes: u64, waited: [Duration; 2], took: Duration) -> Vec<String> {
        let took = took.as_secs_f64().max(1e-9);
        let waited =
            [0, 1].map(|side| waited[side].saturating_sub(self.before[side]).as_secs_f64().min(took));
        let rate = bytes as f64 / took / f64::from(1 << 20);
        let times: u64 = self.quarters.iter().sum();
        let (what, own) = match self.role {
            Role::Reader => ("empty", waited[0]),
            Role::Writer => ("filled", waited[1]),
        };
        // Both halves know both, and so say the same. While the blocks are filled for the first time nobody waits.
        let (less, more) = (waited[0].min(waited[1]), waited[0].max(waited[1]));
        let bottleneck = match self.role {
            _ if self.held_back.as_secs_f64() / took >= 0.5 => "--bwlimit is the bottleneck",
            _ if times < 2 * self.blocks => "that is too short to tell which of the two is slower",
            _ if more < 0.15 * took || more < 2.0 * less => "reading and writing are about equally fast",
            _ if waited[0] > waited[1] => "writing DST is the bottleneck",
            Role::Reader => "reading SRC is the bottleneck",
            // What holds the Reader back is not seen from here.
            Role::Writer => "reading SRC, or its --bwlimit, is the bottleneck",
        };
        let [fewer, quarter, half, most, full] = self.quarters.map(|count| count * 100 / times.max(1));
        vec![
            format!(
                "{}: {bytes} bytes in {took:.3} s ({rate:.0} MiB/s), of which {own:.3} s ({:.0} %) were spent \
                 waiting for {what} blocks: {bottleneck}",
                self.role,
                own / took * 100.0
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
        let says = |role, copies, waited: [u64; 2]| {
            let mut meter = Meter::start(role, 4, [Duration::from_secs(1); 2]);
            for filled in [0, 4, 4, 9].repeat(copies) {
                meter.see(filled);
            }
            let waited = waited.map(|milliseconds| Duration::from_millis(1000 + milliseconds));
            meter.say(100 << 20, waited, Duration::from_secs(1)).join("\n")
        };
        let said = says(Role::Reader, 2, [900, 20]);
        assert!(said.contains("(100 MiB/s), of which 0.900 s (90 %)"), "{said}");
        assert!(
            said.ends_with("less than a quarter 25 %, a quarter 0 %, half 0 %, three quarters 0 %, all 75 %"),
            "{said}"
        );
        let equal = ["reading and writing are about equally fast"; 2];
        let writing = ["writing DST is the bottleneck"; 2];
        let reading = ["reading SRC is the bottleneck", "reading SRC, or its --bwlimit, is the bottleneck"];
        for (waited, bottleneck) in [
            ([900, 20], writing),
            ([10, 500], reading),
            ([200, 0], writing),
            ([100, 0], equal),
            ([0, 0], equal),
            ([400, 250], equal),
        ] {
            for (role, bottleneck) in [Role::Reader, Role::Writer].into_iter().zip(bottleneck) {
                let said = says(role, 2, waited);
                assert!(said.contains(bottleneck), "{said}");
            }
        }
        let said = says(Role::Reader, 1, [900, 20]);
        assert!(said.contains("too short"), "{said}");
    }
}
