//! The history of a campaign: who changed what, when and why.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use schemas::{Campaign, CampaignChange};
use serde::{Deserialize, Serialize};
use service::auth::Principal;
use service::http::Problem;
use service::http::extract::{Path, Query};
use utoipa::{IntoParams, ToSchema};

use super::campaigns::{campaign_id, missing};
use super::{Api, page, past};
use crate::catalog::{Change, Current, Foreign, Past, Says};
use crate::difference::{self, Operation};
use crate::metrics::word;

/// Most changes of a page. Their documents are read again from Kafka, a few milliseconds each.
const MAX_SIZE: usize = 100;
const SIZE: usize = 20;

/// Which part of a history.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryParameters {
    /// Most changes of the answer, at most 100.
    #[param(minimum = 1, maximum = 100)]
    page_size: Option<usize>,
    /// `next_page_token` of the answer before.
    page_token: Option<String>,
}

/// Some of what was done to a campaign, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HistoryPage {
    /// The changes.
    changes: Vec<HistoryEntry>,
    /// Leads to the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// Something that was done to a campaign.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HistoryEntry {
    /// `api` for a change, `topic` for a record that somebody wrote to the topic without one. The topic is
    /// compacted, so of those only the newest are known.
    #[schema(example = "api")]
    source: &'static str,
    /// What was done: created, updated, paused, resumed, archived, deleted; for records of the topic
    /// written, deleted, or refused, for what is broken changes nothing.
    #[schema(example = "updated")]
    action: &'static str,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    changed_at: Timestamp,
    /// Who, as their authentication names them. Of records of the topic nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    /// Why, in their words.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The version of the document after; absent when it was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    /// The version of the document before; absent when it was not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_version: Option<u64>,
    /// What it changed in the document, as a JSON Patch (RFC 6902) with the values before; but for the
    /// version. Absent when there was no document before or after, or it is no longer known.
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<Vec<Operation>>,
    /// What is wrong with a record that was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// Names the change; the header `change-id` of its records.
    #[serde(skip_serializing_if = "Option::is_none")]
    change_id: Option<String>,
    /// Place of its record: in `campaign-changes` for a change, in `campaigns` for others.
    offset: i64,
}

/// List what was done to a campaign
///
/// Newest first; also of a campaign that is deleted.
#[utoipa::path(
    get, path = "/v1/campaigns/{id}/history", tag = "Campaigns", operation_id = "listCampaignHistory",
    params(("id" = String, Path, description = "The campaign."), HistoryParameters),
    responses((status = 200, description = "A page of changes.", body = HistoryPage)),
)]
pub(super) async fn list(
    State(api): State<Api>,
    _: Principal,
    Path(id): Path<String>,
    Query(parameters): Query<HistoryParameters>,
) -> Result<Json<HistoryPage>, Problem> {
    let id = campaign_id(&id)?;
    let size = match parameters.page_size {
        None => SIZE,
        asked => page::size(asked)?.min(MAX_SIZE),
    };
    let history = api.campaigns()?.history(&id);
    if history.is_empty() {
        return Err(missing(&id));
    }
    let end = match parameters.page_token {
        None => history.len(),
        Some(token) => {
            let place = page::place(&token)?;
            let found = history.iter().position(|past| name(past) == place);
            found.ok_or_else(page::unknown)?
        }
    };
    let start = end.saturating_sub(size);
    // One more than is shown, for what a record of the topic differs from.
    let seen = &history[start.saturating_sub(1)..end];
    let shown = end - start;
    let offsets: Vec<_> = seen.iter().filter_map(offset_of_change).collect();
    let mut records = past::fetch(&api, offsets).await?.into_iter();
    let documents: Vec<_> = seen
        .iter()
        .map(|past| offset_of_change(past).and_then(|_| records.next()))
        .collect();
    let current = api.campaigns()?.current(&id);
    let entries = seen.iter().enumerate().rev().take(shown).map(|(at, past)| {
        let before = at
            .checked_sub(1)
            .and_then(|before| documents[before].as_ref());
        match past {
            Past::Change(change) => of_change(change, documents[at].as_ref()),
            Past::Foreign(foreign) => of_foreign(foreign, before, current.as_deref()),
        }
    });
    Ok(Json(HistoryPage {
        changes: entries.collect(),
        next_page_token: (start > 0).then(|| page::token(&name(&history[start]))),
    }))
}

/// Names a place in a history, whatever is added to it.
fn name(past: &Past) -> String {
    match past {
        Past::Change(change) => format!("c{}", change.offset),
        Past::Foreign(foreign) => format!("t{}", foreign.offset),
    }
}

fn offset_of_change(past: &Past) -> Option<i64> {
    match past {
        Past::Change(change) => Some(change.offset),
        Past::Foreign(_) => None,
    }
}

fn of_change(change: &Change, document: Option<&CampaignChange>) -> HistoryEntry {
    let documents = document.and_then(|document| {
        let before = document.before.as_deref()?;
        Some((before, document.after.as_deref()?))
    });
    HistoryEntry {
        source: "api",
        action: word(change.action),
        changed_at: change.changed_at,
        actor: Some(change.actor.to_string()),
        reason: change.reason.as_deref().map(str::to_owned),
        version: change.after,
        previous_version: change.before,
        difference: documents.map(|(before, after)| differ(before, after)),
        problem: None,
        change_id: change.id.map(|id| id.to_string()),
        offset: change.offset,
    }
}

/// A record of the topic, after that change. Its document is known only while it is in force.
fn of_foreign(
    foreign: &Foreign,
    before: Option<&CampaignChange>,
    current: Option<&Current>,
) -> HistoryEntry {
    let (action, version, problem) = match &foreign.says {
        Says::Stored { version } => ("written", Some(*version), None),
        Says::Deleted => ("deleted", None, None),
        Says::Refused { detail } => ("refused", None, Some(detail.to_string())),
    };
    let before = before.and_then(|before| before.after.as_deref());
    let after = current.filter(|current| current.offset == foreign.offset);
    HistoryEntry {
        source: "topic",
        action,
        changed_at: foreign.written_at,
        actor: None,
        reason: None,
        version,
        previous_version: before.map(|before| before.version),
        difference: match (before, after) {
            (Some(before), Some(after)) => Some(differ(before, &after.campaign)),
            _ => None,
        },
        problem,
        change_id: None,
        offset: foreign.offset,
    }
}

/// What differs but for the version, which differs always.
fn differ(before: &Campaign, after: &Campaign) -> Vec<Operation> {
    let json = |campaign: &Campaign| {
        let mut json = serde_json::to_value(campaign).unwrap_or_default();
        if let Some(fields) = json.as_object_mut() {
            fields.remove("version");
        }
        json
    };
    difference::between(&json(before), &json(after))
}
