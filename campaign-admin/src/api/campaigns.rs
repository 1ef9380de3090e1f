//! Campaigns, read.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header::{ETAG, LAST_MODIFIED};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use schemas::{Campaign, CampaignId, Status};
use serde::{Deserialize, Serialize};
use service::auth::Principal;
use service::http::Problem;
use service::http::extract::{Path, Query};
use service::http::problem::{BAD_REQUEST, NOT_FOUND, UNAVAILABLE};
use utoipa::{IntoParams, ToSchema};

use super::document::CampaignDocument;
use super::{Api, http_date, page, past, preconditions};
use crate::catalog::Filter;

/// Which campaigns to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParameters {
    /// Only campaigns of this status; of several, with commas.
    #[param(example = "active,paused")]
    status: Option<String>,
    /// Only campaigns with these labels, each `name=value` or a name alone, with commas.
    #[param(example = "team=growth")]
    label: Option<String>,
    /// Only campaigns that have this text in their id, name or description, in whatever case.
    text: Option<String>,
    /// Most campaigns of the answer, at most 500.
    #[param(minimum = 1, maximum = 500)]
    page_size: Option<usize>,
    /// `next_page_token` of the answer before.
    page_token: Option<String>,
}

/// Some campaigns, in the order of their ids.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CampaignPage {
    /// The campaigns.
    #[schema(value_type = Vec<CampaignDocument>)]
    campaigns: Vec<Campaign>,
    /// Leads to the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// List campaigns
#[utoipa::path(
    get, path = "/v1/campaigns", tag = "Campaigns", operation_id = "listCampaigns",
    params(ListParameters),
    responses((status = 200, description = "A page of campaigns.", body = CampaignPage)),
)]
pub(super) async fn list(
    State(api): State<Api>,
    _: Principal,
    Query(parameters): Query<ListParameters>,
) -> Result<Json<CampaignPage>, Problem> {
    let size = page::size(parameters.page_size)?;
    let filter = Filter {
        statuses: parsed(parameters.status.as_deref(), status)?,
        labels: parsed(parameters.label.as_deref(), label)?,
        text: parameters.text.map(|text| text.to_lowercase()),
    };
    let after = match parameters.page_token {
        None => None,
        Some(token) => {
            let place = page::place(&token)?;
            Some(CampaignId::new(place).map_err(|_| page::unknown())?)
        }
    };
    let (found, more) = api.campaigns()?.list(&filter, after.as_ref(), size);
    let last = found.last().filter(|_| more);
    Ok(Json(CampaignPage {
        next_page_token: last.map(|last| page::token(last.campaign.id.as_str())),
        campaigns: found.iter().map(|found| found.campaign.clone()).collect(),
    }))
}

fn parsed<T>(
    list: Option<&str>,
    parse: impl Fn(&str) -> Result<T, Problem>,
) -> Result<Vec<T>, Problem> {
    let parts = list.unwrap_or_default().split(',').map(str::trim);
    parts.filter(|part| !part.is_empty()).map(parse).collect()
}

fn status(word: &str) -> Result<Status, Problem> {
    serde_json::from_value(word.into()).map_err(|_| {
        let detail = format!("{word:?} is no status; there are draft, active, paused and archived");
        Problem::new(&BAD_REQUEST, detail)
    })
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "as all that parse parts of a list"
)]
fn label(text: &str) -> Result<(String, Option<String>), Problem> {
    Ok(match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (text.to_owned(), None),
    })
}

/// Which state of a campaign to get.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct GetParameters {
    /// The document of this version, instead of the one in force.
    version: Option<u64>,
    /// The document that was in force at this time.
    #[param(value_type = Option<String>, format = DateTime, example = "2026-11-24T09:30:00Z")]
    at: Option<Timestamp>,
}

/// Get a campaign
///
/// As it is in force, or as it was in a version or at a time. With If-None-Match it is sent only if it has changed.
#[utoipa::path(
    get, path = "/v1/campaigns/{id}", tag = "Campaigns", operation_id = "getCampaign",
    params(
        ("id" = String, Path, description = "The campaign."), GetParameters,
        ("If-None-Match" = Option<String>, Header, description = "The ETag that you have."),
    ),
    responses(
        (status = 200, description = "The campaign.", body = CampaignDocument, headers(
            ("ETag" = String, description = "What tells this state from all others: the version."),
            ("Last-Modified" = String, description = "When it was written."),
        )),
        (status = 304, description = "It is as you have it."),
    ),
)]
pub(super) async fn get(
    State(api): State<Api>,
    _: Principal,
    Path(id): Path<String>,
    Query(parameters): Query<GetParameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = campaign_id(&id)?;
    let found = match (parameters.version, parameters.at) {
        (None, None) => {
            let current = api.campaigns()?.current(&id).ok_or_else(|| missing(&id))?;
            past::Found {
                tag: current.tag(),
                written_at: current.written_at,
                campaign: current.campaign.clone(),
            }
        }
        (Some(version), None) => past::of_version(&api, &id, version).await?,
        (None, Some(time)) => past::at(&api, &id, time).await?,
        (Some(_), Some(_)) => {
            let detail = "version and at are two ways to say the same; send one of them";
            return Err(Problem::new(&BAD_REQUEST, detail));
        }
    };
    if preconditions::is_known(&headers, &found.tag)? {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        put_state(&mut response, &found.tag, found.written_at);
        return Ok(response);
    }
    let mut response = Json(found.campaign).into_response();
    put_state(&mut response, &found.tag, found.written_at);
    Ok(response)
}

/// Says in the headers which state the answer is about.
pub(super) fn put_state(response: &mut Response, tag: &str, written_at: Timestamp) {
    if let Some(tag) = preconditions::etag(tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    if let Ok(date) = HeaderValue::try_from(http_date(written_at)) {
        response.headers_mut().insert(LAST_MODIFIED, date);
    }
}

/// The id in a path.
pub(super) fn campaign_id(text: &str) -> Result<CampaignId, Problem> {
    // A text that is no id names nothing that could be there.
    CampaignId::new(text).map_err(|error| Problem::new(&NOT_FOUND, error.to_string()))
}

pub(super) fn missing(id: &CampaignId) -> Problem {
    Problem::new(&NOT_FOUND, format!("there is no campaign {id}"))
}

/// Kafka or the database does not answer.
pub(super) fn away(error: &dyn std::error::Error) -> Problem {
    tracing::warn!(%error, "a question was not answered");
    Problem::new(&UNAVAILABLE, error.to_string()).retry_after(Duration::from_secs(1))
}
