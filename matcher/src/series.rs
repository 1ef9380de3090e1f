//! Counters by a label whose values come from outside.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::HashMap;
use prometheus::{IntCounter, IntCounterVec};
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
        self.counter(label).0.inc_by(count);
    }

    /// Counts of one thread, to be added together.
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            series: self.clone(),
            counted: HashMap::default(),
            other: 0,
            is_full: false,
        }
    }

    /// The counter of a label, and whether it is its own.
    fn counter(&self, label: &str) -> (IntCounter, bool) {
        let mut known = self.known();
        if !known.contains(label) && known.len() < self.most {
            known.insert(label.to_owned());
        }
        let is_own = known.contains(label);
        let label = if is_own { label } else { OTHER };
        (self.counters.with_label_values(&[label]), is_own)
    }

    fn known(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one thread has counted and not yet added. Knows the series that there are, so that what is counted as `other`, which may
/// be a hundred thousand campaigns in turn, is a look-up among few.
pub(crate) struct Counts {
    series: Series,
    /// With its counter, once it is known to have a series of its own.
    counted: HashMap<Box<str>, (Option<IntCounter>, u64)>,
    other: u64,
    /// Whether no further label gets a series, and all that have one are in `counted`.
    is_full: bool,
}

impl Counts {
    /// Counts one.
    pub(crate) fn count(&mut self, label: &str) {
        if let Some((_, count)) = self.counted.get_mut(label) {
            *count += 1;
        } else if self.is_full {
            self.other += 1;
        } else {
            self.counted.insert(label.into(), (None, 1));
        }
    }

    /// Forgets what was not added.
    pub(crate) fn clear(&mut self) {
        self.other = 0;
        self.counted.retain(|_, (counter, count)| {
            *count = 0;
            counter.is_some()
        });
    }

    /// Adds what was counted.
    pub(crate) fn add(&mut self) {
        let series = &self.series;
        for (label, (counter, count)) in &mut self.counted {
            if *count == 0 {
                continue;
            }
            let count = std::mem::take(count);
            if let Some(counter) = counter {
                counter.inc_by(count);
                continue;
            }
            let (found, is_own) = series.counter(label);
            found.inc_by(count);
            *counter = is_own.then_some(found);
        }
        if self.other > 0 {
            let others = series.counters.with_label_values(&[OTHER]);
            others.inc_by(std::mem::take(&mut self.other));
        }
        if !self.is_full {
            self.counted.retain(|_, (counter, _)| counter.is_some());
            self.look_whether_full();
        }
    }

    /// Takes over the series that other threads have begun, when there will be no more.
    fn look_whether_full(&mut self) {
        let known = self.series.known();
        self.is_full = known.len() >= self.series.most;
        if !self.is_full {
            return;
        }
        for label in known.iter() {
            let place = self.counted.entry((**label).into());
            place.or_insert_with(|| {
                let counter = self.series.counters.with_label_values(&[&**label]);
                (Some(counter), 0)
            });
        }
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
    #[test]
    fn threads_count_as_one_would() {
        let metrics = Metrics::new("test");
        let counters = metrics.counter_vec("counted_total", "Of a test.", &["label"]);
        let series = Series::new(counters.clone(), 2);
        let (mut one, mut two) = (series.counts(), series.counts());
        let count = |counts: &mut Counts, labels: &[&str]| {
            for label in labels {
                counts.count(label);
            }
        };
        count(&mut one, &["a", "a"]);
        count(&mut two, &["b"]);
        two.add();
        count(&mut two, &["b", "x"]);
        two.clear();
        one.add();
        for counts in [&mut one, &mut two] {
            count(counts, &["a", "b", "c", "d", "c"]);
            counts.add();
            count(counts, &["a", "c"]);
            counts.add();
            counts.add();
        }
        let of = |label| counters.with_label_values(&[label]).get();
        assert_eq!([of("a"), of("b"), of(OTHER)], [6, 3, 8]);
        let found = metrics.render().unwrap();
        assert!(!found.contains("label=\"c\""), "{found}");
    }
}
