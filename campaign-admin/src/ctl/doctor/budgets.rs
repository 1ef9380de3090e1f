//! Which campaigns have budgets, or give codes of pools, so that somebody must settle their claims.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

use rdkafka::message::BorrowedMessage;
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
        match record.json() {
            Some(campaign) if claims(&campaign) => found.insert(id),
            Some(_) => found.remove(&id),
            None if record.value.is_none() => found.remove(&id),
            None => false,
        };
        Ok(ControlFlow::Continue(()))
    };
    reader.each(&AtomicBool::new(false), &mut take)?;
    Ok(found)
}

/// Whether what wins the campaign is claimed.
fn claims(campaign: &Json) -> bool {
    let has_budget = match &campaign["limits"]["total"] {
        Json::Array(budgets) => !budgets.is_empty(),
        budget => !budget.is_null(),
    };
    let reward = &campaign["reward"];
    let has_pool = reward["kind"] == "coupon" && reward["pool"].is_string();
    (has_budget || has_pool) && campaign["status"].as_str().unwrap_or("active") == "active"
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
        for (campaign, expected) in cases {
            assert_eq!(claims(&campaign), expected, "{campaign}");
        }
    }
}
