//! The API over HTTP.
//!
//! Handlers are thin: they read the request, ask the [`crate::catalog`], the [`crate::archive`] or the
//! database, or hand a change to [`crate::changes`], and write the answer. Every error is a problem.

mod kinds;

mod page;
mod preconditions;
mod reason;

mod campaigns;
mod turns;
mod writing;

mod history;
mod past;

mod check;
mod trial;

mod audiences;
mod budgets;
mod coupons;
mod customers;
mod matches;

mod document;
pub mod openapi;
mod rendered;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post, put};
use jiff::Timestamp;
use service::auth::{Auth, Scope};
use service::http::Problem;
use service::http::problem::{INTERNAL, UNAVAILABLE};

use crate::archive::Archive;
use crate::audiences::Audiences;
use crate::catalog::Catalog;
use crate::changelog::{Changelog, ChangelogError};
use crate::changes::Changes;
use crate::changes::MAX_DOCUMENT_BYTES;
use crate::database::Database;

pub(crate) use self::kinds::KINDS;

/// Largest body of a request to try events, which has a document and events.
const MAX_TRIAL_BYTES: usize = 1024 * 1024;

/// What handlers work with.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) changes: Changes,
    pub(crate) archive: Archive,
    pub(crate) database: Database,
    /// What matchers remember of customers.
    pub(crate) customers: Changelog,
    /// What settlers have granted.
    pub(crate) budgets: Changelog,
    /// Who is in which audience.
    pub(crate) audiences: Audiences,
}

impl Api {
    /// The campaigns, once they are known.
    fn campaigns(&self) -> Result<&Catalog, Problem> {
        if self.catalog.is_loaded() {
            return Ok(&self.catalog);
        }
        let detail = "the campaigns are still being read";
        Err(Problem::new(&UNAVAILABLE, detail).retry_after(std::time::Duration::from_secs(1)))
    }
}

/// All routes, each behind its scope but those of the documentation.
pub(crate) fn routes(api: Api, auth: &Auth) -> Router {
    let read = |routes| auth.protect(Scope::CampaignsRead, routes);
    let write = |routes| auth.protect(Scope::CampaignsWrite, routes);
    let matches = |routes| auth.protect(Scope::MatchesRead, routes);
    let customer = auth.protect(Scope::CustomersRead, get(customers::get));
    let customer = customer.merge(auth.protect(Scope::CustomersErase, delete(customers::erase)));
    let all = read(get(campaigns::list)).merge(write(post(writing::create)));
    let one = read(get(campaigns::get)).merge(write(
        delete(writing::delete)
            .put(writing::replace)
            .patch(writing::patch)
            // Verbs stand behind a colon, and axum knows no parameter that is part of a segment.
            .post(turns::verb),
    ));
    let budget = read(get(budgets::get)).merge(write(delete(budgets::reset)));
    let see = |routes| auth.protect(Scope::AudiencesRead, routes);
    let turn = |routes| auth.protect(Scope::AudiencesWrite, routes);
    let audience = see(get(audiences::get)).merge(turn(delete(audiences::drop_audience)));
    let member = see(get(audiences::member));
    let member = member.merge(turn(put(audiences::add).delete(audiences::remove)));
    let many = || DefaultBodyLimit::max(audiences::MAX_BYTES);
    let pool = read(get(coupons::get)).merge(write(delete(coupons::drop)));
    Router::new()
        .route("/v1/campaigns", all)
        .route("/v1/campaigns/{id}", one)
        .route("/v1/campaigns/{id}/history", read(get(history::list)))
        .route("/v1/campaigns/{id}/budget", budget)
        .route("/v1/campaigns:check", read(post(check::check)))
        .route("/v1/matches", matches(get(matches::list)))
        .route("/v1/customers/{id}", customer)
        .route("/v1/audiences", see(get(audiences::list)))
        .route("/v1/audiences/{audience}", audience)
        .route("/v1/audiences/{audience}/members/{customer}", member)
        .route("/v1/coupon-pools/{pool}", pool)
        .route("/v1/coupon-pools/{pool}/codes", write(post(coupons::add)))
        .layer(DefaultBodyLimit::max(MAX_DOCUMENT_BYTES))
        .route(
            "/v1/campaigns:try",
            read(post(trial::run)).layer(DefaultBodyLimit::max(MAX_TRIAL_BYTES)),
        )
        .route(
            "/v1/audiences/{audience}/members",
            turn(put(audiences::add_all)).layer(many()),
        )
        .route(
            "/v1/audiences/{audience}/members:remove",
            turn(post(audiences::remove_all)).layer(many()),
        )
        .with_state(api)
        .merge(rendered::routes())
}

/// A time as HTTP writes it (RFC 9110, section 5.6.7).
fn http_date(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Why what is remembered cannot be told.
fn no_answer(error: &ChangelogError) -> Problem {
    tracing::warn!(%error, "a question about what is remembered was not answered");
    match error {
        ChangelogError::State(_) => Problem::new(&INTERNAL, error.to_string()),
        _ => Problem::new(&UNAVAILABLE, error.to_string()).retry_after(Duration::from_secs(1)),
    }
}
