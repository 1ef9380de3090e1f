//! What became of each event, and the answer that says so.

use std::ops::Range;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use rdkafka::types::RDKafkaErrorCode;
use serde::Serialize;
use serde_json::value::RawValue;
use service::http::Problem;
use service::http::problem::{BAD_REQUEST, Fault, INVALID, TOO_LARGE, UNAVAILABLE};
use std::time::Duration;

use crate::body::Hold;
use crate::metrics::{IngestMetrics, TypeNumber, TypeTally};
use crate::pending::Failure;
use crate::refusal::{Names, Refusal};

/// So many refused events of a body are explained; of the others only status and code are told. It
/// bounds the answer to a body full of nonsense.
const MAX_EXPLAINED: usize = 100;

/// When to send again what the broker did not take.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What became of the events of one request, in their order.
#[derive(Default)]
pub(crate) struct Outcomes {
    items: Vec<Outcome>,
    /// Ids of the events that were sent, as JSON texts, one behind the other.
    ids: Vec<u8>,
    tally: TypeTally,
    refused: usize,
}

enum Outcome {
    Sent {
        id: Range<u32>,
        event_type: TypeNumber,
        failure: Option<RDKafkaErrorCode>,
    },
    Refused(Box<Explained>),
}

/// A refusal, explained in the words of the form that came.
struct Explained {
    status: StatusCode,
    code: &'static str,
    detail: Option<String>,
    faults: Vec<Fault>,
}

/// An event within the answer to a body of several.
#[derive(Serialize)]
struct Item<'a> {
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<&'a RawValue>,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    errors: &'a [Fault],
}

impl Outcomes {
    pub(crate) fn with_capacity(items: usize) -> Self {
        Self {
            items: Vec::with_capacity(items),
            ..Self::default()
        }
    }

    /// Number of the next event.
    pub(crate) fn next(&self) -> u32 {
        u32::try_from(self.items.len()).expect("a body has fewer events than that")
    }

    /// Memory that the answer will take, and these, in bytes; about.
    pub(crate) fn bytes(&self) -> usize {
        (self.ids.len() + self.items.len() * size_of::<Outcome>()) * 2
    }

    /// The next event was sent.
    pub(crate) fn sent(&mut self, event_id: &str, event_type: &str) {
        let start = self.ids.len();
        serde_json::to_writer(&mut self.ids, event_id).expect("a text can be written");
        let place = |at: usize| u32::try_from(at).expect("a body has fewer bytes than that");
        self.items.push(Outcome::Sent {
            id: place(start)..place(self.ids.len()),
            event_type: self.tally.add(event_type),
            failure: None,
        });
    }

    /// The next event is refused.
    pub(crate) fn refused(&mut self, refusal: &Refusal, names: &Names<'_>) {
        self.refused += 1;
        let (detail, faults) = if self.refused <= MAX_EXPLAINED {
            (Some(refusal.detail()), refusal.faults(names))
        } else {
            (None, Vec::new())
        };
        let explained = Explained {
            status: refusal.status(),
            code: refusal.code(),
            detail,
            faults,
        };
        self.items.push(Outcome::Refused(Box::new(explained)));
    }

    /// All events are acknowledged but these.
    pub(crate) fn end(&mut self, failures: Vec<Failure>, metrics: &IngestMetrics) {
        let mut types = Vec::with_capacity(failures.len());
        for (number, code) in failures {
            if let Outcome::Sent {
                failure,
                event_type,
                ..
            } = &mut self.items[number as usize]
            {
                *failure = Some(code);
                types.push(*event_type);
            }
        }
        std::mem::take(&mut self.tally).end(types.into_iter(), metrics);
        for item in &self.items {
            if let Outcome::Refused(explained) = item {
                metrics.refused(explained.code);
            }
        }
    }

    /// The answer to a request with one event.
    pub(crate) fn answer_one(&self, trace_id: &str, hold: Hold) -> Result<Response, Problem> {
        match &self.items[..] {
            [Outcome::Sent { id, failure, .. }] => {
                let id = self.id(id);
                if let Some(code) = failure {
                    let refusal = Refusal::NotAcknowledged(*code);
                    return Err(problem(refusal.status(), &refusal.detail()).with("event_id", id));
                }
                let mut body = Vec::with_capacity(64 + id.get().len() + trace_id.len());
                body.extend_from_slice(b"{\"event_id\":");
                body.extend_from_slice(id.get().as_bytes());
                end(&mut body, trace_id);
                Ok(response(StatusCode::ACCEPTED, body, hold))
            }
            [Outcome::Refused(explained)] => {
                let detail = explained.detail.as_deref().unwrap_or_default();
                Err(problem(explained.status, detail).errors(explained.faults.clone()))
            }
            _ => unreachable!("a request with one event has one outcome"),
        }
    }

    /// The answer to a request with several: 202 when all are acknowledged, 207 when some are. When
    /// none is, it is a problem: 503 if sending them again may help, 422 if not.
    pub(crate) fn answer_all(&self, trace_id: &str, hold: Hold) -> Result<Response, Problem> {
        let (mut accepted, mut transient) = (0, 0);
        for item in &self.items {
            match item {
                Outcome::Sent { failure: None, .. } => accepted += 1,
                Outcome::Sent {
                    failure: Some(code),
                    ..
                } => transient += usize::from(Refusal::NotAcknowledged(*code).is_transient()),
                Outcome::Refused(_) => {}
            }
        }
        let refused = self.items.len() - accepted;
        if accepted > 0 {
            let mut body = Vec::with_capacity(128 + self.items.len() * 40 + self.ids.len());
            let counts = format!("{{\"accepted\":{accepted},\"refused\":{refused},\"items\":");
            body.extend_from_slice(counts.as_bytes());
            self.write_items(&mut body);
            end(&mut body, trace_id);
            let is_mixed = refused > 0;
            let status = if is_mixed {
                StatusCode::MULTI_STATUS
            } else {
                StatusCode::ACCEPTED
            };
            return Ok(response(status, body, hold));
        }
        let problem = if transient > 0 {
            problem(
                StatusCode::SERVICE_UNAVAILABLE,
                "the broker has acknowledged none of the events; send them again with the same event_id",
            )
        } else {
            problem(
                StatusCode::UNPROCESSABLE_ENTITY,
                "none of the events is valid",
            )
        };
        let mut items = Vec::new();
        self.write_items(&mut items);
        let items = String::from_utf8(items).expect("JSON is UTF-8");
        let items = RawValue::from_string(items).expect("what was just written is JSON");
        Err(problem
            .with("accepted", &accepted)
            .with("refused", &refused)
            .with("items", &items))
    }

    /// Writes the array of the items. By hand where all is well: there may be thousands.
    fn write_items(&self, body: &mut Vec<u8>) {
        body.push(b'[');
        for (at, item) in self.items.iter().enumerate() {
            if at > 0 {
                body.push(b',');
            }
            let item = match item {
                Outcome::Sent {
                    id, failure: None, ..
                } => {
                    body.extend_from_slice(b"{\"status\":202,\"event_id\":");
                    body.extend_from_slice(self.id(id).get().as_bytes());
                    body.push(b'}');
                    continue;
                }
                Outcome::Sent {
                    id,
                    failure: Some(code),
                    ..
                } => {
                    let refusal = Refusal::NotAcknowledged(*code);
                    Item {
                        status: refusal.status().as_u16(),
                        event_id: Some(self.id(id)),
                        code: refusal.code(),
                        detail: None,
                        errors: &[],
                    }
                }
                Outcome::Refused(explained) => Item {
                    status: explained.status.as_u16(),
                    event_id: None,
                    code: explained.code,
                    detail: explained.detail.as_deref(),
                    errors: &explained.faults,
                },
            };
            serde_json::to_writer(&mut *body, &item).expect("texts and numbers can be written");
        }
        body.push(b']');
    }

    /// An id as a JSON text.
    fn id(&self, place: &Range<u32>) -> &RawValue {
        let text = &self.ids[place.start as usize..place.end as usize];
        serde_json::from_slice(text).expect("an id was written as JSON")
    }
}

fn problem(status: StatusCode, detail: &str) -> Problem {
    match status {
        StatusCode::BAD_REQUEST => Problem::new(&BAD_REQUEST, detail),
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(&TOO_LARGE, detail),
        StatusCode::SERVICE_UNAVAILABLE => {
            Problem::new(&UNAVAILABLE, detail).retry_after(RETRY_AFTER)
        }
        _ => Problem::new(&INVALID, detail),
    }
}

/// The last member of an answer.
fn end(body: &mut Vec<u8>, trace_id: &str) {
    body.extend_from_slice(b",\"trace_id\":\"");
    body.extend_from_slice(trace_id.as_bytes());
    body.extend_from_slice(b"\"}\n");
}

/// An answer that gives its memory back when it is written out, however slowly the client reads.
fn response(status: StatusCode, body: Vec<u8>, hold: Hold) -> Response {
    struct Held {
        body: Vec<u8>,
        _hold: Hold,
    }
    impl AsRef<[u8]> for Held {
        fn as_ref(&self) -> &[u8] {
            &self.body
        }
    }
    let body = Bytes::from_owner(Held { body, _hold: hold });
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

#[cfg(test)]
mod tests {
    use schemas::EventError;
    use serde_json::{Value, json};
    use service::Metrics;

    use super::*;
    use crate::body::Budget;

    fn hold() -> Hold {
        Budget::new(1 << 20).hold(1).unwrap()
    }

    fn ended(mut outcomes: Outcomes, failures: Vec<Failure>) -> Outcomes {
        outcomes.end(failures, &IngestMetrics::new(&Metrics::new("test")));
        outcomes
    }

    fn missing() -> Refusal {
        let error = EventError::Missing {
            field: "customer_id",
        };
        Refusal::Contract(error.into())
    }

    async fn read(answer: Result<Response, Problem>) -> (u16, Value) {
        let response = answer.unwrap_or_else(axum::response::IntoResponse::into_response);
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20)
            .await
            .unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn each_event_of_several_has_its_own_status_in_order() {
        let mut outcomes = Outcomes::default();
        outcomes.sent("e\"1", "purchase");
        outcomes.refused(&missing(), &Names::Event);
        outcomes.sent("e-2", "purchase");
        let failed = vec![(2, RDKafkaErrorCode::QueueFull)];
        let (status, body) = read(ended(outcomes, failed).answer_all("abc", hold())).await;
        assert_eq!(status, 207);
        let fault = json!({
            "pointer": "/customer_id", "detail": "customer_id is missing", "code": "missing_field",
        });
        assert_eq!(
            body,
            json!({
                "accepted": 1, "refused": 2, "trace_id": "abc",
                "items": [
                    {"status": 202, "event_id": "e\"1"},
                    {
                        "status": 422, "code": "missing_field",
                        "detail": "customer_id is missing", "errors": [fault],
                    },
                    {"status": 503, "code": "queue_full", "event_id": "e-2"},
                ],
            })
        );
    }

    #[tokio::test]
    async fn the_status_of_several_says_whether_to_look_closer_and_whether_to_try_again() {
        let several = |sent: usize, refused: usize, failures: Vec<Failure>| {
            let mut outcomes = Outcomes::default();
            for _ in 0..sent {
                outcomes.sent("e", "purchase");
            }
            for _ in 0..refused {
                outcomes.refused(&missing(), &Names::Event);
            }
            ended(outcomes, failures).answer_all("abc", hold())
        };
        let timed_out = |item| (item, RDKafkaErrorCode::MessageTimedOut);
        assert_eq!(read(several(2, 0, vec![])).await.0, 202);
        assert_eq!(read(several(2, 0, vec![timed_out(1)])).await.0, 207);
        assert_eq!(read(several(1, 2, vec![])).await.0, 207);
        assert_eq!(read(several(0, 2, vec![])).await.0, 422);
        let (status, body) = read(several(1, 1, vec![timed_out(0)])).await;
        assert_eq!((status, &body["items"][0]["event_id"]), (503, &json!("e")));
        let (_, body) = read(several(0, 200, vec![])).await;
        assert!(body["items"][99]["detail"].is_string());
        assert!(body["items"][100]["detail"].is_null());
        assert_eq!(body["items"][199]["code"], "missing_field");
    }

    #[tokio::test]
    async fn one_event_is_answered_by_itself() {
        let mut outcomes = Outcomes::default();
        outcomes.sent("e-1", "purchase");
        let (status, body) = read(ended(outcomes, vec![]).answer_one("abc", hold())).await;
        assert_eq!(
            (status, body),
            (202, json!({"event_id": "e-1", "trace_id": "abc"}))
        );

        let mut outcomes = Outcomes::default();
        outcomes.sent("e-1", "purchase");
        let failed = vec![(0, RDKafkaErrorCode::MessageTimedOut)];
        let problem = ended(outcomes, failed).answer_one("abc", hold());
        let (status, body) = read(problem).await;
        assert_eq!((status, &body["event_id"]), (503, &json!("e-1")));

        let mut outcomes = Outcomes::default();
        outcomes.refused(&missing(), &Names::Event);
        let (status, body) = read(ended(outcomes, vec![]).answer_one("abc", hold())).await;
        assert_eq!(
            (status, &body["errors"][0]["pointer"]),
            (422, &json!("/customer_id"))
        );
    }
}
