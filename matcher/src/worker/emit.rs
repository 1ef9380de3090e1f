//! Writes what was decided of one event to the open transaction.

use std::borrow::Cow;
use std::fmt::Write as _;

use jiff::Timestamp;
use rdkafka::Message;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Headers, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use rules::Rule;
use schemas::names::header;
use schemas::{
    Amount, Control, DeadLetterReason, Encoding, Event, Match, MatchStatus, MatchWriter, Reversal,
    Source,
};
use serde_json::value::RawValue;
use service::kafka::transaction::Open;
use state::{DueMatch, Partition, Sequel, Written};

use crate::{dead_letter, trace};

/// Headers that a match takes over from its event.
const CARRIED: [&str; 2] = [header::TRACEPARENT, header::CORRELATION_ID];

/// Above this size a dead letter goes without its value once the broker has refused one as too large.
/// Kafka's own default takes records of about 1 MB; what remains is left to key and headers.
const SURELY_TAKEN: usize = 512 * 1024;

/// Names of the topics written to.
#[derive(Debug, Clone)]
pub(super) struct Outputs {
    pub(super) matches: String,
    pub(super) dead_letters: String,
    pub(super) customer_state: String,
    /// Where events come from.
    pub(super) events: String,
}

/// How dead letters carry their value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Values {
    /// Byte for byte.
    Whole,
    /// Byte for byte up to [`SURELY_TAKEN`]; larger ones stay in the source topic, named by header.
    SmallOnly,
}

/// What a match says of its event.
struct Won<'a> {
    event_id: &'a str,
    customer_id: &'a str,
    event_type: &'a str,
    occurred_at: Timestamp,
    partition: i32,
    offset: i64,
    /// When it was decided, and when it is confirmed, if something may become of it: as the customer's state has it.
    kept: Option<Kept>,
}

/// What the state of a customer says of a match of which something may become. Milliseconds since 1970.
#[derive(Clone, Copy)]
struct Kept {
    matched_at: i64,
    confirm_at: Option<i64>,
}

/// Writes matches, dead letters and the changelog, always to the partition of the event: a transaction then touches
/// few partitions, and a customer's matches stay in order. Its buffers serve one record after another.
pub(super) struct Emitter {
    outputs: Outputs,
    matches: MatchWriter,
    match_id: String,
    value: Vec<u8>,
}

impl Emitter {
    pub(super) fn new(outputs: Outputs, encoding: Encoding) -> Self {
        Self {
            outputs,
            matches: MatchWriter::new(encoding),
            match_id: String::new(),
            value: Vec::new(),
        }
    }

    /// Writes the match of an event and a campaign. Returns its size in bytes.
    pub(super) fn write_match(
        &mut self,
        transaction: &Open,
        message: &BorrowedMessage<'_>,
        (event, decided_at): (&Event<'_>, i64),
        rule: &Rule,
    ) -> Result<usize, KafkaError> {
        let reward = rule
            .reward(event)
            .expect("the engine lets nothing win without a reward");
        let decided = Won {
            event_id: event.event_id,
            customer_id: event.customer_id,
            event_type: event.event_type,
            occurred_at: event.occurred_at,
            partition: message.partition(),
            offset: message.offset(),
            kept: rule
                .history()
                .filter(|it| it.keeps_matches())
                .map(|_| Kept {
                    matched_at: decided_at,
                    confirm_at: state::confirm_at(rule, event.occurred_at.as_millisecond()),
                }),
        };
        let size = self.send_match(transaction, &decided, rule, reward, carried(message))?;
        // The fields are made only when somebody listens.
        tracing::debug!(
            trace_id = traceparent(message).and_then(trace::id),
            match_id = self.match_id,
            "match written, to be committed with its batch"
        );
        Ok(size)
    }

    /// Writes the match of an event whose time to wait is over. Returns its size in bytes.
    pub(super) fn write_due(
        &mut self,
        transaction: &Open,
        partition: i32,
        won: &DueMatch<'_>,
    ) -> Result<usize, KafkaError> {
        let decided = Won {
            event_id: &won.event.event_id,
            customer_id: &won.customer_id,
            event_type: &won.event.event_type,
            occurred_at: won.event.occurred_at,
            partition,
            offset: won.event.offset,
            kept: won.confirm_at.map(|confirm_at| Kept {
                matched_at: won.matched_at,
                confirm_at: Some(confirm_at),
            }),
        };
        let reward = Cow::Borrowed(&*won.reward);
        self.send_match(transaction, &decided, won.rule, reward, None)
    }

    fn send_match(
        &mut self,
        transaction: &Open,
        decided: &Won<'_>,
        rule: &Rule,
        reward: Cow<'_, RawValue>,
        headers: Option<OwnedHeaders>,
    ) -> Result<usize, KafkaError> {
        let confirm_at = decided.kept.and_then(|kept| kept.confirm_at);
        let matched_at = match decided.kept {
            Some(kept) => moment(kept.matched_at),
            None => now_in_millis(),
        };
        self.name(decided.event_id, rule.id().as_str());
        let won = Match {
            match_id: Cow::Borrowed(&self.match_id),
            event_id: Cow::Borrowed(decided.event_id),
            campaign_id: Cow::Borrowed(rule.id().as_str()),
            campaign_version: rule.version(),
            campaigns_offset: rule.offset(),
            customer_id: Cow::Borrowed(decided.customer_id),
            event_type: Cow::Borrowed(decided.event_type),
            occurred_at: decided.occurred_at,
            matched_at,
            reward,
            source: Source {
                topic: Cow::Borrowed(&self.outputs.events),
                partition: decided.partition,
                offset: decided.offset,
            },
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
        self.matches.write(&won, &mut self.value);
        self.send(
            transaction,
            decided.partition,
            decided.event_id,
            matched_at,
            headers,
        )
    }

    /// Writes what became of a match after it was made: that it is confirmed, or taken back. Returns its size in bytes.
    pub(super) fn write_sequel(
        &mut self,
        transaction: &Open,
        (partition, customer_id): (i32, &str),
        sequel: &Sequel,
        message: Option<&BorrowedMessage<'_>>,
    ) -> Result<usize, KafkaError> {
        let won = &sequel.won;
        let reversal = sequel.reversal.as_ref();
        self.name(&won.event_id, &won.campaign_id);
        let reward: &RawValue =
            serde_json::from_str(&won.reward).expect("the reward of a match is JSON");
        let source = |offset| Source {
            topic: Cow::Borrowed(&self.outputs.events),
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
        self.matches.write(&document, &mut self.value);
        let headers = message.and_then(carried);
        self.send(transaction, partition, &won.event_id, decided_at, headers)
    }

    /// Makes the match's name.
    fn name(&mut self, event_id: &str, campaign_id: &str) {
        self.match_id.clear();
        write!(self.match_id, "{event_id}:{campaign_id}").expect("writing to a string cannot fail");
    }

    /// Sends the value that was written. Returns its size in bytes.
    fn send(
        &self,
        transaction: &Open,
        partition: i32,
        event_id: &str,
        at: Timestamp,
        headers: Option<OwnedHeaders>,
    ) -> Result<usize, KafkaError> {
        let mut record = BaseRecord::to(&self.outputs.matches)
            .partition(partition)
            .key(event_id.as_bytes())
            .payload(&*self.value)
            .timestamp(at.as_millisecond());
        record.headers = headers;
        transaction.send(record)?;
        Ok(self.value.len())
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

    /// Writes what the batch has changed of a partition's customers to the changelog: once each, however many of their
    /// events there were.
    pub(super) fn write_state<'p>(
        &self,
        transaction: &Open,
        number: i32,
        partition: &'p mut Partition,
    ) -> Result<Written<'p>, KafkaError> {
        let mut sent = Ok(());
        let written = partition.changes(|change| {
            if sent.is_err() {
                return;
            }
            let mut record = BaseRecord::<[u8], [u8]>::to(&self.outputs.customer_state)
                .partition(number)
                .key(change.key);
            record.payload = change.value;
            // The last of them says how far the changelog is then.
            sent = if change.is_progress() {
                transaction.send_noted(record)
            } else {
                transaction.send(record)
            };
        });
        sent.map(|()| written)
    }

    /// Writes an event that can never be processed: key, value, headers and timestamp as they were,
    /// and the reason in headers of ours. Returns its size in bytes.
    pub(super) fn write_dead_letter(
        &mut self,
        transaction: &Open,
        message: &BorrowedMessage<'_>,
        reason: &DeadLetterReason,
        values: Values,
    ) -> Result<usize, KafkaError> {
        let size = message.payload_len();
        if values == Values::SmallOnly && size > SURELY_TAKEN {
            return self.send_dead_letter(transaction, message, reason, None);
        }
        match self.send_dead_letter(transaction, message, reason, message.payload()) {
            Err(error) if is_too_large(&error) => {
                self.send_dead_letter(transaction, message, reason, None)
            }
            result => result,
        }
    }

    fn send_dead_letter(
        &self,
        transaction: &Open,
        message: &BorrowedMessage<'_>,
        reason: &DeadLetterReason,
        value: Option<&[u8]>,
    ) -> Result<usize, KafkaError> {
        let mut record = BaseRecord::<[u8], [u8]>::to(&self.outputs.dead_letters)
            .partition(message.partition())
            .headers(dead_letter::headers(message, reason, value));
        record.key = message.key();
        record.payload = value;
        record.timestamp = message.timestamp().to_millis();
        transaction.send(record)?;
        Ok(message.key_len() + value.map_or(0, <[u8]>::len))
    }
}

/// The clock in the precision of a record's timestamp, so that a match and its record say the same.
fn now_in_millis() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

/// A time in milliseconds since 1970, as a point in time.
fn moment(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
}

fn carried(message: &BorrowedMessage<'_>) -> Option<OwnedHeaders> {
    let headers = message.headers()?;
    let mut carried: Option<OwnedHeaders> = None;
    for header in headers.iter() {
        if CARRIED.contains(&header.key) {
            let so_far = carried.unwrap_or_default();
            carried = Some(so_far.insert(header));
        }
    }
    carried
}

/// Of a repeated header the last counts.
fn traceparent<'m>(message: &'m BorrowedMessage<'_>) -> Option<&'m str> {
    let headers = message.headers()?;
    let found = headers.iter().filter(|it| it.key == header::TRACEPARENT);
    std::str::from_utf8(found.last()?.value?).ok()
}

fn is_too_large(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge)
}
