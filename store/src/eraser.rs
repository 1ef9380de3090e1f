//! Deletes the rows of a customer who is to be forgotten.

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use schemas::Source;
use scylla::DeserializeRow;
use scylla::client::session::Session;
use scylla::statement::Consistency;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::CqlTimestamp;

use crate::bucket::{self, Bucket};
use crate::{StoreError, prepare};

/// Rows and months under way at a time.
const CONCURRENCY: usize = 16;

/// Events may be ahead of their records; nobody lets them be so far ahead.
const AHEAD_MS: i64 = 2 * 366 * DAY_MS;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Clocks of two matchers are not so far apart; a topic that was made anew is older than that.
const APART_MS: i64 = DAY_MS;

/// A customer who is to be forgotten, and since when.
#[derive(Debug, Clone)]
pub struct Erasure {
    /// Who.
    pub customer_id: String,
    /// The record that asked for it. Matches of events before it go.
    pub source: Source<'static>,
    /// When the matcher forgot them, in milliseconds since 1970.
    pub at: i64,
}

/// The statements, prepared.
pub(crate) struct Eraser {
    month: PreparedStatement,
    by_event: PreparedStatement,
    by_customer: PreparedStatement,
    by_campaign: PreparedStatement,
}

/// What a row is found by in the three tables, and where its event came from.
#[derive(Debug, Clone, DeserializeRow)]
struct Row {
    event_id: String,
    campaign_id: String,
    occurred_at: CqlTimestamp,
    matched_at: CqlTimestamp,
    source_topic: String,
    source_partition: i32,
    source_offset: i64,
    /// In microseconds; every column of a row has the same.
    written_at: i64,
}

impl Eraser {
    /// Prepares.
    pub(crate) async fn prepare(session: &Session, keyspace: &str) -> Result<Self, StoreError> {
        let month = format!(
            "SELECT event_id, campaign_id, occurred_at, matched_at, source_topic, source_partition, \
             source_offset, WRITETIME(match_id) AS written_at FROM {keyspace}.matches_by_customer \
             WHERE customer_id = ? AND bucket = ?"
        );
        let delete = async |table: &str, key: &str| {
            let statement = format!("DELETE FROM {keyspace}.{table} USING TIMESTAMP ? WHERE {key}");
            prepare(session, &statement, Consistency::LocalQuorum).await
        };
        let customer = "customer_id = ? AND bucket = ? AND occurred_at = ? AND event_id = ? \
                        AND campaign_id = ?";
        let campaign = "campaign_id = ? AND bucket = ? AND shard = ? AND occurred_at = ? \
                        AND event_id = ?";
        Ok(Self {
            month: prepare(session, &month, Consistency::LocalQuorum).await?,
            by_event: delete("matches", "event_id = ? AND campaign_id = ?").await?,
            by_customer: delete("matches_by_customer", customer).await?,
            by_campaign: delete("matches_by_campaign", campaign).await?,
        })
    }

    /// Deletes the rows of a customer's matches of before. Returns how many there were.
    ///
    /// Every month since 1970 is looked into, for an event may be of any time: some 700 questions, nearly all of which
    /// find no partition.
    pub(crate) async fn erase(
        &self,
        session: &Session,
        erasure: &Erasure,
    ) -> Result<u64, StoreError> {
        let months = stream::iter(months(erasure.at)).map(Ok);
        months
            .map_ok(|month| self.erase_month(session, erasure, month))
            .try_buffer_unordered(CONCURRENCY)
            .try_fold(0, |all, rows| async move { Ok(all + rows) })
            .await
    }

    async fn erase_month(
        &self,
        session: &Session,
        erasure: &Erasure,
        month: String,
    ) -> Result<u64, StoreError> {
        let answer = session
            .execute_unpaged(&self.month, (&erasure.customer_id, &month))
            .await?
            .into_rows_result()
            .map_err(|error| StoreError::Answer(error.to_string()))?;
        let rows = answer
            .rows::<Row>()
            .map_err(|error| StoreError::Answer(error.to_string()))?;
        let rows: Result<Vec<Row>, _> = rows.collect();
        let mut rows = rows.map_err(|error| StoreError::Answer(error.to_string()))?;
        rows.retain(|row| row.is_before(erasure));
        let count = rows.len() as u64;
        stream::iter(rows.into_iter().map(Ok))
            .try_for_each_concurrent(CONCURRENCY, |row| {
                self.delete(session, (&erasure.customer_id, &month), row)
            })
            .await?;
        Ok(count)
    }

    async fn delete(
        &self,
        session: &Session,
        (customer_id, month): (&str, &str),
        row: Row,
    ) -> Result<(), StoreError> {
        let Row {
            event_id,
            campaign_id,
            occurred_at,
            written_at,
            ..
        } = &row;
        let shard = bucket::shard(event_id);
        let hour = Timestamp::from_millisecond(occurred_at.0)
            .map_err(|error| StoreError::Answer(error.to_string()))?;
        let hour = Bucket::Hour.name(hour);
        let by_event = (written_at, event_id, campaign_id);
        let by_campaign = (written_at, campaign_id, hour, shard, occurred_at, event_id);
        futures::try_join!(
            session.execute_unpaged(&self.by_event, by_event),
            session.execute_unpaged(&self.by_campaign, by_campaign),
        )?;
        // Last, for it is what the others are found by.
        let by_customer = (
            written_at,
            customer_id,
            month,
            occurred_at,
            event_id,
            campaign_id,
        );
        session
            .execute_unpaged(&self.by_customer, by_customer)
            .await?;
        Ok(())
    }
}

impl Row {
    /// Whether the match was there before the customer was forgotten. Where both have their place in the same log, that
    /// decides; else the clocks do.
    fn is_before(&self, erasure: &Erasure) -> bool {
        let CqlTimestamp(matched_at) = self.matched_at;
        let source = &erasure.source;
        if self.source_topic != source.topic || self.source_partition != source.partition {
            return matched_at < erasure.at;
        }
        self.source_offset < source.offset || matched_at < erasure.at.saturating_sub(APART_MS)
    }
}

/// The names of all months from 1970 until an event of that time can be.
fn months(at: i64) -> Vec<String> {
    let mut months = Vec::new();
    let last = Timestamp::from_millisecond(at.saturating_add(AHEAD_MS)).ok();
    let mut moment = last.filter(|last| *last >= Timestamp::UNIX_EPOCH);
    while let Some(within) = moment {
        months.push(Bucket::Month.name(within));
        let before = Bucket::Month.last_before(within);
        moment = before.filter(|before| *before >= Timestamp::UNIX_EPOCH);
    }
    months
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_month_that_an_event_can_be_of_is_looked_into() {
        let at: Timestamp = "2026-11-24T09:30:00Z".parse().unwrap();
        let months = months(at.as_millisecond());
        assert_eq!(months.first().map(String::as_str), Some("2028-11"));
        assert_eq!(months.last().map(String::as_str), Some("1970-01"));
        assert_eq!(months.len(), 58 * 12 + 11);
    }

    #[test]
    fn what_was_won_before_is_told_by_its_place_in_the_log_and_elsewhere_by_the_clock() {
        let at = 1_800_000_000_000;
        let erasure = Erasure {
            customer_id: "c-1".to_owned(),
            source: Source {
                topic: "events".into(),
                partition: 3,
                offset: 100,
            },
            at,
        };
        let is_before = |(topic, partition, offset): (&str, i32, i64), matched_at| {
            let row = Row {
                event_id: "e-1".to_owned(),
                campaign_id: "ten".to_owned(),
                occurred_at: CqlTimestamp(0),
                matched_at: CqlTimestamp(matched_at),
                source_topic: topic.to_owned(),
                source_partition: partition,
                source_offset: offset,
                written_at: 0,
            };
            row.is_before(&erasure)
        };
        // A clock that is ahead or behind decides nothing.
        assert!(is_before(("events", 3, 99), at + 60_000));
        assert!(!is_before(("events", 3, 101), at - 60_000));
        // A topic that was made anew begins at 0 again.
        assert!(is_before(("events", 3, 5_000), at - 2 * DAY_MS));
        assert!(is_before(("events", 7, 5_000), at - 1));
        assert!(!is_before(("events", 7, 5), at));
        assert!(is_before(("older", 3, 5_000), at - 1));
    }
}
