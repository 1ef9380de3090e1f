//! Claims: what an event wins of a campaign whose budget all customers share, before the settler has decided.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::across::Budget;
use crate::{Amount, ClaimKept, Grant, Source, pool};

/// One event would win one campaign, if the campaign's budget leaves room. The value of a record of `claims`; its key is
/// [`Prize::key`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claim<'a> {
    /// The event.
    pub event_id: Cow<'a, str>,
    /// Whose event it was.
    pub customer_id: Cow<'a, str>,
    /// The type of the event.
    pub event_type: Cow<'a, str>,
    /// When the event was done.
    pub occurred_at: Timestamp,
    /// When it counts for limits: with the event, or when the time was over that it had to wait.
    pub counts_at: Timestamp,
    /// The record that carried the event.
    pub source: Source<'a>,
    /// What it would win.
    pub prize: Prize<'a>,
    /// Identities of the limits of the customer that it has taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken: Vec<u64>,
    /// The groups that are asked when it is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<ClaimGroup<'a>>,
    /// What the event would win instead: campaigns that a full group alone kept from winning, the best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<Prize<'a>>,
    /// What may become of its match, if it is granted; none if that is final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<ClaimKept>,
    /// That it was, on its way back to the matcher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted: Option<Grant>,
}

impl Claim<'_> {
    /// The same, on its own.
    pub fn into_owned(self) -> Claim<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Claim {
            event_id: own(self.event_id),
            customer_id: own(self.customer_id),
            event_type: own(self.event_type),
            occurred_at: self.occurred_at,
            counts_at: self.counts_at,
            source: Source {
                topic: own(self.source.topic),
                partition: self.source.partition,
                offset: self.source.offset,
            },
            prize: self.prize.into_owned(),
            taken: self.taken,
            groups: self
                .groups
                .into_iter()
                .map(ClaimGroup::into_owned)
                .collect(),
            next: self.next.into_iter().map(Prize::into_owned).collect(),
            kept: self.kept,
            granted: self.granted,
        }
    }
}

impl Prize<'_> {
    fn into_owned(self) -> Prize<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Prize {
            campaign_id: own(self.campaign_id),
            campaign_version: self.campaign_version,
            campaigns_offset: self.campaigns_offset,
            reward: Cow::Owned(self.reward.into_owned()),
            amount: self.amount,
            variant: self.variant.map(own),
            by: self
                .by
                .into_iter()
                .map(|(field, value)| (own(field), own(value)))
                .collect(),
            pool: self.pool.map(own),
        }
    }
}

impl ClaimGroup<'_> {
    fn into_owned(self) -> ClaimGroup<'static> {
        ClaimGroup {
            name: Cow::Owned(self.name.into_owned()),
            won: self.won,
            own: self.own,
        }
    }
}

/// What an event would win of a campaign.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Prize<'a> {
    /// The campaign.
    pub campaign_id: Cow<'a, str>,
    /// The version of it that the event met.
    pub campaign_version: u64,
    /// Offset in `campaigns` of that version.
    pub campaigns_offset: i64,
    /// The reward as a match has it.
    pub reward: Cow<'a, RawValue>,
    /// Its amount; 0 if it has none.
    pub amount: Amount,
    /// Which of the campaign's variants the customer has drawn; none if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<Cow<'a, str>>,
    /// The value of each field by which the campaign's budgets are split; one that the event does not have is absent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub by: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    /// The pool of which it would be a code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<Cow<'a, str>>,
}

impl Prize<'_> {
    /// The key of its claim: all claims of a campaign, or of a pool, are in one partition.
    pub fn key(&self) -> Cow<'_, str> {
        match &self.pool {
            None => Cow::Borrowed(&self.campaign_id),
            Some(pool) => Cow::Owned(pool::key(pool)),
        }
    }
}

/// A group of campaigns, as it was when the event was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimGroup<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// How many of its campaigns the event has won, those that were claimed included.
    pub won: u32,
    /// Whether the campaign that was claimed is one of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own: bool,
}

/// What an event would have won and did not: a claim that became no match, or what was kept from a customer who is held out. The
/// value of a record of `refusals`; its key is the `event_id`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refusal<'a> {
    /// The match that there is none of.
    pub match_id: Cow<'a, str>,
    /// The event.
    pub event_id: Cow<'a, str>,
    /// The campaign that it did not win.
    pub campaign_id: Cow<'a, str>,
    /// The version of it that the event met.
    pub campaign_version: u64,
    /// Offset in `campaigns` of that version.
    pub campaigns_offset: i64,
    /// Whose event it was.
    pub customer_id: Cow<'a, str>,
    /// The type of the event.
    pub event_type: Cow<'a, str>,
    /// When the event was done.
    pub occurred_at: Timestamp,
    /// When the settler decided, or the matcher. Also the timestamp of the record, in milliseconds.
    pub refused_at: Timestamp,
    /// Why.
    pub reason: RefusalReason,
    /// The first limit that left no room, as it was then; with [`RefusalReason::BudgetUsedUp`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Cow<'a, Budget>>,
    /// The reward that was not given.
    pub reward: Cow<'a, RawValue>,
    /// The variant of the campaign that it is of; none if the campaign has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<Cow<'a, str>>,
    /// The record that carried the event.
    pub source: Source<'a>,
}

/// Why an event did not win.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RefusalReason {
    /// A limit of `limits.total` leaves no room for it.
    BudgetUsedUp,
    /// The campaign was deleted, or has ended and has no budget any more.
    CampaignGone,
    /// The pool has no code left.
    PoolEmpty,
    /// It is of a time of which no budget is kept any more.
    TooLate,
    /// The customer is in the campaign's holdout. There was no claim.
    HeldOut,
}

impl RefusalReason {
    /// The word used in documents and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BudgetUsedUp => "budget_used_up",
            Self::CampaignGone => "campaign_gone",
            Self::PoolEmpty => "pool_empty",
            Self::TooLate => "too_late",
            Self::HeldOut => "held_out",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_reads_as_it_was_written() {
        let reward = || {
            let json = r#"{"kind":"credit","amount":"10.00"}"#;
            Cow::Owned(RawValue::from_string(json.into()).unwrap())
        };
        let prize = |id: &'static str| Prize {
            campaign_id: id.into(),
            campaign_version: 3,
            campaigns_offset: 41,
            reward: reward(),
            amount: Amount::parse("10.00").unwrap(),
            variant: None,
            by: BTreeMap::new(),
            pool: None,
        };
        let mut claim = Claim {
            event_id: "e-1".into(),
            customer_id: "c-1".into(),
            event_type: "purchase".into(),
            occurred_at: "2026-11-24T09:30:00Z".parse().unwrap(),
            counts_at: "2026-11-24T09:30:00Z".parse().unwrap(),
            source: Source {
                topic: "events".into(),
                partition: 2,
                offset: 17,
            },
            prize: prize("ten"),
            taken: vec![u64::MAX],
            groups: vec![ClaimGroup {
                name: "checkout".into(),
                won: 1,
                own: true,
            }],
            next: vec![prize("eleven")],
            kept: None,
            granted: None,
        };
        (claim.prize.by).insert("payload.store".into(), "madrid".into());
        let json = serde_json::to_string(&claim).unwrap();
        insta::assert_snapshot!(json);
        let read: Claim<'static> = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), json);
    }
}
