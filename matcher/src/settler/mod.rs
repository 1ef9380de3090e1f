//! The settler: decides claims, in the order of their log and exactly once.
//!
//! A campaign whose budget all customers share cannot be decided where its events are. Matchers write claims instead, all of a
//! campaign into one partition of `claims`, and here each becomes a match, or a refusal and a control record of `events` that
//! gives back what the claim took and lets the next campaign win. Of a match that is held or may be taken back the matcher is told,
//! too, and says when a return gives the budget something back. So it is with codes of a pool of coupons. It is the same [`Worker`](crate::worker) with a
//! [`Duty`] of its own: what is used of budgets is its state, with `budget-state` as changelog.

mod breaker;
mod emit;
mod metrics;
mod pools;
mod settings;

use std::sync::Arc;

use arc_swap::ArcSwap;
use rdkafka::Message;
use rdkafka::message::BorrowedMessage;
use rules::history::Total;
use rules::{Rule, RuleSet};
use schemas::control::unknown;
use schemas::names::header;
use schemas::{CampaignId, Claim, Control, DeadLetterReason, Encoding, GivenBack, RefusalReason};
use service::kafka::record;
use state::settle::{self, Settled};
use state::{Arrival, Partition, StateError};

use self::emit::{Emitter, Outputs};
use self::metrics::Tally;
use crate::campaigns::{Budgets, Counted};
use crate::group::Until;
use crate::worker::{Batch, Clock, DeadLetters, Duty, Rebuild};

pub use self::metrics::SettlerMetrics;
pub use self::settings::SettlerSettings;

/// Accounts looked at with each batch and partition for what has expired.
const SWEPT: usize = 64;

/// What a settled claim adds to the size of its batch besides its record: the account's record of the changelog, about.
const STATE_BYTES: usize = 16;

/// What settling claims takes.
pub(crate) struct SettleSettings {
    pub(crate) matches_topic: String,
    pub(crate) refusals_topic: String,
    pub(crate) events_topic: String,
    pub(crate) campaign_events_topic: String,
    pub(crate) dead_letters_topic: String,
    /// How matches are written.
    pub(crate) encoding: Encoding,
}

/// What the settler knows of the campaigns.
#[derive(Clone)]
pub(crate) struct Campaigns {
    pub(crate) rules: Arc<ArcSwap<RuleSet>>,
    pub(crate) budgets: Budgets,
    pub(crate) counted: Counted,
}

/// Settles claims.
pub(crate) struct Settle {
    campaigns: Campaigns,
    metrics: SettlerMetrics,
    clock: Clock,
    emitter: Emitter,
    dead_letters: DeadLetters,
    tally: Tally,
}

impl Settle {
    pub(crate) fn new(
        settings: SettleSettings,
        campaigns: Campaigns,
        metrics: SettlerMetrics,
    ) -> Self {
        let outputs = Outputs {
            refusals: settings.refusals_topic,
            events: settings.events_topic,
            campaign_events: settings.campaign_events_topic,
        };
        Self {
            campaigns,
            metrics,
            clock: Clock::default(),
            emitter: Emitter::new(outputs, settings.matches_topic, settings.encoding),
            dead_letters: DeadLetters::new(settings.dead_letters_topic),
            tally: Tally::default(),
        }
    }

    /// The campaign as it is now, if its budget can be known: in whatever status if it has one, and while it is active
    /// if it has none any more.
    fn rule(&self, campaign: &str) -> Found {
        if let Some(rule) = self.campaigns.budgets.rule(campaign) {
            return Found::Budget(rule);
        }
        let Ok(id) = CampaignId::new(campaign) else {
            return Found::Gone;
        };
        let rules = self.campaigns.rules.load_full();
        match rules.rule(&id) {
            Some(_) => Found::InForce(rules, id),
            None => Found::Gone,
        }
    }

    fn die(
        &mut self,
        batch: &mut Batch,
        (partition, arrival): (&mut Partition, Arrival),
        message: &BorrowedMessage<'_>,
        reason: &DeadLetterReason,
    ) -> Result<(), Rebuild> {
        partition.advance(arrival.time, arrival.offset);
        self.dead_letters.write(batch, message, reason)?;
        self.tally.died(reason);
        Ok(())
    }

    /// Settles a claim.
    fn settle(
        &mut self,
        batch: &mut Batch,
        (partition, arrival): (&mut Partition, Arrival),
        message: &BorrowedMessage<'_>,
        claim: &Claim<'_>,
    ) -> Result<(), Rebuild> {
        let found = self.rule(&claim.prize.campaign_id);
        let rule = found.rule();
        let age = message.timestamp();
        let (bytes, percent) = match settle::settle(claim, arrival, rule, partition)? {
            Settled::TakenBefore => {
                self.tally.came_again();
                return Ok(());
            }
            Settled::Granted {
                marks,
                percent,
                counted,
                code,
            } => {
                self.tally.granted(claim, &marks, age);
                let coded = code.map(|code| self.give(claim, &code));
                let claim = coded.as_ref().unwrap_or(claim);
                let out = (&batch.transaction, &mut batch.trace);
                let written = (self.emitter).write_match(out, message, claim, counted);
                let bytes = written.map_err(Rebuild::Produce)? + self.tell(batch, rule, marks)?;
                (bytes, percent)
            }
            Settled::Refused {
                reason,
                limit,
                marks,
            } => {
                self.tally.refused(reason, age);
                if let (RefusalReason::PoolEmpty, Some(pool)) = (reason, &claim.prize.pool) {
                    self.tally.left(pool, 0);
                }
                let limit = limit.map(Total::budget);
                let written = (self.emitter).write_refusal(
                    &batch.transaction,
                    message,
                    claim,
                    (reason, limit),
                );
                let bytes = written.map_err(Rebuild::Produce)? + self.tell(batch, rule, marks)?;
                let percent = rule.map(|rule| settle::percent(claim, rule, partition));
                (bytes, percent.transpose()?.unwrap_or_default())
            }
        };
        if rule.is_some() && claim.prize.pool.is_none() {
            self.tally.used(&claim.prize.campaign_id, percent);
        }
        batch.load.output_bytes += STATE_BYTES + bytes;
        Ok(())
    }

    /// Tells of budgets that are used to so many percent. Returns the bytes.
    fn tell(
        &self,
        batch: &Batch,
        rule: Option<&Rule>,
        marks: Vec<settle::Mark<'_>>,
    ) -> Result<usize, Rebuild> {
        let mut bytes = 0;
        for mark in marks {
            if let Some(rule) = rule {
                let written = self.emitter.write_mark(&batch.transaction, rule, mark);
                bytes += written.map_err(Rebuild::Produce)?;
            }
        }
        Ok(bytes)
    }

    /// Gives back to the budgets of the campaign that the key names what a return took back.
    fn give_back(
        &mut self,
        batch: &mut Batch,
        (partition, arrival): (&mut Partition, Arrival),
        message: &BorrowedMessage<'_>,
    ) -> Result<(), Rebuild> {
        let told = record::header(message, header::CONTROL_GIVEN_BACK);
        let given = told.and_then(|json| serde_json::from_slice::<GivenBack<'_>>(json).ok());
        let is_keyed = |it: &GivenBack<'_>| message.key() == Some(it.campaign_id.as_bytes());
        let Some(given) = given.filter(is_keyed) else {
            let reason = DeadLetterReason::InvalidControl { what: "given_back" };
            return self.die(batch, (partition, arrival), message, &reason);
        };
        if arrival.offset <= partition.offset() {
            self.tally.came_again();
            return Ok(());
        }
        let found = self.rule(&given.campaign_id);
        let used = state::give_back(&given, arrival, found.rule(), partition)?;
        if let Some(percent) = used {
            self.tally.used(&given.campaign_id, percent);
        }
        self.tally.given_back();
        batch.load.output_bytes += STATE_BYTES;
        Ok(())
    }

    /// Resets the budgets of the campaign that the key names.
    fn reset(
        &mut self,
        batch: &mut Batch,
        (partition, arrival): (&mut Partition, Arrival),
        message: &BorrowedMessage<'_>,
    ) -> Result<(), Rebuild> {
        let key = message.key().and_then(|key| std::str::from_utf8(key).ok());
        let Some(id) = key.and_then(|key| CampaignId::new(key).ok()) else {
            let reason = DeadLetterReason::InvalidControl { what: "key" };
            return self.die(batch, (partition, arrival), message, &reason);
        };
        settle::reset(id.as_str(), arrival, partition)?;
        tracing::info!(campaign_id = id.as_str(), "budget reset");
        self.tally.used(id.as_str(), 0);
        let found = self.rule(id.as_str());
        let version = found.rule().map_or(1, Rule::version);
        let written = self.emitter.write_reset(&batch.transaction, id, version);
        batch.load.output_bytes += written.map_err(Rebuild::Produce)?;
        Ok(())
    }
}

/// A campaign as it is now.
enum Found {
    /// It has a budget.
    Budget(Arc<Rule>),
    /// It is active, and has none any more.
    InForce(Arc<RuleSet>, CampaignId),
    /// It was deleted, or is not active and has none any more.
    Gone,
}

impl Found {
    fn rule(&self) -> Option<&Rule> {
        match self {
            Self::Budget(rule) => Some(rule),
            Self::InForce(rules, id) => rules.rule(id),
            Self::Gone => None,
        }
    }
}

impl Duty for Settle {
    fn begin(&mut self) {
        self.tally = Tally::default();
    }

    fn take(
        &mut self,
        batch: &mut Batch,
        partition: &mut Partition,
        message: &BorrowedMessage<'_>,
    ) -> Result<Option<Until>, Rebuild> {
        let arrival = Arrival {
            offset: message.offset(),
            time: self.clock.bound(message.timestamp().to_millis()),
        };
        let asked = record::header(message, header::CONTROL);
        let asks = |control: Control| asked == Some(control.word().as_bytes());
        if asks(Control::StockPool) {
            self.stock(batch, (partition, arrival), message)?;
            return Ok(None);
        }
        let Some(value) = message.payload() else {
            match asked {
                _ if asks(Control::Count) => {
                    return self.take_count(batch, (partition, arrival), message);
                }
                _ if asks(Control::ResetBudget) => {
                    self.reset(batch, (partition, arrival), message)?;
                }
                _ if asks(Control::GiveBack) => {
                    self.give_back(batch, (partition, arrival), message)?;
                }
                _ if asks(Control::DropPool) => {
                    self.drop_pool(batch, (partition, arrival), message)?;
                }
                word => {
                    let reason = word.map_or(DeadLetterReason::NoValue, unknown);
                    self.die(batch, (partition, arrival), message, &reason)?;
                }
            }
            return Ok(None);
        };
        let claim = match read(value) {
            Ok(claim) => claim,
            Err(reason) => {
                self.die(batch, (partition, arrival), message, &reason)?;
                return Ok(None);
            }
        };
        let offset = claim.prize.campaigns_offset;
        // No claim is decided by an older document than the matcher's.
        if !self.campaigns.budgets.has_read(offset) {
            return Ok(Some(Until::Campaigns(offset)));
        }
        self.settle(batch, (partition, arrival), message, &claim)?;
        Ok(None)
    }

    fn fire(&mut self, _: &mut Batch, _: &mut Partition, _: (i32, i64)) -> Result<bool, Rebuild> {
        Ok(false)
    }

    fn has_answer(&self, until: Until) -> bool {
        match until {
            Until::Schema(_) | Until::Audiences(_) => true,
            Until::Campaigns(offset) => self.campaigns.budgets.has_read(offset),
        }
    }

    fn sweep(&self, partition: &mut Partition) -> Result<(), StateError> {
        let counted = &self.campaigns.counted;
        settle::sweep(partition, SWEPT, &|identity, oldest| {
            counted.is_known(identity, oldest)
        })
    }

    fn committed(&mut self, _: usize) {
        self.metrics.committed(&self.tally);
        self.dead_letters.committed();
    }

    fn too_large(&mut self) {
        self.dead_letters.too_large();
    }

    fn let_go(&mut self, _: i32) {
        self.metrics.forget_used();
    }
}

fn read(value: &[u8]) -> Result<Claim<'_>, DeadLetterReason> {
    let claim: Claim<'_> = serde_json::from_slice(value)
        .map_err(|error| DeadLetterReason::NotAClaim(error.to_string()))?;
    if claim.source.partition < 0 {
        let error = "source.partition is below zero".to_owned();
        return Err(DeadLetterReason::NotAClaim(error));
    }
    Ok(claim)
}
