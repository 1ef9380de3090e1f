//! Turns of a campaign: pause, resume, archive, revert.

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use schemas::CampaignId;
use serde::{Deserialize, Serialize};
use service::http::problem::{BAD_REQUEST, NOT_FOUND};
use service::http::{Problem, extract};
use utoipa::ToSchema;

use super::campaigns::campaign_id;
use super::document::CampaignDocument;
use super::writing::{Asker, ChangeParameters, make};
use super::{Api, past, preconditions};
use crate::changes::{Operation, Precondition, Turn};

/// What a turn may say of itself. The body may be absent.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TurnRequest {
    /// Why, for the history.
    #[serde(default)]
    #[schema(example = "the budget is used up")]
    reason: Option<String>,
}

/// Which version to go back to.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RevertRequest {
    /// The version whose document is to be in force again, as a new version.
    #[schema(example = 3)]
    version: u64,
    /// Why, for the history.
    #[serde(default)]
    reason: Option<String>,
}

/// What a verb is asked with.
struct Asked {
    api: Api,
    id: CampaignId,
    asker: Asker,
    precondition: Precondition,
    body: Bytes,
}

/// Sends `POST /v1/campaigns/{id}:{verb}` to its verb.
pub(super) async fn verb(
    State(api): State<Api>,
    asker: Asker,
    extract::Path(path): extract::Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    let (id, verb) = path.rsplit_once(':').ok_or_else(|| no_verb(&path))?;
    let request = Asked {
        id: campaign_id(id)?,
        precondition: preconditions::of(asker.headers())?,
        api,
        asker,
        body,
    };
    match verb {
        "pause" => pause(request).await,
        "resume" => resume(request).await,
        "archive" => archive(request).await,
        "revert" => revert(request).await,
        verb => Err(no_verb(verb)),
    }
}

fn no_verb(found: &str) -> Problem {
    let detail =
        format!("{found:?} is nothing to do; there are :pause, :resume, :archive, :revert");
    Problem::new(&NOT_FOUND, detail)
}

/// Pause a campaign
///
/// An active campaign stops for a while; one that is paused already stays as it is.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}:pause", tag = "Turns", operation_id = "pauseCampaign",
    params(
        ("id" = String, Path, description = "The campaign."), ChangeParameters,
        ("If-Match" = Option<String>, Header, description = "The ETag that was read."),
    ),
    request_body = Option<TurnRequest>,
    responses(
        (status = 200, description = "It is paused.", body = CampaignDocument),
        (status = 409, description = "It is neither active nor paused."),
    ),
)]
async fn pause(asked: Asked) -> Result<Response, Problem> {
    asked.turn(Turn::Pause).await
}

/// Make a campaign live
///
/// One that is paused, or a draft.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}:resume", tag = "Turns", operation_id = "resumeCampaign",
    params(
        ("id" = String, Path, description = "The campaign."), ChangeParameters,
        ("If-Match" = Option<String>, Header, description = "The ETag that was read."),
    ),
    request_body = Option<TurnRequest>,
    responses(
        (status = 200, description = "It is active.", body = CampaignDocument),
        (status = 409, description = "It is archived."),
    ),
)]
async fn resume(asked: Asked) -> Result<Response, Problem> {
    asked.turn(Turn::Resume).await
}

/// Archive a campaign
///
/// It ends and is kept for the record.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}:archive", tag = "Turns", operation_id = "archiveCampaign",
    params(
        ("id" = String, Path, description = "The campaign."), ChangeParameters,
        ("If-Match" = Option<String>, Header, description = "The ETag that was read."),
    ),
    request_body = Option<TurnRequest>,
    responses((status = 200, description = "It is archived.", body = CampaignDocument)),
)]
async fn archive(asked: Asked) -> Result<Response, Problem> {
    asked.turn(Turn::Archive).await
}

/// Go back to a version
///
/// The document of that version is written again, as a new version; also of a campaign that was deleted.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}:revert", tag = "Turns", operation_id = "revertCampaign",
    params(
        ("id" = String, Path, description = "The campaign."), ChangeParameters,
        ("If-Match" = Option<String>, Header, description = "The ETag that was read."),
    ),
    request_body = RevertRequest,
    responses(
        (status = 200, description = "It is so again.", body = CampaignDocument),
        (status = 201, description = "It was deleted, and is there again.", body = CampaignDocument),
    ),
)]
async fn revert(asked: Asked) -> Result<Response, Problem> {
    let request: RevertRequest = read(&asked.body)?;
    let found = past::of_version(&asked.api, &asked.id, request.version).await?;
    let said = asked.asker.reason(request.reason.as_deref())?;
    let reason = said.or_else(|| Some(format!("revert to version {}", request.version).into()));
    let operation = Operation::Put(Box::new(found.campaign));
    asked.make(operation, reason).await
}

impl Asked {
    async fn turn(self, turn: Turn) -> Result<Response, Problem> {
        let request: TurnRequest = if self.body.is_empty() {
            TurnRequest::default()
        } else {
            read(&self.body)?
        };
        let reason = self.asker.reason(request.reason.as_deref())?;
        self.make(Operation::Turn(turn), reason).await
    }

    async fn make(
        self,
        operation: Operation,
        reason: Option<Box<str>>,
    ) -> Result<Response, Problem> {
        let change = (self.asker).change(self.id, operation, self.precondition, reason);
        make(&self.api, change).await
    }
}

fn read<'b, T: Deserialize<'b>>(body: &'b Bytes) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::new(&BAD_REQUEST, error.to_string()))
}
