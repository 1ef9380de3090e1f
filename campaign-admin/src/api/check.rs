//! Checks a document without writing it.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use rules::CampaignProblem;
use schemas::Campaign;
use serde::Serialize;
use serde_json::Value;
use service::auth::Principal;
use service::http::{Problem, extract};
use utoipa::ToSchema;

use super::Api;
use super::document::CampaignDocument;

/// What is to be said of a document.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CheckReport {
    /// Whether it is a campaign: there are no problems.
    valid: bool,
    /// Everything that is wrong with it.
    problems: Vec<PlacedText>,
    /// What is strange in it, although it is right.
    warnings: Vec<PlacedText>,
}

/// Something to say of a place.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PlacedText {
    /// The place: a JSON pointer (RFC 6901) into the document; empty for all of it. A field that is missing is
    /// missing from the object that this points to.
    #[schema(example = "/when/payload/amount/0")]
    pointer: String,
    /// What, and what to write instead.
    detail: String,
    /// Of a warning a word that stays, listed in docs/campaignctl.md.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "never-met")]
    code: Option<String>,
}

impl From<CampaignProblem> for PlacedText {
    fn from(problem: CampaignProblem) -> Self {
        Self {
            pointer: problem.pointer,
            detail: problem.detail,
            code: problem.code,
        }
    }
}

/// Check a document
///
/// Writes nothing. Tells all problems at once, each with its place.
#[utoipa::path(
    post, path = "/v1/campaigns:check", tag = "Drafts", operation_id = "checkCampaign",
    request_body = CampaignDocument,
    responses((status = 200, description = "What is to be said of it.", body = CheckReport)),
)]
pub(super) async fn check(
    State(api): State<Api>,
    _: Principal,
    extract::Json(document): extract::Json<Value>,
) -> Result<Json<CheckReport>, Problem> {
    let (problems, warnings) = match rules::check::campaign(&document) {
        Err(problems) => (problems, Vec::new()),
        Ok(rule) => {
            let campaign = rule.campaign();
            let mut warnings = warnings(&campaign, Timestamp::now());
            // While audiences are not known there is nothing to say of them.
            let known = api.audiences.list().ok();
            warnings.extend(known.iter().flat_map(|known| empty(&campaign, known)));
            (Vec::new(), warnings)
        }
    };
    Ok(Json(CheckReport {
        valid: problems.is_empty(),
        problems: problems.into_iter().map(Into::into).collect(),
        warnings: warnings.into_iter().map(Into::into).collect(),
    }))
}

/// What is strange in a campaign at that time.
fn warnings(campaign: &Campaign, now: Timestamp) -> Vec<CampaignProblem> {
    let mut warnings = rules::check::warnings(campaign);
    if let Some(end) = campaign.schedule.end
        && end <= now
    {
        let detail = "this is in the past; only events that come late can still win";
        warnings.push(CampaignProblem::warning("over", "/schedule/end", detail));
    }
    warnings
}

/// The audiences of a campaign in which nobody is.
fn empty(campaign: &Campaign, known: &BTreeMap<String, u64>) -> Vec<CampaignProblem> {
    let names = campaign.audience.iter().flat_map(schemas::Audience::names);
    let empty = names
        .enumerate()
        .filter(|(_, name)| !known.contains_key(name.as_str()));
    let told = empty.map(|(place, name)| {
        let detail = format!("nobody is in audience {name}; is it misspelt, or not loaded yet?");
        CampaignProblem::warning("empty-audience", format!("/audience/{place}"), detail)
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_campaign_that_is_over_is_strange() {
        let campaign = json!({
            "id": "ten", "name": "Ten", "when": {"event_type": ["purchase"]},
            "reward": {"kind": "custom"}, "schedule": {"end": "2026-11-24T00:00:00Z"},
        });
        let campaign: Campaign = serde_json::from_value(campaign).unwrap();
        let at = |time: &str| warnings(&campaign, time.parse().unwrap());
        assert!(at("2026-11-23T23:59:59Z").is_empty());
        assert_eq!(at("2026-11-24T00:00:00Z")[0].pointer, "/schedule/end");
    }

    #[test]
    fn an_audience_without_members_is_strange() {
        let campaign = json!({
            "id": "ten", "name": "Ten", "when": {"event_type": ["purchase"]},
            "reward": {"kind": "custom"}, "audience": ["vip", {"not": "staf"}],
        });
        let campaign: Campaign = serde_json::from_value(campaign).unwrap();
        let known = [("vip".to_owned(), 3), ("staff".to_owned(), 1)].into();
        let found = empty(&campaign, &known);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].pointer, "/audience/1");
        assert_eq!(found[0].code.as_deref(), Some("empty-audience"));
    }
}
