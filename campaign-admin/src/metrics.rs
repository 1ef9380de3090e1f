//! What the service tells of itself, beyond its HTTP.

use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use schemas::{ChangeAction, Status};
use service::Metrics;

use crate::catalog::{Catalog, Topic};

/// Seconds from a millisecond to ten.
const SECONDS: [f64; 11] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 10.0,
];

/// Metrics of the catalog and the writer.
#[derive(Clone)]
pub(crate) struct AdminMetrics {
    changes: IntCounterVec,
    transactions: Histogram,
    stumbles: IntCounterVec,
    takeovers: IntCounter,
    refused: IntCounter,
    campaigns: IntGaugeVec,
    offset: IntGauge,
    database_up: IntGauge,
}

impl AdminMetrics {
    /// Registers the metrics.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            changes: metrics.counter_vec(
                "admin_campaign_changes_total",
                "Changes committed by this process, by action.",
                &["action"],
            ),
            transactions: metrics.histogram(
                "admin_transaction_duration_seconds",
                "Time from the beginning of a transaction to its commit.",
                &SECONDS,
            ),
            stumbles: metrics.counter_vec(
                "admin_transactions_repeated_total",
                "Attempts to write changes that came to nothing and were repeated, by reason: fenced, \
                 for another replica wrote first, or failed.",
                &["reason"],
            ),
            takeovers: metrics.counter(
                "admin_takeovers_total",
                "Transactional producers begun; each fences that of another replica.",
            ),
            refused: metrics.counter(
                "admin_records_refused_total",
                "Records of the topics that are broken, written by others.",
            ),
            campaigns: metrics.gauge_vec("admin_campaigns", "Campaigns, by status.", &["status"]),
            offset: metrics.gauge(
                "admin_campaigns_offset",
                "Offset after the last record of the campaigns topic that is served.",
            ),
            database_up: metrics.gauge(
                "admin_database_up",
                "Whether the database of the matches answered last (1) or not (0).",
            ),
        }
    }

    pub(crate) fn changed(&self, action: ChangeAction) {
        self.changes.with_label_values(&[word(action)]).inc();
    }

    pub(crate) fn committed(&self, took: Duration) {
        self.transactions.observe(took.as_secs_f64());
    }

    pub(crate) fn repeated(&self, reason: &str) {
        self.stumbles.with_label_values(&[reason]).inc();
    }

    pub(crate) fn took_over(&self) {
        self.takeovers.inc();
    }

    pub(crate) fn refused(&self) {
        self.refused.inc();
    }

    pub(crate) fn loaded(&self, catalog: &Catalog) {
        use Status::{Active, Archived, Draft, Paused};
        for status in [Draft, Active, Paused, Archived] {
            let count = i64::try_from(catalog.count(status)).unwrap_or(i64::MAX);
            let gauge = self.campaigns.with_label_values(&[status.as_str()]);
            gauge.set(count);
        }
        self.offset.set(catalog.next_offset(Topic::Campaigns));
    }

    pub(crate) fn database_up(&self, is_up: bool) {
        self.database_up.set(i64::from(is_up));
    }
}

/// The word of an action, as in the documents.
pub(crate) const fn word(action: ChangeAction) -> &'static str {
    match action {
        ChangeAction::Created => "created",
        ChangeAction::Updated => "updated",
        ChangeAction::Paused => "paused",
        ChangeAction::Resumed => "resumed",
        ChangeAction::Archived => "archived",
        ChangeAction::Deleted => "deleted",
    }
}
