//! A match as a row.

use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Headers as _};
use schemas::Match;
use schemas::names::header;
use scylla::SerializeRow;
use scylla::value::{CqlTimestamp, MaybeUnset};

/// A committed match and the facts of its record: all that its rows are made of.
#[derive(Debug, Clone)]
pub struct MatchRow {
    won: Match<'static>,
    written_at: i64,
    bucket: String,
    traceparent: Option<String>,
    correlation_id: Option<String>,
}

impl MatchRow {
    /// The row of a match that came as this record.
    pub fn new(won: Match<'static>, message: &BorrowedMessage<'_>) -> Self {
        // The matcher gives its records the time of the match. The broker's own time, if the topic is
        // set to it, is as good: the same whenever the record is read.
        let millis = message
            .timestamp()
            .to_millis()
            .unwrap_or_else(|| won.matched_at.as_millisecond());
        Self {
            written_at: millis.saturating_mul(1000),
            bucket: won.occurred_at.strftime("%Y-%m").to_string(),
            traceparent: text(message, header::TRACEPARENT),
            correlation_id: text(message, header::CORRELATION_ID),
            won,
        }
    }

    /// When the matcher decided, in milliseconds since 1970.
    pub fn matched_at_millis(&self) -> i64 {
        self.won.matched_at.as_millisecond()
    }

    pub(super) fn by_event(&self) -> Columns<'_> {
        let won = &self.won;
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
            traceparent: set(self.traceparent.as_deref()),
            correlation_id: set(self.correlation_id.as_deref()),
            written_at: self.written_at,
        }
    }

    pub(super) fn by_customer(&self) -> ColumnsInBucket<'_> {
        ColumnsInBucket {
            bucket: &self.bucket,
            columns: self.by_event(),
        }
    }
}

/// Of a repeated header the last counts.
fn text(message: &BorrowedMessage<'_>, name: &str) -> Option<String> {
    let headers = message.headers()?;
    let header = headers.iter().filter(|header| header.key == name).last()?;
    Some(String::from_utf8_lossy(header.value?).into_owned())
}

/// A null would be a tombstone in the database.
fn set(text: Option<&str>) -> MaybeUnset<&str> {
    text.map_or(MaybeUnset::Unset, MaybeUnset::Set)
}

/// The columns that both tables have, and the write timestamp in microseconds.
#[derive(SerializeRow)]
pub(super) struct Columns<'a> {
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
    written_at: i64,
}

#[derive(SerializeRow)]
pub(super) struct ColumnsInBucket<'a> {
    bucket: &'a str,
    #[scylla(flatten)]
    columns: Columns<'a>,
}
