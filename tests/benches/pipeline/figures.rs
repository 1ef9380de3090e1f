//! Figures from measurements.

use std::time::Duration;

/// The middle one; of an even number the upper.
pub(crate) fn median(values: &[f64]) -> f64 {
    percentile(values, 0.5)
}

/// The value that this part of the values does not exceed.
pub(crate) fn percentile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index into a list of a few million at most"
    )]
    let index = (sorted.len() as f64 * part) as usize;
    sorted[index.min(sorted.len() - 1)]
}

/// Median, and in brackets the smallest and the largest.
pub(crate) fn spread(values: &[f64]) -> String {
    let of = |part| percentile(values, part);
    format!("{:.0} ({:.0}–{:.0})", of(0.5), of(0.0), of(1.0))
}

/// The head of a table of latencies, behind the columns of the caller.
pub(crate) const LATENCY_HEAD: &str = "events | median ms | p90 | p99 | max";

/// A row below [`LATENCY_HEAD`].
pub(crate) fn latency_row(latencies: &[Duration]) -> String {
    let millis: Vec<f64> = latencies.iter().map(|l| l.as_secs_f64() * 1e3).collect();
    let of = |part| percentile(&millis, part);
    format!(
        "{} | {:.1} | {:.1} | {:.1} | {:.1}",
        millis.len(),
        of(0.5),
        of(0.9),
        of(0.99),
        of(1.0)
    )
}
