//! What settlers tell of claims and budgets. Counted when a batch is committed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGaugeVec};
use rdkafka::Timestamp;
use schemas::{Claim, DeadLetterReason, RefusalReason};
use service::Metrics;
use state::settle::Mark;

use crate::series::Series;
use crate::worker::SECONDS;

/// Metrics of all settlers of a process.
#[derive(Clone)]
pub struct SettlerMetrics {
    claims: IntCounterVec,
    age: Histogram,
    given_back: IntCounter,
    marks: IntCounterVec,
    used: IntGaugeVec,
    /// Campaigns that have a series of their own.
    campaigns: Arc<Mutex<BTreeSet<String>>>,
    left: IntGaugeVec,
    /// Pools that have a series of their own.
    pools: Arc<Mutex<BTreeSet<String>>>,
    dead_letters: IntCounterVec,
    taken_before: IntCounter,
    tripped: IntCounter,
    matches: Series,
}

/// A series of a campaign or a pool lives until its partition goes elsewhere; of more nothing is told here.
const MAX_SERIES: usize = 1_000;

impl SettlerMetrics {
    /// Registers the metrics. `matches` counts matches by campaign.
    pub fn new(metrics: &Metrics, matches: Series) -> Self {
        Self {
            matches,
            claims: metrics.counter_vec(
                "settler_claims_total",
                "Claims settled and committed, by outcome: granted, or why refused.",
                &["outcome"],
            ),
            age: metrics.histogram(
                "settler_claim_age_seconds",
                "Time from a claim's record to its settlement.",
                &SECONDS,
            ),
            given_back: metrics.counter(
                "settler_given_back_total",
                "Returns that gave the budgets of a campaign back what they took back.",
            ),
            marks: metrics.counter_vec(
                "settler_budget_marks_total",
                "Budgets that were used to that percent for the first time.",
                &["percent"],
            ),
            used: metrics.gauge_vec(
                "settler_budget_used_percent",
                "What the last claim of the campaign left used of its budgets, of the one that is used most. At most 1,000 campaigns.",
                &["campaign_id"],
            ),
            campaigns: Arc::default(),
            left: metrics.gauge_vec(
                "settler_pool_codes_left",
                "Codes that a pool of coupons has left. At most 1,000 pools.",
                &["pool"],
            ),
            pools: Arc::default(),
            dead_letters: metrics.counter_vec(
                "settler_dead_letters_total",
                "Records of claims that can never be processed, by reason. Anything but 0 is an alarm.",
                &["reason"],
            ),
            tripped: metrics.counter(
                "settler_breakers_tripped_total",
                "Campaigns that went past their breaker, and are held back until a person resumes them.",
            ),
            taken_before: metrics.counter(
                "settler_torn_transactions_total",
                "Records that came again although their results are committed. Anything but 0 is an alarm: the log was torn (KAFKA-17754).",
            ),
        }
    }

    pub(super) fn committed(&self, tally: &Tally) {
        for (outcome, count) in &tally.outcomes {
            self.claims.with_label_values(&[outcome]).inc_by(*count);
        }
        for age in &tally.ages {
            self.age.observe(*age);
        }
        self.given_back.inc_by(tally.given_back);
        for percent in &tally.marks {
            let percent = percent.to_string();
            self.marks.with_label_values(&[&percent]).inc();
        }
        for (campaign, percent) in &tally.used {
            let percent = i64::try_from(*percent).unwrap_or(i64::MAX);
            set((&self.used, &self.campaigns), campaign, percent);
        }
        for (pool, left) in &tally.left {
            let left = i64::try_from(*left).unwrap_or(i64::MAX);
            set((&self.left, &self.pools), pool, left);
        }
        for code in &tally.dead_letters {
            self.dead_letters.with_label_values(&[code]).inc();
        }
        self.taken_before.inc_by(tally.taken_before);
        self.tripped.inc_by(tally.tripped);
        for (campaign, count) in &tally.matches {
            self.matches.add(campaign, *count);
        }
    }

    /// Another process may tell of these campaigns and pools from now on; those that stay are told with their next claim.
    pub(super) fn forget_used(&self) {
        for (gauges, known) in [(&self.used, &self.campaigns), (&self.left, &self.pools)] {
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            for name in std::mem::take(&mut *known) {
                // An error says that there was none to forget.
                let _ = gauges.remove_label_values(&[&name]);
            }
        }
    }
}

/// Sets the gauge of a campaign or a pool, if it has one or there is room for one more.
fn set((gauges, known): (&IntGaugeVec, &Mutex<BTreeSet<String>>), name: &str, value: i64) {
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if !known.contains(name) {
        if known.len() >= MAX_SERIES {
            return;
        }
        known.insert(name.to_owned());
    }
    gauges.with_label_values(&[name]).set(value);
}

/// What a batch will add to the metrics once it is committed.
#[derive(Debug, Default)]
pub(super) struct Tally {
    outcomes: BTreeMap<&'static str, u64>,
    /// Seconds from record to settlement.
    ages: Vec<f64>,
    given_back: u64,
    marks: Vec<u8>,
    used: BTreeMap<String, u64>,
    left: BTreeMap<String, u64>,
    dead_letters: Vec<&'static str>,
    taken_before: u64,
    tripped: u64,
    /// Granted claims by campaign.
    matches: BTreeMap<String, u64>,
}

impl Tally {
    pub(super) fn granted(&mut self, claim: &Claim<'_>, marks: &[Mark<'_>], record: Timestamp) {
        self.settled("granted", record);
        let campaign = &*claim.prize.campaign_id;
        match self.matches.get_mut(campaign) {
            Some(count) => *count += 1,
            None => {
                self.matches.insert(campaign.to_owned(), 1);
            }
        }
        self.marks.extend(marks.iter().map(|mark| mark.percent));
    }

    pub(super) fn refused(&mut self, reason: RefusalReason, record: Timestamp) {
        self.settled(reason.as_str(), record);
    }

    fn settled(&mut self, outcome: &'static str, record: Timestamp) {
        *self.outcomes.entry(outcome).or_default() += 1;
        let now = jiff::Timestamp::now().as_millisecond();
        let age = record
            .to_millis()
            .map_or(0, |at| now.saturating_sub(at).max(0));
        #[expect(
            clippy::cast_precision_loss,
            reason = "milliseconds of an age fit a double"
        )]
        self.ages.push(age as f64 / 1000.0);
    }

    pub(super) fn given_back(&mut self) {
        self.given_back += 1;
    }

    pub(super) fn used(&mut self, campaign: &str, percent: u64) {
        match self.used.get_mut(campaign) {
            Some(used) => *used = percent,
            None => {
                self.used.insert(campaign.to_owned(), percent);
            }
        }
    }

    pub(super) fn tripped(&mut self) {
        self.tripped += 1;
    }

    /// So many codes are left in a pool.
    pub(super) fn left(&mut self, pool: &str, left: u64) {
        self.left.insert(pool.to_owned(), left);
    }

    pub(super) fn came_again(&mut self) {
        self.taken_before += 1;
    }

    pub(super) fn died(&mut self, reason: &DeadLetterReason) {
        self.dead_letters.push(reason.code());
    }
}
