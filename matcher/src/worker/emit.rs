//! Writes what was decided of one event to the open transaction.

use std::borrow::Cow;

use jiff::Timestamp;
use rdkafka::Message;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use rules::Rule;
use schemas::names::header;
use schemas::{Claim, Control, Encoding, Event, Source};
use service::kafka::transaction::Open;
use state::{Amends, DueMatch, Sequel, Winners};

use super::matches::{Kept, MatchRecords, Won};
use crate::trace::{self, BatchTrace, carried};

/// Names of the topics written to.
#[derive(Debug, Clone)]
pub(super) struct Outputs {
    pub(super) matches: String,
    pub(super) claims: String,
    /// Where events come from.
    pub(super) events: String,
    pub(super) refusals: String,
}

/// Writes matches and claims. What a campaign wins that has a budget is a claim.
pub(super) struct Emitter {
    pub(super) outputs: Outputs,
    matches: MatchRecords,
    claim: Vec<u8>,
}

/// What was written.
pub(super) enum Written {
    /// A match, with its bytes.
    Match(usize),
    /// A claim, with its bytes.
    Claim(usize),
}

impl Emitter {
    pub(super) fn new(outputs: Outputs, encoding: Encoding) -> Self {
        Self {
            matches: MatchRecords::new(outputs.matches.clone(), encoding),
            outputs,
            claim: Vec::new(),
        }
    }

    /// Writes what an event wins of a campaign.
    pub(super) fn write_won(
        &mut self,
        (transaction, trace): (&Open, &mut BatchTrace),
        message: &BorrowedMessage<'_>,
        (event, decided_at): (&Event<'_>, i64),
        (rule, winners): (&Rule, &Winners<'_>),
    ) -> Result<Written, KafkaError> {
        let source = Source {
            topic: Cow::Borrowed(&self.outputs.events),
            partition: message.partition(),
            offset: message.offset(),
        };
        if rule.is_claimed() {
            let claim = state::claim(rule, event, source, winners)
                .expect("the engine lets nothing win without a reward");
            self.claim.clear();
            write_json(&claim, &mut self.claim);
            let whose = (event.event_id, rule.id().as_str());
            let headers = trace.send(message, &self.outputs.claims, whose);
            return self.send_claim(transaction, &claim.prize.key(), headers);
        }
        let reward = rule
            .reward(event)
            .expect("the engine lets nothing win without a reward");
        let won = Won {
            event_id: event.event_id,
            customer_id: event.customer_id,
            event_type: event.event_type,
            occurred_at: event.occurred_at,
            campaign_id: rule.id().as_str(),
            campaign_version: rule.version(),
            campaigns_offset: rule.offset(),
            reward,
            variant: (rule.variant(event.customer_id)).map(|it| Cow::Borrowed(it.as_str())),
            source,
            kept: rule
                .history()
                .filter(|it| it.keeps_matches())
                .map(|_| Kept {
                    matched_at: decided_at,
                    confirm_at: state::confirm_at(rule, event.occurred_at.as_millisecond()),
                }),
        };
        let whose = (won.event_id, won.campaign_id);
        let headers = trace.send(message, &self.outputs.matches, whose);
        let size = self.matches.write(transaction, won, headers)?;
        // The fields are made only when somebody listens.
        tracing::debug!(
            trace_id = trace::traceparent(message).and_then(trace::id),
            match_id = self.matches.last_id(),
            "match written, to be committed with its batch"
        );
        Ok(Written::Match(size))
    }

    /// Writes what an event wins whose time to wait is over.
    pub(super) fn write_due(
        &mut self,
        (transaction, trace): (&Open, &mut BatchTrace),
        partition: i32,
        due: &DueMatch<'_>,
    ) -> Result<Written, KafkaError> {
        let source = Source {
            topic: Cow::Borrowed(&self.outputs.events),
            partition,
            offset: due.event.offset,
        };
        trace.wrote();
        if due.rule.is_claimed() {
            let claim = state::claim_due(due, source);
            self.claim.clear();
            write_json(&claim, &mut self.claim);
            return self.send_claim(transaction, &claim.prize.key(), None);
        }
        let won = Won {
            event_id: &due.event.event_id,
            customer_id: &due.customer_id,
            event_type: &due.event.event_type,
            occurred_at: due.event.occurred_at,
            campaign_id: due.rule.id().as_str(),
            campaign_version: due.rule.version(),
            campaigns_offset: due.rule.offset(),
            reward: Cow::Borrowed(&*due.reward),
            // What waits has no variants.
            variant: None,
            source,
            kept: due.confirm_at.map(|confirm_at| Kept {
                matched_at: due.matched_at,
                confirm_at: Some(confirm_at),
            }),
        };
        (self.matches.write(transaction, won, None)).map(Written::Match)
    }

    /// Writes what an event wins of a campaign because another refused it.
    pub(super) fn write_instead(
        &mut self,
        (transaction, trace): (&Open, &mut BatchTrace),
        message: &BorrowedMessage<'_>,
        amends: &Amends<'_>,
        (rule, place): (&Rule, usize),
    ) -> Result<Written, KafkaError> {
        let claim = amends.claim(rule, place);
        let whose = (&*claim.event_id, rule.id().as_str());
        if rule.is_claimed() {
            self.claim.clear();
            write_json(&claim, &mut self.claim);
            let headers = trace.send(message, &self.outputs.claims, whose);
            return self.send_claim(transaction, &claim.prize.key(), headers);
        }
        let headers = trace.send(message, &self.outputs.matches, whose);
        // What holds its matches, or takes them back, is not won instead of another.
        let won = Won::of_claim(&claim, None);
        (self.matches.write(transaction, won, headers)).map(Written::Match)
    }

    /// Writes what became of a match after it was made, and what that gives back to budgets. Returns the bytes.
    pub(super) fn write_sequel(
        &mut self,
        transaction: &Open,
        whose: (i32, &str),
        sequel: &Sequel,
        message: Option<&BorrowedMessage<'_>>,
    ) -> Result<usize, KafkaError> {
        let headers = message.and_then(carried);
        let events = &self.outputs.events;
        let bytes = (self.matches).write_sequel(transaction, events, whose, sequel, headers)?;
        Ok(bytes + self.give_back(transaction, sequel)?)
    }

    /// Tells the settler what a return gives back to budgets, if that is anything. Returns its size in bytes.
    fn give_back(&self, transaction: &Open, sequel: &Sequel) -> Result<usize, KafkaError> {
        let Some(given) = sequel.given_back() else {
            return Ok(0);
        };
        let json = serde_json::to_string(&given).expect("a document is written without fail");
        let headers = OwnedHeaders::new()
            .insert(Header {
                key: header::CONTROL,
                value: Some(Control::GiveBack.word()),
            })
            .insert(Header {
                key: header::CONTROL_GIVEN_BACK,
                value: Some(&json),
            });
        let record = BaseRecord::<[u8], [u8]>::to(&self.outputs.claims)
            .key(given.campaign_id.as_bytes())
            .timestamp(now_in_millis().as_millisecond())
            .headers(headers);
        transaction.send(record)?;
        Ok(json.len())
    }

    /// The partition is that of the campaign: all of its claims have one order.
    fn send_claim(
        &self,
        transaction: &Open,
        key: &str,
        headers: Option<OwnedHeaders>,
    ) -> Result<Written, KafkaError> {
        let mut record = BaseRecord::to(&self.outputs.claims)
            .key(key.as_bytes())
            .payload(&*self.claim)
            .timestamp(now_in_millis().as_millisecond());
        record.headers = headers;
        transaction.send(record)?;
        Ok(Written::Claim(self.claim.len()))
    }

    /// Tells whoever keeps matches, the recorder first, that the customer is forgotten: behind all of their matches so far,
    /// which are in the same partition. Returns its size in bytes.
    pub(super) fn write_erased(
        &self,
        transaction: &Open,
        message: &BorrowedMessage<'_>,
        customer: &str,
    ) -> Result<usize, KafkaError> {
        let source = Source {
            topic: Cow::Borrowed(&self.outputs.events),
            partition: message.partition(),
            offset: message.offset(),
        };
        let source = serde_json::to_string(&source).expect("a place is written without fail");
        let headers = OwnedHeaders::new()
            .insert(Header {
                key: header::CONTROL,
                value: Some(Control::Erase.word()),
            })
            .insert(Header {
                key: header::CONTROL_SOURCE,
                value: Some(&source),
            });
        let record = BaseRecord::<[u8], [u8]>::to(&self.outputs.matches)
            .partition(message.partition())
            .key(customer.as_bytes())
            .timestamp(now_in_millis().as_millisecond())
            .headers(headers);
        transaction.send(record)?;
        Ok(customer.len() + source.len())
    }
}

impl<'a> Won<'a> {
    /// The match that a claim becomes.
    pub(crate) fn of_claim(claim: &'a Claim<'_>, kept: Option<Kept>) -> Self {
        let source = &claim.source;
        Self {
            event_id: &claim.event_id,
            customer_id: &claim.customer_id,
            event_type: &claim.event_type,
            occurred_at: claim.occurred_at,
            campaign_id: &claim.prize.campaign_id,
            campaign_version: claim.prize.campaign_version,
            campaigns_offset: claim.prize.campaigns_offset,
            reward: Cow::Borrowed(&*claim.prize.reward),
            variant: claim.prize.variant.as_deref().map(Cow::Borrowed),
            source: Source {
                topic: Cow::Borrowed(&*source.topic),
                partition: source.partition,
                offset: source.offset,
            },
            kept,
        }
    }
}

fn write_json(claim: &Claim<'_>, out: &mut Vec<u8>) {
    serde_json::to_writer(out, claim).expect("a claim is written to memory without fail");
}

/// The clock in the precision of a record's timestamp, so that a match and its record say the same.
pub(crate) fn now_in_millis() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}
