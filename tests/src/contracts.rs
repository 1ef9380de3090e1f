//! A schema registry, and Avro, as an upstream team and a reward service use them: with apache-avro and
//! plain HTTP, nothing of the product but its registered schemas.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{Decimal, Schema};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::topics::Seen;

/// The header that says which schema a value was written with, if its first bytes do not.
pub const SCHEMA_HEADER: &str = "__value_schema_id";

/// A registry and the schemas that were read from it.
#[derive(Debug)]
pub struct Contracts {
    address: String,
    schemas: Mutex<HashMap<u32, Arc<Schema>>>,
    /// Those of our documents; none for an id of another.
    ours: Mutex<HashMap<u32, Option<Arc<Schema>>>>,
}

impl Contracts {
    /// The registry at that address.
    pub fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            schemas: Mutex::default(),
            ours: Mutex::default(),
        }
    }

    /// Its URL, for settings.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Asks it. Returns the status and what it says, null if that is no JSON.
    ///
    /// In HTTP/1.0, in which an answer ends with its connection: longer ones would come in chunks.
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let request = format!(
            "{method} {path} HTTP/1.0\r\nhost: test\r\n\
             content-type: application/vnd.schemaregistry.v1+json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(&self.address).expect("the registry listens");
        let timeout = stream.set_read_timeout(Some(Duration::from_secs(30)));
        timeout.expect("a time that a socket takes");
        let mut answer = String::new();
        (stream.write_all(request.as_bytes()))
            .and_then(|()| stream.read_to_string(&mut answer))
            .expect("the registry answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let body = serde_json::from_str(body).unwrap_or_default();
        (status.expect("a status"), body)
    }

    fn get(&self, path: &str) -> Value {
        let (status, answer) = self.ask("GET", path, &Value::Null);
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// Registers a schema under a subject, as an upstream team does. Returns its id.
    pub fn register(&self, subject: &str, schema: &str) -> u32 {
        let path = format!("/subjects/{subject}/versions");
        let (status, answer) = self.ask("POST", &path, &json!({ "schema": schema }));
        assert_eq!(status, 200, "{path}: {answer}");
        number(&answer["id"])
    }

    /// The id of a subject's newest schema.
    pub fn newest(&self, subject: &str) -> u32 {
        number(&self.get(&format!("/subjects/{subject}/versions/latest"))["id"])
    }

    /// The versions of a subject; none if there is no such subject.
    pub fn versions(&self, subject: &str) -> Vec<Value> {
        let path = format!("/subjects/{subject}/versions");
        let (_, answer) = self.ask("GET", &path, &Value::Null);
        answer.as_array().cloned().unwrap_or_default()
    }

    /// The level of compatibility of a subject.
    pub fn level(&self, subject: &str) -> Value {
        self.get(&format!("/config/{subject}"))["compatibilityLevel"].clone()
    }

    /// Sets the level of compatibility of a subject, as somebody who knows no better.
    pub fn set_level(&self, subject: &str, level: &str) {
        let path = format!("/config/{subject}");
        let (status, answer) = self.ask("PUT", &path, &json!({ "compatibility": level }));
        assert_eq!(status, 200, "{path}: {answer}");
    }

    /// The schema of that id; the registry is asked once.
    pub fn schema(&self, id: u32) -> Arc<Schema> {
        let mut schemas = self.schemas.lock().unwrap_or_else(PoisonError::into_inner);
        let schema = schemas.entry(id).or_insert_with(|| {
            let answer = self.get(&format!("/schemas/ids/{id}"));
            let text = answer["schema"].as_str().expect("a schema's text");
            Arc::new(Schema::parse_str(text).expect("an Avro schema"))
        });
        Arc::clone(schema)
    }

    /// The schema of that id, if it is one of our documents'.
    fn ours(&self, id: u32) -> Option<Arc<Schema>> {
        let look = || {
            let (_, answer) = self.ask("GET", &format!("/schemas/ids/{id}"), &Value::Null);
            let text = answer["schema"].as_str()?;
            text.contains("campaign_manager").then(|| self.schema(id))
        };
        let mut ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        ours.entry(id).or_insert_with(look).clone()
    }

    /// A value without its prefix. Fields that it does not have get their defaults.
    pub fn body(&self, id: u32, value: Avro) -> Vec<u8> {
        let schema = self.schema(id);
        let writer = GenericDatumWriter::builder(&schema).build();
        let writer = writer.expect("a writer");
        let value = value.resolve(&schema).expect("a value of the schema");
        writer
            .write_value_to_vec(value)
            .expect("a value of the schema")
    }

    /// A value in Confluent's wire format.
    pub fn encode(&self, id: u32, value: Avro) -> Vec<u8> {
        [&prefix(id)[..], &self.body(id, value)].concat()
    }

    /// A record whose value is JSON: if it is Avro with a known schema, in the JSON form of our documents.
    pub fn plain(&self, mut record: Seen) -> Seen {
        let header = record
            .headers
            .iter()
            .find(|(name, _)| name == SCHEMA_HEADER);
        let header = header.and_then(|(_, value)| value.clone());
        let value = record.value.as_deref().unwrap_or_default();
        let framed = match &header {
            Some(header) => split(header).map(|(id, _)| (id, value)),
            None => split(value),
        };
        let read = framed.and_then(|(id, mut body)| {
            let schema = self.ours(id)?;
            let reader = GenericDatumReader::builder(&schema).build().ok()?;
            reader.read_value(&mut body).ok()
        });
        if let Some(read) = read {
            record.value = Some(json_form(read).to_string().into_bytes());
        }
        record
    }
}

/// What stands before the bytes of a value, or in the header [`SCHEMA_HEADER`].
pub fn prefix(id: u32) -> [u8; 5] {
    let [a, b, c, d] = id.to_be_bytes();
    [0, a, b, c, d]
}

fn split(value: &[u8]) -> Option<(u32, &[u8])> {
    let (id, body) = value.strip_prefix(&[0])?.split_first_chunk()?;
    Some((u32::from_be_bytes(*id), body))
}

fn number(value: &Value) -> u32 {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    number.unwrap_or_else(|| panic!("{value} is no id"))
}

/// An event of ours as an Avro value of the schema `campaign_manager.Event`.
pub fn event(document: &Value) -> Avro {
    let text = |name: &str| document[name].as_str().expect("a text").to_owned();
    let occurred_at: Timestamp = text("occurred_at").parse().expect("a time");
    let string = |name: &str| (name.to_owned(), Avro::String(text(name)));
    let of = |name: &str, value| (name.to_owned(), value);
    Avro::Record(vec![
        string("event_id"),
        string("customer_id"),
        string("event_type"),
        of(
            "occurred_at",
            Avro::TimestampMicros(occurred_at.as_microsecond()),
        ),
        of("payload", Avro::String(document["payload"].to_string())),
        of("further", Avro::Map(HashMap::new())),
    ])
}

/// A document of ours as its JSON form has it: absent for null, times and amounts as text, texts that hold
/// JSON as what they hold, further fields among the others.
fn json_form(value: Avro) -> Value {
    match value {
        Avro::Null => Value::Null,
        Avro::Int(number) => number.into(),
        Avro::Long(number) => number.into(),
        Avro::String(text) | Avro::Enum(_, text) => text.into(),
        Avro::TimestampMicros(micros) => {
            let time = Timestamp::from_microsecond(micros).expect("a time");
            time.to_string().into()
        }
        Avro::Decimal(decimal) => amount(&decimal).into(),
        Avro::Union(_, inner) => json_form(*inner),
        Avro::Map(entries) => entries
            .into_iter()
            .map(|(name, value)| (name, json_form(value)))
            .collect(),
        Avro::Array(items) => items.into_iter().map(json_form).collect(),
        Avro::Record(fields) => record_form(fields),
        other => panic!("{other:?} is in no document of ours"),
    }
}

fn record_form(fields: Vec<(String, Avro)>) -> Value {
    let mut object = Map::new();
    let inner = |text: &Value| -> Value {
        let text = text.as_str().expect("a text that holds JSON");
        serde_json::from_str(text).expect("JSON")
    };
    for (name, value) in fields {
        match (&*name, json_form(value)) {
            (_, Value::Null) => {}
            ("further", Value::Object(further)) => {
                object.extend(
                    further
                        .iter()
                        .map(|(name, text)| (name.clone(), inner(text))),
                );
            }
            ("payload" | "when" | "before" | "after", text) => {
                object.insert(name, inner(&text));
            }
            (_, Value::Object(empty)) if empty.is_empty() => {}
            (_, Value::Array(empty)) if empty.is_empty() => {}
            (_, value) => {
                object.insert(name, value);
            }
        }
    }
    object.into()
}

/// An amount with ten decimals, without the zeros at its end.
fn amount(decimal: &Decimal) -> String {
    let bytes: Vec<u8> = decimal.try_into().expect("a decimal's bytes");
    let sign = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    assert!(!sign, "an amount is never negative");
    let unscaled = bytes
        .iter()
        .fold(0_u128, |all, byte| (all << 8) | u128::from(*byte));
    let (whole, rest) = (unscaled / 10_000_000_000, unscaled % 10_000_000_000);
    let text = format!("{whole}.{rest:010}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_in_avro_has_the_json_form_that_it_would_have_had() {
        let amount = Avro::Decimal(Decimal::from(15_000_000_000_i64.to_be_bytes()));
        let of = |name: &str, value| (name.to_owned(), value);
        let text = |text: &str| Avro::String(text.to_owned());
        let document = Avro::Record(vec![
            of("match_id", text("a")),
            of("occurred_at", Avro::TimestampMicros(1_000_000)),
            of(
                "reward",
                Avro::Record(vec![
                    of("amount", Avro::Union(1, Box::new(amount))),
                    of("currency", Avro::Union(0, Box::new(Avro::Null))),
                    of(
                        "further",
                        Avro::Map([of("account", text("{\"no\":1}"))].into()),
                    ),
                ]),
            ),
        ]);
        assert_eq!(
            json_form(document),
            json!({
                "match_id": "a", "occurred_at": "1970-01-01T00:00:01Z",
                "reward": {"amount": "1.5", "account": {"no": 1}},
            })
        );
    }
}
