//! Writes matches: those that a matcher decides, and those that the settler grants.

use std::borrow::Cow;

use jiff::Timestamp;
use rdkafka::error::KafkaError;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::BaseRecord;
use schemas::{Amount, Encoding, Match, MatchStatus, MatchWriter, Reversal, Source};
use serde_json::value::RawValue;
use service::kafka::transaction::Open;
use state::Sequel;

use super::emit::now_in_millis;

/// What a match says.
pub(crate) struct Won<'a> {
    pub(crate) event_id: &'a str,
    pub(crate) customer_id: &'a str,
    pub(crate) event_type: &'a str,
    pub(crate) occurred_at: Timestamp,
    pub(crate) campaign_id: &'a str,
    pub(crate) campaign_version: u64,
    pub(crate) campaigns_offset: i64,
    pub(crate) reward: Cow<'a, RawValue>,
    pub(crate) variant: Option<Cow<'a, str>>,
    pub(crate) source: Source<'a>,
    /// When it was decided, and when it is confirmed, if something may become of it: as the customer's state has it.
    pub(crate) kept: Option<Kept>,
}

/// What the state of a customer says of a match of which something may become. Milliseconds since 1970.
#[derive(Clone, Copy)]
pub(crate) struct Kept {
    pub(crate) matched_at: i64,
    pub(crate) confirm_at: Option<i64>,
}

/// Matches of one worker, always in the partition of the event: a transaction then touches few partitions, and a customer's
/// matches stay in order. Its buffers serve one record after another.
pub(crate) struct MatchRecords {
    topic: String,
    writer: MatchWriter,
    match_id: String,
    value: Vec<u8>,
}

impl MatchRecords {
    pub(crate) fn new(topic: String, encoding: Encoding) -> Self {
        Self {
            topic,
            writer: MatchWriter::new(encoding),
            match_id: String::new(),
            value: Vec::new(),
        }
    }

    /// The id of the last match.
    pub(crate) fn last_id(&self) -> &str {
        &self.match_id
    }

    /// Writes a match. Returns its size in bytes.
    pub(crate) fn write(
        &mut self,
        transaction: &Open,
        won: Won<'_>,
        headers: Option<OwnedHeaders>,
    ) -> Result<usize, KafkaError> {
        let confirm_at = won.kept.and_then(|kept| kept.confirm_at);
        let matched_at = match won.kept {
            Some(kept) => moment(kept.matched_at),
            None => now_in_millis(),
        };
        self.name(won.event_id, won.campaign_id);
        let partition = won.source.partition;
        let document = Match {
            match_id: Cow::Borrowed(&self.match_id),
            event_id: Cow::Borrowed(won.event_id),
            campaign_id: Cow::Borrowed(won.campaign_id),
            campaign_version: won.campaign_version,
            campaigns_offset: won.campaigns_offset,
            customer_id: Cow::Borrowed(won.customer_id),
            event_type: Cow::Borrowed(won.event_type),
            occurred_at: won.occurred_at,
            matched_at,
            reward: won.reward,
            source: won.source,
            variant: won.variant,
            status: match confirm_at {
                Some(_) => MatchStatus::Pending,
                None => MatchStatus::Granted,
            },
            confirm_at: confirm_at.map(moment),
            confirmed_at: None,
            reversed_total: None,
            reversal: None,
        };
        self.value.clear();
        self.writer.write(&document, &mut self.value);
        self.send(transaction, (partition, won.event_id), matched_at, headers)
    }

    /// Writes what became of a match after it was made: that it is confirmed, or taken back. Returns its size in bytes.
    pub(crate) fn write_sequel(
        &mut self,
        transaction: &Open,
        events: &str,
        (partition, customer_id): (i32, &str),
        sequel: &Sequel,
        headers: Option<OwnedHeaders>,
    ) -> Result<usize, KafkaError> {
        let won = &sequel.won;
        let reversal = sequel.reversal.as_ref();
        self.name(&won.event_id, &won.campaign_id);
        let reward: &RawValue =
            serde_json::from_str(&won.reward).expect("the reward of a match is JSON");
        let source = |offset| Source {
            topic: Cow::Borrowed(events),
            partition,
            offset,
        };
        let decided_at = match reversal {
            Some(reversal) => moment(reversal.reversed_at),
            None => won.confirmed_at.map_or_else(now_in_millis, moment),
        };
        let amount = |decimal| Amount::nearest(decimal).expect("a part of an amount is one");
        let document = Match {
            match_id: Cow::Borrowed(&self.match_id),
            event_id: Cow::Borrowed(&won.event_id),
            campaign_id: Cow::Borrowed(&won.campaign_id),
            campaign_version: won.campaign_version,
            campaigns_offset: won.campaigns_offset,
            customer_id: Cow::Borrowed(customer_id),
            event_type: Cow::Borrowed(&won.event_type),
            occurred_at: won.occurred_at,
            matched_at: moment(won.matched_at),
            reward: Cow::Borrowed(reward),
            source: source(won.offset),
            variant: won.variant.as_deref().map(Cow::Borrowed),
            status: match reversal {
                Some(_) => MatchStatus::Reversed,
                None => MatchStatus::Confirmed,
            },
            confirm_at: won.confirm_at.map(moment),
            confirmed_at: won.confirmed_at.map(moment),
            reversed_total: (!won.reversed.is_zero()).then(|| amount(won.reversed)),
            reversal: reversal.map(|reversal| Reversal {
                reversal_id: Cow::Owned(format!("{}:{}", reversal.event_id, self.match_id)),
                event_id: Cow::Borrowed(&reversal.event_id),
                event_type: Cow::Borrowed(&reversal.event_type),
                occurred_at: reversal.occurred_at,
                amount: reversal.amount.map(amount),
                whole: won.is_reversed,
                reversed_at: decided_at,
                source: source(reversal.offset),
            }),
        };
        self.value.clear();
        self.writer.write(&document, &mut self.value);
        self.send(transaction, (partition, &won.event_id), decided_at, headers)
    }

    /// Makes the match's name.
    fn name(&mut self, event_id: &str, campaign_id: &str) {
        self.match_id.clear();
        for part in [event_id, ":", campaign_id] {
            self.match_id.push_str(part);
        }
    }

    /// Sends the value that was written. Returns its size in bytes.
    fn send(
        &self,
        transaction: &Open,
        (partition, event_id): (i32, &str),
        at: Timestamp,
        headers: Option<OwnedHeaders>,
    ) -> Result<usize, KafkaError> {
        let mut record = BaseRecord::to(&self.topic)
            .partition(partition)
            .key(event_id.as_bytes())
            .payload(&*self.value)
            .timestamp(at.as_millisecond());
        record.headers = headers;
        transaction.send(record)?;
        Ok(self.value.len())
    }
}

/// A time in milliseconds since 1970, as a point in time.
fn moment(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
}
