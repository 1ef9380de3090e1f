//! What became of a match after it was made: that it is confirmed, or what a return has taken back.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use rust_decimal::Decimal;
use schemas::{Amount, GivenBack, MatchStatus};
use serde::Serialize;

use super::{Budgeted, OpenMatch};

/// Something that became of a match after it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequel {
    /// The match as it is then.
    pub won: OpenMatch,
    /// What took it back; none if it is confirmed.
    pub reversal: Option<Reversal>,
}

/// A return has taken back a match, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reversal {
    /// The return.
    pub event_id: Box<str>,
    /// Its type.
    pub event_type: Box<str>,
    /// When it was done.
    pub occurred_at: Timestamp,
    /// Offset of its record.
    pub offset: i64,
    /// How much of the reward's amount it takes back; none if it has none.
    pub amount: Option<Decimal>,
    /// When that was decided, in milliseconds since 1970.
    pub reversed_at: i64,
}

impl Sequel {
    /// What it gives back to the budgets of the campaign; none if it is nothing.
    ///
    /// # Panics
    /// Never: a part of an amount is one.
    pub fn given_back(&self) -> Option<GivenBack<'_>> {
        let Self { won, reversal } = self;
        let reversal = reversal.as_ref()?;
        let Some(Budgeted::Granted { claim, counted }) = &won.budget else {
            return None;
        };
        let amount = reversal.amount.unwrap_or_default();
        Some(GivenBack {
            event_id: Cow::Borrowed(&won.event_id),
            campaign_id: Cow::Borrowed(&won.campaign_id),
            returned_by: Cow::Borrowed(&reversal.event_id),
            claim: *claim,
            counted: Cow::Borrowed(counted),
            amount: Amount::nearest(amount).expect("a part of an amount is one"),
            whole: won.is_reversed,
        })
    }
}

/// What became of a match, for people who try campaigns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    /// The event that won.
    pub event_id: String,
    /// That it is confirmed, or that something was taken back.
    pub status: MatchStatus,
    /// How much was taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
    /// By which event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub returned_by: Option<String>,
    /// How much of the reward is left; none if it has no amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<Amount>,
}

impl Told {
    /// Tells of it.
    pub fn of(sequel: &Sequel) -> Self {
        let Sequel { won, reversal } = sequel;
        let left = won.amount.map(|amount| amount - won.reversed);
        Self {
            event_id: won.event_id.to_string(),
            status: match reversal {
                Some(_) => MatchStatus::Reversed,
                None => MatchStatus::Confirmed,
            },
            amount: (reversal.as_ref()).and_then(|it| Amount::nearest(it.amount?).ok()),
            returned_by: reversal.as_ref().map(|it| it.event_id.to_string()),
            left: left.and_then(|left| Amount::nearest(left).ok()),
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}", self.event_id, self.status.as_str())?;
        if let Some(returned_by) = &self.returned_by {
            write!(f, " by {returned_by}")?;
        }
        if let Some(amount) = self.amount {
            write!(f, ", which takes back {amount}")?;
        }
        match self.left {
            Some(left) => write!(f, "; {left} of it are left"),
            None => Ok(()),
        }
    }
}
