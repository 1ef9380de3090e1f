//! Counters by a label whose values come from outside.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::IntCounterVec;
use service::Metrics;

/// Counts by a label. The first so many values have a series of their own, which lives as long as the process; what comes
/// later is counted as `other`, so that a sum over all is right.
#[derive(Clone)]
pub struct Series {
    counters: IntCounterVec,
    known: Arc<Mutex<BTreeSet<String>>>,
    most: usize,
}

/// The label of what has no series of its own.
const OTHER: &str = "other";

impl Series {
    pub(crate) fn new(counters: IntCounterVec, most: usize) -> Self {
        Self {
            counters,
            known: Arc::default(),
            most,
        }
    }

    /// Matches by campaign, of all workers and settlers of a process.
    pub fn of_campaigns(metrics: &Metrics) -> Self {
        let counters = metrics.counter_vec(
            "matcher_campaign_matches_total",
            "Matches committed, granted claims among them, by campaign; beyond the first 200 campaigns of a process, other.",
            &["campaign_id"],
        );
        Self::new(counters, 200)
    }

    pub(crate) fn add(&self, label: &str, count: u64) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.contains(label) && known.len() < self.most {
            known.insert(label.to_owned());
        }
        let label = if known.contains(label) { label } else { OTHER };
        self.counters.with_label_values(&[label]).inc_by(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_beyond_the_most_are_counted_together() {
        let metrics = Metrics::new("test");
        let counters = metrics.counter_vec("counted_total", "Of a test.", &["label"]);
        let series = Series::new(counters.clone(), 2);
        for label in ["a", "b", "c", "a", "d"] {
            series.add(label, 3);
        }
        let of = |label| counters.with_label_values(&[label]).get();
        assert_eq!([of("a"), of("b"), of(OTHER)], [6, 3, 6]);
        let found = metrics.render().unwrap();
        assert!(!found.contains("label=\"c\""), "{found}");
    }
}
