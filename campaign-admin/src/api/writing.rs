//! Campaigns, written.

use std::time::Duration;

use axum::extract::{FromRequestParts, State};
use axum::http::header::{ETAG, LOCATION, WARNING};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use rules::CampaignProblem;
use schemas::{Campaign, CampaignId};
use serde::Deserialize;
use serde_json::Value;
use service::auth::Principal;
use service::http::problem::{Fault, INVALID, TOO_LARGE, UNAVAILABLE};
use service::http::{Problem, TraceContext, extract};
use utoipa::IntoParams;

use super::campaigns::{campaign_id, missing, put_state};
use super::document::CampaignDocument;
use super::kinds::{ALREADY_EXISTS, CONFLICT, OUTCOME_UNKNOWN, PRECONDITION_FAILED};
use super::{Api, preconditions, reason};
use crate::changes::{
    Change, MAX_DOCUMENT_BYTES, Operation, Outcome, Precondition, Refusal, Unmade,
};

/// What every change may say beside the campaign.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ChangeParameters {
    /// Why, for the history; the header `Change-Reason` says the same.
    reason: Option<String>,
}

/// Who asks for a change, in which trace, and what they say of it beside the campaign.
pub(super) struct Asker {
    who: Principal,
    trace: TraceContext,
    parameters: ChangeParameters,
    headers: HeaderMap,
}

impl<S: Send + Sync> FromRequestParts<S> for Asker {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let trace = Extension::<TraceContext>::from_request_parts(parts, state).await;
        let who = Principal::from_request_parts(parts, state).await;
        let parameters = extract::Query::from_request_parts(parts, state).await;
        Ok(Self {
            trace: trace.map_err(IntoResponse::into_response)?.0,
            who: who.map_err(IntoResponse::into_response)?,
            parameters: parameters.map_err(IntoResponse::into_response)?.0,
            headers: parts.headers.clone(),
        })
    }
}

/// Create a campaign
///
/// The version is given by the service. Fields that no release knows are kept, and told of in `Warning`.
#[utoipa::path(
    post, path = "/v1/campaigns", tag = "Campaigns", operation_id = "createCampaign",
    params(ChangeParameters), request_body = CampaignDocument,
    responses(
        (status = 201, description = "It is created.", body = CampaignDocument, headers(
            ("Location" = String, description = "Where it is."),
            ("ETag" = String, description = "Its state."),
        )),
        (status = 409, description = "There is a campaign of this id."),
    ),
)]
pub(super) async fn create(
    State(api): State<Api>,
    asker: Asker,
    extract::Json(document): extract::Json<Value>,
) -> Result<Response, Problem> {
    let reason = asker.reason(None)?;
    let campaign = read(&document)?;
    let id = campaign.id.clone();
    let operation = Operation::Put(Box::new(campaign));
    let change = asker.change(id, operation, Precondition::Absent, reason);
    make(&api, change).await
}

/// Replace a campaign, or create it
///
/// With If-Match the campaign must be in that state; with `If-None-Match: *` it must not be there.
#[utoipa::path(
    put, path = "/v1/campaigns/{id}", tag = "Campaigns", operation_id = "replaceCampaign",
    params(
        ("id" = String, Path, description = "The campaign."), ChangeParameters,
        ("If-Match" = Option<String>, Header, description = "The ETag that was read, or *."),
        ("If-None-Match" = Option<String>, Header, description = "* to create."),
    ),
    request_body = CampaignDocument,
    responses(
        (status = 200, description = "It is so now.", body = CampaignDocument, headers(
            ("ETag" = String, description = "Its state."),
        )),
        (status = 201, description = "It is created.", body = CampaignDocument),
        (status = 412, description = "It is in another state, which ETag names."),
        (status = 428, description = "Neither If-Match nor If-None-Match was sent."),
    ),
)]
pub(super) async fn replace(
    State(api): State<Api>,
    asker: Asker,
    extract::Path(id): extract::Path<String>,
    extract::Json(mut document): extract::Json<Value>,
) -> Result<Response, Problem> {
    let id = campaign_id(&id)?;
    let precondition = preconditions::required(asker.headers())?;
    let reason = asker.reason(None)?;
    if let Some(fields) = document.as_object_mut() {
        fields.entry("id").or_insert_with(|| id.as_str().into());
    }
    let campaign = read(&document)?;
    if campaign.id != id {
        let detail = format!("the id is {} and the address says {id}", campaign.id);
        return Err(invalid(vec![CampaignProblem::new("/id", detail)]));
    }
    let operation = Operation::Put(Box::new(campaign));
    make(&api, asker.change(id, operation, precondition, reason)).await
}

/// Change some fields of a campaign
///
/// By a JSON Merge Patch (RFC 7396): fields are replaced, objects merged, null removes.
#[utoipa::path(
    patch, path = "/v1/campaigns/{id}", tag = "Campaigns", operation_id = "patchCampaign",
    params(
        ("id" = String, Path, description = "The campaign."), ChangeParameters,
        ("If-Match" = String, Header, description = "The ETag that was read, or *."),
    ),
    request_body(content = Object, content_type = "application/merge-patch+json",
        example = json!({"reward": {"amount": "20.00"}})),
    responses(
        (status = 200, description = "It is so now.", body = CampaignDocument, headers(
            ("ETag" = String, description = "Its state."),
        )),
        (status = 412, description = "It is in another state, which ETag names."),
        (status = 428, description = "If-Match was not sent."),
    ),
)]
pub(super) async fn patch(
    State(api): State<Api>,
    asker: Asker,
    extract::Path(id): extract::Path<String>,
    extract::Json(patch): extract::Json<Value>,
) -> Result<Response, Problem> {
    let id = campaign_id(&id)?;
    let precondition = preconditions::required(asker.headers())?;
    let reason = asker.reason(None)?;
    let operation = Operation::Merge(patch);
    make(&api, asker.change(id, operation, precondition, reason)).await
}

/// Delete a campaign
///
/// Its history stays.
#[utoipa::path(
    delete, path = "/v1/campaigns/{id}", tag = "Campaigns", operation_id = "deleteCampaign",
    params(
        ("id" = String, Path, description = "The campaign."), ChangeParameters,
        ("If-Match" = String, Header, description = "The ETag that was read, or *."),
    ),
    responses(
        (status = 204, description = "It is gone."),
        (status = 412, description = "It is in another state, which ETag names."),
        (status = 428, description = "If-Match was not sent."),
    ),
)]
pub(super) async fn delete(
    State(api): State<Api>,
    asker: Asker,
    extract::Path(id): extract::Path<String>,
) -> Result<Response, Problem> {
    let id = campaign_id(&id)?;
    let precondition = preconditions::required(asker.headers())?;
    let reason = asker.reason(None)?;
    let change = asker.change(id, Operation::Delete, precondition, reason);
    make(&api, change).await
}

impl Asker {
    pub(super) fn who(&self) -> &Principal {
        &self.who
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Why they ask: of what the body, the parameter and the header say, the first that is said.
    pub(super) fn reason(&self, body: Option<&str>) -> Result<Option<Box<str>>, Problem> {
        let said = body.or(self.parameters.reason.as_deref());
        reason::of(said, &self.headers)
    }

    /// The change that they ask for.
    pub(super) fn change(
        self,
        campaign: CampaignId,
        operation: Operation,
        precondition: Precondition,
        reason: Option<Box<str>>,
    ) -> Change {
        Change {
            campaign,
            operation,
            precondition,
            actor: self.who.name().into(),
            reason,
            traceparent: Some(self.trace.to_string()),
        }
    }
}

/// Makes a change and answers with what came of it.
pub(super) async fn make(api: &Api, change: Change) -> Result<Response, Problem> {
    api.campaigns()?;
    let (id, creates) = (change.campaign.clone(), is_create(&change));
    match api.changes.make(change).await {
        Ok(Outcome::Deleted) => Ok(StatusCode::NO_CONTENT.into_response()),
        Ok(Outcome::Stored {
            campaign,
            tag,
            written_at,
            created,
        }) => {
            let mut response = Json(&*campaign).into_response();
            put_state(&mut response, &tag, written_at);
            warn(&mut response, &campaign);
            if created {
                *response.status_mut() = StatusCode::CREATED;
                let place = HeaderValue::try_from(format!("/v1/campaigns/{id}"));
                if let Ok(place) = place {
                    response.headers_mut().insert(LOCATION, place);
                }
            }
            Ok(response)
        }
        Err(Unmade::Busy) => {
            let detail = "the change was not made: others came first, or Kafka does not answer";
            Err(Problem::new(&UNAVAILABLE, detail).retry_after(Duration::from_secs(1)))
        }
        Err(Unmade::Unknown) => Err(Problem::new(
            &OUTCOME_UNKNOWN,
            "Kafka did not answer in time",
        )),
        Err(Unmade::Refused(refusal)) => refused(&id, refusal, creates),
    }
}

/// Whether this is the request to create, which is not conditional for whoever sends it.
fn is_create(change: &Change) -> bool {
    matches!(change.operation, Operation::Put(_)) && change.precondition == Precondition::Absent
}

fn refused(id: &CampaignId, refusal: Refusal, creates: bool) -> Result<Response, Problem> {
    let (problem, tag) = match refusal {
        Refusal::Missing => return Err(missing(id)),
        Refusal::Exists { tag } if creates => {
            let detail = format!("campaign {id} exists");
            (Problem::new(&ALREADY_EXISTS, detail), Some(tag))
        }
        Refusal::Exists { tag } => {
            let detail = format!("campaign {id} exists, in state \"{tag}\"");
            (Problem::new(&PRECONDITION_FAILED, detail), Some(tag))
        }
        Refusal::Stale { tag } => {
            let detail = match &tag {
                Some(tag) => format!("campaign {id} is in state \"{tag}\""),
                None => format!("there is no campaign {id}"),
            };
            (Problem::new(&PRECONDITION_FAILED, detail), tag)
        }
        Refusal::Turn { turn, status } => {
            let detail = format!(
                "campaign {id} is {status}; it cannot be turned by {}",
                turn.name()
            );
            (Problem::new(&CONFLICT, detail), None)
        }
        Refusal::NoVersionLeft => {
            let detail = format!("somebody gave campaign {id} the highest version that there is");
            (Problem::new(&CONFLICT, detail), None)
        }
        Refusal::Invalid(problems) => return Err(invalid(problems)),
        Refusal::TooLarge => {
            let detail = format!("a campaign has at most {MAX_DOCUMENT_BYTES} bytes");
            return Err(Problem::new(&TOO_LARGE, detail));
        }
    };
    let mut response = problem.into_response();
    if let Some(tag) = tag.as_deref().and_then(preconditions::etag) {
        response.headers_mut().insert(ETAG, tag);
    }
    Ok(response)
}

/// A document as a campaign that the matcher takes.
pub(super) fn read(document: &Value) -> Result<Campaign, Problem> {
    let rule = rules::check::campaign(document).map_err(invalid)?;
    Ok(rule.campaign())
}

/// A problem that lists what is wrong with a document.
pub(super) fn invalid(problems: Vec<CampaignProblem>) -> Problem {
    let faults = problems.into_iter();
    let faults = faults.map(|problem| Fault::new(problem.pointer, problem.detail));
    Problem::new(&INVALID, "this is no campaign; nothing was changed").errors(faults.collect())
}

/// Most warnings of an answer; a document of nothing but unknown fields would fill its headers.
const MAX_WARNINGS: usize = 10;

/// Tells what is strange in a campaign, as Kubernetes does: `299 - "…"` (RFC 7234, section 5.5).
fn warn(response: &mut Response, campaign: &Campaign) {
    for warning in rules::check::warnings(campaign).iter().take(MAX_WARNINGS) {
        let text: String = warning.to_string().chars().map(plain).collect();
        if let Ok(value) = HeaderValue::try_from(format!("299 - \"{text}\"")) {
            response.headers_mut().append(WARNING, value);
        }
    }
}

/// Headers are ASCII, and quotes end the text.
fn plain(c: char) -> char {
    match c {
        '"' | '\\' => '\'',
        ' '..='~' => c,
        _ => '?',
    }
}
