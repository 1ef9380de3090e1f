//! `docs/asyncapi.yaml` says what the topics carry, for tools. It is made of the registered schemas and of
//! the topics as they are created; `UPDATE_DOCS=1 cargo test -p tests --test asyncapi` writes it anew.

use std::fmt::Write as _;

use schemas::avro::{CONTRACTS, Contract};
use schemas::names::{header, topic};
use serde_json::{Map, Value, json};
use service::kafka::topics::{TopicSpec, plan};
use service::settings::TopicSettings;
use tests::servers::root;

/// A topic that others may see: who does what with it from the product's side, and its words.
struct Channel {
    topic: &'static str,
    /// `receive`, `send` or both.
    actions: &'static [&'static str],
    key: &'static str,
    description: &'static str,
}

const CHANNELS: [Channel; 7] = [
    Channel {
        topic: topic::EVENTS,
        actions: &["receive", "send"],
        key: "customer_id",
        description: "What customers did. Upstream teams produce to it directly or through ingest; with a \
                      mapping, upstream's own Avro records as well. Producers use Java's partitioner \
                      (murmur2_random). A record without a value and with the header __campaign.control is a \
                      control record (docs/schemas.md).",
    },
    Channel {
        topic: topic::CAMPAIGNS,
        actions: &["receive", "send"],
        key: "the campaign's id",
        description: "The campaigns, each in its last version. A record without a value deletes its campaign.",
    },
    Channel {
        topic: topic::CAMPAIGN_CHANGES,
        actions: &["send"],
        key: "campaign_id",
        description: "Who changed which campaign, when, why, and what was different; kept for ever.",
    },
    Channel {
        topic: topic::MATCHES,
        actions: &["send", "receive"],
        key: "event_id",
        description: "Events that won campaigns. Read it with isolation.level=read_committed, and pay each \
                      match_id once: when it is granted or confirmed, not while it is pending, and take back \
                      each reversal once (docs/schemas.md). A record without a value is no match but a control record: a customer \
                      is forgotten; skip it, or forget them, too.",
    },
    Channel {
        topic: topic::REFUSALS,
        actions: &["send"],
        key: "event_id",
        description: "Claims on a campaign's budget that became no match, and what was kept from customers who are held out, in the \
                      partition of the event. Reward services have no use for it.",
    },
    Channel {
        topic: topic::CAMPAIGN_EVENTS,
        actions: &["send"],
        key: "the campaign's id",
        description: "What happened to campaigns themselves, such as a budget that is used to 80 %. Pass over \
                      kinds that you do not know.",
    },
    Channel {
        topic: topic::DEAD_LETTERS,
        actions: &["send"],
        key: "the event's own key",
        description: "Events that can never be processed, byte for byte, with the reason in headers.",
    },
];

fn document() -> Value {
    let topics = TopicSettings::default();
    let specs = plan(&topics, (12, 12), 3);
    let mut channels = Map::new();
    let mut operations = Map::new();
    let mut messages = Map::new();
    for channel in &CHANNELS {
        let spec = specs.iter().find(|spec| spec.name == channel.topic);
        let contract = CONTRACTS.iter().find(|known| known.topic == channel.topic);
        let made = match contract {
            Some(contract) => documents(channel, contract),
            None if channel.topic == topic::REFUSALS => {
                vec![("refusal".to_owned(), plain(channel, "Refusal", &refusal()))]
            }
            None if channel.topic == topic::CAMPAIGN_EVENTS => {
                let event = plain(channel, "CampaignEvent", &campaign_event());
                vec![("campaign-event".to_owned(), event)]
            }
            None => vec![("dead-letter".to_owned(), dead_letter(channel))],
        };
        let names: Vec<String> = made.iter().map(|(name, _)| name.clone()).collect();
        messages.extend(made);
        let reference = |name: &String| {
            let target = format!("#/components/messages/{name}");
            (name.clone(), json!({ "$ref": target }))
        };
        channels.insert(
            channel.topic.to_owned(),
            json!({
                "address": channel.topic,
                "description": channel.description,
                "messages": names.iter().map(reference).collect::<Map<_, _>>(),
                "bindings": {"kafka": bindings(spec.expect("the topic is created"))},
            }),
        );
        for action in channel.actions {
            let target = format!("#/channels/{}", channel.topic);
            let operation = json!({"action": action, "channel": {"$ref": target}});
            operations.insert(format!("{action}-{}", channel.topic), operation);
        }
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Campaign Manager",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The topics that other teams meet. Names are the defaults and can be set. With a \
                            schema registry documents are written as Avro in Confluent's wire format, without \
                            one as JSON; readers take both.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages},
    })
}

fn bindings(spec: &TopicSpec) -> Value {
    let config: Map<_, _> = (spec.config.iter())
        .map(|(name, value)| {
            let value = match value.parse::<i64>() {
                Ok(number) => json!(number),
                Err(_) => json!([value]),
            };
            ((*name).to_owned(), value)
        })
        .collect();
    let mut bindings = json!({});
    if spec.partitions == 1 {
        bindings["partitions"] = json!(1);
    }
    if !config.is_empty() {
        bindings["topicConfiguration"] = config.into();
    }
    bindings
}

/// A document in its two forms.
fn documents(channel: &Channel, contract: &Contract) -> Vec<(String, Value)> {
    let schema: Value = serde_json::from_str(contract.schema).expect("a schema is JSON");
    let name = schema["name"].as_str().expect("a record has a name");
    let message = |form: &str, content_type: &str, payload: Value| {
        json!({
            "name": name,
            "title": format!("{name} as {form}"),
            "summary": schema["doc"],
            "contentType": content_type,
            "headers": headers(channel.topic),
            "payload": payload,
            "bindings": {"kafka": {"key": {"type": "string", "description": channel.key}}},
        })
    };
    let mut avro = message(
        "Avro",
        "application/vnd.apache.avro",
        json!({"schemaFormat": "application/vnd.apache.avro;version=1.9.0", "schema": schema}),
    );
    avro["x-subject"] = Contract::subject(contract.topic).into();
    avro["x-compatibility"] = contract.level.as_str().into();
    avro["bindings"]["kafka"]["schemaIdLocation"] = "payload".into();
    avro["bindings"]["kafka"]["schemaIdPayloadEncoding"] = "confluent".into();
    let json_form = json!({
        "schemaFormat": "application/schema+json;version=draft-07",
        "schema": json_schema(&schema),
    });
    let name = name.to_lowercase();
    vec![
        (format!("{name}-avro"), avro),
        (
            format!("{name}-json"),
            message("JSON", "application/json", json_form),
        ),
    ]
}

/// A document that is JSON always.
fn plain(channel: &Channel, name: &str, schema: &Value) -> Value {
    json!({
        "name": name,
        "title": name,
        "summary": channel.description,
        "contentType": "application/json",
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-07",
            "schema": schema,
        },
        "bindings": {"kafka": {"key": {"type": "string", "description": channel.key}}},
    })
}

fn refusal() -> Value {
    let text = || json!({"type": "string"});
    let number = || json!({"type": "integer"});
    let time = || json!({"type": "string", "format": "date-time"});
    json!({
        "type": "object",
        "properties": {
            "match_id": text(), "event_id": text(), "campaign_id": text(), "campaign_version": number(),
            "campaigns_offset": number(), "customer_id": text(), "event_type": text(), "occurred_at": time(),
            "refused_at": time(), "reward": {"type": "object"}, "source": {"type": "object"},
            "reason": {"enum": ["budget_used_up", "campaign_gone", "too_late", "held_out"]},
            "variant": {"type": "string", "description": "The variant of the campaign that the reward is of."},
            "limit": {"type": "object", "description": "The first budget without room, as it was."},
        },
        "required": [
            "match_id", "event_id", "campaign_id", "campaign_version", "campaigns_offset", "customer_id",
            "event_type", "occurred_at", "refused_at", "reward", "source", "reason",
        ],
    })
}

fn campaign_event() -> Value {
    json!({
        "type": "object",
        "properties": {
            "campaign_id": {"type": "string"}, "campaign_version": {"type": "integer"},
            "at": {"type": "string", "format": "date-time"},
            "kind": {
                "type": "string",
                "description": "What happened, such as budget_used, budget_reset or breaker_tripped; each has fields of its own (docs/schemas.md).",
            },
        },
        "required": ["campaign_id", "campaign_version", "at", "kind"],
    })
}

fn dead_letter(channel: &Channel) -> Value {
    let facts = schemas::DeadLetter {
        topic: "".into(),
        partition: 0,
        offset: 0,
        code: "".into(),
        message: "".into(),
        app_version: "".into(),
    };
    let mut names: Vec<&str> = facts.headers().iter().map(|(name, _)| *name).collect();
    let required = names.clone();
    names.extend([header::ERROR_VALUE_BYTES, header::REDRIVES]);
    let text = |name: &&str| ((*name).to_owned(), json!({"type": "string"}));
    let properties: Map<_, _> = names.iter().map(text).collect();
    json!({
        "name": "DeadLetter",
        "title": "A dead letter",
        "summary": "The event's own value, and where and why it failed.",
        "contentType": "application/octet-stream",
        "headers": {"type": "object", "properties": properties, "required": required},
        "bindings": {"kafka": {"key": {"type": "string", "description": channel.key}}},
    })
}

/// Headers that are read or written beside the value.
fn headers(of: &str) -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    let mut properties = Map::new();
    let mut has = |name: &str, description| properties.insert(name.to_owned(), text(description));
    has(
        header::VALUE_SCHEMA_ID,
        "Readers: which schema the value was written with, if its first bytes do not say so.",
    );
    if of == topic::EVENTS || of == topic::MATCHES {
        has(
            header::TRACEPARENT,
            "The trace (W3C Trace Context); carried from event to match.",
        );
        has(
            header::CORRELATION_ID,
            "Upstream's own name for the request; carried from event to match.",
        );
        has(
            header::CONTROL,
            "On records without a value: what they ask for, such as erase; the key is the customer.",
        );
        if of == topic::MATCHES {
            has(
                header::CONTROL_SOURCE,
                "On records without a value: the record of events that asked, as the source of a match.",
            );
        }
    } else {
        has(
            header::CHANGE_ID,
            "The change that wrote the record here and on the other topic of the two.",
        );
    }
    json!({"type": "object", "properties": properties})
}

/// The JSON form of a record, which has the same fields: texts that hold JSON are what they hold, and
/// further fields stand beside the others.
fn json_schema(record: &Value) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in record["fields"].as_array().expect("a record has fields") {
        let name = field["name"].as_str().expect("a field has a name");
        if matches!(name, "further" | "unknown") {
            continue;
        }
        let mut schema = match name {
            "payload" | "when" | "before" | "after" => json!({"type": "object"}),
            _ => json_type(&field["type"]),
        };
        schema["description"] = field["doc"].clone();
        properties.insert(name.to_owned(), schema);
        if field.get("default").is_none() {
            required.push(name);
        }
    }
    if record["name"] == "Campaign" {
        // Its Avro form keeps these as texts among what is unknown to older releases.
        properties.insert("across".to_owned(), json!({
            "type": "array", "items": {"type": "object"},
            "description": "What the customer must have done besides; all of it (docs/rules.md).",
        }));
        properties.insert(
            "limits".to_owned(),
            json!({
                "type": "object", "description": "How often it is won at most (docs/rules.md).",
            }),
        );
        properties.insert("on_change".to_owned(), json!({
            "type": "string", "enum": ["keep", "reset"],
            "description": "What becomes of what was counted when the campaign changes; keep unless set.",
        }));
        properties.insert("priority".to_owned(), json!({
            "type": "integer",
            "description": "Of the campaigns that an event would win those with the greatest come first; 0 unless set.",
        }));
        properties.insert(
            "exclusive_group".to_owned(),
            json!({
                "type": "string",
                "description": "Of the campaigns of a group an event wins the first only.",
            }),
        );
        properties.insert(
            "stacking".to_owned(),
            json!({
                "type": "object",
                "description": "How many campaigns of a group win together (docs/rules.md).",
            }),
        );
        for (name, schema) in experiment() {
            properties.insert(name.to_owned(), schema);
        }
        properties.insert("audience".to_owned(), json!({
            "type": "array", "items": {"type": ["string", "object"]},
            "description": "The audiences of customers that it is for, and with not those that it is not for (docs/rules.md).",
        }));
        properties.insert(
            "hold".to_owned(),
            json!({
                "type": "string",
                "description": "How long a match is pending before it is confirmed, as 14d.",
            }),
        );
        properties.insert(
            "reverse_on".to_owned(),
            json!({
                "type": "object", "description": "What takes its rewards back (docs/rules.md).",
            }),
        );
        // And an expression elsewhere.
        properties["reward"]["properties"]["amount"] = json!({
            "type": "string",
            "description": "How much: an exact decimal, never negative, or an expression over the event (docs/rules.md).",
        });
    }
    json!({"type": "object", "properties": properties, "required": required})
}

/// What a campaign says of its experiment, and of its breaker.
fn experiment() -> [(&'static str, Value); 5] {
    [
        (
            "holdout",
            json!({
                "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?%$",
                "description": "Which share of the customers wins nothing, as 10%.",
            }),
        ),
        (
            "variants",
            json!({
                "type": "array", "items": {"type": "object"},
                "description": "Rewards that the others are given by lot, each with a name and a weight (docs/rules.md).",
            }),
        ),
        (
            "experiment",
            json!({
                "type": "string",
                "description": "Names the draw; campaigns of one name have the same groups. The campaign's id unless set.",
            }),
        ),
        (
            "breaker",
            json!({
                "type": "object",
                "description": "Past it the campaign is paused: rate, as 1000/min, or share of the events (docs/rules.md).",
            }),
        ),
        (
            "tripped",
            json!({
                "type": "object",
                "description": "When and why its breaker has paused it; written by campaign-admin, and gone when it is resumed.",
            }),
        ),
    ]
}

fn json_type(avro: &Value) -> Value {
    if let Some(variants) = avro.as_array() {
        let value = variants.iter().find(|variant| **variant != "null");
        return json_type(value.expect("a union with null"));
    }
    let logical = avro["logicalType"].as_str();
    match (avro["type"].as_str().or(avro.as_str()), logical) {
        (_, Some("timestamp-micros")) => json!({"type": "string", "format": "date-time"}),
        (_, Some("decimal")) => json!({"type": "string", "pattern": "^[0-9]+(\\.[0-9]{1,10})?$"}),
        (Some("string"), _) => json!({"type": "string"}),
        (Some("boolean"), _) => json!({"type": "boolean"}),
        // Avro describes a record once, and names it wherever it stands again.
        (Some("Source"), _) => {
            let schema: Value = serde_json::from_str(schemas::avro::MATCH).expect("a schema");
            let fields = schema["fields"].as_array().expect("fields");
            let source = fields.iter().find(|field| field["name"] == "source");
            json_type(&source.expect("a source")["type"])
        }
        (Some("int" | "long"), _) => json!({"type": "integer"}),
        (Some("enum"), _) => json!({"type": "string", "enum": avro["symbols"]}),
        (Some("map"), _) => json!({
            "type": "object", "additionalProperties": json_type(&avro["values"]),
        }),
        (Some("array"), _) => json!({"type": "array", "items": json_type(&avro["items"])}),
        (Some("record"), _) => json_schema(avro),
        _ => panic!("{avro} has no JSON form here"),
    }
}

/// YAML in blocks; scalars as JSON writes them, which YAML reads.
fn write_yaml(value: &Value, indent: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    let is_block = |value: &Value| match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let plain = name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
                let name = if plain {
                    name.clone()
                } else {
                    json!(name).to_string()
                };
                let _ = write!(out, "{pad}{name}:");
                if is_block(value) {
                    out.push('\n');
                    write_yaml(value, indent + 2, out);
                } else {
                    let _ = writeln!(out, " {value}");
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                if is_block(item) {
                    let mut inner = String::new();
                    write_yaml(item, indent + 2, &mut inner);
                    let _ = write!(out, "{pad}- {}", inner.trim_start());
                } else {
                    let _ = writeln!(out, "{pad}- {item}");
                }
            }
        }
        _ => {}
    }
}

#[test]
fn the_document_of_the_topics_is_what_the_schemas_and_the_topics_say() {
    let path = root().join("docs/asyncapi.yaml");
    let mut current = "# Made by tests/tests/asyncapi.rs; do not edit.\n".to_owned();
    write_yaml(&document(), 0, &mut current);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &current).expect("the page can be written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == current,
        "docs/asyncapi.yaml is not what the schemas say; UPDATE_DOCS=1 writes it anew"
    );
}

#[test]
fn every_reference_leads_somewhere() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    if name == "$ref" {
                        found.extend(value.as_str().map(str::to_owned));
                    }
                    references(value, found);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > CHANNELS.len());
    for reference in found {
        let pointer = reference.trim_start_matches('#');
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}
