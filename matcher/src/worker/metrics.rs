//! What the workers tell of themselves. Counted when a batch is committed, so that what is aborted and
//! done again counts once.

use std::time::Duration;

use jiff::Timestamp as Time;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use rdkafka::Timestamp;
use schemas::DeadLetterReason;
use service::Metrics;

/// Metrics of all workers of a process.
#[derive(Clone)]
pub struct WorkerMetrics {
    events: IntCounter,
    matches: IntCounter,
    dead_letters: IntCounterVec,
    event_age: Histogram,
    transactions: HistogramVec,
    rebalances: IntCounterVec,
    rebuilds: IntCounter,
    lost: IntCounter,
    assigned: IntGauge,
    lag: IntGaugeVec,
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
            rebalances: metrics.counter_vec(
                "matcher_rebalances_total",
                "Changes of the assignment, by kind.",
                &["kind"],
            ),
            rebuilds: metrics.counter(
                "matcher_worker_rebuilds_total",
                "Consumers and producers dropped and made anew after an error.",
            ),
            lost: metrics.counter(
                "matcher_events_lost_total",
                "Events that retention removed before they were matched. Anything but 0 is an alarm.",
            ),
            assigned: metrics.gauge("matcher_assigned_partitions", "Partitions read here."),
            lag: metrics.gauge_vec(
                "matcher_consumer_lag",
                "Committed records of the topic that are not consumed yet.",
                &["topic", "partition"],
            ),
        }
    }

    pub(super) fn committed(&self, tally: &Tally, events: usize, took: Duration) {
        self.events.inc_by(events as u64);
        self.matches.inc_by(tally.ages.len() as u64);
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

    pub(super) fn rebalanced(&self, kind: &str) {
        self.rebalances.with_label_values(&[kind]).inc();
    }

    pub(super) fn rebuilt(&self) {
        self.rebuilds.inc();
    }

    pub(super) fn lost(&self, events: i64) {
        self.lost.inc_by(u64::try_from(events).unwrap_or(0));
    }

    pub(super) fn set_lag(&self, topic: &str, partition: i32, lag: i64) {
        self.lag
            .with_label_values(&[topic, &partition.to_string()])
            .set(lag);
    }

    pub(super) fn forget_lag(&self, topic: &str, partition: i32) {
        // An error says that there was none to forget.
        let _ = self
            .lag
            .remove_label_values(&[topic, &partition.to_string()]);
    }
}

/// The partitions of one worker, within the gauge of all.
pub(super) struct Assigned {
    gauge: IntGauge,
    own: i64,
}

impl WorkerMetrics {
    pub(super) fn assigned(&self) -> Assigned {
        Assigned {
            gauge: self.assigned.clone(),
            own: 0,
        }
    }
}

impl Assigned {
    pub(super) fn set(&mut self, partitions: usize) {
        let partitions = i64::try_from(partitions).unwrap_or(i64::MAX);
        self.gauge.add(partitions - self.own);
        self.own = partitions;
    }
}

impl Drop for Assigned {
    fn drop(&mut self) {
        self.gauge.sub(self.own);
    }
}

/// What a batch will add to the counters once it is committed.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Seconds from record to match, one a match.
    ages: Vec<f64>,
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
