//! Campaign changes: the audit of who changed which campaign.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Campaign, CampaignId};

/// One change of one campaign. The value of a record of `campaign-changes`; its key is the campaign's
/// id. Written in the same transaction as the change itself, and kept for ever.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CampaignChange {
    /// The campaign.
    pub campaign_id: CampaignId,
    /// What was done.
    pub action: ChangeAction,
    /// Who did it, as their authentication names them.
    pub actor: String,
    /// When it was done.
    pub changed_at: Timestamp,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The document before; absent when the campaign is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Box<Campaign>>,
    /// The document after; absent when the campaign was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Box<Campaign>>,
}

/// What was done to a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeAction {
    /// It was written for the first time.
    Created,
    /// Its document was changed.
    Updated,
    /// It was stopped for a while.
    Paused,
    /// It was made live again.
    Resumed,
    /// It was ended and kept.
    Archived,
    /// It was removed.
    Deleted,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_reads_as_it_was_written() {
        let json = json!({
            "campaign_id": "ten",
            "action": "deleted",
            "actor": "ada@example.com",
            "changed_at": "2026-11-24T09:30:00Z",
            "reason": "ended early",
            "before": {
                "id": "ten", "name": "Ten", "version": 2, "status": "active",
                "when": {"event_type": ["purchase"]}, "reward": {"kind": "custom"},
            },
        });
        let change: CampaignChange = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(change.action, ChangeAction::Deleted);
        assert_eq!(serde_json::to_value(&change).unwrap(), json);
    }
}
