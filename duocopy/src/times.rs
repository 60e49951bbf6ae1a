//! The resolution of file times. File systems do not tell it, but their times show it.

use crate::sys::{Stat, Time};

const SECOND: i128 = 1_000_000_000;

/// Returns a time in nanoseconds.
pub fn nanoseconds((seconds, nanoseconds): Time) -> i128 {
    i128::from(seconds) * SECOND + i128::from(nanoseconds)
}

/// Returns the time at the beginning of its step, in nanoseconds.
pub fn truncate(time: Time, step: i128) -> i128 {
    let time = nanoseconds(time);
    time - time.rem_euclid(step)
}

/// Returns the longest step, in nanoseconds, that a clock with these times can have: a power of ten up to a second, or
/// two seconds, as on FAT.
pub fn step(times: &[Time]) -> i128 {
    let fits = |step: &i128| times.iter().all(|time| nanoseconds(*time) % step == 0);
    let powers = std::iter::successors(Some(10), |step| (*step < SECOND).then_some(step * 10));
    powers.chain([2 * SECOND]).take_while(fits).last().unwrap_or(1)
}

/// Returns the longest step that the clock of this file's system can have.
pub fn step_of(stat: &Stat) -> i128 {
    step(&[stat.modified, stat.changed, stat.accessed])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_show_the_resolution_of_their_clock() {
        for (times, expected) in [
            (&[(5, 123_456_789)][..], 1),
            (&[(5, 123_456_700)], 100),
            (&[(5, 120_000_000)], 10_000_000),
            (&[(5, 0)], SECOND),
            (&[(4, 0)], 2 * SECOND),
            (&[(-4, 0), (6, 0)], 2 * SECOND),
            (&[(4, 0), (5, 0)], SECOND),
            (&[(4, 0), (5, 999_999_999)], 1),
            (&[(4, 0), (5, 500_000_000), (6, 70_000_000)], 10_000_000),
        ] {
            assert_eq!(step(times), expected, "{times:?}");
        }
    }

    #[test]
    fn a_time_is_truncated_to_the_beginning_of_its_step() {
        assert_eq!(truncate((5, 7), 1), 5 * SECOND + 7);
        assert_eq!(truncate((5, 999_999_999), 2 * SECOND), 4 * SECOND);
        assert_eq!(truncate((-5, 1), SECOND), -5 * SECOND);
    }
}
