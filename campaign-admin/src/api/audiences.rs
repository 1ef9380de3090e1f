//! Audiences: who is in them, and putting customers in and taking them out.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemas::{AudienceName, CustomerId};
use serde::{Deserialize, Serialize};
use service::auth::Principal;
use service::http::extract::Path;
use service::http::problem::{BAD_REQUEST, Fault, INVALID, NOT_FOUND, UNAVAILABLE};
use service::http::{Problem, extract};
use utoipa::ToSchema;

use super::Api;
use super::customers::customer_id;
use super::writing::Asker;
use crate::audiences::{AudienceError, Turn};

/// Most customers of one request.
const MAX_CUSTOMERS: usize = 10_000;

/// Largest body of a request with customers: of each the longest id, quoted.
pub(super) const MAX_BYTES: usize = MAX_CUSTOMERS * (schemas::ids::MAX_ID_BYTES + 8);

/// All audiences.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AudienceList {
    /// Those that have members, in the order of their names.
    audiences: Vec<AudienceReport>,
}

/// An audience.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AudienceReport {
    /// Its name.
    audience: String,
    /// How many customers are in it.
    members: u64,
}

/// A customer and an audience.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MembershipReport {
    /// The audience.
    audience: String,
    /// The customer.
    customer_id: String,
    /// Whether they are in it.
    is_in: bool,
}

/// Customers to be put in an audience, or taken out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MembersRequest {
    /// At most 10,000. Who is in already stays in, who is not in stays out.
    #[schema(max_items = 10_000)]
    customer_ids: Vec<String>,
}

/// What was done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TurnReport {
    /// The audience.
    audience: String,
    /// How many customers were named.
    customers: usize,
}

/// List the audiences
#[utoipa::path(
    get, path = "/v1/audiences", tag = "Audiences", operation_id = "listAudiences",
    responses((status = 200, description = "Those that have members.", body = AudienceList)),
)]
pub(super) async fn list(
    State(api): State<Api>,
    _: Principal,
) -> Result<Json<AudienceList>, Problem> {
    let all = api.audiences.list().map_err(|error| problem(&error))?;
    let all = all.into_iter();
    let audiences = all.map(|(audience, members)| AudienceReport { audience, members });
    Ok(Json(AudienceList {
        audiences: audiences.collect(),
    }))
}

/// Get an audience
#[utoipa::path(
    get, path = "/v1/audiences/{audience}", tag = "Audiences", operation_id = "getAudience",
    params(("audience" = String, Path, description = "The audience.")),
    responses(
        (status = 200, description = "How many customers are in it.", body = AudienceReport),
        (status = 404, description = "Nobody is in it."),
    ),
)]
pub(super) async fn get(
    State(api): State<Api>,
    _: Principal,
    Path(name): Path<String>,
) -> Result<Json<AudienceReport>, Problem> {
    let name = audience_name(&name)?;
    let members = api.audiences.members(&name);
    let members = members.map_err(|error| problem(&error))?;
    if members == 0 {
        let detail = format!("nobody is in audience {name}");
        return Err(Problem::new(&NOT_FOUND, detail));
    }
    Ok(Json(AudienceReport {
        audience: name.to_string(),
        members,
    }))
}

/// Drop an audience
///
/// Takes everybody out, at once. Customers may be put in again.
#[utoipa::path(
    delete, path = "/v1/audiences/{audience}", tag = "Audiences", operation_id = "dropAudience",
    params(
        ("audience" = String, Path, description = "The audience."), super::writing::ChangeParameters,
    ),
    responses((status = 204, description = "Nobody is in it any more.")),
)]
pub(super) async fn drop_audience(
    State(api): State<Api>,
    asker: Asker,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let name = audience_name(&name)?;
    let reason = asker.reason(None)?;
    let dropped = api.audiences.drop_audience(&name).await;
    dropped.map_err(|error| problem(&error))?;
    tracing::info!(
        target: "audit",
        actor = asker.who().name(),
        audience = %name,
        reason = reason.as_deref(),
        "an audience was dropped"
    );
    Ok(StatusCode::NO_CONTENT)
}

/// Put customers in an audience
///
/// Those that are named come in; nobody goes. Answered when the brokers have all of it. An event that is produced a second after
/// that, or later, is decided by it.
#[utoipa::path(
    put, path = "/v1/audiences/{audience}/members", tag = "Audiences", operation_id = "addMembers",
    params(
        ("audience" = String, Path, description = "The audience."), super::writing::ChangeParameters,
    ),
    request_body = MembersRequest,
    responses(
        (status = 200, description = "They are in.", body = TurnReport),
        (status = 422, description = "An id is none; nothing was done."),
    ),
)]
pub(super) async fn add_all(
    State(api): State<Api>,
    asker: Asker,
    Path(name): Path<String>,
    extract::Json(request): extract::Json<MembersRequest>,
) -> Result<Json<TurnReport>, Problem> {
    turn_all(&api, &asker, (&name, Turn::In), request).await
}

/// Take customers out of an audience
///
/// Answered when the brokers have all of it.
#[utoipa::path(
    post, path = "/v1/audiences/{audience}/members:remove", tag = "Audiences", operation_id = "removeMembers",
    params(
        ("audience" = String, Path, description = "The audience."), super::writing::ChangeParameters,
    ),
    request_body = MembersRequest,
    responses(
        (status = 200, description = "They are out.", body = TurnReport),
        (status = 422, description = "An id is none; nothing was done."),
    ),
)]
pub(super) async fn remove_all(
    State(api): State<Api>,
    asker: Asker,
    Path(name): Path<String>,
    extract::Json(request): extract::Json<MembersRequest>,
) -> Result<Json<TurnReport>, Problem> {
    turn_all(&api, &asker, (&name, Turn::Out), request).await
}

/// Ask whether a customer is in an audience
#[utoipa::path(
    get, path = "/v1/audiences/{audience}/members/{customer}", tag = "Audiences", operation_id = "getMember",
    params(
        ("audience" = String, Path, description = "The audience."),
        ("customer" = String, Path, description = "The customer."),
    ),
    responses((status = 200, description = "Whether they are.", body = MembershipReport)),
)]
pub(super) async fn member(
    State(api): State<Api>,
    _: Principal,
    Path((name, customer)): Path<(String, String)>,
) -> Result<Json<MembershipReport>, Problem> {
    let (name, customer) = (audience_name(&name)?, customer_id(&customer)?);
    let of = api.audiences.of(&customer);
    let of = of.map_err(|error| problem(&error))?;
    Ok(Json(MembershipReport {
        is_in: of.iter().any(|it| it == name.as_str()),
        audience: name.to_string(),
        customer_id: customer.to_string(),
    }))
}

/// Put a customer in an audience
#[utoipa::path(
    put, path = "/v1/audiences/{audience}/members/{customer}", tag = "Audiences", operation_id = "addMember",
    params(
        ("audience" = String, Path, description = "The audience."),
        ("customer" = String, Path, description = "The customer."), super::writing::ChangeParameters,
    ),
    responses((status = 204, description = "They are in.")),
)]
pub(super) async fn add(
    State(api): State<Api>,
    asker: Asker,
    Path((name, customer)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    turn_one(&api, &asker, (&name, Turn::In), &customer).await
}

/// Take a customer out of an audience
#[utoipa::path(
    delete, path = "/v1/audiences/{audience}/members/{customer}", tag = "Audiences", operation_id = "removeMember",
    params(
        ("audience" = String, Path, description = "The audience."),
        ("customer" = String, Path, description = "The customer."), super::writing::ChangeParameters,
    ),
    responses((status = 204, description = "They are out.")),
)]
pub(super) async fn remove(
    State(api): State<Api>,
    asker: Asker,
    Path((name, customer)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    turn_one(&api, &asker, (&name, Turn::Out), &customer).await
}

async fn turn_all(
    api: &Api,
    asker: &Asker,
    (name, turn): (&str, Turn),
    request: MembersRequest,
) -> Result<Json<TurnReport>, Problem> {
    let name = audience_name(name)?;
    let reason = asker.reason(None)?;
    if request.customer_ids.len() > MAX_CUSTOMERS {
        let found = request.customer_ids.len();
        let detail = format!("there are {found} customers; send at most {MAX_CUSTOMERS} at a time");
        return Err(Problem::new(&BAD_REQUEST, detail));
    }
    let mut customers = Vec::with_capacity(request.customer_ids.len());
    let mut faults = Vec::new();
    for (place, id) in request.customer_ids.into_iter().enumerate() {
        match CustomerId::new(id) {
            Ok(id) => customers.push(id),
            Err(error) => {
                let pointer = format!("/customer_ids/{place}");
                faults.push(Fault::new(pointer, error.to_string()));
            }
        }
    }
    if !faults.is_empty() {
        faults.truncate(MAX_FAULTS);
        return Err(Problem::new(&INVALID, "not every id is one; nothing was done").errors(faults));
    }
    let turned = api.audiences.turn(&name, &customers, turn).await;
    turned.map_err(|error| problem(&error))?;
    tracing::info!(
        target: "audit",
        actor = asker.who().name(),
        audience = %name,
        customers = customers.len(),
        reason = reason.as_deref(),
        "{}", said(turn)
    );
    Ok(Json(TurnReport {
        audience: name.to_string(),
        customers: customers.len(),
    }))
}

/// Most ids of which it is told what is wrong with them.
const MAX_FAULTS: usize = 100;

async fn turn_one(
    api: &Api,
    asker: &Asker,
    (name, turn): (&str, Turn),
    customer: &str,
) -> Result<StatusCode, Problem> {
    let (name, customer) = (audience_name(name)?, customer_id(customer)?);
    let reason = asker.reason(None)?;
    let turned = (api.audiences).turn(&name, std::slice::from_ref(&customer), turn);
    turned.await.map_err(|error| problem(&error))?;
    tracing::info!(
        target: "audit",
        actor = asker.who().name(),
        audience = %name,
        customer_id = %customer,
        reason = reason.as_deref(),
        "{}", said(turn)
    );
    Ok(StatusCode::NO_CONTENT)
}

const fn said(turn: Turn) -> &'static str {
    match turn {
        Turn::In => "customers were put in an audience",
        Turn::Out => "customers were taken out of an audience",
    }
}

fn audience_name(text: &str) -> Result<AudienceName, Problem> {
    AudienceName::new(text).map_err(|error| Problem::new(&BAD_REQUEST, error.to_string()))
}

/// Why there is no answer.
pub(super) fn problem(error: &AudienceError) -> Problem {
    match error {
        AudienceError::TooMany => Problem::new(&BAD_REQUEST, error.to_string()),
        AudienceError::Absent | AudienceError::NotRead(_) | AudienceError::Unacknowledged(_) => {
            tracing::warn!(%error, "a question about audiences was not answered");
            let wait = std::time::Duration::from_secs(1);
            Problem::new(&UNAVAILABLE, error.to_string()).retry_after(wait)
        }
    }
}
