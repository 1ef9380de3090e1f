//! Customers: what is remembered of them, and forgetting them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use rules::Rule;
use schemas::{Control, CustomerId};
use serde::Serialize;
use service::auth::Principal;
use service::http::Problem;
use service::http::extract::Path;
use service::http::problem::{BAD_REQUEST, INTERNAL};
use state::{Account, Customer};
use store::{Range, StoredMatch};
use utoipa::ToSchema;

use super::audiences;
use super::document::{CampaignAccountDocument, MatchDocument, SeenDocument};
use super::writing::Asker;
use super::{Api, no_answer};
use crate::audiences::AudienceError;
use crate::catalog::{Catalog, Filter};

/// Most matches of an answer, and how far back they are looked for.
const MATCHES: usize = 20;
const BACK: SignedDuration = SignedDuration::from_hours(24 * 365);

/// What the system remembers of a customer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CustomerReport {
    /// Who.
    customer_id: String,
    /// The partition that their events are in, and what is remembered.
    partition: i32,
    /// Events that will not count again.
    #[schema(value_type = SeenDocument)]
    seen: state::account::Seen,
    /// What campaigns hold, in the order of their ids.
    #[schema(value_type = Vec<CampaignAccountDocument>)]
    campaigns: Vec<state::account::CampaignAccount>,
    /// Returns that wait for what they take back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    returns: Vec<String>,
    /// The audiences that they are in; absent if that cannot be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    audiences: Option<Vec<String>>,
    /// What is left of campaigns that are no longer there, or counted something else before they were changed.
    left: Vec<String>,
    /// The newest matches of the last year, at most 20; absent if the database cannot say.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<MatchDocument>>)]
    matches: Option<Vec<StoredMatch>>,
    /// Why there are no matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    no_matches: Option<String>,
    /// All but the matches as a text.
    text: String,
}

/// The record that asks to forget a customer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErasureReport {
    /// Who.
    customer_id: String,
    /// Its partition of `events`.
    partition: i32,
    /// Its offset. What was there before is forgotten; what comes after counts anew.
    offset: i64,
}

/// Get a customer
///
/// What campaigns remember of them, in words, and what they won lately. Reads the changelog of their partition, which may take
/// seconds. A customer of whom nothing is remembered has an empty report.
#[utoipa::path(
    get, path = "/v1/customers/{id}", tag = "Customers", operation_id = "getCustomer",
    params(("id" = String, Path, description = "The customer.")),
    responses((status = 200, description = "What is remembered.", body = CustomerReport)),
)]
pub(super) async fn get(
    State(api): State<Api>,
    _: Principal,
    Path(id): Path<String>,
) -> Result<Json<CustomerReport>, Problem> {
    let id = customer_id(&id)?;
    api.campaigns()?;
    let key = id.to_string();
    let wanted = key.clone();
    let remembered = (api.customers)
        .remembered(key, move |it| it == wanted)
        .await;
    let remembered = remembered.map_err(|error| no_answer(&error))?;
    let account = match remembered.found.into_values().next() {
        None => Account::default(),
        Some(customer) => {
            let catalog = std::sync::Arc::clone(&api.catalog);
            let told = tokio::task::spawn_blocking(move || account(&customer, &catalog));
            told.await.map_err(|error| {
                tracing::error!(%error, "a customer was not told of");
                Problem::new(&INTERNAL, "what is remembered cannot be told")
            })?
        }
    };
    let (matches, no_matches) = match matches(&api, &id).await {
        Ok(matches) => (Some(matches), None),
        Err(why) => (None, Some(why)),
    };
    Ok(Json(CustomerReport {
        customer_id: id.to_string(),
        partition: remembered.partition,
        text: account.to_string(),
        seen: account.seen,
        campaigns: account.campaigns,
        returns: account.returns,
        audiences: api.audiences.of(&id).ok(),
        left: account.left,
        matches,
        no_matches,
    }))
}

/// Erase a customer
///
/// Forgets them everywhere: what campaigns count, what they wait for, and the matches in the database. It is asked for by a
/// record on `events`, behind all events so far: the matcher carries it out when it comes there, the recorder behind
/// it. Before that they are taken out of all audiences. Topics keep events and matches until their retention is over. An event that is sent again afterwards counts anew.
#[utoipa::path(
    delete, path = "/v1/customers/{id}", tag = "Customers", operation_id = "eraseCustomer",
    params(
        ("id" = String, Path, description = "The customer."), super::writing::ChangeParameters,
    ),
    responses((status = 202, description = "It is asked for, and will be done.", body = ErasureReport)),
)]
pub(super) async fn erase(
    State(api): State<Api>,
    asker: Asker,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<ErasureReport>), Problem> {
    let id = customer_id(&id)?;
    let reason = asker.reason(None)?;
    match api.audiences.forget(&id).await {
        // Without the topic there are no audiences.
        Ok(()) | Err(AudienceError::Absent) => {}
        Err(error) => return Err(audiences::problem(&error)),
    }
    let sent = api.customers.ask(id.as_str(), Control::Erase).await;
    let record = sent.map_err(|error| no_answer(&error))?;
    tracing::info!(
        target: "audit",
        actor = asker.who().name(),
        customer_id = %id,
        reason = reason.as_deref(),
        partition = record.partition,
        offset = record.offset,
        "a customer is to be forgotten"
    );
    let report = ErasureReport {
        customer_id: id.to_string(),
        partition: record.partition,
        offset: record.offset,
    };
    Ok((StatusCode::ACCEPTED, Json(report)))
}

pub(super) fn customer_id(text: &str) -> Result<CustomerId, Problem> {
    CustomerId::new(text).map_err(|error| Problem::new(&BAD_REQUEST, error.to_string()))
}

/// What campaigns hold of the customer now.
fn account(customer: &Customer, catalog: &Catalog) -> Account {
    let (campaigns, _) = catalog.list(&Filter::default(), None, usize::MAX - 1);
    let campaigns = campaigns.iter().map(|current| &current.campaign);
    let remember = campaigns.filter(|it| {
        let counts = !it.across.is_empty() || !it.limits.is_empty() || it.stacking.is_some();
        counts || it.hold.is_some() || it.reverse_on.is_some()
    });
    // What is in the catalog was compiled when it was read.
    let rules: Vec<Rule> = remember
        .filter_map(|campaign| Rule::compile(campaign.clone()).ok())
        .collect();
    Account::of(customer, &rules, Timestamp::now().as_millisecond())
}

/// What the customer won lately; why that cannot be said.
async fn matches(api: &Api, id: &CustomerId) -> Result<Vec<StoredMatch>, String> {
    let database = &api.database;
    let reader = database.reader().map_err(|error| error.to_string())?;
    let to = Timestamp::now();
    let from = to.checked_sub(BACK).unwrap_or(Timestamp::MIN);
    let page = reader.by_customer(id.as_str(), Range { from, to }, None, MATCHES);
    let page = database.answered(page.await);
    Ok(page.map_err(|error| error.to_string())?.matches)
}
