//! What a member of a consumer group tells of its partitions.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use service::Metrics;

/// Metrics of all members of one group within a process.
#[derive(Clone)]
pub(crate) struct GroupMetrics {
    rebalances: IntCounterVec,
    lost: IntCounter,
    assigned: IntGauge,
    waiting: IntGauge,
    orphans: IntGauge,
    lag: IntGaugeVec,
}

impl GroupMetrics {
    /// Registers the metrics of the group in which `role` is a member, such as `matcher`.
    pub(crate) fn new(metrics: &Metrics, role: &str) -> Self {
        Self {
            rebalances: metrics.counter_vec(
                &format!("{role}_rebalances_total"),
                "Changes of the assignment, by kind.",
                &["kind"],
            ),
            lost: metrics.counter(
                &format!("{role}_records_lost_total"),
                "Records that retention removed before they were consumed. Anything but 0 is an alarm.",
            ),
            assigned: metrics.gauge(
                &format!("{role}_assigned_partitions"),
                "Partitions read here.",
            ),
            waiting: metrics.gauge(
                &format!("{role}_partitions_waiting_for_schema"),
                "Partitions that are not read on until the schema registry says what their next record is, or it is known who is in which audience.",
            ),
            orphans: metrics.gauge(
                &format!("{role}_orphaned_partitions"),
                "Partitions that no member of the group reads although it is at rest. Looked for only under a stable \
                 name; the group shares out anew within seconds.",
            ),
            lag: metrics.gauge_vec(
                &format!("{role}_consumer_lag"),
                "Committed records of the topic that are not consumed yet.",
                &["topic", "partition"],
            ),
        }
    }

    pub(super) fn rebalanced(&self, kind: &str) {
        self.rebalances.with_label_values(&[kind]).inc();
    }

    pub(super) fn lost(&self, records: i64) {
        self.lost.inc_by(u64::try_from(records).unwrap_or(0));
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

    pub(super) fn set_orphans(&self, partitions: usize) {
        self.orphans
            .set(i64::try_from(partitions).unwrap_or(i64::MAX));
    }

    pub(super) fn assigned(&self) -> Share {
        Share::of(&self.assigned)
    }

    pub(super) fn waiting(&self) -> Share {
        Share::of(&self.waiting)
    }
}

/// What is one member's, within the gauge of all.
pub(crate) struct Share {
    gauge: IntGauge,
    own: i64,
}

impl Share {
    pub(crate) fn of(gauge: &IntGauge) -> Self {
        Self {
            gauge: gauge.clone(),
            own: 0,
        }
    }

    pub(crate) fn set(&mut self, own: usize) {
        let own = i64::try_from(own).unwrap_or(i64::MAX);
        if own != self.own {
            self.gauge.add(own - self.own);
            self.own = own;
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.gauge.sub(self.own);
    }
}
