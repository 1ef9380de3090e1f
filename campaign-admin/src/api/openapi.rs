//! The API's description: `OpenAPI` 3.1, made of the handlers. A copy is kept in the repository, so that a
//! change of the API is seen as one.

use service::http::description::{Common, FaultDocument, ProblemDocument, to_json};
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Description;

use super::{
    audiences, budgets, campaigns, check, coupons, customers, history, matches, trial, turns,
    writing,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Campaign Manager: campaigns",
        description = "Create, change and watch campaigns; read what they gave away; ask what they remember of a customer, and erase it.\n\n\
            Every error is a problem of RFC 9457 (`application/problem+json`); its `type` is an address \
            that explains it. Changes are conditional: send the `ETag` that you read as `If-Match`.",
    ),
    paths(
        campaigns::list, writing::create, campaigns::get, writing::replace, writing::patch,
        writing::delete, history::list, turns::pause, turns::resume, turns::archive, turns::revert,
        check::check, trial::run, matches::list, customers::get, customers::erase,
        budgets::get, budgets::reset, coupons::get, coupons::add, coupons::drop,
        audiences::list, audiences::get, audiences::drop_audience, audiences::add_all, audiences::remove_all,
        audiences::member, audiences::add, audiences::remove,
    ),
    components(schemas(ProblemDocument, FaultDocument)),
    modifiers(&Common),
    tags(
        (name = "Campaigns", description = "Campaigns and their history. Scopes campaigns:read and campaigns:write."),
        (name = "Turns", description = "Turns of a campaign to another state. Scope campaigns:write."),
        (name = "Budgets", description = "What is used of campaigns' budgets. Scopes campaigns:read and campaigns:write."),
        (name = "Coupons", description = "Pools of coupon codes. Scopes campaigns:read and campaigns:write."),
        (name = "Drafts", description = "Documents before they are written. Scope campaigns:read."),
        (name = "Matches", description = "What customers won. Scope matches:read."),
        (name = "Customers", description = "What is remembered of customers. Scopes customers:read and customers:erase."),
        (name = "Audiences", description = "Who is in which audience. Scopes audiences:read and audiences:write."),
    ),
    security(("key" = [])),
)]
struct Api;

/// The description.
pub fn description() -> Description {
    Api::openapi()
}

/// The description as JSON, as it is served and kept.
pub fn json() -> String {
    to_json(&description())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// To write it anew: `UPDATE_OPENAPI=1 cargo test -p campaign-admin openapi`.
    #[test]
    fn the_description_is_the_one_that_is_kept() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        let made = json();
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::write(path, &made).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            made == kept,
            "campaign-admin/openapi.json is not of this API; UPDATE_OPENAPI=1 writes it anew"
        );
    }

    #[test]
    fn every_operation_has_a_summary_and_a_name_of_its_own() {
        let description: Value = serde_json::from_str(&json()).unwrap();
        assert!(description["openapi"].as_str().unwrap().starts_with("3.1"));
        let mut names = Vec::new();
        for (path, item) in description["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let summary = operation["summary"].as_str().unwrap_or_default();
                assert!(!summary.is_empty(), "{method} {path}");
                names.push(operation["operationId"].as_str().unwrap().to_owned());
            }
        }
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!((names.len(), all), (29, 29));
    }

    fn properties(schema: &str) -> Vec<String> {
        let description: Value = serde_json::from_str(&json()).unwrap();
        let schema = &description["components"]["schemas"][schema];
        let mut names: Vec<_> = schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        names.sort();
        names
    }

    fn fields(document: &Value) -> Vec<String> {
        let mut names: Vec<_> = document.as_object().unwrap().keys().cloned().collect();
        names.sort();
        names
    }

    #[test]
    fn documents_are_described_as_they_are_sent() {
        let time = "2026-11-24T09:30:00Z";
        let campaign = json!({
            "id": "ten", "name": "Ten", "version": 1, "status": "active",
            "schedule": {"start": time, "end": time}, "when": {"event_type": ["purchase"]},
            "reward": {
                "kind": "custom", "amount": "1", "currency": "USD", "percent": "1", "code": "c", "text": "t",
                "template": "t",
            },
            "description": "d", "labels": {"a": "b"}, "holdout": "10%", "experiment": "e",
            "variants": [{"name": "a", "weight": 1, "reward": {"kind": "custom"}}],
            "breaker": {"rate": "1/s", "share": "1%", "min_events": 1},
            "tripped": {"at": time, "by": "share", "matches": 1, "events": 1, "breaker": {"share": "1%"}},
        });
        let campaign: schemas::Campaign = serde_json::from_value(campaign).unwrap();
        assert_eq!(campaign.unknown_fields().count(), 0);
        let campaign = serde_json::to_value(&campaign).unwrap();
        assert_eq!(properties("CampaignDocument"), fields(&campaign));
        assert_eq!(
            properties("VariantDocument"),
            fields(&campaign["variants"][0])
        );
        assert_eq!(properties("TrippedDocument"), fields(&campaign["tripped"]));
        assert_eq!(properties("RewardDocument"), fields(&campaign["reward"]));
        assert_eq!(
            properties("ScheduleDocument"),
            fields(&campaign["schedule"])
        );
    }

    #[test]
    fn accounts_and_matches_are_described_as_they_are_sent() {
        let time = "2026-11-24T09:30:00Z";
        let seen = state::account::Seen {
            events: 1,
            first: time.parse().ok(),
            last: time.parse().ok(),
        };
        assert_eq!(
            properties("SeenDocument"),
            fields(&serde_json::to_value(seen).unwrap())
        );
        let account = state::account::CampaignAccount {
            campaign_id: "ten".to_owned(),
            version: 1,
            status: schemas::Status::Active,
            holds: vec![state::account::Holding {
                pointer: "/across/0".to_owned(),
                asked: String::new(),
                found: String::new(),
                until: time.parse().ok(),
            }],
            waits: vec![state::account::Wait {
                event_id: "e".to_owned(),
                event_type: "t".to_owned(),
                occurred_at: time.parse().unwrap(),
                due: time.parse().unwrap(),
            }],
            open: vec![state::account::Open {
                event_id: "e".to_owned(),
                occurred_at: time.parse().unwrap(),
                status: Some(schemas::MatchStatus::Pending),
                confirm_at: time.parse().ok(),
                left: schemas::Amount::parse("1").ok(),
                until: time.parse().ok(),
            }],
        };
        let account = serde_json::to_value(account).unwrap();
        assert_eq!(properties("CampaignAccountDocument"), fields(&account));
        assert_eq!(properties("HoldingDocument"), fields(&account["holds"][0]));
        assert_eq!(properties("WaitDocument"), fields(&account["waits"][0]));
        assert_eq!(properties("OpenDocument"), fields(&account["open"][0]));
        let told = state::Told {
            event_id: "e".to_owned(),
            status: schemas::MatchStatus::Reversed,
            amount: schemas::Amount::parse("1").ok(),
            returned_by: Some("r".to_owned()),
            left: schemas::Amount::parse("1").ok(),
        };
        let told = serde_json::to_value(told).unwrap();
        assert_eq!(properties("SequelDocument"), fields(&told));
        let over = state::Over {
            event_id: "e".to_owned(),
            customer_id: "c".to_owned(),
            due: time.parse().unwrap(),
            reward: None,
            why: None,
        };
        let over = serde_json::to_value(over).unwrap();
        assert_eq!(properties("OverDocument"), fields(&over));
        let won = json!({
            "match_id": "e:ten", "event_id": "e", "campaign_id": "ten", "campaign_version": 1,
            "campaigns_offset": 0, "customer_id": "c", "event_type": "t", "occurred_at": time,
            "matched_at": time, "reward": {"kind": "custom"},
            "source": {"topic": "events", "partition": 0, "offset": 0},
            "variant": "a", "status": "confirmed", "confirm_at": time, "confirmed_at": time, "reversed_total": "1",
        });
        let reversal = json!({
            "reversal_id": "r:e:ten", "event_id": "r", "event_type": "t", "occurred_at": time,
            "amount": "1", "whole": false, "reversed_at": time,
            "source": {"topic": "events", "partition": 0, "offset": 1},
        });
        let won = store::StoredMatch {
            won: serde_json::from_str(&won.to_string()).unwrap(),
            reversals: vec![serde_json::from_str(&reversal.to_string()).unwrap()],
            traceparent: Some(String::new()),
            correlation_id: Some(String::new()),
        };
        let won = serde_json::to_value(&won).unwrap();
        assert_eq!(properties("MatchDocument"), fields(&won));
        assert_eq!(properties("SourceDocument"), fields(&won["source"]));
        assert_eq!(properties("ReversalDocument"), fields(&won["reversals"][0]));
    }
}
