//! A match as it is read back.

use std::borrow::Cow;
use std::collections::HashMap;

use jiff::Timestamp;
use schemas::{Amount, Match, MatchStatus, Reversal, Source};
use scylla::DeserializeRow;
use scylla::value::CqlTimestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::StoreError;

/// A recorded match: its document, and what its record said beyond it.
#[derive(Debug, Clone, Serialize)]
pub struct StoredMatch {
    /// The match as it stands on `matches`.
    ///
    /// Its status is that of now: `reversed` when all of it is taken back, and what it was before when a part is.
    #[serde(flatten)]
    pub won: Match<'static>,
    /// What took it back, in the order in which it was decided.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reversals: Vec<Reversal<'static>>,
    /// The trace that it belongs to (W3C Trace Context).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// Upstream's own name for the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
}

/// The columns that all tables have.
#[derive(DeserializeRow)]
pub(crate) struct Row {
    event_id: String,
    campaign_id: String,
    match_id: String,
    campaign_version: i64,
    campaigns_offset: i64,
    customer_id: String,
    event_type: String,
    occurred_at: CqlTimestamp,
    matched_at: CqlTimestamp,
    reward: String,
    source_topic: String,
    source_partition: i32,
    source_offset: i64,
    traceparent: Option<String>,
    correlation_id: Option<String>,
    confirm_at: Option<CqlTimestamp>,
    confirmed_at: Option<CqlTimestamp>,
    variant: Option<String>,
    reversals: Option<HashMap<String, String>>,
}

impl TryFrom<Row> for StoredMatch {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let reward = RawValue::from_string(row.reward)
            .map_err(|error| StoreError::Answer(format!("reward of {}: {error}", row.match_id)))?;
        let reversals = row.reversals.unwrap_or_default();
        let reversals: Result<Vec<Reversal<'static>>, _> = reversals
            .values()
            .map(|reversal| serde_json::from_str(reversal))
            .collect();
        let mut reversals = reversals.map_err(|error| {
            StoreError::Answer(format!("a reversal of {}: {error}", row.match_id))
        })?;
        reversals.sort_by(|a, b| {
            let place = |it: &Reversal<'_>| (it.reversed_at, it.source.offset);
            place(a).cmp(&place(b))
        });
        Ok(Self {
            won: Match {
                match_id: Cow::Owned(row.match_id),
                event_id: Cow::Owned(row.event_id),
                campaign_id: Cow::Owned(row.campaign_id),
                campaign_version: u64::try_from(row.campaign_version).unwrap_or(0),
                campaigns_offset: row.campaigns_offset,
                customer_id: Cow::Owned(row.customer_id),
                event_type: Cow::Owned(row.event_type),
                occurred_at: time(row.occurred_at)?,
                matched_at: time(row.matched_at)?,
                reward: Cow::Owned(reward),
                source: Source {
                    topic: Cow::Owned(row.source_topic),
                    partition: row.source_partition,
                    offset: row.source_offset,
                },
                variant: row.variant.map(Cow::Owned),
                status: match () {
                    () if reversals.iter().any(|reversal| reversal.whole) => MatchStatus::Reversed,
                    () if row.confirmed_at.is_some() => MatchStatus::Confirmed,
                    () if row.confirm_at.is_some() => MatchStatus::Pending,
                    () => MatchStatus::Granted,
                },
                confirm_at: row.confirm_at.map(time).transpose()?,
                confirmed_at: row.confirmed_at.map(time).transpose()?,
                reversed_total: total(&reversals),
                reversal: None,
            },
            reversals,
            traceparent: row.traceparent,
            correlation_id: row.correlation_id,
        })
    }
}

/// How much they take back together; none if none has an amount.
fn total(reversals: &[Reversal<'_>]) -> Option<Amount> {
    let amounts = reversals.iter().filter_map(|reversal| reversal.amount);
    let total = amounts
        .map(Amount::decimal)
        .reduce(rust_decimal::Decimal::saturating_add);
    Amount::nearest(total.filter(|total| !total.is_zero())?).ok()
}

fn time(CqlTimestamp(millis): CqlTimestamp) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(millis).map_err(|error| StoreError::Answer(error.to_string()))
}
