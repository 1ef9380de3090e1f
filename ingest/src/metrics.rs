//! What ingest tells of itself, beside what every API does.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};
use service::Metrics;

/// So many types of events have counters of their own; all further ones share one. Types come from
/// strangers, and each label costs memory here and in Prometheus.
const MAX_TYPES: usize = 64;

/// Seconds from a millisecond to half a minute.
const SECONDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];

/// Metrics of ingest. Requests take no lock to count.
#[derive(Clone)]
pub(crate) struct IngestMetrics {
    produced: IntCounterVec,
    refused: IntCounterVec,
    durations: Histogram,
    in_flight: IntGauge,
    types: Arc<ArcSwap<HashMap<Box<str>, Arc<TypeCounters>>>>,
    other: Arc<TypeCounters>,
}

/// Counters of one type of events.
struct TypeCounters {
    acknowledged: IntCounter,
    failed: IntCounter,
}

impl IngestMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let produced = metrics.counter_vec(
            "ingest_events_produced_total",
            "Events handed to the producer, by what became of them.",
            &["event_type", "result"],
        );
        let other = Arc::new(TypeCounters::new(&produced, "other"));
        Self {
            produced,
            refused: metrics.counter_vec(
                "ingest_events_refused_total",
                "Events refused before they reached the producer, by reason.",
                &["reason"],
            ),
            durations: metrics.histogram(
                "ingest_produce_duration_seconds",
                "Time from a request's first event to the acknowledgement of its last.",
                &SECONDS,
            ),
            in_flight: metrics.gauge(
                "ingest_inflight_events",
                "Events that wait for the broker's acknowledgement.",
            ),
            types: Arc::default(),
            other,
        }
    }

    pub(crate) fn in_flight(&self, change: i64) {
        self.in_flight.add(change);
    }

    pub(crate) fn refused(&self, code: &str) {
        self.refused.with_label_values(&[code]).inc();
    }

    pub(crate) fn produced_in(&self, time: Duration) {
        self.durations.observe(time.as_secs_f64());
    }

    /// Counters of that type.
    fn of(&self, event_type: &str) -> Arc<TypeCounters> {
        if let Some(known) = self.types.load().get(event_type) {
            return Arc::clone(known);
        }
        if self.types.load().len() >= MAX_TYPES {
            return Arc::clone(&self.other);
        }
        let counters = Arc::new(TypeCounters::new(&self.produced, event_type));
        self.types.rcu(|types| {
            let mut types = HashMap::clone(types);
            if types.len() < MAX_TYPES {
                types.insert(event_type.into(), Arc::clone(&counters));
            }
            types
        });
        counters
    }
}

impl TypeCounters {
    fn new(produced: &IntCounterVec, event_type: &str) -> Self {
        Self {
            acknowledged: produced.with_label_values(&[event_type, "acknowledged"]),
            failed: produced.with_label_values(&[event_type, "failed"]),
        }
    }
}

/// The types of the events of one request, counted together when it ends.
#[derive(Default)]
pub(crate) struct TypeTally {
    types: Vec<(Box<str>, u64)>,
}

/// A type within a [`TypeTally`].
pub(crate) type TypeNumber = u32;

impl TypeTally {
    /// Counts an event that is handed over.
    pub(crate) fn add(&mut self, event_type: &str) -> TypeNumber {
        let known = self
            .types
            .iter()
            .position(|(name, _)| **name == *event_type);
        let number = known.unwrap_or_else(|| {
            // The last place is for all types that have none; a body may hold thousands.
            if self.types.len() <= MAX_TYPES {
                let is_last = self.types.len() == MAX_TYPES;
                let name = if is_last { "other" } else { event_type };
                self.types.push((name.into(), 0));
            }
            self.types.len() - 1
        });
        self.types[number].1 += 1;
        TypeNumber::try_from(number).expect("a body has fewer events than that")
    }

    /// Adds to the metrics, given the types of those that failed.
    pub(crate) fn end(mut self, failed: impl Iterator<Item = TypeNumber>, metrics: &IngestMetrics) {
        let mut failures: HashMap<TypeNumber, u64> = HashMap::new();
        for number in failed {
            *failures.entry(number).or_default() += 1;
        }
        for (number, failed) in failures {
            let (name, sent) = &mut self.types[number as usize];
            *sent -= failed;
            metrics.of(name).failed.inc_by(failed);
        }
        for (name, acknowledged) in self.types.iter().filter(|(_, count)| *count > 0) {
            metrics.of(name).acknowledged.inc_by(*acknowledged);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_by_type_and_result_and_strangers_share_a_label() {
        let registry = Metrics::new("test");
        let metrics = IngestMetrics::new(&registry);
        let mut tally = TypeTally::default();
        let purchase = tally.add("purchase");
        assert_eq!(tally.add("purchase"), purchase);
        let refund = tally.add("refund");
        tally.end([refund, purchase].into_iter(), &metrics);
        for number in 0..MAX_TYPES {
            let mut tally = TypeTally::default();
            tally.add(&format!("type-{number}"));
            tally.end(std::iter::empty(), &metrics);
        }
        let text = registry.render().unwrap();
        let count = |event_type: &str, result: &str| {
            let label = format!("{{event_type=\"{event_type}\",result=\"{result}\"}} ");
            let line = text.lines().find_map(|line| line.split_once(&*label));
            line.map(|(_, count)| count.to_owned())
        };
        assert_eq!(count("purchase", "acknowledged").as_deref(), Some("1"));
        assert_eq!(count("purchase", "failed").as_deref(), Some("1"));
        assert_eq!(count("refund", "failed").as_deref(), Some("1"));
        assert_eq!(count("type-61", "acknowledged").as_deref(), Some("1"));
        assert_eq!(count("type-62", "acknowledged"), None);
        assert_eq!(count("other", "acknowledged").as_deref(), Some("2"));
    }
}
