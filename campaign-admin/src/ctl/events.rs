//! Events from a file, one after the other, so that a large one takes no memory.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;

use anyhow::Context as _;
use jiff::Timestamp;
use rand::RngExt as _;
use schemas::{Document, Event, EventError, Limits};
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use super::documents::read_all;
use super::exit::Failure;

/// Reads the events of a file, or of standard input for `-`: JSON objects one after the other (JSON
/// Lines among them), a JSON array, or YAML.
///
/// # Errors
/// The file cannot be read; what is wrong within it comes in its place.
pub(super) fn read(
    path: &Path,
) -> anyhow::Result<Box<dyn Iterator<Item = anyhow::Result<String>>>> {
    let name = path.display().to_string();
    let kind = path.extension().unwrap_or_default();
    let is_yaml = kind == "yaml" || kind == "yml";
    let reader: Box<dyn Read> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        let file = File::open(path).with_context(|| format!("{name} cannot be read"));
        Box::new(file.map_err(Failure::usage)?)
    };
    let mut reader = BufReader::new(reader);
    if is_yaml {
        let documents = read_all(&[path.to_owned()]).map_err(Failure::usage)?;
        let events = documents
            .into_iter()
            .map(|document| Ok(document.value.to_string()));
        return Ok(Box::new(events));
    }
    let first = (reader.fill_buf()?.iter()).find(|byte| !byte.is_ascii_whitespace());
    if first == Some(&b'[') {
        let events: Vec<Box<RawValue>> = serde_json::from_reader(reader)
            .with_context(|| format!("{name} is no list of events"))
            .map_err(Failure::usage)?;
        return Ok(Box::new(
            events.into_iter().map(|event| Ok(event.get().to_owned())),
        ));
    }
    let events = serde_json::Deserializer::from_reader(reader).into_iter::<Box<RawValue>>();
    Ok(Box::new(events.zip(1..).map(move |(event, number)| {
        let event = event.with_context(|| format!("{name}: event {number} is no JSON"));
        Ok(event.map_err(Failure::usage)?.get().to_owned())
    })))
}

/// An event that is right, with the customer whose it is.
pub(super) struct Checked {
    pub(super) json: String,
    pub(super) customer_id: String,
}

/// Fills in an `event_id` and an `occurred_at` that are missing; what is whole stays byte for byte.
///
/// # Errors
/// What makes it no event.
pub(super) fn complete(json: String, now: Timestamp) -> anyhow::Result<Checked> {
    let mut document = Document::new();
    document.read(json.as_bytes(), Limits::default())?;
    match Event::of(&document) {
        Ok(event) => {
            let customer_id = event.customer_id.to_owned();
            return Ok(Checked { json, customer_id });
        }
        Err(EventError::Missing {
            field: "event_id" | "occurred_at",
        }) => {}
        Err(error) => return Err(error.into()),
    }
    let mut event: Json = serde_json::from_str(&json)?;
    if let Json::Object(fields) = &mut event {
        fields
            .entry("event_id")
            .or_insert_with(|| json!(event_id(now)));
        // Milliseconds are what the clocks of machines agree on, at best.
        let now = Timestamp::from_millisecond(now.as_millisecond())?;
        fields.entry("occurred_at").or_insert_with(|| json!(now));
    }
    let json = event.to_string();
    document.read(json.as_bytes(), Limits::default())?;
    let customer_id = Event::of(&document)?.customer_id.to_owned();
    Ok(Checked { json, customer_id })
}

/// A new name for an event: a UUID of version 7 (RFC 9562, section 5.7), which begins with the time.
fn event_id(now: Timestamp) -> String {
    let millis = u128::try_from(now.as_millisecond()).unwrap_or(0);
    let random: u128 = rand::rng().random();
    let id = (millis << 80)
        | (0x7 << 76)
        | (random & (0xfff << 64))
        | (0b10 << 62)
        | (random & ((1 << 62) - 1));
    let hex = format!("{id:032x}");
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

/// An event from the command line: `amount=75 country=US` is its payload. What reads as a JSON value is
/// one, all else is a text; dots are steps, as in `items.sku=A`.
///
/// # Errors
/// Something is not NAME=VALUE.
pub(super) fn payload(fields: &[String]) -> anyhow::Result<Json> {
    let mut payload = json!({});
    for field in fields {
        let (path, text) = (field.split_once('='))
            .filter(|(path, _)| !path.is_empty())
            .with_context(|| format!("{field:?} is not NAME=VALUE"))
            .map_err(Failure::usage)?;
        let value = serde_json::from_str(text).unwrap_or_else(|_| Json::from(text));
        let mut at = &mut payload;
        for step in path.split('.') {
            if !at.is_object() {
                *at = json!({});
            }
            at = &mut at[step];
        }
        *at = value;
    }
    Ok(payload)
}

/// A header of a record as an argument says it.
pub(super) fn header(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(name: &str, text: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        let read = read(&file).unwrap();
        read.map(|event| event.unwrap_or_else(|error| format!("{error:#}")))
            .collect()
    }

    #[test]
    fn events_are_read_as_they_are_written() {
        let lines = "{\"a\": 1.00}\n\n{\"b\" : 2}\n";
        assert_eq!(events("e.jsonl", lines), ["{\"a\": 1.00}", "{\"b\" : 2}"]);
        assert_eq!(events("e.json", "{\n \"a\": 1\n}"), ["{\n \"a\": 1\n}"]);
        assert_eq!(
            events("e.json", " [{\"a\": 1.00}, {}]"),
            ["{\"a\": 1.00}", "{}"]
        );
        assert_eq!(
            events("e.yaml", "a: 1\n---\nb: 2\n"),
            ["{\"a\":1}", "{\"b\":2}"]
        );
        let broken = events("e.jsonl", "{}\n{");
        assert!(
            broken[1].contains("e.jsonl: event 2 is no JSON"),
            "{broken:?}"
        );
    }

    #[test]
    fn what_is_whole_stays_as_it_is_and_what_is_missing_is_filled_in() {
        let now: Timestamp = "2026-11-24T09:30:00Z".parse().unwrap();
        let whole = r#"{"event_id" : "e", "customer_id":"c","event_type":"t", "occurred_at":"2026-11-24T09:30:00Z"}"#;
        let checked = complete(whole.to_owned(), now).unwrap();
        assert_eq!((&*checked.json, &*checked.customer_id), (whole, "c"));
        let short = r#"{"customer_id": "c", "event_type": "t", "payload": {"amount": 75}}"#;
        let filled: Json =
            serde_json::from_str(&complete(short.to_owned(), now).unwrap().json).unwrap();
        assert_eq!(filled["occurred_at"], "2026-11-24T09:30:00Z");
        assert_eq!(filled["payload"]["amount"], 75);
        let id = filled["event_id"].as_str().unwrap();
        assert!(id.starts_with("01a20ce4-05c0-"), "{id}");
        assert_eq!((id.len(), &id[14..15]), (36, "7"));
        assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"));
        for broken in ["{}", "5", "{", r#"{"event_id": 5}"#] {
            assert!(complete(broken.to_owned(), now).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_payload_is_made_of_names_and_values() {
        let fields = [
            "amount=75.5",
            "country=US",
            "items.sku=A",
            "items.n=2",
            "vip=true",
            "note=a=b",
        ];
        let fields = fields.map(str::to_owned);
        assert_eq!(
            payload(&fields).unwrap(),
            json!({
                "amount": 75.5, "country": "US", "items": {"sku": "A", "n": 2}, "vip": true, "note": "a=b",
            })
        );
        assert!(payload(&["amount".to_owned()]).is_err());
    }
}
