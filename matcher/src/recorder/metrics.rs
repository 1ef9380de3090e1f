//! What the recorder tells of itself.

use std::time::Duration;

use jiff::Timestamp;
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};
use schemas::DeadLetterReason;
use service::Metrics;

use store::MatchRow;

/// Metrics of the recorder of a process.
#[derive(Clone)]
pub(crate) struct RecorderMetrics {
    recorded: IntCounter,
    refused: IntCounterVec,
    match_age: Histogram,
    write: Histogram,
    up: IntGauge,
    erased: IntCounter,
    replays: IntCounter,
    rebuilds: IntCounter,
}

/// Seconds from a millisecond to ten minutes.
const SECONDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 600.0,
];

impl RecorderMetrics {
    /// Registers the metrics.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            recorded: metrics.counter(
                "recorder_matches_recorded_total",
                "Matches whose rows were acknowledged, repetitions included.",
            ),
            refused: metrics.counter_vec(
                "recorder_dead_letters_total",
                "Records of the matches topic that are none, by reason.",
                &["reason"],
            ),
            match_age: metrics.histogram(
                "recorder_match_age_seconds",
                "Time from the decision to the acknowledged row.",
                &SECONDS,
            ),
            write: metrics.histogram(
                "recorder_write_duration_seconds",
                "Time to write a batch of rows.",
                &SECONDS,
            ),
            up: metrics.gauge(
                "recorder_database_up",
                "1 if the database takes rows, 0 if recording waits for it.",
            ),
            erased: metrics.counter(
                "recorder_customers_erased_total",
                "Customers whose matches were deleted because it was asked for, repetitions included.",
            ),
            replays: metrics.counter(
                "recorder_replays_total",
                "Returns to the committed offsets after the database was away.",
            ),
            rebuilds: metrics.counter(
                "recorder_rebuilds_total",
                "Consumers dropped and made anew after an error.",
            ),
        }
    }

    pub(super) fn recorded(&self, rows: &[MatchRow], took: Duration) {
        self.recorded.inc_by(rows.len() as u64);
        self.write.observe(took.as_secs_f64());
        let now = Timestamp::now().as_millisecond();
        for row in rows {
            let age = now.saturating_sub(row.decided_at_millis()).max(0);
            let age = Duration::from_millis(age.unsigned_abs());
            self.match_age.observe(age.as_secs_f64());
        }
    }

    pub(super) fn refused(&self, reason: &DeadLetterReason) {
        self.refused.with_label_values(&[reason.code()]).inc();
    }

    pub(super) fn database_up(&self, up: bool) {
        self.up.set(i64::from(up));
    }

    pub(super) fn erased(&self) {
        self.erased.inc();
    }

    pub(super) fn replayed(&self) {
        self.replays.inc();
    }

    pub(super) fn rebuilt(&self) {
        self.rebuilds.inc();
    }
}
