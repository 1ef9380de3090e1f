//! Our own documents: written by us, read by apache-avro and by us, in this version and in others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Avro;
use schemas::avro::compatibility::{self, Level};
use schemas::avro::{CONTRACTS, Contract, EventMapping, EventValue, Program, SchemaId};
use schemas::reader::{Encoded, Form, Found, KnownSchema, Reader, SchemaSource, Unread};
use schemas::{
    Campaign, CampaignChange, DeadLetterReason, Document, Encoding, Event, Limits, Match,
    MatchWriter,
};
use serde_json::{Value as Json, json};

use crate::{encode, root};

/// A registry in memory; its ids are the places in it.
#[derive(Default)]
struct Schemas(Mutex<BTreeMap<SchemaId, Found>>);

impl Schemas {
    fn with(schema: &str) -> Arc<Self> {
        let schemas = Self::default();
        let known = KnownSchema {
            form: Form::Avro(Program::admit(schema, &[]).unwrap()),
            subjects: Vec::new(),
        };
        schemas.set(7, Found::Known(Arc::new(known)));
        Arc::new(schemas)
    }

    fn set(&self, id: u32, found: Found) {
        self.0.lock().unwrap().insert(SchemaId::Number(id), found);
    }
}

impl SchemaSource for Schemas {
    fn find(&self, id: SchemaId) -> Found {
        self.0
            .lock()
            .unwrap()
            .get(&id)
            .cloned()
            .unwrap_or(Found::Unknown)
    }
}

pub(crate) fn reader(schema: &str) -> Reader {
    Reader::new(Schemas::with(schema), Arc::new(EventMapping::default()))
}

pub(crate) const WRITTEN: Encoding = Encoding::Avro { schema: 7 };

fn contract(topic: &str) -> Contract {
    *CONTRACTS
        .iter()
        .find(|contract| contract.topic == topic)
        .unwrap()
}

fn campaign_json() -> Json {
    json!({
        "id": "ten", "name": "Ten €", "version": 3, "status": "paused",
        "schedule": {"start": "2026-11-01T00:00:00Z"},
        "when": {"event_type": ["purchase"], "payload": {"amount": [{"numeric": [">=", 50]}]}},
        "reward": {"kind": "credit", "amount": "10.05", "currency": "USD", "account": {"no": 1}},
        "description": "d", "labels": {"team": "growth"},
        "colour": ["red"],
    })
}

#[test]
fn an_amount_that_is_an_expression_comes_back() {
    let mut json = campaign_json();
    json["reward"]["amount"] = "payload.amount * 0.05".into();
    let campaign: Campaign = serde_json::from_value(json).unwrap();
    let mut value = Vec::new();
    WRITTEN.write_campaign(&campaign, &mut value);
    let mut reader = reader(contract("campaigns").schema);
    let read = reader.read_campaign(Encoded::plain(&value)).unwrap();
    assert_eq!(read.reward, campaign.reward);
}

fn campaign() -> Campaign {
    Campaign::from_json(campaign_json().to_string().as_bytes()).unwrap()
}

fn change() -> CampaignChange {
    serde_json::from_value(json!({
        "campaign_id": "ten", "action": "paused", "actor": "ada", "changed_at": "2026-11-24T09:30:00.000001Z",
        "reason": "why", "before": campaign_json(),
    }))
    .unwrap()
}

fn match_json() -> Json {
    json!({
        "match_id": "e-1:ten", "event_id": "e-1", "campaign_id": "ten", "campaign_version": 3,
        "campaigns_offset": 41, "customer_id": "c-1", "event_type": "purchase",
        "occurred_at": "2026-11-24T09:30:00.123456Z", "matched_at": "2026-11-24T09:30:00.128Z",
        "reward": {"kind": "credit", "amount": "0.0000000001", "currency": "USD", "account": {"no": 1}},
        "source": {"topic": "events", "partition": 2, "offset": 9_000_000_000_i64},
    })
}

fn written_match(won: &Json, encoding: Encoding) -> Vec<u8> {
    let text = won.to_string();
    let won: Match<'_> = serde_json::from_str(&text).unwrap();
    let mut out = Vec::new();
    MatchWriter::new(encoding).write(&won, &mut out);
    out
}

fn written_event(encoding: Encoding) -> Vec<u8> {
    let event = EventValue {
        event_id: "e-1",
        customer_id: "c-\"1\"",
        event_type: "purchase",
        occurred_at: "2026-11-24T09:30:00.123456Z".parse().unwrap(),
        payload: r#"{"amount": 75}"#,
        further: &[("source", "\"till\"")],
    };
    let mut out = Vec::new();
    encoding.write_event(&event, &mut out);
    out
}

/// One document of each topic, as it is written.
fn written(topic: &str) -> Vec<u8> {
    let mut out = Vec::new();
    match topic {
        "events" => out = written_event(WRITTEN),
        "campaigns" => WRITTEN.write_campaign(&campaign(), &mut out),
        "campaign-changes" => WRITTEN.write_change(&change(), &mut out),
        "matches" => out = written_match(&match_json(), WRITTEN),
        other => panic!("{other} is not written as Avro"),
    }
    out
}

/// What is read of it, as JSON; times and amounts as texts.
fn read(topic: &str, reader: &mut Reader, value: &[u8]) -> Json {
    let encoded = Encoded::plain(value);
    match topic {
        "events" => {
            let mut document = Document::new();
            reader
                .read_event(encoded, Limits::default(), &mut document)
                .unwrap();
            Event::of(&document).unwrap();
            root(&document)
        }
        "campaigns" => serde_json::to_value(reader.read_campaign(encoded).unwrap()).unwrap(),
        "campaign-changes" => serde_json::to_value(reader.read_change(encoded).unwrap()).unwrap(),
        _ => serde_json::to_value(reader.read_match(encoded).unwrap()).unwrap(),
    }
}

/// What was written.
fn document(topic: &str) -> Json {
    match topic {
        "events" => json!({
            "event_id": "e-1", "customer_id": "c-\"1\"", "event_type": "purchase",
            "occurred_at": "2026-11-24T09:30:00.123456Z", "payload": {"amount": 75}, "source": "till",
        }),
        "campaigns" => campaign_json(),
        "campaign-changes" => serde_json::to_value(change()).unwrap(),
        _ => match_json(),
    }
}

#[test]
fn what_we_write_apache_avro_reads_and_we_read_back() {
    for Contract { topic, schema, .. } in CONTRACTS {
        let value = written(topic);
        assert_eq!(value[..5], [0, 0, 0, 0, 7]);
        let parsed = Schema::parse_str(schema).unwrap();
        let theirs = GenericDatumReader::builder(&parsed).build().unwrap();
        let mut rest = &value[5..];
        let decoded = theirs.read_value(&mut rest).unwrap();
        assert!(rest.is_empty(), "{topic}");
        // apache-avro checks symbols, lengths and branches; written anew it is the same.
        assert_eq!(encode(&parsed, decoded), value[5..], "{topic}");
        assert_eq!(read(topic, &mut reader(schema), &value), document(topic));
    }
}

#[test]
fn apache_avro_sees_the_values_that_were_meant() {
    let schema = Schema::parse_str(contract("matches").schema).unwrap();
    let theirs = GenericDatumReader::builder(&schema).build().unwrap();
    let Avro::Record(fields) = theirs.read_value(&mut &written("matches")[5..]).unwrap() else {
        panic!("a match is a record");
    };
    let field = |name: &str| &fields.iter().find(|(field, _)| field == name).unwrap().1;
    assert_eq!(*field("campaign_version"), Avro::Long(3));
    assert_eq!(
        *field("occurred_at"),
        Avro::TimestampMicros(1_795_512_600_123_456)
    );
    let Avro::Record(reward) = field("reward") else {
        panic!("a reward is a record");
    };
    assert_eq!(
        reward[1].1,
        Avro::Union(1, Avro::Decimal([1].into()).into())
    );
    let account = [("account".to_owned(), Avro::String("{\"no\":1}".into()))];
    assert_eq!(reward[3].1, Avro::Map(account.into()));
}

#[test]
fn amounts_are_exact_at_both_ends_of_their_range() {
    let schema = contract("matches").schema;
    let amounts = [
        "0",
        "0.0000000001",
        "1.27",
        "1.28",
        "12345678.9",
        "999999999999999999.9999999999",
    ];
    for amount in amounts {
        let mut won = match_json();
        won["reward"]["amount"] = amount.into();
        let value = written_match(&won, WRITTEN);
        assert_eq!(read("matches", &mut reader(schema), &value), won);
    }
}

#[test]
fn what_becomes_of_a_match_later_comes_back_and_what_older_releases_wrote_is_granted() {
    let schema = contract("matches").schema;
    let mut won = match_json();
    won["confirm_at"] = "2026-12-08T09:30:00.123456Z".into();
    won["variant"] = "double".into();
    for status in ["pending", "confirmed", "reversed"] {
        won["status"] = status.into();
        if status == "confirmed" {
            won["confirmed_at"] = "2026-12-08T09:30:00.624Z".into();
        }
        if status == "reversed" {
            won["reversed_total"] = "2.51".into();
            won["reversal"] = json!({
                "reversal_id": "r-1:e-1:ten", "event_id": "r-1", "event_type": "refund",
                "occurred_at": "2026-12-09T09:30:00Z", "amount": "0.01", "whole": true,
                "reversed_at": "2026-12-09T09:30:01.5Z",
                "source": {"topic": "events", "partition": 2, "offset": 9_000_000_001_i64},
            });
        }
        let value = written_match(&won, WRITTEN);
        assert_eq!(read("matches", &mut reader(schema), &value), won);
        let value = written_match(&won, Encoding::Json);
        assert_eq!(read("matches", &mut Reader::json(), &value), won);
    }
    // The fields that were there before: what an older release wrote, with its own schema.
    let mut older: Json = serde_json::from_str(schema).unwrap();
    let fields = older["fields"].as_array_mut().unwrap();
    fields.truncate(11);
    assert_eq!(fields[10]["name"], "source");
    let value = written_match(&match_json(), WRITTEN);
    let value = &value[..value.len() - 13];
    let mut reader = reader(&older.to_string());
    assert_eq!(read("matches", &mut reader, value), match_json());
}

#[test]
fn without_a_registry_the_same_documents_are_json() {
    assert_eq!(
        String::from_utf8(written_event(Encoding::Json)).unwrap(),
        r#"{"event_id":"e-1","customer_id":"c-\"1\"","event_type":"purchase","occurred_at":"2026-11-24T09:30:00.123456Z","payload":{"amount": 75},"source":"till"}"#
    );
    let value = written_match(&match_json(), Encoding::Json);
    assert_eq!(
        serde_json::from_slice::<Json>(&value).unwrap(),
        match_json()
    );
    let mut reader = Reader::json();
    assert_eq!(read("matches", &mut reader, &value), match_json());
    let error = reader
        .read_match(Encoded::plain(&written("matches")))
        .unwrap_err();
    let Unread::Never(reason) = error else {
        panic!("nobody will ever answer");
    };
    assert_eq!(reason.code(), "no_registry");
}

#[test]
fn json_and_avro_are_told_apart_record_by_record() {
    let mut reader = reader(contract("matches").schema);
    for encoding in [Encoding::Json, WRITTEN, WRITTEN, Encoding::Json] {
        let value = written_match(&match_json(), encoding);
        assert_eq!(read("matches", &mut reader, &value), match_json());
    }
    // The header form, whose body has no prefix.
    let value = written("matches");
    let won = reader.read_match(Encoded {
        value: &value[5..],
        schema_header: Some(&[0, 0, 0, 0, 7]),
    });
    assert_eq!(serde_json::to_value(won.unwrap()).unwrap(), match_json());
}

#[test]
fn a_value_with_a_json_schema_is_the_json_after_its_prefix() {
    let schemas = Arc::new(Schemas::default());
    let json = KnownSchema {
        form: Form::Json,
        subjects: Vec::new(),
    };
    schemas.set(7, Found::Known(Arc::new(json)));
    let mut reader = Reader::new(schemas, Arc::default());
    let value = [&[0, 0, 0, 0, 7], &*written_event(Encoding::Json)].concat();
    assert_eq!(read("events", &mut reader, &value), document("events"));
}

#[test]
fn an_unknown_schema_waits_until_the_registry_has_answered() {
    let schemas = Arc::new(Schemas::default());
    let mut reader = Reader::new(Arc::<Schemas>::clone(&schemas), Arc::default());
    let value = written_event(WRITTEN);
    let mut document = Document::new();
    let mut event = |reader: &mut Reader| {
        reader.read_event(Encoded::plain(&value), Limits::default(), &mut document)
    };
    schemas.set(7, Found::Waiting);
    let id = SchemaId::Number(7);
    assert_eq!(event(&mut reader), Err(Unread::Waiting(id)));
    assert_eq!(event(&mut reader), Err(Unread::Waiting(id)));
    schemas.set(7, Found::Unknown);
    let code = |result: Result<(), Unread<DeadLetterReason>>| match result {
        Err(Unread::Never(reason)) => reason.code(),
        other => panic!("{other:?}"),
    };
    assert_eq!(code(event(&mut reader)), "unknown_schema");
    schemas.set(7, Found::Unusable("it is recursive".into()));
    assert_eq!(code(event(&mut reader)), "unusable_schema");
    let known = Schemas::with(contract("events").schema).find(id);
    schemas.set(7, known);
    assert_eq!(event(&mut reader), Ok(()));
    // What is known stays known, whatever becomes of the registry.
    schemas.set(7, Found::Waiting);
    assert_eq!(event(&mut reader), Ok(()));
}

/// The schema with a further field, as a later release may have it.
fn newer(schema: &str) -> String {
    let mut schema: Json = serde_json::from_str(schema).unwrap();
    let field = json!({"name": "channel", "type": ["null", "string"], "default": null, "doc": "d"});
    schema["fields"].as_array_mut().unwrap().insert(1, field);
    schema.to_string()
}

/// The schema without those fields that have a default, as an earlier release may have had it.
fn older(schema: &str) -> String {
    let mut schema: Json = serde_json::from_str(schema).unwrap();
    let fields = schema["fields"].as_array_mut().unwrap();
    fields.retain(|field| field.get("default").is_none());
    schema.to_string()
}

/// The fields of a value, as apache-avro reads them.
fn fields(value: &[u8], schema: &str) -> Vec<(String, Avro)> {
    let schema = Schema::parse_str(schema).unwrap();
    let theirs = GenericDatumReader::builder(&schema).build().unwrap();
    match theirs.read_value(&mut &value[5..]).unwrap() {
        Avro::Record(fields) => fields,
        other => panic!("{other:?} is no record"),
    }
}

/// A value of these fields.
fn value(fields: Vec<(String, Avro)>, schema: &str) -> Vec<u8> {
    let schema = Schema::parse_str(schema).unwrap();
    [&[0, 0, 0, 0, 7], &*encode(&schema, Avro::Record(fields))].concat()
}

/// What a reader with another schema makes of a value: the specification's resolution.
fn resolved(value: &[u8], writer: &str, reader: &str) -> Result<Avro, apache_avro::Error> {
    let (writer, reader) = (
        Schema::parse_str(writer).unwrap(),
        Schema::parse_str(reader).unwrap(),
    );
    let theirs = GenericDatumReader::builder(&writer).reader_schema(&reader);
    theirs.build().unwrap().read_value(&mut &value[5..])
}

/// Without the amount of its reward. apache-avro 0.22 resolves a decimal only if it has as many bytes as
/// its largest value would.
fn without_amount(mut fields: Vec<(String, Avro)>) -> Vec<(String, Avro)> {
    for (name, field) in &mut fields {
        if name == "reward"
            && let Avro::Record(reward) = field
        {
            reward[1].1 = Avro::Union(0, Avro::Null.into());
        }
    }
    fields
}

#[test]
fn an_old_reader_reads_a_new_writer_and_a_new_reader_an_old_writer() {
    for Contract {
        topic,
        schema,
        level,
    } in CONTRACTS
    {
        let newer = newer(schema);
        let mut of_newer = fields(&written(topic), schema);
        let channel = Avro::Union(1, Avro::String("app".into()).into());
        of_newer.insert(1, ("channel".into(), channel));
        let found = read(topic, &mut reader(&newer), &value(of_newer.clone(), &newer));
        let mut expected = document(topic);
        if matches!(topic, "events" | "campaigns") {
            // Rules and people may look at what this release does not know.
            expected["channel"] = "app".into();
        }
        assert_eq!(found, expected, "{topic}");

        let older = older(schema);
        let mut of_older = fields(&written(topic), schema);
        let kept: Json = serde_json::from_str(&older).unwrap();
        let kept = kept["fields"].as_array().unwrap();
        of_older.retain(|(name, _)| kept.iter().any(|field| field["name"] == **name));
        let found = read(topic, &mut reader(&older), &value(of_older.clone(), &older));
        let mut expected = document(topic);
        let has_default = |name: &str| kept.iter().all(|field| field["name"] != name);
        if topic == "campaigns" {
            expected["version"] = 1.into();
            expected["status"] = "active".into();
        }
        expected.as_object_mut().unwrap().retain(|name, _| {
            // What was in `further` or `unknown` is gone with it.
            !has_default(name) || matches!(&**name, "version" | "status")
        });
        assert_eq!(found, expected, "{topic}");

        // The readers of others resolve the one schema to the other.
        let (of_newer, of_older) = (without_amount(of_newer), without_amount(of_older));
        let ours = without_amount(fields(&written(topic), schema));
        let new_to_old = resolved(&value(of_newer, &newer), &newer, schema);
        assert_eq!(new_to_old.unwrap(), Avro::Record(ours.clone()), "{topic}");
        let old_to_new = resolved(&value(of_older.clone(), &older), &older, schema).unwrap();
        let Avro::Record(old_to_new) = old_to_new else {
            panic!("a record");
        };
        for field in &of_older {
            assert!(old_to_new.contains(field), "{topic}");
        }
        assert!(resolved(&value(ours, schema), schema, &older).is_ok());

        let versions = [(1, &*older), (2, schema)];
        assert_eq!(compatibility::check(&newer, &versions, level), []);
        assert_eq!(
            compatibility::check(&newer, &versions, Level::FullTransitive),
            []
        );
    }
}

#[test]
fn a_state_that_a_later_release_brings_is_a_draft() {
    let later = contract("campaigns")
        .schema
        .replace("\"archived\"]", "\"archived\", \"frozen\"]");
    let mut fields = fields(&written("campaigns"), contract("campaigns").schema);
    let status = fields
        .iter_mut()
        .find(|(name, _)| name == "status")
        .unwrap();
    status.1 = Avro::Enum(4, "frozen".into());
    let value = value(fields, &later);
    let campaign = reader(&later)
        .read_campaign(Encoded::plain(&value))
        .unwrap();
    assert_eq!(campaign.status, schemas::Status::Draft);
}

#[test]
fn what_a_later_release_asks_of_matches_is_not_ignored() {
    // Without its audience a campaign would pay more than it says.
    let audience =
        json!({"name": "audience", "type": ["null", "string"], "default": null, "doc": "d"});
    let mut later: Json = serde_json::from_str(contract("campaigns").schema).unwrap();
    later["fields"].as_array_mut().unwrap().push(audience);
    let later = later.to_string();
    let with = |audience: Avro| {
        let mut fields = fields(&written("campaigns"), contract("campaigns").schema);
        fields.push(("audience".into(), audience));
        reader(&later).read_campaign(Encoded::plain(&value(fields, &later)))
    };
    assert!(with(Avro::Union(0, Avro::Null.into())).is_ok());
    let limited = Avro::Union(1, Avro::String("no".into()).into());
    let error = with(limited).unwrap_err();
    assert!(
        error.to_string().contains("invalid type: string \"no\""),
        "{error}"
    );
}
