//! What workers of one role tell of their transactions and of what they remember.

use std::time::Duration;

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge};
use service::Metrics;

use super::disk::DiskMemory;
use super::metrics::SECONDS;
use super::restore::Course;
use crate::group::Share;

/// Metrics of all workers of one role in a process.
#[derive(Clone)]
pub(crate) struct KeptMetrics {
    transactions: HistogramVec,
    rebuilds: IntCounter,
    customers: IntGauge,
    bytes: IntGauge,
    restored: IntCounter,
    restores: Histogram,
    /// Of the role that has a folder.
    disk: Option<Disk>,
}

#[derive(Clone)]
struct Disk {
    distrusted: IntCounterVec,
    bytes: IntGauge,
    failed: IntGauge,
}

impl KeptMetrics {
    /// Registers the metrics of matchers.
    pub(crate) fn of_matchers(metrics: &Metrics) -> Self {
        let disk = Disk {
            distrusted: metrics.counter_vec(
                "matcher_state_disk_discarded_total",
                "Partitions on disk that were thrown away and read anew, by reason.",
                &["reason"],
            ),
            bytes: metrics.gauge("matcher_state_disk_bytes", "Bytes on disk in STATE_DIR."),
            failed: metrics.gauge(
                "matcher_state_disk_failed",
                "1 if the disk failed and customers are kept in memory until the next start.",
            ),
        };
        let customers = metrics.gauge("matcher_customers", "Customers remembered here.");
        let bytes = metrics.gauge(
            "matcher_customer_state_bytes",
            "Bytes of what is remembered here, ids included.",
        );
        Self::new(metrics, "matcher", (customers, bytes), Some(disk))
    }

    /// Registers the metrics of settlers.
    pub(crate) fn of_settlers(metrics: &Metrics) -> Self {
        let accounts = metrics.gauge(
            "settler_accounts",
            "Budgets kept here: one a campaign, and one more for each value by which it is split.",
        );
        let bytes = metrics.gauge(
            "settler_budget_state_bytes",
            "Bytes of what is kept here, ids included.",
        );
        Self::new(metrics, "settler", (accounts, bytes), None)
    }

    fn new(
        metrics: &Metrics,
        role: &str,
        (customers, bytes): (IntGauge, IntGauge),
        disk: Option<Disk>,
    ) -> Self {
        Self {
            transactions: metrics.histogram_vec(
                &format!("{role}_transaction_duration_seconds"),
                "Time to end a transaction, by outcome.",
                &["outcome"],
                &SECONDS,
            ),
            rebuilds: metrics.counter(
                &format!("{role}_worker_rebuilds_total"),
                "Consumers and producers dropped and made anew after an error.",
            ),
            restored: metrics.counter(
                &format!("{role}_restored_records_total"),
                "Records read from the changelog to bring back what is remembered.",
            ),
            restores: metrics.histogram(
                &format!("{role}_restore_duration_seconds"),
                "Time to bring back what is remembered of a partition.",
                &SECONDS,
            ),
            customers,
            bytes,
            disk,
        }
    }

    pub(super) fn committed(&self, took: Duration) {
        self.ended("committed", took);
    }

    pub(super) fn aborted(&self, took: Duration) {
        self.ended("aborted", took);
    }

    fn ended(&self, outcome: &str, took: Duration) {
        let transactions = self.transactions.with_label_values(&[outcome]);
        transactions.observe(took.as_secs_f64());
    }

    pub(super) fn restored(&self, course: &Course, took: Duration) {
        self.restored.inc_by(course.records);
        for why in &course.distrusted {
            if let Some(disk) = &self.disk {
                disk.distrusted.with_label_values(&[why.code()]).inc();
            }
        }
        self.restores.observe(took.as_secs_f64());
    }

    /// What is on disk, of the whole process.
    pub(super) fn on_disk(&self, memory: &DiskMemory) {
        let Some(disk) = &self.disk else {
            return;
        };
        let bytes = i64::try_from(memory.bytes()).unwrap_or(i64::MAX);
        disk.bytes.set(bytes);
        disk.failed.set(i64::from(memory.is_given_up()));
    }

    /// What one worker remembers, within the gauges of all.
    pub(super) fn shares(&self) -> Shares {
        Shares {
            customers: Share::of(&self.customers),
            bytes: Share::of(&self.bytes),
        }
    }

    pub(super) fn rebuilt(&self) {
        self.rebuilds.inc();
    }
}

/// What one worker remembers.
pub(super) struct Shares {
    customers: Share,
    bytes: Share,
}

impl Shares {
    pub(super) fn set(&mut self, customers: usize, bytes: usize) {
        self.customers.set(customers);
        self.bytes.set(bytes);
    }
}
