//! How long a wait polls before it sleeps.

use crate::sys::Side;
use std::cell::Cell;
use std::hint::spin_loop;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

/// The longest time to poll: about what it costs to sleep and be woken (`docs/benchmarks.md`), so that a wait takes at
/// most about twice as long as it must. See Karlin et al., Empirical Studies of Competitive Spinning for a
/// Shared-Memory Multiprocessor, 1991.
const LONGEST: Duration = Duration::from_micros(50);
/// The longest time for a producer, which mostly waits because all blocks are full, and is woken late
/// (`Attached::wake_producer`). With several blocks the consumer has enough to do until then, and polling longer would
/// only take a processor's time.
const LONGEST_OF_PRODUCER: Duration = Duration::from_micros(20);
/// The shortest time to poll, even after long waits.
const SHORTEST: Duration = Duration::from_micros(3);
/// Polls between two readings of the clock.
const POLLS_PER_READING: u32 = 16;

/// The polling time of one side, adapted to what its last waits cost.
#[derive(Debug)]
pub(crate) struct Spin {
    longest: Duration,
    budget: Cell<Duration>,
}

impl Spin {
    /// Starts with the longest time. With one processor, never spins: nothing changes while a process polls.
    pub(crate) fn new(side: Side) -> Self {
        let one = available_parallelism().is_ok_and(|processors| processors.get() == 1);
        let longest = match side {
            Side::Producer => LONGEST_OF_PRODUCER,
            Side::Consumer => LONGEST,
        };
        let longest = if one { Duration::ZERO } else { longest };
        Self { longest, budget: Cell::new(longest) }
    }

    /// Polls at least once, then sleeps by `park`, which polls too. Also returns how long this took, without the polls
    /// since the last reading of the clock if it did not sleep.
    pub(crate) fn wait<T>(
        &self,
        mut poll: impl FnMut() -> Option<T>,
        park: impl FnOnce(&mut dyn FnMut() -> Option<T>) -> Option<T>,
    ) -> (Option<T>, Duration) {
        // Usually there is no need to wait.
        if let Some(found) = poll() {
            return (Some(found), Duration::ZERO);
        }
        let (budget, start) = (self.budget.get(), Instant::now());
        let mut took = Duration::ZERO;
        while took < budget {
            for _ in 0..POLLS_PER_READING {
                spin_loop();
                if let Some(found) = poll() {
                    return (Some(found), took);
                }
            }
            took = start.elapsed();
        }
        let found = park(&mut poll);
        took = start.elapsed();
        // The time that a wake-up takes must not look like a slow peer to either side, or both would sleep by turns for
        // ever.
        let short = took < 2 * LONGEST;
        self.budget.set(if short { self.longest } else { (budget / 2).max(SHORTEST).min(self.longest) });
        (found, took)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_polls_less_after_long_waits_until_one_is_short() {
        let spin = Spin { longest: LONGEST, budget: Cell::new(LONGEST) };
        let mut budgets = Vec::new();
        for _ in 0..8 {
            let (found, _) = spin.wait(
                || None::<()>,
                |_| {
                    crate::sys::pause(6 * LONGEST);
                    None
                },
            );
            assert_eq!(found, None);
            budgets.push(spin.budget.get());
        }
        assert!(budgets.is_sorted_by(|earlier, later| earlier >= later), "{budgets:?}");
        assert_eq!(budgets[7], SHORTEST);
        // The scheduler cannot interrupt every one of a thousand rounds for that long.
        assert!((0..1000).any(|_| {
            assert_eq!(spin.wait(|| None, |_| Some(())).0, Some(()));
            spin.budget.get() == LONGEST
        }));
    }

    #[test]
    fn with_one_processor_a_wait_polls_once() {
        let spin = Spin { longest: Duration::ZERO, budget: Cell::default() };
        let polls = Cell::new(0);
        let poll = || {
            polls.set(polls.get() + 1);
            None::<()>
        };
        assert_eq!(spin.wait(poll, |_| None).0, None);
        assert_eq!((polls.get(), spin.budget.get()), (1, Duration::ZERO));
    }

    #[test]
    fn a_producer_polls_for_a_shorter_time_and_does_not_mistake_a_wake_up_for_a_slow_peer() {
        let [producer, consumer] = [Side::Producer, Side::Consumer].map(|side| Spin::new(side).longest);
        assert!(producer < consumer || consumer.is_zero(), "{producer:?}, {consumer:?}");
        let spin = Spin { longest: LONGEST_OF_PRODUCER, budget: Cell::default() };
        // As above, the scheduler cannot interrupt every round.
        assert!((0..1000).any(|_| {
            spin.budget.set(SHORTEST);
            let start = Instant::now();
            let woken = |_: &mut dyn FnMut() -> Option<()>| {
                while start.elapsed() < 3 * LONGEST_OF_PRODUCER {}
                Some(())
            };
            assert_eq!(spin.wait(|| None, woken).0, Some(()));
            spin.budget.get() == LONGEST_OF_PRODUCER
        }));
    }
}
