//! Events: what customers did.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::document::Envelope;
use crate::{CustomerId, Document, EventId, IdError, Node, Value};

/// An event as the matcher sees it: the envelope checked, everything else within reach of the rules
/// through `root`. Borrows from the [`Document`] it was read from.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// Names the event for ever; a valid [`EventId`].
    pub event_id: &'a str,
    /// Who did it; a valid [`CustomerId`], and the key of the record.
    pub customer_id: &'a str,
    /// What was done, such as `purchase`.
    pub event_type: &'a str,
    /// When it was done.
    pub occurred_at: Timestamp,
    /// The whole document, envelope included.
    pub root: Node<'a>,
}

/// Why a document is not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// A field that every event has is absent.
    #[error("{field} is missing")]
    Missing {
        /// Name of the field.
        field: &'static str,
    },
    /// A field is of another type.
    #[error("{field} is {found}; it must be {expected}")]
    WrongType {
        /// Name of the field.
        field: &'static str,
        /// What it is.
        found: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// An identifier breaks its rules.
    #[error(transparent)]
    Id(#[from] IdError),
    /// The event type is empty or longer than an identifier may be.
    #[error(
        "event_type has {bytes} bytes; 1 to {} are allowed",
        crate::ids::MAX_ID_BYTES
    )]
    EventType {
        /// Its length.
        bytes: usize,
    },
    /// `occurred_at` is no point in time.
    #[error(
        "occurred_at is {found:?}; write it as RFC 3339 with an offset, as 2026-11-24T09:30:00Z"
    )]
    OccurredAt {
        /// What is there, its first 64 characters.
        found: String,
    },
}

impl<'a> Event<'a> {
    /// Reads the envelope of a decoded document.
    ///
    /// `event_id`, `customer_id`, `event_type` and `occurred_at` must be there; `payload` may be
    /// absent, but must be an object if it is there. Further fields are kept for the rules.
    ///
    /// # Errors
    /// [`EventError`] names the field, what is there and what must be.
    pub fn of(document: &'a Document) -> Result<Self, EventError> {
        let root = document.root();
        let known = document.envelope();
        let find = |field, place: fn(&Envelope) -> Option<u32>| match known {
            Some(envelope) => place(envelope).map(|at| document.node(at)),
            None => root.get(field),
        };
        let event_id = text("event_id", find("event_id", |known| known.event_id))?;
        EventId::check(event_id)?;
        let customer_id = text(
            "customer_id",
            find("customer_id", |known| known.customer_id),
        )?;
        CustomerId::check(customer_id)?;
        let event_type = text("event_type", find("event_type", |known| known.event_type))?;
        if event_type.is_empty() || event_type.len() > crate::ids::MAX_ID_BYTES {
            return Err(EventError::EventType {
                bytes: event_type.len(),
            });
        }
        let occurred_at = match known.and_then(|known| known.instant) {
            Some(instant) => instant,
            None => time(find("occurred_at", |known| known.occurred_at))?,
        };
        match find("payload", |known| known.payload).map(Node::value) {
            None | Some(Value::Object(_)) => {}
            Some(other) => {
                return Err(EventError::WrongType {
                    field: "payload",
                    found: other.kind(),
                    expected: "an object",
                });
            }
        }
        Ok(Self {
            event_id,
            customer_id,
            event_type,
            occurred_at,
            root,
        })
    }
}

fn time(node: Option<Node<'_>>) -> Result<Timestamp, EventError> {
    let text = text("occurred_at", node)?;
    text.parse().map_err(|_| EventError::OccurredAt {
        found: text.chars().take(64).collect(),
    })
}

fn text<'a>(field: &'static str, node: Option<Node<'a>>) -> Result<&'a str, EventError> {
    match node.map(Node::value) {
        Some(Value::String(text)) => Ok(text),
        None => Err(EventError::Missing { field }),
        Some(other) => Err(EventError::WrongType {
            field,
            found: other.kind(),
            expected: "a string",
        }),
    }
}

/// An event as its producer writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventDocument {
    /// Names the event for ever.
    pub event_id: EventId,
    /// Who did it, and the key of the record.
    pub customer_id: CustomerId,
    /// What was done.
    pub event_type: String,
    /// When it was done.
    pub occurred_at: Timestamp,
    /// Everything else that rules may ask for.
    #[serde(default)]
    pub payload: serde_json::Map<String, serde_json::Value>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::document::Limits;

    fn read(json: &serde_json::Value) -> Document {
        let mut document = Document::new();
        document
            .read(json.to_string().as_bytes(), Limits::default())
            .unwrap();
        document
    }

    fn purchase() -> serde_json::Value {
        json!({
            "event_id": "e-1",
            "customer_id": "c-1",
            "event_type": "purchase",
            "occurred_at": "2026-11-24T10:30:00+01:00",
            "payload": {"amount": 75},
        })
    }

    #[test]
    fn the_envelope_is_read_and_the_rest_stays_in_reach() {
        let document = read(&purchase());
        let event = Event::of(&document).unwrap();
        assert_eq!((event.event_id, event.customer_id), ("e-1", "c-1"));
        assert_eq!(event.event_type, "purchase");
        assert_eq!(event.occurred_at, "2026-11-24T09:30:00Z".parse().unwrap());
        assert!(event.root.get("payload").unwrap().get("amount").is_some());
    }

    #[test]
    fn a_broken_envelope_names_the_field_and_what_must_be_there() {
        let cases = [
            (
                "event_id",
                json!(null),
                "event_id is null; it must be a string",
            ),
            (
                "event_id",
                json!(""),
                "event_id is empty; give at least one character",
            ),
            (
                "customer_id",
                json!(7),
                "customer_id is a number; it must be a string",
            ),
            (
                "event_type",
                json!(""),
                "event_type has 0 bytes; 1 to 256 are allowed",
            ),
            (
                "occurred_at",
                json!("yesterday"),
                "occurred_at is \"yesterday\"; write it as RFC 3339 with an offset, \
                 as 2026-11-24T09:30:00Z",
            ),
            (
                "payload",
                json!([1]),
                "payload is an array; it must be an object",
            ),
        ];
        for (field, value, message) in cases {
            let mut event = purchase();
            event[field] = value;
            let document = read(&event);
            assert_eq!(Event::of(&document).unwrap_err().to_string(), message);
        }
        for field in ["event_id", "customer_id", "event_type", "occurred_at"] {
            let mut event = purchase();
            event.as_object_mut().unwrap().remove(field);
            let document = read(&event);
            assert_eq!(
                Event::of(&document).unwrap_err(),
                EventError::Missing { field }
            );
        }
    }

    #[test]
    fn a_time_without_an_offset_is_refused() {
        let mut event = purchase();
        event["occurred_at"] = json!("2026-11-24T10:30:00");
        let document = read(&event);
        assert!(matches!(
            Event::of(&document),
            Err(EventError::OccurredAt { .. })
        ));
    }

    #[test]
    fn what_a_producer_writes_is_what_the_matcher_reads() {
        let written: EventDocument = serde_json::from_value(purchase()).unwrap();
        let document = read(&serde_json::to_value(&written).unwrap());
        assert_eq!(
            Event::of(&document).unwrap().event_id,
            written.event_id.as_str()
        );
    }
}
