//! How long to wait until a change of a source would show in its times.
//!
//! A file that is written to twice within one step of its clock has the same times after both. So the bytes that were
//! read in between cannot be told from those that are there at the end. If the last change lies within the current step,
//! nothing may be read before that step is over.

use crate::sys::{Stat, Time};
use crate::times::{nanoseconds, step, truncate};
use std::time::Duration;

/// The longest time from one tick of a kernel to the next, in nanoseconds.
const TICK: i128 = 10_000_000;
/// How far the clock of another machine may differ from this one's, in nanoseconds.
const SKEW: i128 = 60_000_000_000;

/// Returns how long it takes at `now` until a change of this file would show. The file had this status `age` ago. The
/// times of a `remote` file come from another clock, which is read only through them.
pub fn time_left(stat: &Stat, now: Time, age: Duration, remote: bool) -> Option<Duration> {
    let left = [stat.modified, stat.changed].map(|time| {
        let (step, now) = (step(&[time]), nanoseconds(now));
        if remote {
            let is_recent = (now - nanoseconds(time)).abs() < SKEW;
            if is_recent { step.max(TICK) - age.as_nanos().cast_signed() } else { 0 }
        } else {
            let left = truncate(time, step) + step - now;
            // A time in the future was set, and a change would replace it.
            if left <= step + TICK { left } else { 0 }
        }
    });
    let longest = left.into_iter().max().filter(|left| *left > 0)?;
    Some(Duration::from_nanos(u64::try_from(longest).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::SourceRecord;

    const MILLISECOND: i64 = 1_000_000;

    fn left(modified: Time, changed: Time, now: Time, age: Duration, remote: bool) -> u128 {
        let stat = Stat { modified, changed, ..SourceRecord::STREAM.stat };
        time_left(&stat, now, age, remote).map_or(0, |left| left.as_nanos())
    }

    #[test]
    fn a_change_shows_once_the_step_of_the_last_one_is_over() {
        let local = |time, now| left(time, time, now, Duration::ZERO, false);
        let half = 500 * MILLISECOND;
        for (time, now, expected) in [
            // Nanoseconds: only the current tick counts.
            ((7, 123_456_789), (7, 123_456_789), 1),
            ((7, 123_456_789), (7, 123_456_790), 0),
            ((7, 123_456_789), (7, 119_456_789), 4_000_001),
            // Whole seconds, and pairs of them.
            ((7, 0), (7, half), 500_000_000),
            ((7, 0), (8, 0), 0),
            ((8, 0), (9, half), 500_000_000),
            ((8, 0), (10, 0), 0),
            ((7, 10 * MILLISECOND), (7, 12 * MILLISECOND), 8_000_000),
            // Long ago, and in the future.
            ((1, 0), (7, 0), 0),
            ((9, 123_456_789), (7, half), 0),
            ((99, 0), (7, half), 0),
        ] {
            assert_eq!(local(time, now), expected, "{time:?} at {now:?}");
        }
        // The later one of the two counts.
        assert_eq!(left((1, 5), (7, 0), (7, half), Duration::ZERO, false), 500_000_000);
    }

    #[test]
    fn the_clock_of_another_machine_may_be_wrong() {
        let remote = |time, now, age| left(time, time, now, Duration::from_millis(age), true);
        for (time, now, age, expected) in [
            ((7, 123_456_789), (7, 0), 0, 10_000_000),
            ((7, 123_456_789), (7, 0), 4, 6_000_000),
            ((7, 123_456_789), (7, 0), 10, 0),
            ((7, 0), (55, 0), 0, 1_000_000_000),
            ((55, 0), (7, 0), 300, 700_000_000),
            ((8, 0), (55, 0), 0, 2_000_000_000),
            ((7, 0), (67, 0), 0, 0),
        ] {
            assert_eq!(remote(time, now, age), expected, "{time:?} at {now:?}, {age} ms ago");
        }
    }
}
