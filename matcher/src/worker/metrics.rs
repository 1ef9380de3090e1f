//! What the workers tell of the events that they decide. Counted when a batch is committed, so that what is aborted and
//! done again counts once.

use std::collections::BTreeMap;

use jiff::Timestamp as Time;
use prometheus::{Histogram, IntCounter, IntCounterVec};
use rdkafka::Timestamp;
use schemas::DeadLetterReason;
use service::Metrics;
use state::Sequel;

use crate::series::{Counts, Series};

/// Metrics of all workers of a process.
#[derive(Clone)]
pub struct WorkerMetrics {
    events: IntCounter,
    matches: IntCounter,
    confirmed: IntCounter,
    reversals: IntCounter,
    undefined_rewards: IntCounter,
    dead_letters: IntCounterVec,
    event_age: Histogram,
    campaigns: Series,
    duplicates: Series,
    taken_before: IntCounter,
    erased: IntCounter,
    claims: IntCounter,
    refused: IntCounter,
    granted: IntCounter,
    held_out: IntCounter,
}

/// Seconds from a millisecond to a minute.
pub(crate) const SECONDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0,
];

impl WorkerMetrics {
    /// Registers the metrics. `campaigns` counts matches by campaign.
    pub fn new(metrics: &Metrics, campaigns: Series) -> Self {
        Self {
            events: metrics.counter(
                "matcher_events_consumed_total",
                "Events processed and committed.",
            ),
            matches: metrics.counter("matcher_matches_total", "Matches committed."),
            confirmed: metrics.counter(
                "matcher_matches_confirmed_total",
                "Matches that were held and are confirmed.",
            ),
            reversals: metrics.counter(
                "matcher_reversals_total",
                "Returns that took back a match, or a part of it.",
            ),
            undefined_rewards: metrics.counter(
                "matcher_undefined_rewards_total",
                "Campaigns not won because an expression of their reward had no value for the event.",
            ),
            dead_letters: metrics.counter_vec(
                "matcher_dead_letters_total",
                "Events that can never be processed, by reason.",
                &["reason"],
            ),
            event_age: metrics.histogram(
                "matcher_event_age_seconds",
                "Time from the record of an event to its match.",
                &SECONDS,
            ),
            campaigns,
            duplicates: Series::new(
                metrics.counter_vec(
                    "matcher_duplicate_events_total",
                    "Events that counted for nothing because one of their id was seen before, by event type; beyond 100 types, other.",
                    &["event_type"],
                ),
                100,
            ),
            taken_before: metrics.counter(
                "matcher_torn_transactions_total",
                "Records that came again although their results are committed. Anything but 0 is an alarm: the log was torn (KAFKA-17754).",
            ),
            erased: metrics.counter(
                "matcher_customers_erased_total",
                "Customers forgotten because it was asked for.",
            ),
            claims: metrics.counter(
                "matcher_claims_total",
                "Claims committed: what events win of campaigns with a budget, for the settler to decide.",
            ),
            refused: metrics.counter(
                "matcher_claims_given_back_total",
                "Refused claims whose limits were given back.",
            ),
            granted: metrics.counter(
                "matcher_claims_kept_total",
                "Granted claims whose matches are held, or may be taken back.",
            ),
            held_out: metrics.counter(
                "matcher_held_out_total",
                "What was kept from customers who are in a campaign's holdout, and is recorded as a refusal.",
            ),
        }
    }

    /// Counts matches of one worker by campaign.
    pub(super) fn by_campaign(&self) -> Counts {
        self.campaigns.counts()
    }

    pub(super) fn committed(&self, tally: &Tally, events: usize) {
        self.events.inc_by(events as u64);
        self.matches.inc_by(tally.ages.len() as u64);
        self.undefined_rewards.inc_by(tally.undefined_rewards);
        let ages = self.event_age.local();
        for &age in &tally.ages {
            ages.observe(age);
        }
        ages.flush();
        for code in &tally.dead_letters {
            self.dead_letters.with_label_values(&[code]).inc();
        }
        for (event_type, count) in &tally.duplicates {
            self.duplicates.add(event_type, *count);
        }
        self.taken_before.inc_by(tally.taken_before);
        self.erased.inc_by(tally.erased);
        self.confirmed.inc_by(tally.confirmed);
        self.reversals.inc_by(tally.reversals);
        self.claims.inc_by(tally.claimed);
        self.refused.inc_by(tally.refused);
        self.granted.inc_by(tally.granted);
        self.held_out.inc_by(tally.held_out);
    }
}

/// What a batch will add to the counters once it is committed.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Seconds from record to match, one a match.
    ages: Vec<f64>,
    pub(super) undefined_rewards: u64,
    dead_letters: Vec<&'static str>,
    duplicates: BTreeMap<String, u64>,
    taken_before: u64,
    pub(super) erased: u64,
    confirmed: u64,
    reversals: u64,
    pub(super) claimed: u64,
    pub(super) refused: u64,
    pub(super) granted: u64,
    pub(super) held_out: u64,
}

impl Tally {
    pub(super) fn matched(&mut self, record: Timestamp) {
        let Some(created) = record.to_millis() else {
            return self.ages.push(0.0);
        };
        let age = Time::now().as_millisecond().saturating_sub(created).max(0);
        #[expect(
            clippy::cast_precision_loss,
            reason = "milliseconds of an age fit a double"
        )]
        self.ages.push(age as f64 / 1000.0);
    }

    /// Something became of a match after it was made.
    pub(super) fn followed(&mut self, sequel: &Sequel) {
        if sequel.reversal.is_some() {
            self.reversals += 1;
        } else {
            self.confirmed += 1;
        }
    }

    pub(super) fn repeated(&mut self, event_type: &str) {
        if let Some(count) = self.duplicates.get_mut(event_type) {
            *count += 1;
        } else {
            self.duplicates.insert(event_type.to_owned(), 1);
        }
    }

    pub(super) fn came_again(&mut self) {
        self.taken_before += 1;
    }

    pub(super) fn died(&mut self, reason: &DeadLetterReason) {
        self.dead_letters.push(reason.code());
    }
}
