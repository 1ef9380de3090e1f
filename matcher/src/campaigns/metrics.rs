//! What is told of the campaigns.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use service::Metrics;

use super::{Catalog, Refused};

/// Metrics of the campaigns that this process holds.
#[derive(Clone)]
pub struct CampaignMetrics {
    loaded: IntGaugeVec,
    offset: IntGauge,
    refused: IntCounterVec,
    reloads: IntCounter,
}

impl CampaignMetrics {
    /// Registers the metrics.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            loaded: metrics.gauge_vec(
                "matcher_campaigns_loaded",
                "Campaigns held, by status.",
                &["status"],
            ),
            offset: metrics.gauge(
                "matcher_campaigns_offset",
                "Offset after the last record of the campaigns topic that is in force.",
            ),
            refused: metrics.counter_vec(
                "matcher_campaigns_refused_total",
                "Records of the campaigns topic that changed nothing, by reason. The last good \
                 version stays in force.",
                &["reason"],
            ),
            reloads: metrics.counter(
                "matcher_rule_sets_built_total",
                "Rule sets built and put in force.",
            ),
        }
    }

    pub(super) fn refused(&self, refused: &Refused) {
        self.refused.with_label_values(&[refused.code()]).inc();
    }

    pub(super) fn in_force(&self, catalog: &Catalog, next_offset: i64) {
        for (status, count) in catalog.counts() {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.loaded.with_label_values(&[status.as_str()]).set(count);
        }
        self.offset.set(next_offset);
        self.reloads.inc();
    }
}
