//! What stands in the logs.

use rust_decimal::Decimal;
use schemas::{Campaign, Claim, GivenBack};

/// A record of a partition of `events`.
pub(crate) enum Incoming {
    Event {
        customer: String,
        json: String,
    },
    /// A control record: the claim was refused.
    Refused {
        customer: String,
        claim: String,
    },
    /// A control record: the claim was granted, and something may become of its match.
    Granted {
        customer: String,
        claim: String,
    },
}

/// A record of `claims`.
pub(crate) enum Asked {
    Claim(Box<Claim<'static>>),
    GiveBack(GivenBack<'static>),
    Reset(String),
}

/// A record of `matches`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) event: String,
    pub(crate) customer: String,
    pub(crate) campaign: String,
    pub(crate) what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Won {
        amount: Decimal,
    },
    Confirmed,
    Reversed {
        by: String,
        amount: Decimal,
        whole: bool,
    },
}

/// What the settler decided, in the order of its log.
pub(crate) enum SettledRecord {
    Reset(String),
    GivenBack(GivenBack<'static>),
    Claim {
        claim: Box<Claim<'static>>,
        /// The campaign as it was then.
        document: Box<Campaign>,
        granted: bool,
    },
}

impl SettledRecord {
    pub(crate) fn is_granted(&self) -> bool {
        matches!(self, Self::Claim { granted: true, .. })
    }

    pub(crate) fn is_refused(&self) -> bool {
        matches!(self, Self::Claim { granted: false, .. })
    }
}
