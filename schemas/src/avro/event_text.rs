//! An event that came as JSON, taken apart for its Avro form, which carries the texts of its values as
//! they came.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// What an event has beside its identifiers and its time, as the texts that it came in.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct EventText<'a> {
    /// Of a repeated one, the last: that is the one that counts.
    pub(crate) payload: Option<&'a str>,
    /// Names and values, in their order.
    pub(crate) further: Vec<(Cow<'a, str>, &'a str)>,
}

impl<'a> EventText<'a> {
    /// Takes a JSON object apart. None for what is none.
    pub(crate) fn of(json: &'a [u8]) -> Option<Self> {
        let mut reader = serde_json::Deserializer::from_slice(json);
        let text = reader.deserialize_map(Fields).ok()?;
        reader.end().ok()?;
        Some(text)
    }
}

struct Fields;

impl<'a> Visitor<'a> for Fields {
    type Value = EventText<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut fields: M) -> Result<Self::Value, M::Error> {
        let mut text = EventText::default();
        while let Some(name) = fields.next_key_seed(FieldName)? {
            let value = fields.next_value::<&RawValue>()?.get();
            match &*name {
                "event_id" | "customer_id" | "event_type" | "occurred_at" => {}
                "payload" => text.payload = Some(value),
                _ => text.further.push((name, value)),
            }
        }
        Ok(text)
    }
}

/// A name, borrowed where it has no escapes.
struct FieldName;

impl<'a> DeserializeSeed<'a> for FieldName {
    type Value = Cow<'a, str>;

    fn deserialize<D: Deserializer<'a>>(self, name: D) -> Result<Self::Value, D::Error> {
        name.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for FieldName {
    type Value = Cow<'a, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'a str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_taken_as_they_came() {
        let json = br#" {"event_id": "e", "a\u0062": [1, 1.50 ], "payload": {"old": 1},
            "payload" : { "amount": 1e2 }, "ab": null} "#;
        let text = EventText::of(json).unwrap();
        assert_eq!(text.payload, Some(r#"{ "amount": 1e2 }"#));
        let further = [("ab".into(), "[1, 1.50 ]"), ("ab".into(), "null")];
        assert_eq!(text.further, further);
        for broken in [&b"{"[..], b"[]", b"{} x", b"{\"a\xff\": 1}", b""] {
            assert_eq!(EventText::of(broken), None);
        }
    }
}
