//! Matches: what reward services consume and the recorder stores.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::Amount;

/// One event won one campaign. The value of a record of `matches`; its key is the `event_id`.
///
/// Borrowed when the matcher writes it, owned when it is read.
///
/// A match of a campaign with `hold` or `reverse_on` may have further records, each with all of the match, in its order
/// in one partition: it is `confirmed`, or some of it or all is `reversed`. At any time what is owed of it is its reward less
/// [`reversed_total`](Self::reversed_total), and it is owed once it is `granted` or `confirmed`.
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
    /// When the matcher decided that it won. Also the timestamp of the match's first record, in milliseconds.
    pub matched_at: Timestamp,
    /// The campaign's reward as written, amounts as decimal strings.
    pub reward: Cow<'a, RawValue>,
    /// The record that carried the event.
    pub source: Source<'a>,
    /// Which of the campaign's variants the customer has drawn; none if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<Cow<'a, str>>,
    /// What this record says of the match.
    #[serde(default, skip_serializing_if = "MatchStatus::is_granted")]
    pub status: MatchStatus,
    /// When a match that was held is confirmed, unless all of it is taken back before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_at: Option<Timestamp>,
    /// When the matcher confirmed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<Timestamp>,
    /// How much of the reward's amount was taken back so far, by this record too; none if nothing was, or the reward has no
    /// amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reversed_total: Option<Amount>,
    /// What takes it back: of records that are `reversed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reversal: Option<Reversal<'a>>,
}

/// What a record says of a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MatchStatus {
    /// It is won and owed. Documents leave it out.
    #[default]
    Granted,
    /// It is won, and held: not owed before it is confirmed.
    Pending,
    /// The time that it was held is over: what was not taken back is owed.
    Confirmed,
    /// Some of it or all is taken back.
    Reversed,
}

/// A return takes back a match, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reversal<'a> {
    /// `event_id:match_id`, with the event of the return; carry each out at most once.
    pub reversal_id: Cow<'a, str>,
    /// The return.
    pub event_id: Cow<'a, str>,
    /// Its type.
    pub event_type: Cow<'a, str>,
    /// When it was done.
    pub occurred_at: Timestamp,
    /// How much of the reward's amount it takes back; none if the reward has no amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
    /// Whether nothing is left of the reward.
    pub whole: bool,
    /// When the matcher decided.
    pub reversed_at: Timestamp,
    /// The record that carried the return.
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

impl MatchStatus {
    /// The word used in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Reversed => "reversed",
        }
    }

    /// The status of that word; none if this release has no such status.
    pub fn of(word: &str) -> Option<Self> {
        let all = [
            Self::Granted,
            Self::Pending,
            Self::Confirmed,
            Self::Reversed,
        ];
        all.into_iter().find(|status| status.as_str() == word)
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(crate) const fn is_granted(&self) -> bool {
        matches!(self, Self::Granted)
    }
}

impl Match<'_> {
    /// Whether it is the first record of its match, that says that it is won.
    pub fn is_first(&self) -> bool {
        matches!(self.status, MatchStatus::Granted | MatchStatus::Pending)
    }
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
            variant: None,
            status: MatchStatus::Granted,
            confirm_at: None,
            confirmed_at: None,
            reversed_total: None,
            reversal: None,
        };
        let json = serde_json::to_string(&written).unwrap();
        insta::assert_snapshot!(json);
        let read: Match<'static> = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), json);
    }
}
