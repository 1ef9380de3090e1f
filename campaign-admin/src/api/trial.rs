//! Tries a document on events, without writing anything.

use axum::Json;
use jiff::Timestamp;
use rules::Explanation;
use schemas::{AudienceName, Document, Event, Limits, Span};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use service::auth::Principal;
use service::http::problem::{BAD_REQUEST, Fault, INVALID};
use service::http::{Problem, extract};
use state::{Memberships, Over, Told, Trial};
use utoipa::ToSchema;

use super::document::{CampaignDocument, EventDocument, OverDocument, SequelDocument};

/// Most events of one trial.
const MAX_EVENTS: usize = 100;

/// A document, and events that it is to be tried on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TrialRequest {
    /// The campaign; nothing of it is written.
    #[schema(value_type = CampaignDocument)]
    campaign: Value,
    /// At most 100 events, in their order: what the campaign counts is counted from the first on. Of the envelope only `event_type` is needed: the others are made up, and the time is
    /// now. `{"advance": "31d"}` among them lets time pass.
    #[schema(value_type = Vec<EventDocument>, max_items = 100)]
    events: Vec<Value>,
    /// The audiences that the customers of the events are in; none if it is left out.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    audiences: Vec<AudienceName>,
}

/// How each event fares, in their order.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TrialReport {
    /// For each event.
    results: Vec<TrialResult>,
    /// Events whose time to wait is over, and nothing came between.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Option<Vec<OverDocument>>)]
    over: Vec<Over>,
    /// What became of matches after they were made: what was held is confirmed, returns take something back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Option<Vec<SequelDocument>>)]
    sequels: Vec<Told>,
}

/// How an event fares with the campaign.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TrialResult {
    /// Whether it wins as the document stands: it is active, live at the time of the event, its pattern is met and its
    /// reward has a value.
    wins: bool,
    /// Whether it would win if the campaign was active.
    wins_if_active: bool,
    /// Whether it would win, and does not because its customer is in the campaign's holdout.
    held_out: bool,
    /// Why, or why not, condition by condition.
    #[schema(value_type = Object)]
    explanation: Explanation,
    /// The same as a text, a condition a line.
    text: String,
}

/// Try a document on events
///
/// Explains for each event, condition by condition, whether it would win and why not. Writes nothing.
#[utoipa::path(
    post, path = "/v1/campaigns:try", tag = "Drafts", operation_id = "tryCampaign",
    request_body = TrialRequest,
    responses(
        (status = 200, description = "How each event fares.", body = TrialReport),
        (status = 422, description = "The document is no campaign, or an event is none."),
    ),
)]
pub(super) async fn run(
    _: Principal,
    extract::Json(request): extract::Json<TrialRequest>,
) -> Result<Json<TrialReport>, Problem> {
    if request.events.len() > MAX_EVENTS {
        let detail = format!("there are more than {MAX_EVENTS} events");
        return Err(Problem::new(&BAD_REQUEST, detail));
    }
    let rule = rules::check::campaign(&request.campaign).map_err(|problems| {
        let faults = problems.into_iter().map(|problem| {
            let pointer = format!("/campaign{}", problem.pointer);
            Fault::new(pointer, problem.detail)
        });
        Problem::new(&INVALID, "the document is no campaign").errors(faults.collect())
    })?;
    let now = Timestamp::now();
    let mut trial = Trial::new(&rule);
    let mut results = Vec::new();
    let mut faults = Vec::new();
    let (mut over, mut sequels) = (Vec::new(), Vec::new());
    for (at, event) in request.events.into_iter().enumerate() {
        if let Some(span) = event.get("advance").filter(|_| is_alone(&event)) {
            match serde_json::from_value::<Span>(span.clone()) {
                Ok(span) => {
                    let begin = trial.now().unwrap_or_else(|| now.as_millisecond());
                    trial.pass(begin.saturating_add(span.as_millis()));
                }
                Err(error) => {
                    let place = format!("/events/{at}/advance");
                    faults.push(Fault::new(place, error.to_string()));
                }
            }
            over.extend(trial.take_over());
            sequels.extend(trial.take_sequels().iter().map(Told::of));
            continue;
        }
        let of = Memberships::named(&request.audiences);
        match fare((&mut trial, of), event, at, now) {
            Ok(result) => results.push(result),
            Err(detail) => faults.push(Fault::new(format!("/events/{at}"), detail)),
        }
        over.extend(trial.take_over());
        sequels.extend(trial.take_sequels().iter().map(Told::of));
    }
    if faults.is_empty() {
        let report = TrialReport {
            results,
            over,
            sequels,
        };
        return Ok(Json(report));
    }
    Err(Problem::new(&INVALID, "not every event is one").errors(faults))
}

/// Whether an object has one field.
fn is_alone(value: &Value) -> bool {
    value.as_object().is_some_and(|fields| fields.len() == 1)
}

/// How an event fares, or what is wrong with it.
fn fare(
    (trial, memberships): (&mut Trial<'_>, Memberships<'_>),
    event: Value,
    at: usize,
    now: Timestamp,
) -> Result<TrialResult, String> {
    let Value::Object(event) = event else {
        return Err("an event is an object".to_owned());
    };
    let event = Value::Object(completed(event, at, now)).to_string();
    let mut document = Document::new();
    document
        .read(event.as_bytes(), Limits::default())
        .map_err(|error| error.to_string())?;
    let event = Event::of(&document).map_err(|error| error.to_string())?;
    let explanation = trial.take_of(&event, memberships);
    Ok(TrialResult {
        wins: explanation.wins,
        wins_if_active: explanation.wins_if_active(),
        held_out: explanation.is_held_out(),
        text: explanation.to_string(),
        explanation,
    })
}

/// The event with what of its envelope was left out.
fn completed(mut event: Map<String, Value>, at: usize, now: Timestamp) -> Map<String, Value> {
    let made_up = [
        ("event_id", format!("try-{at}")),
        ("customer_id", "try".to_owned()),
        ("occurred_at", now.to_string()),
    ];
    for (field, value) in made_up {
        event.entry(field).or_insert(Value::String(value));
    }
    event
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fare_of(status: &str, event: Value) -> Result<TrialResult, String> {
        let campaign = json!({
            "id": "ten", "name": "Ten", "status": status, "reward": {"kind": "custom"},
            "when": {"event_type": ["purchase"], "payload": {"amount": [{"numeric": [">=", 50]}]}},
        });
        let rule = rules::check::campaign(&campaign).unwrap();
        let nobody = Memberships::default();
        fare(
            (&mut Trial::new(&rule), nobody),
            event,
            0,
            Timestamp::UNIX_EPOCH,
        )
    }

    #[test]
    fn an_event_needs_no_more_than_what_the_rule_asks_for() {
        let purchase = |amount| json!({"event_type": "purchase", "payload": {"amount": amount}});
        let won = fare_of("active", purchase(75)).unwrap();
        assert!(won.wins && won.wins_if_active);
        let lost = fare_of("active", purchase(5)).unwrap();
        assert!(!lost.wins && !lost.wins_if_active);
        assert!(lost.text.contains("payload.amount"), "{}", lost.text);
        let draft = fare_of("draft", purchase(75)).unwrap();
        assert!(!draft.wins && draft.wins_if_active);
        let error = fare_of("active", json!({"event_type": 7})).unwrap_err();
        assert!(error.contains("event_type"), "{error}");
        assert!(fare_of("active", json!([])).is_err());
    }

    #[tokio::test]
    async fn time_passes_among_the_events_and_what_waited_is_told_of() {
        let campaign = json!({
            "id": "ten", "name": "Ten", "reward": {"kind": "custom"}, "when": {"event_type": ["sign_up"]},
            "across": [{"absent": true, "within": "30d", "when": {"event_type": ["purchase"]}}],
        });
        let run = async |events: Value| {
            let request = json!({"campaign": campaign, "events": events});
            let request = serde_json::from_value(request).unwrap();
            let report = run(Principal::anonymous(), extract::Json(request)).await;
            report.map(|Json(report)| report)
        };
        let events = json!([{"event_type": "sign_up"}, {"advance": "31d"}]);
        let report = run(events).await.unwrap();
        assert_eq!((report.results.len(), report.over.len()), (1, 1));
        assert!(!report.results[0].wins && report.over[0].wins());
        let events = json!([{"event_type": "sign_up"}, {"advance": "29d"}]);
        assert!(run(events).await.unwrap().over.is_empty());
        assert!(run(json!([{"advance": "soon"}])).await.is_err());
    }

    #[tokio::test]
    async fn a_campaign_is_tried_on_customers_of_the_audiences_that_are_named() {
        let campaign = json!({
            "id": "ten", "name": "Ten", "reward": {"kind": "custom"}, "when": {"event_type": ["purchase"]},
            "audience": ["vip", {"not": "staff"}],
        });
        let run = async |audiences: Value| {
            let events = json!([{"event_type": "purchase"}]);
            let request = json!({"campaign": campaign, "events": events, "audiences": audiences});
            let request = serde_json::from_value(request).unwrap();
            let report = run(Principal::anonymous(), extract::Json(request)).await;
            report.unwrap().0.results.remove(0)
        };
        assert!(run(json!(["vip"])).await.wins);
        let lost = run(json!(["vip", "staff"])).await;
        assert!(!lost.wins);
        assert!(
            lost.text.contains("the customer is in staff, vip"),
            "{}",
            lost.text
        );
    }
}
