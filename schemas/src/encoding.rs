//! How documents stand on the wire: the one place that knows.

use crate::{Campaign, CampaignError, Document, DocumentError, Limits, Match};

/// How documents are written to the topics and read from them. Chosen by settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Encoding {
    /// Plain JSON (RFC 8259), without a schema registry.
    #[default]
    Json,
}

impl Encoding {
    /// Reads the value of a record of `events` to a tape.
    ///
    /// # Errors
    /// [`DocumentError`]: the event can never be read.
    pub fn read_event(
        self,
        value: &[u8],
        limits: Limits,
        document: &mut Document,
    ) -> Result<(), DocumentError> {
        match self {
            Self::Json => document.read(value, limits),
        }
    }

    /// Reads the value of a record of `campaigns`.
    ///
    /// # Errors
    /// [`CampaignError`]: the record is no campaign; the last good version stays in force.
    pub fn read_campaign(self, value: &[u8]) -> Result<Campaign, CampaignError> {
        match self {
            Self::Json => Campaign::from_json(value),
        }
    }

    /// Writes a match behind what is in `out`.
    ///
    /// # Panics
    /// Never: the fields of a match have no form that JSON lacks.
    pub fn write_match(self, won: &Match<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Json => serde_json::to_writer(out, won).expect("a match always has a JSON form"),
        }
    }

    /// Reads the value of a record of `matches`.
    ///
    /// # Errors
    /// [`MatchError`]: no release of ours wrote this.
    pub fn read_match(self, value: &[u8]) -> Result<Match<'static>, MatchError> {
        match self {
            Self::Json => {
                serde_json::from_slice(value).map_err(|error| MatchError(error.to_string()))
            }
        }
    }
}

/// Why a record is not a match.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the record is not a match: {0}; only matchers may write to this topic")]
pub struct MatchError(String);
