//! Writes matches: those that a matcher decides, and those that the settler grants.

use std::borrow::Cow;
use std::fmt::Write as _;

use jiff::Timestamp;
use rdkafka::error::KafkaError;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::BaseRecord;
use schemas::{Encoding, Match, MatchWriter, Source};
use serde_json::value::RawValue;
use service::kafka::transaction::Open;

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
    pub(crate) source: Source<'a>,
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
        let matched_at = now_in_millis();
        self.match_id.clear();
        write!(self.match_id, "{}:{}", won.event_id, won.campaign_id)
            .expect("writing to a string cannot fail");
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
        };
        self.value.clear();
        self.writer.write(&document, &mut self.value);
        let mut record = BaseRecord::to(&self.topic)
            .partition(partition)
            .key(won.event_id.as_bytes())
            .payload(&*self.value)
            .timestamp(matched_at.as_millisecond());
        record.headers = headers;
        transaction.send(record)?;
        Ok(self.value.len())
    }
}
