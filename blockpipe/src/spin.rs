//! How long a wait looks before it sleeps.

use crate::Side;
use std::cell::Cell;
use std::hint::spin_loop;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

/// About what it takes to sleep and be woken (`docs/benchmarks.md`), so that a wait takes at most about twice as long as it
/// must: Karlin et al., Empirical Studies of Competitive Spinning for a Shared-Memory Multiprocessor, 1991.
const LONGEST: Duration = Duration::from_micros(50);
/// A producer mostly waits because all blocks are full, and is woken late (`Attached::wake_producer`). With several
/// blocks the consumer has enough to do until then, and looking on would only take a processor's time.
const LONGEST_OF_PRODUCER: Duration = Duration::from_micros(20);
/// What is tried even after long waits.
const SHORTEST: Duration = Duration::from_micros(3);
/// Looks between two looks at the clock.
const LOOKS: u32 = 16;

/// What the last waits of one side cost decides how long the next one looks.
#[derive(Debug)]
pub(crate) struct Spin {
    longest: Duration,
    budget: Cell<Duration>,
}

impl Spin {
    /// With one processor nobody spins: nothing changes while somebody looks.
    pub(crate) fn new(side: Side) -> Self {
        let one = available_parallelism().is_ok_and(|processors| processors.get() == 1);
        let longest = match side {
            Side::Producer => LONGEST_OF_PRODUCER,
            Side::Consumer => LONGEST,
        };
        let longest = if one { Duration::ZERO } else { longest };
        Self { longest, budget: Cell::new(longest) }
    }

    /// Looks at least once, then sleeps by `park`, which looks too. Also returns how long that took, but for the last
    /// looks of a wait that did not sleep.
    pub(crate) fn wait<T>(
        &self,
        mut look: impl FnMut() -> Option<T>,
        park: impl FnOnce(&mut dyn FnMut() -> Option<T>) -> Option<T>,
    ) -> (Option<T>, Duration) {
        // Most often nobody has to wait.
        if let Some(found) = look() {
            return (Some(found), Duration::ZERO);
        }
        let (budget, begun) = (self.budget.get(), Instant::now());
        let mut took = Duration::ZERO;
        while took < budget {
            for _ in 0..LOOKS {
                spin_loop();
                if let Some(found) = look() {
                    return (Some(found), took);
                }
            }
            took = begun.elapsed();
        }
        let found = park(&mut look);
        took = begun.elapsed();
        // What wake-ups take must not look like a slow partner, to either side, or both would sleep in turn for ever.
        let short = took < 2 * LONGEST;
        self.budget.set(if short { self.longest } else { (budget / 2).max(SHORTEST).min(self.longest) });
        (found, took)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_looks_less_after_long_waits_until_one_is_short() {
        let spin = Spin { longest: LONGEST, budget: Cell::new(LONGEST) };
        let mut seen = Vec::new();
        for _ in 0..8 {
            let (found, _) = spin.wait(
                || None::<()>,
                |_| {
                    crate::sys::pause(6 * LONGEST);
                    None
                },
            );
            assert_eq!(found, None);
            seen.push(spin.budget.get());
        }
        assert!(seen.is_sorted_by(|earlier, later| earlier >= later) && seen[7] == SHORTEST, "{seen:?}");
        // Nobody's processor is taken away for so long in every one of so many rounds.
        assert!((0..1000).any(|_| {
            assert_eq!(spin.wait(|| None, |_| Some(())).0, Some(()));
            spin.budget.get() == LONGEST
        }));
    }

    #[test]
    fn with_one_processor_it_looks_once() {
        let spin = Spin { longest: Duration::ZERO, budget: Cell::default() };
        let looks = Cell::new(0);
        let look = || {
            looks.set(looks.get() + 1);
            None::<()>
        };
        assert_eq!(spin.wait(look, |_| None).0, None);
        assert_eq!((looks.get(), spin.budget.get()), (1, Duration::ZERO));
    }

    #[test]
    fn a_producer_looks_for_less_long_and_takes_no_wake_up_for_a_slow_partner() {
        let [producer, consumer] = [Side::Producer, Side::Consumer].map(|side| Spin::new(side).longest);
        assert!(producer < consumer || consumer.is_zero(), "{producer:?}, {consumer:?}");
        let spin = Spin { longest: LONGEST_OF_PRODUCER, budget: Cell::default() };
        // As above: not in every one of so many rounds.
        assert!((0..1000).any(|_| {
            spin.budget.set(SHORTEST);
            let begun = Instant::now();
            let woken = |_: &mut dyn FnMut() -> Option<()>| {
                while begun.elapsed() < 3 * LONGEST_OF_PRODUCER {}
                Some(())
            };
            assert_eq!(spin.wait(|| None, woken).0, Some(()));
            spin.budget.get() == LONGEST_OF_PRODUCER
        }));
    }
}
