//! Matches, from the database.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use service::auth::Principal;
use service::http::Problem;
use service::http::extract::Query;
use service::http::problem::{BAD_REQUEST, UNAVAILABLE};
use store::{Position, Range, StoredMatch};
use utoipa::{IntoParams, ToSchema};

use super::document::MatchDocument;
use super::kinds::NOT_RECORDED;
use super::{Api, page};
use crate::database::NoMatches;

/// How far back matches are looked for, unless said otherwise.
const CUSTOMER: SignedDuration = SignedDuration::from_hours(24 * 365);
const CAMPAIGN: SignedDuration = SignedDuration::from_hours(24);

/// Which matches.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct MatchParameters {
    /// What this event won; without times and pages.
    event_id: Option<String>,
    /// What this customer won.
    customer_id: Option<String>,
    /// Who won this campaign.
    campaign_id: Option<String>,
    /// Only events from this time on; by itself a year before `to` for a customer, a day for a campaign.
    #[param(value_type = Option<String>, format = DateTime, example = "2026-11-01T00:00:00Z")]
    from: Option<Timestamp>,
    /// Only events before this time; by itself now.
    #[param(value_type = Option<String>, format = DateTime, example = "2026-12-01T00:00:00Z")]
    to: Option<Timestamp>,
    /// Most matches of the answer, at most 500.
    #[param(minimum = 1, maximum = 500)]
    page_size: Option<usize>,
    /// `next_page_token` of the answer before, with the same question; the times are those of the first page.
    page_token: Option<String>,
}

/// Some matches, newest event first; those of one event in the order of their campaigns.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MatchPage {
    /// The matches. There may be few or none although there is a next page, where they are sparse.
    #[schema(value_type = Vec<MatchDocument>)]
    matches: Vec<StoredMatch>,
    /// Leads to the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// List matches
///
/// By exactly one of `event_id`, `customer_id` and `campaign_id`. A match is here within moments of its commit.
#[utoipa::path(
    get, path = "/v1/matches", tag = "Matches", operation_id = "listMatches",
    params(MatchParameters),
    responses(
        (status = 200, description = "A page of matches.", body = MatchPage),
        (status = 501, description = "This installation has no database."),
    ),
)]
pub(super) async fn list(
    State(api): State<Api>,
    _: Principal,
    Query(asked): Query<MatchParameters>,
) -> Result<Json<MatchPage>, Problem> {
    let database = &api.database;
    let reader = database.reader().map_err(|error| no_matches(&error))?;
    let size = page::size(asked.page_size)?;
    let answer = match (&asked.event_id, &asked.customer_id, &asked.campaign_id) {
        (Some(event), None, None) => {
            let matches = database.answered(reader.by_event(event).await);
            return Ok(Json(MatchPage {
                matches: matches.map_err(|error| no_matches(&error))?,
                next_page_token: None,
            }));
        }
        (None, Some(customer), None) => {
            let (range, after) = asked.span(CUSTOMER)?;
            let page = reader.by_customer(customer, range, after, size).await;
            page.map(|page| (page, range))
        }
        (None, None, Some(campaign)) => {
            let (range, after) = asked.span(CAMPAIGN)?;
            let page = reader.by_campaign(campaign, range, after, size).await;
            page.map(|page| (page, range))
        }
        _ => {
            let detail = "ask by one of event_id, customer_id and campaign_id";
            return Err(Problem::new(&BAD_REQUEST, detail));
        }
    };
    let (page, range) = database
        .answered(answer)
        .map_err(|error| no_matches(&error))?;
    Ok(Json(MatchPage {
        matches: page.matches,
        next_page_token: page.next.map(|next| Place::token(range, next)),
    }))
}

fn no_matches(error: &NoMatches) -> Problem {
    match error {
        NoMatches::NotRecorded => Problem::new(&NOT_RECORDED, error.to_string()),
        NoMatches::NotReached | NoMatches::Store(_) => {
            Problem::new(&UNAVAILABLE, error.to_string()).retry_after(Duration::from_secs(1))
        }
    }
}

impl MatchParameters {
    /// The time to look into, and where to go on. The pages of one question look into the same time.
    fn span(&self, usual: SignedDuration) -> Result<(Range, Option<Position>), Problem> {
        if let Some(token) = &self.page_token {
            let place = Place::of(token)?;
            return Ok((place.range()?, Some(place.position()?)));
        }
        let to = self.to.unwrap_or_else(Timestamp::now);
        let usual = || to.checked_sub(usual).unwrap_or(Timestamp::MIN);
        let from = self.from.unwrap_or_else(usual);
        Ok((Range { from, to }, None))
    }
}

/// Where a page ended, in milliseconds since 1970: what a token says.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Place {
    from: i64,
    to: i64,
    at: i64,
    row: Option<(String, String)>,
}

impl Place {
    fn of(token: &str) -> Result<Self, Problem> {
        let place = page::place(token)?;
        serde_json::from_str(&place).map_err(|_| page::unknown())
    }

    fn token(range: Range, position: Position) -> String {
        let place = Self {
            from: range.from.as_millisecond(),
            to: range.to.as_millisecond(),
            at: position.occurred_at.as_millisecond(),
            row: position.row,
        };
        page::token(&serde_json::to_string(&place).unwrap_or_default())
    }

    fn range(&self) -> Result<Range, Problem> {
        Ok(Range {
            from: time(self.from)?,
            to: time(self.to)?,
        })
    }

    fn position(self) -> Result<Position, Problem> {
        Ok(Position {
            occurred_at: time(self.at)?,
            row: self.row,
        })
    }
}

fn time(millis: i64) -> Result<Timestamp, Problem> {
    Timestamp::from_millisecond(millis).map_err(|_| page::unknown())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_carries_the_time_that_is_looked_into() {
        let at = |millis| Timestamp::from_millisecond(millis).unwrap();
        let range = Range {
            from: at(1_000),
            to: at(9_000),
        };
        let position = Position {
            occurred_at: at(5_000),
            row: Some(("e;1".into(), "ten".into())),
        };
        let token = Place::token(range, position.clone());
        let place = Place::of(&token).unwrap();
        assert_eq!(place.range().unwrap(), range);
        assert_eq!(place.position().unwrap(), position);
        assert!(Place::of(&page::token("{}")).is_err());
    }
}
