//! A match as a row.

use jiff::Timestamp;
use schemas::Match;
use scylla::SerializeRow;
use scylla::value::{CqlTimestamp, MaybeUnset};

use crate::bucket::{self, Bucket};

/// What the record of a match says beyond its document.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    /// The timestamp of the record, in milliseconds since 1970.
    pub timestamp: Option<i64>,
    /// Its trace (W3C Trace Context).
    pub traceparent: Option<String>,
    /// Upstream's own name for the request.
    pub correlation_id: Option<String>,
}

/// A committed match and the facts of its record: all that its rows are made of.
#[derive(Debug, Clone)]
pub struct MatchRow {
    won: Match<'static>,
    written_at: i64,
    month: String,
    hour: String,
    shard: i32,
    /// Its id and its document.
    reversal: Option<(String, String)>,
    traceparent: Option<String>,
    correlation_id: Option<String>,
}

impl MatchRow {
    /// The row of a match that came as this record.
    ///
    /// # Panics
    /// Never: a reversal is written without fail.
    pub fn new(won: Match<'static>, recorded: Recorded) -> Self {
        // The matcher gives its records the time of the match. The broker's own time, if the topic is
        // set to it, is as good: the same whenever the record is read. What becomes of a match has the match's own time, which
        // is not after its record: what deletes the row deletes it, too.
        let millis = recorded
            .timestamp
            .filter(|_| won.is_first())
            .unwrap_or_else(|| won.matched_at.as_millisecond());
        // The database keeps milliseconds, and a row is looked for by what it keeps.
        let occurred_at = Timestamp::from_millisecond(won.occurred_at.as_millisecond());
        let occurred_at = occurred_at.unwrap_or(won.occurred_at);
        Self {
            written_at: millis.saturating_mul(1000),
            month: Bucket::Month.name(occurred_at),
            hour: Bucket::Hour.name(occurred_at),
            shard: bucket::shard(&won.event_id),
            reversal: won.reversal.as_ref().map(|reversal| {
                let text = serde_json::to_string(reversal);
                let text = text.expect("a reversal is written without fail");
                (reversal.reversal_id.to_string(), text)
            }),
            traceparent: recorded.traceparent,
            correlation_id: recorded.correlation_id,
            won,
        }
    }

    /// The match's name.
    pub fn match_id(&self) -> &str {
        &self.won.match_id
    }

    /// The trace of its record (W3C Trace Context).
    pub fn traceparent(&self) -> Option<&str> {
        self.traceparent.as_deref()
    }

    /// When the matcher decided what the record says, in milliseconds since 1970.
    pub fn decided_at_millis(&self) -> i64 {
        let won = &self.won;
        let reversed_at = won.reversal.as_ref().map(|reversal| reversal.reversed_at);
        let decided_at = reversed_at.or(won.confirmed_at).unwrap_or(won.matched_at);
        decided_at.as_millisecond()
    }

    /// What took it back, if that is what the record says.
    pub(crate) fn reversal(&self) -> Option<Reversed<'_>> {
        let (id, text) = self.reversal.as_ref()?;
        Some(Reversed {
            reversal_id: id,
            reversal: text,
            bucket: (&self.month, &self.hour),
            shard: self.shard,
            occurred_at: time(self.won.occurred_at),
            event_id: &self.won.event_id,
            campaign_id: &self.won.campaign_id,
            customer_id: &self.won.customer_id,
            written_at: self.written_at,
        })
    }

    pub(crate) fn by_event(&self) -> Columns<'_> {
        let won = &self.won;
        // Of a return these are the return's.
        let first = won.is_first();
        Columns {
            match_id: &won.match_id,
            event_id: &won.event_id,
            campaign_id: &won.campaign_id,
            campaign_version: i64::try_from(won.campaign_version).unwrap_or(i64::MAX),
            campaigns_offset: won.campaigns_offset,
            customer_id: &won.customer_id,
            event_type: &won.event_type,
            occurred_at: CqlTimestamp(won.occurred_at.as_millisecond()),
            matched_at: CqlTimestamp(won.matched_at.as_millisecond()),
            reward: won.reward.get(),
            source_topic: &won.source.topic,
            source_partition: won.source.partition,
            source_offset: won.source.offset,
            traceparent: set(first.then_some(self.traceparent.as_deref()).flatten()),
            correlation_id: set(first.then_some(self.correlation_id.as_deref()).flatten()),
            confirm_at: set(won.confirm_at.map(time)),
            confirmed_at: set(won.confirmed_at.map(time)),
            variant: set(won.variant.as_deref()),
            written_at: self.written_at,
        }
    }

    pub(crate) fn by_customer(&self) -> ColumnsInMonth<'_> {
        ColumnsInMonth {
            bucket: &self.month,
            columns: self.by_event(),
        }
    }

    pub(crate) fn by_campaign(&self) -> ColumnsInShard<'_> {
        ColumnsInShard {
            bucket: &self.hour,
            shard: self.shard,
            columns: self.by_event(),
        }
    }
}

/// A null would be a tombstone in the database.
fn set<T>(value: Option<T>) -> MaybeUnset<T> {
    value.map_or(MaybeUnset::Unset, MaybeUnset::Set)
}

fn time(moment: Timestamp) -> CqlTimestamp {
    CqlTimestamp(moment.as_millisecond())
}

/// A return, and what the row of its match is found by.
pub(crate) struct Reversed<'a> {
    pub(crate) reversal_id: &'a str,
    pub(crate) reversal: &'a str,
    /// Of the customer, and of the campaign.
    pub(crate) bucket: (&'a str, &'a str),
    pub(crate) shard: i32,
    pub(crate) occurred_at: CqlTimestamp,
    pub(crate) event_id: &'a str,
    pub(crate) campaign_id: &'a str,
    pub(crate) customer_id: &'a str,
    pub(crate) written_at: i64,
}

/// The columns that all tables have, and the write timestamp in microseconds.
#[derive(SerializeRow)]
pub(crate) struct Columns<'a> {
    match_id: &'a str,
    event_id: &'a str,
    campaign_id: &'a str,
    campaign_version: i64,
    campaigns_offset: i64,
    customer_id: &'a str,
    event_type: &'a str,
    occurred_at: CqlTimestamp,
    matched_at: CqlTimestamp,
    reward: &'a str,
    source_topic: &'a str,
    source_partition: i32,
    source_offset: i64,
    traceparent: MaybeUnset<&'a str>,
    correlation_id: MaybeUnset<&'a str>,
    confirm_at: MaybeUnset<CqlTimestamp>,
    confirmed_at: MaybeUnset<CqlTimestamp>,
    variant: MaybeUnset<&'a str>,
    written_at: i64,
}

#[derive(SerializeRow)]
pub(crate) struct ColumnsInMonth<'a> {
    bucket: &'a str,
    #[scylla(flatten)]
    columns: Columns<'a>,
}

#[derive(SerializeRow)]
pub(crate) struct ColumnsInShard<'a> {
    bucket: &'a str,
    shard: i32,
    #[scylla(flatten)]
    columns: Columns<'a>,
}
