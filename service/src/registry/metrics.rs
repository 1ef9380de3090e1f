//! What is told of the registry.

use prometheus::{IntCounterVec, IntGauge};
use schemas::reader::KnownSchema;

use super::RegistryError;
use crate::Metrics;

#[derive(Clone)]
pub(super) struct RegistryMetrics {
    lookups: IntCounterVec,
    up: IntGauge,
}

impl RegistryMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            lookups: metrics.counter_vec(
                "schema_registry_lookups_total",
                "Schemas that the registry was asked for, by what it said: found, unknown, unusable or \
                 away.",
                &["outcome"],
            ),
            up: metrics.gauge(
                "schema_registry_up",
                "Whether the schema registry answered when it was last asked.",
            ),
        }
    }

    pub(super) fn answered(&self, answer: &Result<KnownSchema, RegistryError>) {
        let outcome = match answer {
            Ok(_) => "found",
            Err(RegistryError::NotFound) => "unknown",
            Err(RegistryError::Unusable(_)) => "unusable",
            Err(RegistryError::Away(_) | RegistryError::Refused(_)) => "away",
        };
        self.lookups.with_label_values(&[outcome]).inc();
        self.up(outcome != "away");
    }

    pub(super) fn up(&self, up: bool) {
        self.up.set(up.into());
    }
}
