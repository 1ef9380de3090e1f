//! What matchers and the settler say to each other of claims whose matches are held, or may be taken back.
//!
//! A matcher claims, and says that something may become of the match. The settler writes the match and says back what it has
//! counted. A return that takes the match back says what of that is free again.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Amount;

/// What may become of the match of a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimKept {
    /// When it is confirmed; none if it is not held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_at: Option<Timestamp>,
    /// Whether what takes it back gives it back to the budgets.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restores: bool,
}

/// What the settler says of a claim that it granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Offset of the claim in its partition of `claims`.
    pub claim: i64,
    /// When it was granted; the `matched_at` of the match.
    pub granted_at: Timestamp,
    /// Where it counts, if that may be given back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counted: Vec<Counted>,
}

/// Where a claim counts: one budget of its campaign, as it was when the claim was granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Names what the budget counts.
    pub identity: u64,
    /// The field by which it is split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Box<str>>,
    /// The value of it that the event has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Box<str>>,
    /// When its day, week or month began, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<i64>,
}

/// What a return gives back to the budgets of a campaign. Stands in the header
/// [`CONTROL_GIVEN_BACK`](crate::names::header::CONTROL_GIVEN_BACK) of a record of `claims` without a value, whose key is the
/// campaign's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenBack<'a> {
    /// The event whose match was taken back.
    pub event_id: Cow<'a, str>,
    /// The campaign that it had won.
    pub campaign_id: Cow<'a, str>,
    /// The event that took it back.
    pub returned_by: Cow<'a, str>,
    /// Offset of its claim in the same partition.
    pub claim: i64,
    /// Where that counts.
    pub counted: Cow<'a, [Counted]>,
    /// How much of the reward was taken back; 0 if it has no amount.
    pub amount: Amount,
    /// Whether nothing is left of it, so that it counts no more.
    pub whole: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_reads_as_it_was_written() {
        let counted = [Counted {
            identity: u64::MAX,
            by: Some("payload.store".into()),
            value: None,
            period: Some(-86_400_000),
        }];
        let given = GivenBack {
            event_id: "e-1".into(),
            campaign_id: "ten".into(),
            returned_by: "r-1".into(),
            claim: 41,
            counted: Cow::Borrowed(&counted),
            amount: Amount::parse("3.33").unwrap(),
            whole: false,
        };
        let json = serde_json::to_string(&given).unwrap();
        insta::assert_snapshot!(json);
        let read: GivenBack<'static> = serde_json::from_str(&json).unwrap();
        assert_eq!(read, given);
    }
}
