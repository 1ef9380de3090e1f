//! What the workers tell of themselves. Counted when a batch is committed, so that what is aborted and
//! done again counts once.

use std::time::Duration;

use jiff::Timestamp as Time;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec};
use rdkafka::Timestamp;
use schemas::DeadLetterReason;
use service::Metrics;

/// Metrics of all workers of a process.
#[derive(Clone)]
pub struct WorkerMetrics {
    events: IntCounter,
    matches: IntCounter,
    undefined_rewards: IntCounter,
    dead_letters: IntCounterVec,
    event_age: Histogram,
    transactions: HistogramVec,
    rebuilds: IntCounter,
}

/// Seconds from a millisecond to a minute.
const SECONDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0,
];

impl WorkerMetrics {
    /// Registers the metrics.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            events: metrics.counter(
                "matcher_events_consumed_total",
                "Events processed and committed.",
            ),
            matches: metrics.counter("matcher_matches_total", "Matches committed."),
            undefined_rewards: metrics.counter(
                "matcher_undefined_rewards_total",
                "Campaigns not won because an expression of their reward had no value for the event.",
            ),
            dead_letters: metrics.counter_vec(
                "matcher_dead_letters_total",
                "Events that can never be processed, by reason.",
                &["reason"],
            ),
            event_age: metrics.histogram(
                "matcher_event_age_seconds",
                "Time from the record of an event to its match.",
                &SECONDS,
            ),
            transactions: metrics.histogram_vec(
                "matcher_transaction_duration_seconds",
                "Time to end a transaction, by outcome.",
                &["outcome"],
                &SECONDS,
            ),
            rebuilds: metrics.counter(
                "matcher_worker_rebuilds_total",
                "Consumers and producers dropped and made anew after an error.",
            ),
        }
    }

    pub(super) fn committed(&self, tally: &Tally, events: usize, took: Duration) {
        self.events.inc_by(events as u64);
        self.matches.inc_by(tally.ages.len() as u64);
        self.undefined_rewards.inc_by(tally.undefined_rewards);
        for &age in &tally.ages {
            self.event_age.observe(age);
        }
        for code in &tally.dead_letters {
            self.dead_letters.with_label_values(&[code]).inc();
        }
        self.transactions
            .with_label_values(&["committed"])
            .observe(took.as_secs_f64());
    }

    pub(super) fn aborted(&self, took: Duration) {
        self.transactions
            .with_label_values(&["aborted"])
            .observe(took.as_secs_f64());
    }

    pub(super) fn rebuilt(&self) {
        self.rebuilds.inc();
    }
}

/// What a batch will add to the counters once it is committed.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Seconds from record to match, one a match.
    ages: Vec<f64>,
    pub(super) undefined_rewards: u64,
    dead_letters: Vec<&'static str>,
}

impl Tally {
    pub(super) fn matched(&mut self, record: Timestamp) {
        let Some(created) = record.to_millis() else {
            return self.ages.push(0.0);
        };
        let age = Time::now().as_millisecond().saturating_sub(created).max(0);
        #[expect(
            clippy::cast_precision_loss,
            reason = "milliseconds of an age fit a double"
        )]
        self.ages.push(age as f64 / 1000.0);
    }

    pub(super) fn died(&mut self, reason: &DeadLetterReason) {
        self.dead_letters.push(reason.code());
    }
}
