//! Statistics: where the time went, and what the bottleneck was.

use super::audience::role_name;
use duocopy::{Role, Stats};
use std::time::Duration;

/// Returns the lines of `--stats`.
pub fn stats(stats: &Stats) -> Vec<String> {
    let Stats { role, bytes, .. } = stats;
    let (role_name, took) = (role_name(*role), seconds(stats));
    let rate = *bytes as f64 / took / f64::from(1 << 20);
    let (what, own) = match role {
        Role::Reader => ("empty", stats.waited[0]),
        Role::Writer => ("filled", stats.waited[1]),
    };
    let own = own.as_secs_f64().min(took);
    let times: u64 = stats.fill.iter().sum();
    let [fewer, quarter, half, most, full] = stats.fill.map(|count| count * 100 / times.max(1));
    let mut lines = vec![
        format!(
            "{role_name}: {bytes} bytes in {took:.3} s ({rate:.0} MiB/s), of which {own:.3} s ({:.0} %) were spent \
             waiting for {what} blocks: {}",
            own / took * 100.0,
            bottleneck(stats)
        ),
        format!(
            "{role_name}: filled blocks when it asked for one: less than a quarter {fewer} %, a quarter {quarter} %, \
             half {half} %, three quarters {most} %, all {full} %"
        ),
    ];
    for (time, what) in [(stats.flushing, "flushing the rest"), (stats.rereading, "reading the copy back")] {
        lines.extend(time.map(|time| format!("{role_name}: {what} took {:.3} s", time.as_secs_f64())));
    }
    lines
}

fn seconds(stats: &Stats) -> f64 {
    stats.duration.as_secs_f64().max(1e-9)
}

/// Both halves know how long both have waited, and so agree. Nobody waits while the blocks are filled for the first time.
fn bottleneck(stats: &Stats) -> &'static str {
    let took = seconds(stats);
    let waited = stats.waited.map(|time: Duration| time.as_secs_f64().min(took));
    let (less, more) = (waited[0].min(waited[1]), waited[0].max(waited[1]));
    match stats.role {
        _ if stats.held_back.as_secs_f64() / took >= 0.5 => "--bwlimit is the bottleneck",
        _ if stats.fill.iter().sum::<u64>() < 2 * stats.blocks => {
            "the copy was too short to tell which side is slower"
        }
        _ if more < 0.15 * took || more < 2.0 * less => "reading and writing are about equally fast",
        _ if waited[0] > waited[1] => "writing DST is the bottleneck",
        Role::Reader => "reading SRC is the bottleneck",
        // The Writer does not know of the Reader's limit.
        Role::Writer => "reading SRC, or its --bwlimit, is the bottleneck",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_side_that_waits_is_not_the_bottleneck() {
        let of = |role, fill: [u64; 5], waited: [u64; 2]| {
            let stats_of_it = Stats {
                role,
                bytes: 100 << 20,
                duration: Duration::from_secs(1),
                waited: waited.map(Duration::from_millis),
                held_back: Duration::ZERO,
                fill,
                blocks: 4,
                flushing: None,
                rereading: Some(Duration::from_millis(1500)),
            };
            stats(&stats_of_it).join("\n")
        };
        let (long, short) = ([2, 0, 0, 0, 6], [1, 0, 0, 0, 3]);
        let said = of(Role::Reader, long, [900, 20]);
        assert!(said.contains("(100 MiB/s), of which 0.900 s (90 %)"), "{said}");
        assert!(
            said.contains("less than a quarter 25 %, a quarter 0 %, half 0 %, three quarters 0 %, all 75 %")
        );
        assert!(said.ends_with("Reader: reading the copy back took 1.500 s"), "{said}");
        let equal = ["about equally fast"; 2];
        let writing = ["writing DST is"; 2];
        let reading = ["reading SRC is", "reading SRC, or its --bwlimit, is"];
        for (waited, bottleneck) in [
            ([900, 20], writing),
            ([10, 500], reading),
            ([200, 0], writing),
            ([100, 0], equal),
            ([0, 0], equal),
            ([400, 250], equal),
        ] {
            for (role, bottleneck) in [Role::Reader, Role::Writer].into_iter().zip(bottleneck) {
                let said = of(role, long, waited);
                assert!(said.contains(bottleneck), "{said}");
            }
        }
        assert!(of(Role::Reader, short, [900, 20]).contains("too short"));
    }
}
