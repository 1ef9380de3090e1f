//! What is asked for, and what comes of it.

use std::sync::Arc;

use jiff::Timestamp;
use rules::CampaignProblem;
use schemas::breaker::Tripped;
use schemas::{Campaign, CampaignId, Status};
use serde_json::Value;

/// A change of one campaign, as somebody asks for it.
#[derive(Debug, Clone)]
pub struct Change {
    /// Which campaign.
    pub campaign: CampaignId,
    /// What to do.
    pub operation: Operation,
    /// What must be true before.
    pub precondition: Precondition,
    /// Who asks, as their authentication names them.
    pub actor: Arc<str>,
    /// Why, in their words.
    pub reason: Option<Box<str>>,
    /// The trace that it belongs to; carried by its records.
    pub traceparent: Option<String>,
}

/// What to do with a campaign.
#[derive(Debug, Clone)]
pub enum Operation {
    /// Make it be this document, whatever it was; its version is not looked at.
    Put(Box<Campaign>),
    /// Merge this into it (RFC 7396).
    Merge(Value),
    /// Turn it to another state.
    Turn(Turn),
    /// Pause it, for it is past its breaker.
    Trip(Box<Tripped>),
    /// Remove it.
    Delete,
}

/// A turn to another state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Stop an active one for a while.
    Pause,
    /// Make one live that is paused, or a draft.
    Resume,
    /// End it and keep it.
    Archive,
}

/// What must be true of a campaign before it is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing.
    None,
    /// There must be no such campaign (`If-None-Match: *`).
    Absent,
    /// There must be one (`If-Match: *`).
    Present,
    /// It must be in one of these states (`If-Match` with tags).
    Tags(Vec<String>),
}

/// What came of a change.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The campaign is so now.
    Stored {
        /// The document.
        campaign: Arc<Campaign>,
        /// What tells this state from others.
        tag: String,
        /// When it was written.
        written_at: Timestamp,
        /// Whether it was not there before.
        created: bool,
    },
    /// The campaign is gone.
    Deleted,
}

/// Why a change was not made: it does not fit what is there.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// There is such a campaign.
    Exists {
        /// Its state.
        tag: String,
    },
    /// There is no such campaign.
    Missing,
    /// The campaign is in another state than whoever asks believes.
    Stale {
        /// Its state; none if it is gone.
        tag: Option<String>,
    },
    /// The campaign cannot be turned from its state.
    Turn {
        /// What was asked for.
        turn: Turn,
        /// What it is.
        status: Status,
    },
    /// What comes of the change is no campaign.
    Invalid(Vec<CampaignProblem>),
    /// What comes of the change is larger than a campaign may be, or than the broker takes.
    TooLarge,
    /// Somebody gave the campaign the highest version that there is.
    NoVersionLeft,
}

impl Turn {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Archive => "archive",
        }
    }
}
