//! Events: what customers did.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
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
        let envelope = match document.envelope() {
            Some(known) => *known,
            None => Envelope::find(root),
        };
        let node = |place: Option<u32>| place.map(|at| document.node(at));
        let event_id = text("event_id", node(envelope.event_id))?;
        EventId::check(event_id)?;
        let customer_id = text("customer_id", node(envelope.customer_id))?;
        CustomerId::check(customer_id)?;
        let event_type = text("event_type", node(envelope.event_type))?;
        if event_type.is_empty() || event_type.len() > crate::ids::MAX_ID_BYTES {
            return Err(EventError::EventType {
                bytes: event_type.len(),
            });
        }
        let occurred_at = match envelope.instant {
            Some(instant) => instant,
            None => time(node(envelope.occurred_at))?,
        };
        match node(envelope.payload).map(Node::value) {
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
    if let Some(time) = usual_time(text) {
        return Ok(time);
    }
    text.parse().map_err(|_| EventError::OccurredAt {
        found: text.chars().take(64).collect(),
    })
}

/// A time as nearly all programs write it, `2026-11-24T09:30:00.123Z`: the same as jiff's parser says, at a fifth of the
/// time. None for all other forms.
fn usual_time(text: &str) -> Option<Timestamp> {
    let (first, rest) = text.as_bytes().split_first_chunk::<19>()?;
    let digit = |byte: u8| Some(byte.wrapping_sub(b'0')).filter(|digit| *digit < 10);
    let two = |at: usize| Some(digit(first[at])? * 10 + digit(first[at + 1])?);
    let two_signed = |at: usize| Some(two(at)?.cast_signed());
    if [first[4], first[7], first[10], first[13], first[16]] != *b"--T::" {
        return None;
    }
    let (fraction, b"Z") = rest.split_at_checked(rest.len().checked_sub(1)?)? else {
        return None;
    };
    let nanos = match fraction {
        [] => 0,
        [b'.', digits @ ..] if (1..=9).contains(&digits.len()) => {
            let mut nanos = 0;
            for byte in digits {
                nanos = nanos * 10 + i32::from(digit(*byte)?);
            }
            for _ in digits.len()..9 {
                nanos *= 10;
            }
            nanos
        }
        _ => return None,
    };
    let year = i16::from(two(0)?) * 100 + i16::from(two(2)?);
    let (month, day) = (two_signed(5)?, two_signed(8)?);
    let (hour, minute, second) = (two_signed(11)?, two_signed(14)?, two_signed(17)?);
    let time = DateTime::new(year, month, day, hour, minute, second, nanos).ok()?;
    Offset::UTC.to_timestamp(time).ok()
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
    use proptest::prelude::*;
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

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_096))]

        #[test]
        fn the_usual_form_of_a_time_means_what_it_means_to_everybody(
            text in "[0-9]{4}-(0[1-9]|1[0-2]|[0-9]{2})-([0-2][0-9]|[0-9]{2})[Tt ]([01][0-9]|2[0-3]|[0-9]{2}):[0-5][0-9]:[0-6][0-9](\\.[0-9]{0,10})?(Z|z|\\+01:00|)"
        ) {
            if let Some(time) = usual_time(&text) {
                prop_assert_eq!(text.parse::<Timestamp>().ok(), Some(time));
            }
        }
    }

    #[test]
    fn the_usual_form_of_a_time_is_read_without_the_general_parser() {
        for text in [
            "2026-11-24T09:30:00Z",
            "2026-11-24T09:30:00.5Z",
            "2024-02-29T23:59:59.123456789Z",
        ] {
            assert_eq!(usual_time(text), Some(text.parse().unwrap()), "{text}");
        }
        for text in [
            "2026-02-29T09:30:00Z",
            "2026-11-24T09:30:00+01:00",
            "2026-11-24T09:30:00.Z",
            "",
            "Z",
        ] {
            assert_eq!(usual_time(text), None, "{text}");
        }
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
