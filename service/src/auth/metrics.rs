//! What is counted of keys, tokens and refusals.

use prometheus::{IntCounterVec, IntGauge};

use crate::Metrics;

/// Metrics of one service's access; their names begin with the service's.
#[derive(Clone)]
pub(super) struct AuthMetrics {
    refused: IntCounterVec,
    keys: IntGauge,
    keys_broken: IntGauge,
    fetches: IntCounterVec,
}

impl AuthMetrics {
    pub(super) fn new(service: &str, metrics: &Metrics) -> Self {
        Self {
            refused: metrics.counter_vec(
                &format!("{service}_auth_refused_total"),
                "Requests refused, by why.",
                &["reason"],
            ),
            keys: metrics.gauge(&format!("{service}_auth_keys"), "API keys in force."),
            keys_broken: metrics.gauge(
                &format!("{service}_auth_keys_file_broken"),
                "1 while API_KEYS_FILE cannot be used and the keys before it are in force.",
            ),
            fetches: metrics.counter_vec(
                &format!("{service}_auth_oidc_fetches_total"),
                "Fetches of the OIDC provider's keys, by result.",
                &["result"],
            ),
        }
    }

    pub(super) fn refused(&self, reason: &str) {
        self.refused.with_label_values(&[reason]).inc();
    }

    pub(super) fn keys_read(&self, count: usize) {
        self.keys.set(i64::try_from(count).unwrap_or(i64::MAX));
        self.keys_broken.set(0);
    }

    pub(super) fn keys_broken(&self) {
        self.keys_broken.set(1);
    }

    pub(super) fn fetched(&self, is_ok: bool) {
        let result = if is_ok { "ok" } else { "failed" };
        self.fetches.with_label_values(&[result]).inc();
    }
}
