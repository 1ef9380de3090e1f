//! Budgets of campaigns: what is used of them, and resetting them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use rules::Rule;
use schemas::{Amount, CampaignId, Control};
use serde::Serialize;
use service::auth::Principal;
use service::http::Problem;
use service::http::extract::Path;
use service::http::problem::{INTERNAL, NOT_FOUND};
use state::settle::{Spent, is_account_of, spent};
use utoipa::ToSchema;

use super::campaigns::{campaign_id, missing};
use super::writing::Asker;
use super::{Api, no_answer};

/// What is used of a campaign's budgets.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BudgetReport {
    /// The campaign.
    campaign_id: String,
    /// The version of it whose budgets these are.
    campaign_version: u64,
    /// Each budget with each value and stretch of time of which something is used, in the order of the document.
    budgets: Vec<BudgetUse>,
}

/// What is used of one budget.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BudgetUse {
    /// Where the budget is written: a JSON pointer into the campaign's document.
    pointer: String,
    /// The budget as it is written.
    #[schema(value_type = Object)]
    limit: schemas::across::Budget,
    /// The value of the field by which it is split; absent if it is not, or the events had none.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    /// When its day, week or month began; absent if it is of all time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    period: Option<Timestamp>,
    /// Matches.
    used_times: u64,
    /// Their amount; absent if it is 10^18 or more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    used_amount: Option<Amount>,
    /// The share that is used in whole percent, of the times or of the amount, whichever is greater.
    used_percent: u64,
}

/// The record that asks to reset the budgets of a campaign.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ResetReport {
    /// The campaign.
    campaign_id: String,
    /// Its partition of `claims`.
    partition: i32,
    /// Its offset. What was claimed before is forgotten; what comes after counts anew.
    offset: i64,
}

/// Get a campaign's budgets
///
/// What is used of each, as of now. Reads the campaign's partition of the settler's changelog, which may take seconds. A budget
/// of which nothing is used is listed once, without a stretch of time.
#[utoipa::path(
    get, path = "/v1/campaigns/{id}/budget", tag = "Budgets", operation_id = "getBudget",
    params(("id" = String, Path, description = "The campaign.")),
    responses((status = 200, description = "What is used.", body = BudgetReport)),
)]
pub(super) async fn get(
    State(api): State<Api>,
    _: Principal,
    Path(id): Path<String>,
) -> Result<Json<BudgetReport>, Problem> {
    let (id, rule) = campaign(&api, &id)?;
    let campaign = id.clone();
    let is_account = move |key: &str| is_account_of(key, &campaign);
    let remembered = api.budgets.remembered(id.to_string(), is_account).await;
    let accounts = remembered.map_err(|error| no_answer(&error))?.found;
    let all = accounts
        .iter()
        .flat_map(|(key, account)| spent(&rule, key, account));
    let all: Vec<Spent<'_>> = all.collect();
    let mut budgets = Vec::new();
    for total in rule.totals() {
        let mut of: Vec<&Spent<'_>> = all
            .iter()
            .filter(|it| it.total.pointer() == total.pointer())
            .collect();
        of.sort_by(|a, b| (&a.value, a.period).cmp(&(&b.value, b.period)));
        let used = of.into_iter().map(|spent| {
            let period = spent
                .period
                .and_then(|at| Timestamp::from_millisecond(at).ok());
            BudgetUse {
                pointer: total.pointer().to_owned(),
                limit: total.budget().clone(),
                value: spent.value.clone(),
                period,
                used_times: spent.used.times,
                used_amount: Amount::nearest(spent.used.amount).ok(),
                used_percent: spent.used.percent(total.budget()),
            }
        });
        let before = budgets.len();
        budgets.extend(used);
        if budgets.len() == before {
            budgets.push(BudgetUse {
                pointer: total.pointer().to_owned(),
                limit: total.budget().clone(),
                value: None,
                period: None,
                used_times: 0,
                used_amount: Some(Amount::ZERO),
                used_percent: 0,
            });
        }
    }
    Ok(Json(BudgetReport {
        campaign_id: id.to_string(),
        campaign_version: rule.version(),
        budgets,
    }))
}

/// Reset a campaign's budgets
///
/// All of them may be used anew. It is asked for by a record on `claims`, behind all claims of the campaign so far: the settler
/// carries it out when it comes there. Matches stay.
#[utoipa::path(
    delete, path = "/v1/campaigns/{id}/budget", tag = "Budgets", operation_id = "resetBudget",
    params(
        ("id" = String, Path, description = "The campaign."), super::writing::ChangeParameters,
    ),
    responses((status = 202, description = "It is asked for, and will be done.", body = ResetReport)),
)]
pub(super) async fn reset(
    State(api): State<Api>,
    asker: Asker,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<ResetReport>), Problem> {
    let (id, _) = campaign(&api, &id)?;
    let reason = asker.reason(None)?;
    let sent = api.budgets.ask(id.as_str(), Control::ResetBudget).await;
    let record = sent.map_err(|error| no_answer(&error))?;
    tracing::info!(
        target: "audit",
        actor = asker.who().name(),
        campaign_id = %id,
        reason = reason.as_deref(),
        partition = record.partition,
        offset = record.offset,
        "budgets are to be reset"
    );
    let report = ResetReport {
        campaign_id: id.to_string(),
        partition: record.partition,
        offset: record.offset,
    };
    Ok((StatusCode::ACCEPTED, Json(report)))
}

/// The campaign, which must have a budget.
fn campaign(api: &Api, id: &str) -> Result<(CampaignId, Rule), Problem> {
    let id = campaign_id(id)?;
    let current = api.campaigns()?.current(&id).ok_or_else(|| missing(&id))?;
    // What is in the catalog was compiled when it was read.
    let rule = Rule::compile(current.campaign.clone()).map_err(|error| {
        tracing::error!(%error, campaign_id = %id, "a campaign that was taken is broken");
        Problem::new(&INTERNAL, "the campaign cannot be read")
    })?;
    if rule.totals().is_empty() {
        let detail = format!("campaign {id} has no budget; limits.total gives it one");
        return Err(Problem::new(&NOT_FOUND, detail));
    }
    Ok((id, rule))
}
