//! Checks a document without writing it.

use axum::Json;
use jiff::Timestamp;
use rules::CampaignProblem;
use schemas::Campaign;
use serde::Serialize;
use serde_json::Value;
use service::auth::Principal;
use service::http::{Problem, extract};
use utoipa::ToSchema;

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
    _: Principal,
    extract::Json(document): extract::Json<Value>,
) -> Result<Json<CheckReport>, Problem> {
    let (problems, warnings) = match rules::check::campaign(&document) {
        Err(problems) => (problems, Vec::new()),
        Ok(rule) => (Vec::new(), warnings(&rule.campaign(), Timestamp::now())),
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
}
