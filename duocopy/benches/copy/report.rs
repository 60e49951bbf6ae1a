//! Medians of ratios, as a table in Markdown.

use crate::candidate::{Candidate, Run};

/// The value below which so many quarters of the values lie, interpolated.
fn quartile(mut values: Vec<f64>, quarters: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let position = quarters * (values.len() - 1);
    let (below, above) = (values[position / 4], values[position.div_ceil(4)]);
    below + (above - below) * (position % 4) as f64 / 4.0
}

/// `time` and `processors` are ratios to the first line, in the same round: median (quartiles).
pub fn print(title: &str, candidates: &[Candidate]) {
    println!("\n### {title}\n\n| | time | processors | seconds |\n|---|---|---|---|");
    for candidate in candidates {
        let ratios = |cost: fn(&Run) -> f64| {
            let pairs = candidate.runs.iter().zip(&candidates[0].runs);
            let ratios: Vec<f64> = pairs.map(|(own, base)| cost(own) / cost(base)).collect();
            let [low, middle, high] = [1, 2, 3].map(|quarters| quartile(ratios.clone(), quarters));
            format!("{middle:.2} ({low:.2} to {high:.2})")
        };
        let seconds = candidate.runs.iter().map(|run| run.elapsed.as_secs_f64()).collect();
        println!(
            "| {} | {} | {} | {:.4} |",
            candidate.label(),
            ratios(|run| run.elapsed.as_secs_f64()),
            ratios(|run| run.processors.as_secs_f64()),
            quartile(seconds, 2),
        );
    }
}
