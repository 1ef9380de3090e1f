//! What happened to a campaign itself, for people and their tools. The values of records of `campaign-events`.
//!
//! Readers pass over kinds that they do not know: later releases have more.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::across::Budget;
use crate::breaker::Tripped;
use crate::{Amount, CampaignId};

/// Something happened to a campaign. The key of its record is the campaign's id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CampaignEvent {
    /// The campaign.
    pub campaign_id: CampaignId,
    /// The version of it that was in force.
    pub campaign_version: u64,
    /// When. Also the timestamp of the record, in milliseconds.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub what: Happening,
}

/// What happened: the field `kind`, and the fields of that kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Happening {
    /// A budget is used to 50, 80 or 100 %. Once each for a budget of that size, its stretch of time and value.
    BudgetUsed {
        /// 50, 80 or 100.
        percent: u8,
        /// The budget as it is written.
        limit: Budget,
        /// The value of the field by which it is split; absent if it is not, or the event had none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<String>,
        /// When its day, week or month began; absent if it is of all time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        period: Option<Timestamp>,
        /// Matches so far.
        used_times: u64,
        /// Their amount; absent if it is 10¹⁸ or more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        used_amount: Option<Amount>,
    },
    /// A person has reset the budgets: all of it may be used anew.
    BudgetReset,
    /// The campaign is past its breaker: matchers hold it back, and campaign-admin pauses it. Once for a version of it.
    BreakerTripped {
        /// Offset in `campaigns` of the version that has tripped.
        campaigns_offset: i64,
        /// When and by what.
        tripped: Tripped,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_a_campaign_reads_as_it_was_written() {
        let event = CampaignEvent {
            campaign_id: CampaignId::new("ten").unwrap(),
            campaign_version: 3,
            at: "2026-11-24T09:30:00Z".parse().unwrap(),
            what: Happening::BudgetUsed {
                percent: 80,
                limit: serde_json::from_str(r#"{"amount":"500","per":"day","by":"payload.store"}"#)
                    .unwrap(),
                value: Some("madrid".into()),
                period: Some("2026-11-24T00:00:00Z".parse().unwrap()),
                used_times: 40,
                used_amount: Amount::parse("400.00").ok(),
            },
        };
        let json = serde_json::to_string(&event).unwrap();
        insta::assert_snapshot!(json);
        assert_eq!(serde_json::from_str::<CampaignEvent>(&json).unwrap(), event);
    }

    #[test]
    fn a_trip_reads_as_it_was_written() {
        let json = r#"{"campaign_id":"ten","campaign_version":3,"at":"2026-11-24T09:30:00Z","kind":"breaker_tripped","campaigns_offset":41,"tripped":{"at":"2026-11-24T09:30:00Z","by":"rate","matches":1001,"breaker":{"rate":"1000/min"}}}"#;
        let event: CampaignEvent = serde_json::from_str(json).unwrap();
        assert!(matches!(event.what, Happening::BreakerTripped { .. }));
        assert_eq!(serde_json::to_string(&event).unwrap(), json);
    }
}
