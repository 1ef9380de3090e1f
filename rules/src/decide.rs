//! Decides one event: which campaigns it wins, or why it can never win any. Pure; no clocks, no I/O.

use schemas::avro::SchemaId;
use schemas::{DeadLetterReason, Document, Encoded, Event, Limits, Reader, Unread};

use crate::{Rule, RuleSet};

/// A record of `events` as it came.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// The record's key; must be the customer's id.
    pub key: Option<&'a [u8]>,
    /// The record's value.
    pub value: Option<&'a [u8]>,
    /// The record's header [`schemas::names::header::VALUE_SCHEMA_ID`]; of several, the last.
    pub schema_header: Option<&'a [u8]>,
}

/// An event as it came.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// A record of `events`.
    Record(Record<'a>),
    /// A value that is no record's and has no key, such as a line of a file.
    Value(&'a [u8]),
}

impl<'a> From<Record<'a>> for Input<'a> {
    fn from(record: Record<'a>) -> Self {
        Self::Record(record)
    }
}

impl<'a> From<&'a [u8]> for Input<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Value(value)
    }
}

/// Reads events and asks the rules. Owned by one worker; its buffers serve one event after another.
#[derive(Debug, Default)]
pub struct Decider {
    reader: Reader,
    limits: Limits,
    document: Document,
}

impl Decider {
    /// A decider of events that this reader reads, within those limits.
    pub fn new(reader: Reader, limits: Limits) -> Self {
        Self {
            reader,
            limits,
            document: Document::new(),
        }
    }

    /// Whether headers of records matter.
    pub fn takes_headers(&self) -> bool {
        self.reader.takes_headers()
    }

    /// Whether there is an answer for a schema that was waited for.
    pub fn has_answer(&self, schema: SchemaId) -> bool {
        self.reader.has_answer(schema)
    }

    /// Reads the event and fills `concerned` with the campaigns that it concerns, in the order of their ids: it meets their
    /// pattern, or that of something they count.
    ///
    /// # Errors
    /// [`Unread::Never`]: the event can never be processed. [`Unread::Waiting`]: bring it again when its
    /// schema is known. `concerned` is then empty.
    pub fn decide<'i, 'r>(
        &mut self,
        input: impl Into<Input<'i>>,
        rules: &'r RuleSet,
        concerned: &mut Vec<&'r Rule>,
    ) -> Result<Event<'_>, Unread<DeadLetterReason>> {
        concerned.clear();
        let input = input.into();
        let encoded = match input {
            Input::Value(value) => Encoded::plain(value),
            Input::Record(record) => Encoded {
                value: record.value.ok_or(DeadLetterReason::NoValue)?,
                schema_header: record.schema_header,
            },
        };
        rules.prepare(&mut self.document);
        let event = read(&mut self.reader, self.limits, &mut self.document, encoded)?;
        if let Input::Record(record) = input {
            let key = record.key.ok_or(DeadLetterReason::NoKey)?;
            if key != event.customer_id.as_bytes() {
                return Err(Unread::Never(DeadLetterReason::KeyMismatch {
                    key: String::from_utf8_lossy(key).chars().take(64).collect(),
                    customer_id: event.customer_id.to_owned(),
                }));
            }
        }
        rules.winners(&event, concerned);
        Ok(event)
    }
}

fn read<'d>(
    reader: &mut Reader,
    limits: Limits,
    document: &'d mut Document,
    encoded: Encoded<'_>,
) -> Result<Event<'d>, Unread<DeadLetterReason>> {
    reader.read_event(encoded, limits, document)?;
    Ok(Event::of(document).map_err(DeadLetterReason::Event)?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;

    fn rules() -> RuleSet {
        let campaign = json!({
            "id": "ten", "name": "Ten", "reward": {"kind": "custom"},
            "when": {"event_type": ["purchase"], "payload": {"amount": [{"numeric": [">=", 50]}]}},
        });
        let campaign = serde_json::from_value(campaign).unwrap();
        RuleSet::build([Arc::new(Rule::compile(campaign).unwrap())])
    }

    fn purchase() -> Value {
        json!({
            "event_id": "e-1", "customer_id": "c-1", "event_type": "purchase",
            "occurred_at": "2026-11-24T09:30:00Z", "payload": {"amount": 75},
        })
    }

    #[test]
    fn a_purchase_wins_its_campaign() {
        let rules = rules();
        let mut winners = Vec::new();
        let value = purchase().to_string();
        let record = Record {
            key: Some(b"c-1"),
            value: Some(value.as_bytes()),
            schema_header: None,
        };
        let mut decider = Decider::default();
        let event = decider.decide(record, &rules, &mut winners).unwrap();
        assert_eq!(event.event_id, "e-1");
        assert_eq!(winners.len(), 1);
        assert_eq!(winners[0].id().as_str(), "ten");
    }

    /// The word, the key and the value.
    type Case<'a> = (&'a str, Option<&'a [u8]>, Option<Vec<u8>>);

    /// Every way in which an event can be broken, with its word and what it says.
    #[test]
    fn what_can_never_be_processed_says_why_and_the_next_event_is_not_hurt() {
        let with = |field: &str, value: Value| {
            let mut event = purchase();
            event[field] = value;
            event.to_string().into_bytes()
        };
        let without = |field: &str| {
            let mut event = purchase();
            event.as_object_mut().unwrap().remove(field);
            event.to_string().into_bytes()
        };
        let good = purchase().to_string().into_bytes();
        let nested = format!("{{\"a\":{}{}}}", "[".repeat(70), "]".repeat(70));
        let key: Option<&[u8]> = Some(b"c-1");
        let cases: Vec<Case<'_>> = vec![
            ("no_value", key, None),
            ("empty", key, Some(Vec::new())),
            ("not_json", key, Some(good[..good.len() / 2].to_vec())),
            ("not_utf8", key, Some([&good[..20], b"\xff"].concat())),
            (
                "too_large",
                key,
                Some(with("payload", json!({"a": "x".repeat(1 << 20)}))),
            ),
            ("too_deep", key, Some(nested.into_bytes())),
            ("not_an_object", key, Some(b"[]".to_vec())),
            ("missing_field", key, Some(without("event_id"))),
            ("missing_field", key, Some(without("customer_id"))),
            ("missing_field", key, Some(without("event_type"))),
            ("missing_field", key, Some(without("occurred_at"))),
            ("wrong_type", key, Some(with("event_id", json!(7)))),
            ("wrong_type", key, Some(with("payload", json!("x")))),
            ("empty_id", key, Some(with("event_id", json!("")))),
            (
                "id_too_long",
                key,
                Some(with("event_id", json!("x".repeat(257)))),
            ),
            ("invalid_id", key, Some(with("event_id", json!("a\u{0}b")))),
            (
                "invalid_event_type",
                key,
                Some(with("event_type", json!(""))),
            ),
            (
                "invalid_time",
                key,
                Some(with("occurred_at", json!("soon"))),
            ),
            ("no_key", None, Some(good.clone())),
            ("key_mismatch", Some(b"c-2"), Some(good.clone())),
            ("key_mismatch", Some(b""), Some(good.clone())),
        ];
        let rules = rules();
        let mut decider = Decider::default();
        for (code, key, value) in cases {
            let mut winners = Vec::new();
            let value = value.as_deref();
            let schema_header = None;
            let record = Record {
                key,
                value,
                schema_header,
            };
            let unread = decider.decide(record, &rules, &mut winners).unwrap_err();
            let Unread::Never(error) = unread else {
                panic!("{code} is waited for");
            };
            assert_eq!(error.code(), code, "{error}");
            assert!(winners.is_empty(), "{code}");

            let record = Record {
                key: Some(b"c-1"),
                value: Some(&good),
                schema_header: None,
            };
            decider.decide(record, &rules, &mut winners).unwrap();
            assert_eq!(winners.len(), 1, "after {code}");
        }
    }
}
