//! Pools of coupon codes: filling them, and what is left.

use std::borrow::Cow;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemas::pool::{self, Stock};
use schemas::{Control, PoolName};
use serde::{Deserialize, Serialize};
use service::auth::Principal;
use service::http::Problem;
use service::http::extract::{self, Path};
use service::http::problem::{INTERNAL, INVALID, NOT_FOUND};
use state::pool::{PoolLevel, account_id, level_of};
use utoipa::ToSchema;

use super::writing::Asker;
use super::{Api, no_answer};

/// How full a pool is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PoolReport {
    /// The pool.
    pool: String,
    /// So many codes it has had.
    stocked: u64,
    /// So many of them were given.
    given: u64,
    /// So many are left.
    left: u64,
}

/// Codes for a pool.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CodesDocument {
    /// 1 to 1,000, in the order in which they are to be given.
    #[schema(min_items = 1, max_items = 1000, example = json!(["SUMMER-7KX2", "SUMMER-9QPA"]))]
    codes: Vec<String>,
}

/// The record that changes a pool.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PoolChange {
    /// The pool.
    pool: String,
    /// Its partition of `claims`.
    partition: i32,
    /// Its offset. Claims behind it find the pool changed.
    offset: i64,
}

/// Get a pool of coupons
///
/// How many codes it has had and has left, as of now. Reads the pool's partition of the settler's changelog, which may take
/// seconds.
#[utoipa::path(
    get, path = "/v1/coupon-pools/{pool}", tag = "Coupons", operation_id = "getCouponPool",
    params(("pool" = String, Path, description = "The pool.")),
    responses((status = 200, description = "How full it is.", body = PoolReport)),
)]
pub(super) async fn get(
    State(api): State<Api>,
    _: Principal,
    Path(pool): Path<String>,
) -> Result<Json<PoolReport>, Problem> {
    let pool = name(&pool)?;
    let id = account_id(pool.as_str());
    let is_account = move |key: &str| key == id;
    let key = pool::key(pool.as_str());
    let remembered = api.budgets.remembered(key, is_account).await;
    let accounts = remembered.map_err(|error| no_answer(&error))?.found;
    let Some(account) = accounts.values().next() else {
        let detail = format!("pool {pool} has no codes, or they are not settled yet");
        return Err(Problem::new(&NOT_FOUND, detail));
    };
    let level: PoolLevel = level_of(account);
    Ok(Json(PoolReport {
        pool: pool.to_string(),
        stocked: level.stocked,
        given: level.given,
        left: level.left(),
    }))
}

/// Add codes to a pool of coupons
///
/// By a record on `claims`; the pool need not exist. A code that the pool has or had already is passed over, so the same request
/// may be sent again.
#[utoipa::path(
    post, path = "/v1/coupon-pools/{pool}/codes", tag = "Coupons", operation_id = "addCouponCodes",
    params(
        ("pool" = String, Path, description = "The pool."), super::writing::ChangeParameters,
    ),
    request_body = CodesDocument,
    responses((status = 202, description = "They are written, and will be added.", body = PoolChange)),
)]
pub(super) async fn add(
    State(api): State<Api>,
    asker: Asker,
    Path(pool): Path<String>,
    extract::Json(document): extract::Json<CodesDocument>,
) -> Result<(StatusCode, Json<PoolChange>), Problem> {
    let pool = name(&pool)?;
    let reason = asker.reason(None)?;
    let codes: Vec<Cow<'_, str>> = document.codes.iter().map(Cow::from).collect();
    let stock = Stock {
        pool: Cow::Borrowed(pool.as_str()),
        codes,
    };
    let wrong = |error: schemas::pool::StockError| Problem::new(&INVALID, error.to_string());
    stock.check().map_err(wrong)?;
    let value =
        serde_json::to_vec(&stock).map_err(|error| Problem::new(&INTERNAL, error.to_string()))?;
    let change = change(&api, &pool, Control::StockPool, Some(&value)).await?;
    tracing::info!(
        target: "audit",
        actor = asker.who().name(),
        %pool,
        codes = stock.codes.len(),
        reason = reason.as_deref(),
        partition = change.partition,
        offset = change.offset,
        "codes are to be added to a pool of coupons"
    );
    Ok((StatusCode::ACCEPTED, Json(change)))
}

/// Drop a pool of coupons
///
/// Its codes are given no more, and forgotten: added again, they are new. By a record on `claims`, behind all claims so far.
#[utoipa::path(
    delete, path = "/v1/coupon-pools/{pool}", tag = "Coupons", operation_id = "dropCouponPool",
    params(
        ("pool" = String, Path, description = "The pool."), super::writing::ChangeParameters,
    ),
    responses((status = 202, description = "It is asked for, and will be done.", body = PoolChange)),
)]
pub(super) async fn drop(
    State(api): State<Api>,
    asker: Asker,
    Path(pool): Path<String>,
) -> Result<(StatusCode, Json<PoolChange>), Problem> {
    let pool = name(&pool)?;
    let reason = asker.reason(None)?;
    let change = change(&api, &pool, Control::DropPool, None).await?;
    tracing::info!(
        target: "audit",
        actor = asker.who().name(),
        %pool,
        reason = reason.as_deref(),
        partition = change.partition,
        offset = change.offset,
        "a pool of coupons is to be dropped"
    );
    Ok((StatusCode::ACCEPTED, Json(change)))
}

async fn change(
    api: &Api,
    pool: &PoolName,
    control: Control,
    value: Option<&[u8]>,
) -> Result<PoolChange, Problem> {
    let key = pool::key(pool.as_str());
    let sent = api.budgets.send(&key, control, value).await;
    let record = sent.map_err(|error| no_answer(&error))?;
    Ok(PoolChange {
        pool: pool.to_string(),
        partition: record.partition,
        offset: record.offset,
    })
}

fn name(text: &str) -> Result<PoolName, Problem> {
    PoolName::new(text).map_err(|error| Problem::new(&INVALID, error.to_string()))
}
