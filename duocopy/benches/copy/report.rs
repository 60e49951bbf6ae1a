//! What was measured, as a table in Markdown.

use crate::candidate::{Candidate, Run};
use crate::statistics::{quartile, ratios};

/// `time` and `processors` are ratios to the first line, in the same round: median (quartiles). `MiB` is the most memory
/// that one process ever had.
pub fn print(title: &str, candidates: &[Candidate]) {
    println!("\n### {title}\n\n| | time | processors | seconds | MiB |\n|---|---|---|---|---|");
    for candidate in candidates {
        let all = |candidate: &Candidate, cost: fn(&Run) -> f64| -> Vec<f64> {
            candidate.runs.iter().map(cost).collect()
        };
        let ratios = |cost| ratios(&all(candidate, cost), &all(&candidates[0], cost));
        println!(
            "| {} | {} | {} | {:.4} | {:.1} |",
            candidate.label,
            ratios(|run| run.elapsed.as_secs_f64()),
            ratios(|run| run.processors.as_secs_f64()),
            quartile(&all(candidate, |run| run.elapsed.as_secs_f64()), 2),
            quartile(&all(candidate, |run| run.memory as f64), 4) / f64::from(1 << 20),
        );
    }
}
