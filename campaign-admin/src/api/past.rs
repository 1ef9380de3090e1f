//! Documents of the past.

use jiff::Timestamp;
use schemas::{Campaign, CampaignChange, CampaignId};
use service::http::Problem;
use service::http::problem::{INTERNAL, NOT_FOUND};

use super::Api;
use super::campaigns::{away, missing};
use crate::catalog::{Past, Says};

/// A document and the state that it was.
pub(super) struct Found {
    pub(super) tag: String,
    pub(super) written_at: Timestamp,
    pub(super) campaign: Campaign,
}

/// Changes by their offsets, in that order.
pub(super) async fn fetch(api: &Api, offsets: Vec<i64>) -> Result<Vec<CampaignChange>, Problem> {
    if offsets.is_empty() {
        return Ok(Vec::new());
    }
    let archive = api.archive.clone();
    let found = tokio::task::spawn_blocking(move || archive.fetch(&offsets)).await;
    let found = found.map_err(|_| Problem::new(&INTERNAL, ""))?;
    found.map_err(|error| away(&error))
}

async fn fetch_one(api: &Api, offset: i64) -> Result<CampaignChange, Problem> {
    let found = fetch(api, vec![offset]).await?;
    found
        .into_iter()
        .next()
        .ok_or_else(|| Problem::new(&INTERNAL, ""))
}

/// The document of a version, wherever it is still written.
pub(super) async fn of_version(api: &Api, id: &CampaignId, version: u64) -> Result<Found, Problem> {
    let catalog = api.campaigns()?;
    if let Some(current) = catalog.current(id)
        && current.campaign.version == version
    {
        return Ok(Found {
            tag: current.tag(),
            written_at: current.written_at,
            campaign: current.campaign.clone(),
        });
    }
    let history = catalog.history(id);
    if history.is_empty() {
        return Err(missing(id));
    }
    let changes = || {
        history.iter().rev().filter_map(|past| match past {
            Past::Change(change) => Some(change),
            Past::Foreign(_) => None,
        })
    };
    let tag = version.to_string();
    if let Some(change) = changes().find(|change| change.after == Some(version))
        && let Some(after) = fetch_one(api, change.offset).await?.after
    {
        return Ok(Found {
            tag,
            written_at: change.changed_at,
            campaign: *after,
        });
    }
    // Written to the topic by others, and kept by the change that replaced it.
    if let Some(change) = changes().find(|change| change.before == Some(version))
        && let Some(before) = fetch_one(api, change.offset).await?.before
    {
        return Ok(Found {
            tag,
            written_at: change.changed_at,
            campaign: *before,
        });
    }
    let detail = format!("no document of campaign {id} in version {version} is known");
    Err(Problem::new(&NOT_FOUND, detail))
}

/// The document that was in force at a time.
pub(super) async fn at(api: &Api, id: &CampaignId, time: Timestamp) -> Result<Found, Problem> {
    let catalog = api.campaigns()?;
    let history = catalog.history(id);
    if history.is_empty() {
        return Err(missing(id));
    }
    let not_there = |why: &str| {
        let detail = format!("campaign {id} was not there at {time}: {why}");
        Err(Problem::new(&NOT_FOUND, detail))
    };
    let in_force = history.iter().rev().find(|past| match past {
        Past::Change(change) => change.changed_at <= time,
        // A broken record left in force what was there.
        Past::Foreign(foreign) => {
            foreign.written_at <= time && !matches!(foreign.says, Says::Refused { .. })
        }
    });
    match in_force {
        None => not_there("it was created later"),
        Some(Past::Change(change)) => match fetch_one(api, change.offset).await?.after {
            Some(after) => Ok(Found {
                tag: after.version.to_string(),
                written_at: change.changed_at,
                campaign: *after,
            }),
            None => not_there("it had been deleted"),
        },
        Some(Past::Foreign(foreign)) => match (&foreign.says, catalog.current(id)) {
            (Says::Stored { .. }, Some(current)) if current.offset == foreign.offset => Ok(Found {
                tag: current.tag(),
                written_at: current.written_at,
                campaign: current.campaign.clone(),
            }),
            (Says::Stored { version }, _) => of_version(api, id, *version).await,
            _ => not_there("it had been deleted"),
        },
    }
}
