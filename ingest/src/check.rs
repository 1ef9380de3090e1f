//! Holds events to the contract: the same code that the matcher reads them with.

use std::borrow::Cow;

use schemas::{DeadLetterReason, Document, DocumentError, Event, EventError, Limits};
use uuid::Builder;

use crate::event_schemas::EventSchemas;
use crate::refusal::Refusal;

/// Checks one event after another. Owned by one request; its memory is used again.
pub(crate) struct Checker<'s> {
    limits: Limits,
    schemas: &'s EventSchemas,
    document: Document,
}

/// An event that keeps the contract.
#[derive(Debug)]
pub(crate) struct Checked<'a> {
    /// Its JSON: the bytes that came, unless an id was added.
    pub(crate) value: Cow<'a, [u8]>,
    /// What was read of them.
    pub(crate) event: Event<'a>,
}

impl<'s> Checker<'s> {
    pub(crate) fn new(limits: Limits, schemas: &'s EventSchemas) -> Self {
        Self {
            limits,
            schemas,
            document: Document::new(),
        }
    }

    /// Checks one event. One without `event_id` gets one: a UUID of version 7, which sorts by time.
    pub(crate) fn check<'a>(&'a mut self, bytes: &'a [u8]) -> Result<Checked<'a>, Refusal> {
        self.read(bytes)?;
        let value = if self.document.root().get("event_id").is_some() {
            Cow::Borrowed(bytes)
        } else {
            let with_id = with_event_id(bytes, &new_id());
            self.read(&with_id)?;
            Cow::Owned(with_id)
        };
        let event = Event::of(&self.document).map_err(contract)?;
        if let Some(schema) = self.schemas.of(event.event_type) {
            let faults = schema.faults(&value);
            if !faults.is_empty() {
                return Err(Refusal::Schema(faults));
            }
        }
        Ok(Checked { value, event })
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let read = self.document.read(bytes, self.limits);
        read.map_err(|error: DocumentError| Refusal::Contract(error.into()))
    }
}

fn contract(error: EventError) -> Refusal {
    Refusal::Contract(DeadLetterReason::from(error))
}

fn new_id() -> String {
    let millis = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_millis());
    let millis = u64::try_from(millis).unwrap_or(u64::MAX);
    let id = Builder::from_unix_timestamp_millis(millis, &rand::random());
    id.into_uuid().to_string()
}

/// The same object with the id as its first field. The object is JSON and has none.
fn with_event_id(object: &[u8], id: &str) -> Vec<u8> {
    let object = object.trim_ascii_start();
    let fields = &object[1..];
    let is_empty = fields.trim_ascii_start().starts_with(b"}");
    let comma = if is_empty { "" } else { "," };
    let mut with_id = format!("{{\"event_id\":\"{id}\"{comma}").into_bytes();
    with_id.extend_from_slice(fields);
    with_id
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn purchase() -> Value {
        json!({
            "event_id": "e-1", "customer_id": "c-1", "event_type": "purchase",
            "occurred_at": "2026-11-24T09:30:00Z", "payload": {"amount": 75},
        })
    }

    #[test]
    fn a_good_event_is_written_as_it_came() {
        let schemas = EventSchemas::default();
        let mut checker = Checker::new(Limits::default(), &schemas);
        let bytes = format!("  {} ", purchase());
        let good = checker.check(bytes.as_bytes()).unwrap();
        assert!(matches!(good.value, Cow::Borrowed(value) if value == bytes.as_bytes()));
        assert_eq!(good.event.customer_id, "c-1");
    }

    #[test]
    fn an_event_without_an_id_gets_one_that_sorts_by_time() {
        let schemas = EventSchemas::default();
        let mut checker = Checker::new(Limits::default(), &schemas);
        let mut event = purchase();
        event.as_object_mut().unwrap().remove("event_id");
        let bytes = format!(" {event}");
        let good = checker.check(bytes.as_bytes()).unwrap();
        let id: uuid::Uuid = good.event.event_id.parse().unwrap();
        assert_eq!(id.get_version_num(), 7);
        let written: Value = serde_json::from_slice(&good.value).unwrap();
        assert_eq!(written["event_id"], id.to_string());
        event["event_id"] = json!(id.to_string());
        assert_eq!(written, event);
        let refusal = checker.check(b"{ }").unwrap_err();
        assert_eq!(refusal.code(), "missing_field");
    }

    #[test]
    fn what_breaks_the_contract_has_the_reason_of_its_dead_letter() {
        let schemas = EventSchemas::default();
        let limits = Limits {
            max_bytes: 1000,
            max_depth: 4,
        };
        let mut checker = Checker::new(limits, &schemas);
        let with = |field: &str, value: Value| {
            let mut event = purchase();
            event[field] = value;
            event.to_string()
        };
        let cases = [
            (String::new(), "empty"),
            ("{".to_owned(), "not_json"),
            ("[]".to_owned(), "not_an_object"),
            (with("payload", json!({"a": "x".repeat(1000)})), "too_large"),
            (with("payload", json!({"a": [[[]]]})), "too_deep"),
            (with("event_id", json!(null)), "wrong_type"),
            (with("customer_id", json!("")), "empty_id"),
            (with("occurred_at", json!("today")), "invalid_time"),
        ];
        for (text, code) in cases {
            let refusal = checker.check(text.as_bytes()).unwrap_err();
            assert_eq!(refusal.code(), code, "{text}");
        }
        assert!(checker.check(purchase().to_string().as_bytes()).is_ok());
        // The id that is added counts, too.
        let mut event = purchase();
        event.as_object_mut().unwrap().remove("event_id");
        event["payload"] = json!("");
        let pad = 1000 - event.to_string().len();
        event["payload"] = json!({"a": "x".repeat(pad - 6)});
        assert_eq!(event.to_string().len(), 1000);
        let refusal = checker.check(event.to_string().as_bytes()).unwrap_err();
        assert_eq!(refusal.code(), "too_large");
    }
}
