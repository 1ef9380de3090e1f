//! What is registered: the documents, their subjects and what each promises.

use super::compatibility::Level;
use super::{CAMPAIGN, CAMPAIGN_CHANGE, EVENT, MATCH};
use crate::names::topic;

/// A document that is written under a subject of its own, named after its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contract {
    /// Default name of the topic.
    pub topic: &'static str,
    /// The schema of this release.
    pub schema: &'static str,
    /// What the subject promises.
    pub level: Level,
}

impl Contract {
    /// The subject of the values of a topic (Confluent's `TopicNameStrategy`).
    pub fn subject(topic: &str) -> String {
        format!("{topic}-value")
    }
}

/// All documents that are registered. `claims`, `customer-state` and `budget-state` are internal, dead letters keep the
/// bytes they came with.
///
/// Events and campaigns are read by us and replayed from long ago: the newest must read all. Matches and
/// changes are read by others, who follow in their own time: any must read any.
pub const CONTRACTS: [Contract; 4] = [
    Contract {
        topic: topic::EVENTS,
        schema: EVENT,
        level: Level::BackwardTransitive,
    },
    Contract {
        topic: topic::CAMPAIGNS,
        schema: CAMPAIGN,
        level: Level::BackwardTransitive,
    },
    Contract {
        topic: topic::CAMPAIGN_CHANGES,
        schema: CAMPAIGN_CHANGE,
        level: Level::FullTransitive,
    },
    Contract {
        topic: topic::MATCHES,
        schema: MATCH,
        level: Level::FullTransitive,
    },
];
