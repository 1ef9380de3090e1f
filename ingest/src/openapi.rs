//! The API's description: OpenAPI 3.1. A copy is kept in the repository, so that a change of the API is
//! seen as one.

use axum::Router;
use axum::http::header;
use axum::routing::get;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use service::http::description::{Common, FaultDocument, ProblemDocument, to_json};
use utoipa::{OpenApi, ToSchema};

/// What a customer did. Further fields are kept for the rules.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "event_id": "order-4711", "customer_id": "c-42", "event_type": "purchase",
    "occurred_at": "2026-11-24T09:30:00Z", "payload": {"amount": 75, "country": "US"},
}))]
struct EventDocument {
    /// Names the event for ever; the same event may be sent again under it. Given and returned if it
    /// is absent.
    #[schema(max_length = 256)]
    event_id: Option<String>,
    /// Who did it.
    #[schema(max_length = 256)]
    customer_id: String,
    /// What was done.
    #[schema(max_length = 256)]
    event_type: String,
    /// When it was done, with an offset.
    #[schema(value_type = String, format = DateTime)]
    occurred_at: Timestamp,
    /// Everything else that rules may ask for.
    #[schema(value_type = Option<Object>)]
    payload: Option<Map<String, Value>>,
}

/// One event, or several.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "documentation")]
enum EventsDocument {
    One(EventDocument),
    Several(Vec<EventDocument>),
}

/// A CloudEvent, version 1.0.
#[derive(ToSchema)]
#[schema(example = json!({
    "specversion": "1.0", "id": "4711", "source": "/shops/1", "type": "purchase",
    "time": "2026-11-24T09:30:00Z", "subject": "c-42", "data": {"amount": 75},
}))]
#[expect(dead_code, reason = "documentation")]
struct CloudEventDocument {
    /// `1.0`.
    specversion: String,
    /// With `source` it names the event for ever: `event_id` is `source|id`.
    id: String,
    /// Where it comes from.
    source: String,
    /// What was done: `event_type`.
    r#type: String,
    /// When it was done: `occurred_at`.
    #[schema(value_type = String, format = DateTime)]
    time: Timestamp,
    /// Who did it: `customer_id`, unless `customerid` or `partitionkey` is there.
    subject: Option<String>,
    /// The same, and the first to be looked at.
    customerid: Option<String>,
    /// The same, and the second.
    partitionkey: Option<String>,
    /// JSON.
    datacontenttype: Option<String>,
    /// Everything else that rules may ask for: `payload`.
    #[schema(value_type = Option<Object>)]
    data: Option<Map<String, Value>>,
}

/// The event is safe: the broker has acknowledged it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documentation")]
struct AcceptedDocument {
    /// The event's, given by us if it had none.
    event_id: String,
    /// The trace that the request belongs to.
    trace_id: String,
}

/// What became of several events.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documentation")]
struct SeveralDocument {
    /// How many are safe.
    accepted: u32,
    /// How many are not.
    refused: u32,
    /// Each, in the order of the request.
    items: Vec<ItemDocument>,
    /// The trace that the request belongs to.
    trace_id: String,
}

/// What became of one of several events.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documentation")]
struct ItemDocument {
    /// 202: it is safe. 503: send it again with the same `event_id`. Others: it cannot be taken as it is.
    status: u16,
    /// The event's, if it was written or may have been.
    event_id: Option<String>,
    /// Why it was refused, as a stable word.
    code: Option<String>,
    /// The same in words.
    detail: Option<String>,
    /// What is wrong with it; pointers begin at the event.
    errors: Option<Vec<FaultDocument>>,
}

/// Send events
///
/// A body is one event or several: a JSON object or array, NDJSON, or CloudEvents 1.0 (structured, in a
/// batch, or binary with the attributes as headers `ce-…`); gzip and zstd are taken. 202 means that the
/// broker has every event on all replicas in sync. Whatever else the answer is, sending the same events
/// again with the same `event_id` is right.
#[utoipa::path(
    post,
    path = "/v1/events",
    operation_id = "send_events",
    tag = "Events",
    params(
        ("traceparent" = Option<String>, Header, description = "The trace to continue (W3C Trace Context); begun if absent"),
        ("correlation-id" = Option<String>, Header, description = "Your own name for the request; carried to the match"),
        ("content-encoding" = Option<String>, Header, description = "gzip or zstd"),
    ),
    request_body(content(
        (EventsDocument = "application/json"),
        (String = "application/x-ndjson"),
        (CloudEventDocument = "application/cloudevents+json"),
        (Vec<CloudEventDocument> = "application/cloudevents-batch+json"),
    )),
    responses(
        (status = 202, description = "All events are safe.", content(
            (AcceptedDocument = "application/json"),
            (SeveralDocument = "application/json"),
        )),
        (status = 207, description = "Some events are safe.", body = SeveralDocument),
        (status = 400, description = "The body cannot be understood.", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "Credentials are missing or not valid.", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "The scope events:write is missing.", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 408, description = "The body did not arrive in time.", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 413, description = "Too many bytes or events.", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 415, description = "Another media type or encoding.", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "No event is valid.", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "The rate is used up; see Retry-After.", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "No event is known to be safe; send them again after Retry-After.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
#[expect(dead_code, reason = "documentation")]
fn send_events() {}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Campaign Manager: ingest",
        description = "Send what customers do.\n\nEvery error is a problem of RFC 9457 \
            (`application/problem+json`); its `type` is an address that explains it.",
    ),
    paths(send_events),
    components(schemas(ProblemDocument, FaultDocument)),
    modifiers(&Common),
    tags((name = "Events", description = "What customers do. Scope events:write.")),
    security(("key" = [])),
)]
struct Api;

/// The description as JSON, as it is served and kept.
pub fn json() -> String {
    to_json(&Api::openapi())
}

/// `/openapi.json`.
pub(crate) fn routes() -> Router {
    let json = json();
    let answer = async move || ([(header::CONTENT_TYPE, "application/json")], json);
    Router::new().route("/openapi.json", get(answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// To write it anew: `UPDATE_OPENAPI=1 cargo test -p ingest openapi`.
    #[test]
    fn the_description_is_the_one_that_is_kept() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        let made = json();
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::write(path, &made).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            made == kept,
            "ingest/openapi.json is not of this API; UPDATE_OPENAPI=1 writes it anew"
        );
    }

    #[test]
    fn the_description_is_openapi_3_1_and_every_answer_may_be_a_problem() {
        let description: Value = serde_json::from_str(&json()).unwrap();
        assert!(description["openapi"].as_str().unwrap().starts_with("3.1"));
        let operation = &description["paths"]["/v1/events"]["post"];
        let responses = operation["responses"].as_object().unwrap();
        for status in ["202", "207", "413", "415", "422", "429", "503", "default"] {
            assert!(responses.contains_key(status), "{status}");
        }
        assert_eq!(operation["summary"], "Send events");
    }
}
