//! Which campaigns have budgets, or give codes of pools, so that somebody must settle their claims.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

use rdkafka::message::BorrowedMessage;
use schemas::{Campaign, Status};
use serde_json::Value as Json;
use service::registry::RegistrySettings;

use crate::ctl::kafka::{Cluster, Kind, Reader, Schemas, Start};

/// The ids of active campaigns with budgets, as `campaigns` has them. Documents that cannot be read are passed over, as the
/// matcher does.
pub(super) fn look(
    cluster: &Cluster,
    registry: &RegistrySettings,
) -> anyhow::Result<BTreeSet<String>> {
    let mut values = Schemas::from(registry).values(Kind::Campaigns)?;
    let reader = Reader::open(cluster, &cluster.topics.campaigns_topic, Start::Beginning)?;
    let mut found = BTreeSet::new();
    let mut take = |message: &BorrowedMessage<'_>| {
        let record = values.read(message);
        let Some(id) = record.key().map(str::to_owned) else {
            return Ok(ControlFlow::Continue(()));
        };
        match record.json().map(claims) {
            Some(Some(true)) => found.insert(id),
            Some(Some(false)) => found.remove(&id),
            None if record.value.is_none() => found.remove(&id),
            Some(None) | None => false,
        };
        Ok(ControlFlow::Continue(()))
    };
    reader.each(&AtomicBool::new(false), &mut take)?;
    Ok(found)
}

/// Whether what wins the campaign is claimed; none if the document is no campaign.
fn claims(document: Json) -> Option<bool> {
    let campaign: Campaign = serde_json::from_value(document).ok()?;
    Some(campaign.status == Status::Active && campaign.is_claimed())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn campaigns_with_budgets_are_those_that_are_active_and_have_one() {
        let cases = [
            (json!({"limits": {"total": {"times": 1}}}), true),
            (
                json!({"status": "active", "limits": {"total": [{"times": 1}]}}),
                true,
            ),
            (
                json!({"status": "paused", "limits": {"total": [{"times": 1}]}}),
                false,
            ),
            (json!({"limits": {"total": []}}), false),
            (json!({"limits": {"per_customer": {"times": 1}}}), false),
            (json!({"reward": {"kind": "coupon", "pool": "p"}}), true),
            (json!({"reward": {"kind": "coupon", "code": "c"}}), false),
            (json!({}), false),
        ];
        for (fields, expected) in cases {
            let mut campaign = json!({
                "id": "ten", "name": "Ten", "when": {"event_type": ["purchase"]},
                "reward": {"kind": "credit", "amount": 10},
            });
            for (name, value) in fields.as_object().unwrap() {
                campaign[name] = value.clone();
            }
            assert_eq!(claims(campaign) == Some(true), expected, "{fields}");
        }
        assert_eq!(claims(json!({"limits": {"total": {"times": 1}}})), None);
    }
}
