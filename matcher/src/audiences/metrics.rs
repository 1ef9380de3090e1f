//! What is told of audiences.

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntGauge, IntGaugeVec};
use service::Metrics;
use state::Members;

use crate::group::Share;
use crate::worker::SECONDS;

/// Audiences that have a series of their own; all further ones share one, for a series lives as long as the process.
const MAX_NAMES: usize = 100;

/// The series of the others.
const OTHER: &str = "other";

/// Metrics of the audiences of all workers.
#[derive(Clone)]
pub(crate) struct AudienceMetrics {
    members: IntGaugeVec,
    bytes: IntGauge,
    restored: IntCounter,
    restores: Histogram,
    changes: IntCounter,
    refused: IntCounter,
}

impl AudienceMetrics {
    /// Registers the metrics.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            members: metrics.gauge_vec(
                "matcher_audience_members",
                "Customers of the partitions here that are in an audience, by audience; beyond 100 audiences, other.",
                &["audience"],
            ),
            bytes: metrics.gauge(
                "matcher_audience_bytes",
                "Bytes of memory that audiences take here.",
            ),
            restored: metrics.counter(
                "matcher_audience_restored_records_total",
                "Records read to bring the audiences of a partition back.",
            ),
            restores: metrics.histogram(
                "matcher_audience_restore_duration_seconds",
                "Time to bring the audiences of a partition back.",
                &SECONDS,
            ),
            changes: metrics.counter(
                "matcher_audience_changes_total",
                "Records of audiences that came after that.",
            ),
            refused: metrics.counter(
                "matcher_audience_records_refused_total",
                "Records of audiences that say nothing that is known, and were passed over.",
            ),
        }
    }

    pub(super) fn restored(&self, records: u64, took: Duration) {
        self.restored.inc_by(records);
        self.restores.observe(took.as_secs_f64());
    }

    pub(super) fn changed(&self, records: usize) {
        self.changes.inc_by(records as u64);
    }

    pub(super) fn refused(&self) {
        self.refused.inc();
    }

    /// What one worker tells.
    pub(super) fn told(&self) -> Told {
        Told {
            members: self.members.clone(),
            of: BTreeMap::new(),
            bytes: Share::of(&self.bytes),
        }
    }
}

/// What one worker knows, within the gauges of all.
pub(super) struct Told {
    members: IntGaugeVec,
    of: BTreeMap<String, Share>,
    bytes: Share,
}

impl Told {
    /// Tells of the members of all partitions.
    pub(super) fn tell<'m>(&mut self, partitions: impl Iterator<Item = &'m Members>) {
        let mut counts: BTreeMap<&str, usize> = self.of.keys().map(|it| (&**it, 0)).collect();
        let mut bytes = 0;
        for members in partitions {
            bytes += members.bytes();
            for (name, count) in members.counts() {
                let is_other = !counts.contains_key(name) && counts.len() >= MAX_NAMES;
                let name = if is_other { OTHER } else { name };
                *counts.entry(name).or_default() += usize::try_from(count).unwrap_or(usize::MAX);
            }
        }
        let counts: Vec<_> = counts
            .into_iter()
            .map(|(name, count)| (name.to_owned(), count))
            .collect();
        for (name, count) in counts {
            let share = || Share::of(&self.members.with_label_values(&[&name]));
            let share = self.of.entry(name.clone()).or_insert_with(share);
            share.set(count);
        }
        self.bytes.set(bytes);
    }
}
