//! Why an event is refused.

use std::borrow::Cow;

use axum::http::StatusCode;
use rdkafka::types::RDKafkaErrorCode;
use schemas::{DeadLetterReason, DocumentError, EventError, IdError};
use service::http::problem::Fault;

/// Why an event is refused.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Refusal {
    /// It breaks the contract of events: the matcher would make a dead letter of it, for this reason.
    Contract(DeadLetterReason),
    /// It is not the CloudEvent that its media type promises.
    CloudEvent {
        /// Which attribute.
        attribute: Cow<'static, str>,
        /// What is wrong.
        detail: String,
    },
    /// It breaks the schema of its type.
    Schema(Vec<Fault>),
    /// It was not written, or perhaps was; in any case it is not known to be safe.
    NotAcknowledged(RDKafkaErrorCode),
}

impl Refusal {
    /// Status of the answer, or of the event within it.
    pub(crate) fn status(&self) -> StatusCode {
        use DocumentError as Document;
        match self {
            Self::Contract(DeadLetterReason::Document(error)) => match error {
                Document::Empty | Document::NotUtf8 { .. } | Document::NotJson(_) => {
                    StatusCode::BAD_REQUEST
                }
                Document::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
                _ => StatusCode::UNPROCESSABLE_ENTITY,
            },
            Self::NotAcknowledged(RDKafkaErrorCode::MessageSizeTooLarge) => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Self::NotAcknowledged(_) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    /// Whether the same event may be taken later.
    pub(crate) fn is_transient(&self) -> bool {
        self.status() == StatusCode::SERVICE_UNAVAILABLE
    }

    /// A stable word. Those of the contract are the codes of dead letters.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Contract(reason) => reason.code(),
            Self::CloudEvent { .. } => "invalid_cloud_event",
            Self::Schema(_) => "schema_mismatch",
            Self::NotAcknowledged(RDKafkaErrorCode::QueueFull) => "queue_full",
            Self::NotAcknowledged(RDKafkaErrorCode::MessageSizeTooLarge) => "too_large",
            Self::NotAcknowledged(_) => "not_acknowledged",
        }
    }

    /// In words, one line.
    pub(crate) fn detail(&self) -> String {
        match self {
            Self::Contract(reason) => reason.message(),
            Self::CloudEvent { attribute, detail } => format!("{attribute}: {detail}"),
            Self::Schema(faults) => {
                let more = match faults.len() {
                    1 => String::new(),
                    several => format!(" (and {} more)", several - 1),
                };
                let first = faults.first();
                let first = first.map_or("", |fault| &*fault.detail);
                format!("the schema of the event's type does not allow it: {first}{more}")
            }
            Self::NotAcknowledged(RDKafkaErrorCode::QueueFull) => {
                "too many events wait for the broker; the event is not written".to_owned()
            }
            Self::NotAcknowledged(RDKafkaErrorCode::MessageSizeTooLarge) => {
                "the broker does not take an event of this size".to_owned()
            }
            Self::NotAcknowledged(_) => {
                "the broker has not acknowledged the event; send it again with the same event_id"
                    .to_owned()
            }
        }
    }

    /// What is wrong within the event, with places in the form that the client sent.
    pub(crate) fn faults(&self, names: &Names<'_>) -> Vec<Fault> {
        let fault = match self {
            Self::Contract(reason) => {
                let pointer = field(reason).map_or(String::new(), |field| names.pointer(field));
                Fault::new(pointer, reason.message())
            }
            Self::CloudEvent { attribute, detail } => {
                Fault::new(names.attribute(attribute), &**detail)
            }
            Self::Schema(faults) => {
                let placed = faults.iter().map(|fault| Fault {
                    pointer: names.translate(&fault.pointer),
                    ..fault.clone()
                });
                return placed.collect();
            }
            Self::NotAcknowledged(_) => return Vec::new(),
        };
        vec![fault.code(self.code())]
    }
}

/// The field of the envelope that a reason is about, if it is one.
fn field(reason: &DeadLetterReason) -> Option<&'static str> {
    let DeadLetterReason::Event(error) = reason else {
        return None;
    };
    match error {
        EventError::Missing { field } | EventError::WrongType { field, .. } => Some(field),
        EventError::Id(
            IdError::Empty { kind }
            | IdError::TooLong { kind, .. }
            | IdError::Character { kind, .. },
        ) => Some(kind),
        EventError::EventType { .. } => Some("event_type"),
        EventError::OccurredAt { .. } => Some("occurred_at"),
        _ => None,
    }
}

/// What the fields of an event are called in the form that it came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names<'a> {
    /// As in the contract.
    Event,
    /// As in a CloudEvent; the customer comes from that attribute.
    CloudEvent { customer: &'a str },
    /// As headers of one, with the data as the body.
    Headers,
}

impl Names<'_> {
    /// Where a field of the envelope is, as a JSON pointer. Headers have no place in the body.
    fn pointer(&self, field: &str) -> String {
        match (self, field) {
            (Self::Event, field) => format!("/{field}"),
            (Self::Headers, _) => String::new(),
            (Self::CloudEvent { .. }, "event_id") => "/id".to_owned(),
            (Self::CloudEvent { .. }, "event_type") => "/type".to_owned(),
            (Self::CloudEvent { .. }, "occurred_at") => "/time".to_owned(),
            (Self::CloudEvent { .. }, "payload") => "/data".to_owned(),
            (Self::CloudEvent { customer }, _) => format!("/{customer}"),
        }
    }

    fn attribute(&self, attribute: &str) -> String {
        match self {
            Self::Headers => String::new(),
            _ => format!("/{attribute}"),
        }
    }

    /// A place within our event as one within what came.
    fn translate(&self, pointer: &str) -> String {
        let payload = pointer
            .strip_prefix("/payload")
            .filter(|rest| rest.is_empty() || rest.starts_with('/'));
        match (self, payload) {
            (Self::Event, _) => pointer.to_owned(),
            (Self::CloudEvent { .. }, Some(rest)) => format!("/data{rest}"),
            (Self::Headers, Some(rest)) => rest.to_owned(),
            (_, None) => match pointer.strip_prefix('/') {
                Some(field) if !field.contains('/') => self.pointer(field),
                _ => String::new(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_form_that_came() {
        let reason = EventError::Missing {
            field: "occurred_at",
        };
        let missing = Refusal::Contract(reason.into());
        let schema = Refusal::Schema(vec![Fault::new("/payload/items/0", "is wrong")]);
        let cloud = Names::CloudEvent {
            customer: "subject",
        };
        let place = |refusal: &Refusal, names: Names<'_>| refusal.faults(&names)[0].pointer.clone();
        assert_eq!(place(&missing, Names::Event), "/occurred_at");
        assert_eq!(place(&missing, cloud), "/time");
        assert_eq!(place(&missing, Names::Headers), "");
        assert_eq!(place(&schema, Names::Event), "/payload/items/0");
        assert_eq!(place(&schema, cloud), "/data/items/0");
        assert_eq!(place(&schema, Names::Headers), "/items/0");
        assert_eq!(cloud.translate("/customer_id"), "/subject");
        assert_eq!(cloud.translate(""), "");
    }

    #[test]
    fn statuses_tell_what_may_work_later_from_what_never_will() {
        let document = |error: DocumentError| Refusal::Contract(error.into());
        let kafka = Refusal::NotAcknowledged;
        let cases = [
            (document(DocumentError::NotJson(String::new())), 400),
            (document(DocumentError::TooLarge { bytes: 2, max: 1 }), 413),
            (document(DocumentError::TooDeep { max: 1 }), 422),
            (Refusal::Schema(Vec::new()), 422),
            (kafka(RDKafkaErrorCode::QueueFull), 503),
            (kafka(RDKafkaErrorCode::MessageTimedOut), 503),
            (kafka(RDKafkaErrorCode::MessageSizeTooLarge), 413),
        ];
        for (refusal, status) in cases {
            assert_eq!(refusal.status(), status, "{refusal:?}");
            assert_eq!(refusal.is_transient(), status == 503);
        }
    }
}
