//! Matches: what reward services consume and the recorder stores.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// One event won one campaign. The value of a record of `matches`; its key is the `event_id`.
///
/// Borrowed when the matcher writes it, owned when it is read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Match<'a> {
    /// `event_id:campaign_id`; pay each at most once.
    pub match_id: Cow<'a, str>,
    /// The event that won.
    pub event_id: Cow<'a, str>,
    /// The campaign it won.
    pub campaign_id: Cow<'a, str>,
    /// The version of the campaign that the event met.
    pub campaign_version: u64,
    /// Offset in `campaigns` of the record that the event met: tells apart documents that carry
    /// the same version.
    pub campaigns_offset: i64,
    /// Whose event it was.
    pub customer_id: Cow<'a, str>,
    /// The type of the event.
    pub event_type: Cow<'a, str>,
    /// When the event was done.
    pub occurred_at: Timestamp,
    /// When the matcher decided. Also the timestamp of the record, in milliseconds.
    pub matched_at: Timestamp,
    /// The campaign's reward as written, amounts as decimal strings.
    pub reward: Cow<'a, RawValue>,
    /// The record that carried the event.
    pub source: Source<'a>,
}

/// The place of an event in its topic. With the campaign it names a decision, so that any auditor
/// can prove that nothing was decided twice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Source<'a> {
    /// Name of the topic.
    pub topic: Cow<'a, str>,
    /// Partition of the record.
    pub partition: i32,
    /// Offset of the record.
    pub offset: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_match_reads_as_it_was_written() {
        let reward = RawValue::from_string(r#"{"kind":"credit","amount":"10.00"}"#.into()).unwrap();
        let written = Match {
            match_id: "e-1:ten".into(),
            event_id: "e-1".into(),
            campaign_id: "ten".into(),
            campaign_version: 3,
            campaigns_offset: 41,
            customer_id: "c-1".into(),
            event_type: "purchase".into(),
            occurred_at: "2026-11-24T09:30:00Z".parse().unwrap(),
            matched_at: "2026-11-24T09:30:00.005Z".parse().unwrap(),
            reward: Cow::Borrowed(&reward),
            source: Source {
                topic: "events".into(),
                partition: 2,
                offset: 17,
            },
        };
        let json = serde_json::to_string(&written).unwrap();
        insta::assert_snapshot!(json);
        let read: Match<'static> = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), json);
    }
}
