//! What is known of one campaign.

use std::sync::Arc;

use jiff::Timestamp;
use schemas::{Campaign, ChangeAction};

use super::ChangeId;

/// The document that is in force: what matchers match by.
#[derive(Debug, Clone, PartialEq)]
pub struct Current {
    /// The document.
    pub campaign: Campaign,
    /// Offset of its record in `campaigns`.
    pub offset: i64,
    /// When it was written.
    pub written_at: Timestamp,
    /// The change that wrote it. None if others wrote it straight to the topic.
    pub change: Option<ChangeId>,
}

impl Current {
    /// What tells this state of the campaign from all others, for `ETag` and `If-Match`.
    ///
    /// The version, for ours count up and are never given twice. Who writes to the topic gives versions as
    /// they like, so there a hash of the document tells them apart.
    ///
    /// # Panics
    /// Never: a campaign has no part that JSON lacks.
    pub fn tag(&self) -> String {
        let version = self.campaign.version;
        if self.change.is_some() {
            return version.to_string();
        }
        let json = serde_json::to_vec(&self.campaign).expect("a campaign has a JSON form");
        // FNV-1a, 64 bits: the same in every release and on every machine.
        let hash = json.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        format!("{version}-{hash:016x}")
    }
}

/// A change as the index keeps it, some 150 bytes. The documents stay in the topic, at `offset`.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Its name. None if whoever wrote the record gave it none.
    pub id: Option<ChangeId>,
    /// Offset of its record in `campaign-changes`.
    pub offset: i64,
    /// What was done.
    pub action: ChangeAction,
    /// Who did it.
    pub actor: Arc<str>,
    /// When it was done.
    pub changed_at: Timestamp,
    /// Why, in their words.
    pub reason: Option<Box<str>>,
    /// Version of the document before, if there was one.
    pub before: Option<u64>,
    /// Version of the document after, if there is one.
    pub after: Option<u64>,
}

/// A record of `campaigns` that no change wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct Foreign {
    /// Its offset.
    pub offset: i64,
    /// When it was written.
    pub written_at: Timestamp,
    /// What it says.
    pub says: Says,
}

/// What a record of `campaigns` says.
#[derive(Debug, Clone, PartialEq)]
pub enum Says {
    /// A document.
    Stored {
        /// Its version.
        version: u64,
    },
    /// The campaign is gone.
    Deleted,
    /// Something broken, which changed nothing.
    Refused {
        /// What is wrong with it.
        detail: Box<str>,
    },
}

/// Most foreign records that are kept of one campaign; a pipeline may write all campaigns anew each
/// minute.
const MAX_FOREIGN: usize = 20;

/// All that is known of one campaign, also when it is gone.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) current: Option<Arc<Current>>,
    pub(super) changes: Vec<Change>,
    pub(super) foreign: Vec<Foreign>,
    /// The highest version that any document of it had.
    pub(super) highest: u64,
}

impl Entry {
    pub(super) fn add_foreign(&mut self, foreign: Foreign) {
        if self.foreign.len() == MAX_FOREIGN {
            self.foreign.remove(0);
        }
        self.foreign.push(foreign);
    }

    pub(super) fn saw_version(&mut self, version: Option<u64>) {
        self.highest = self.highest.max(version.unwrap_or(0));
    }

    /// What was done to the campaign, oldest first: changes and foreign records by their times.
    ///
    /// A foreign record that is still in force comes last, for whatever changed the campaign after it
    /// would have replaced it, whatever its writer's clock says.
    pub(super) fn history(&self) -> Vec<Past> {
        let in_force = match &self.current {
            Some(current) if current.change.is_none() => Some(current.offset),
            _ => None,
        };
        let mut history: Vec<_> = self.changes.iter().cloned().map(Past::Change).collect();
        history.extend(self.foreign.iter().cloned().map(Past::Foreign));
        history.sort_by_key(|past| match past {
            Past::Change(change) => (false, change.changed_at, 0, change.offset),
            Past::Foreign(foreign) => (
                in_force.is_some_and(|offset| offset <= foreign.offset),
                foreign.written_at,
                1,
                foreign.offset,
            ),
        });
        history
    }
}

/// Something that was done to a campaign.
#[derive(Debug, Clone, PartialEq)]
pub enum Past {
    /// By a change.
    Change(Change),
    /// By somebody who wrote to the topic.
    Foreign(Foreign),
}
