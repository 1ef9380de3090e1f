//! How campaigns that one event wins share: `priority`, `exclusive_group`, `stacking`.

use serde::{Deserialize, Serialize};

use crate::across::PerCustomer;
use crate::ids::GroupName;

/// Of the campaigns that an event would win those with the greatest come first. 0 unless set.
pub type Priority = i32;

/// How many campaigns of a group win together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StackingFields")]
pub struct Stacking {
    /// The campaigns that name it share.
    pub group: GroupName,
    /// This one wins only while fewer of the group have won the same event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_event: Option<u32>,
    /// Limits of one customer over all campaigns of the group that have a limit of the same stretch of time.
    #[serde(default, skip_serializing_if = "PerCustomer::is_empty")]
    pub per_customer: PerCustomer,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StackingFields {
    group: GroupName,
    #[serde(default)]
    per_event: Option<u32>,
    #[serde(default)]
    per_customer: PerCustomer,
}

impl TryFrom<StackingFields> for Stacking {
    type Error = &'static str;

    fn try_from(fields: StackingFields) -> Result<Self, Self::Error> {
        if fields.per_event == Some(0) {
            return Err("stacking.per_event is 1 or more; to stop a campaign, pause it");
        }
        if fields.per_event.is_none() && fields.per_customer.is_empty() {
            return Err("stacking says per_event, per_customer or both");
        }
        Ok(Self {
            group: fields.group,
            per_event: fields.per_event,
            per_customer: fields.per_customer,
        })
    }
}
