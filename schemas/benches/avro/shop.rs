//! Events and matches of a shop: twelve fields, one of them an array of three.

use std::collections::BTreeMap;

use schemas::{Match, Reward};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

/// The record of an upstream team with typed payloads.
pub(crate) const EVENT: &str = r#"{
    "type": "record", "name": "Purchase", "namespace": "shop",
    "fields": [
        {"name": "event_id", "type": "string"},
        {"name": "customer_id", "type": "string"},
        {"name": "event_type", "type": "string"},
        {"name": "occurred_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "amount", "type": "double"},
        {"name": "currency", "type": "string"},
        {"name": "country", "type": "string"},
        {"name": "tier", "type": ["null", "string"]},
        {"name": "store", "type": "int"},
        {"name": "first", "type": "boolean"},
        {"name": "coupon", "type": ["null", "string"]},
        {"name": "items", "type": {"type": "array", "items": {"type": "record", "name": "Item", "fields": [
            {"name": "sku", "type": "string"},
            {"name": "price", "type": "double"},
            {"name": "quantity", "type": "int"}
        ]}}}
    ]
}"#;

// apache-avro wants the names of structs to be those of the schema.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename = "Purchase")]
pub(crate) struct Owned {
    event_id: String,
    customer_id: String,
    event_type: String,
    #[serde(deserialize_with = "moment")]
    occurred_at: i64,
    amount: f64,
    currency: String,
    country: String,
    tier: Option<String>,
    store: i32,
    first: bool,
    coupon: Option<String>,
    items: Vec<OwnedItem>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename = "Item")]
struct OwnedItem {
    sku: String,
    price: f64,
    quantity: i32,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "read to be measured")]
pub(crate) struct Borrowed<'a> {
    event_id: &'a str,
    customer_id: &'a str,
    event_type: &'a str,
    occurred_at: i64,
    amount: f64,
    currency: &'a str,
    country: &'a str,
    tier: Option<&'a str>,
    store: i32,
    first: bool,
    coupon: Option<&'a str>,
    #[serde(borrow)]
    items: Vec<BorrowedItem<'a>>,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "read to be measured")]
struct BorrowedItem<'a> {
    sku: &'a str,
    price: f64,
    quantity: i32,
}

/// What every event has; the rest is skipped.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "read to be measured")]
pub(crate) struct Envelope<'a> {
    event_id: &'a str,
    customer_id: &'a str,
    event_type: &'a str,
    occurred_at: i64,
}

/// A number of Avro, or the text of JSON.
fn moment<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    struct Moment;
    impl serde::de::Visitor<'_> for Moment {
        type Value = i64;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a moment")
        }

        fn visit_i64<E>(self, value: i64) -> Result<i64, E> {
            Ok(value)
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<i64, E> {
            let moment: jiff::Timestamp = text.parse().map_err(E::custom)?;
            Ok(moment.as_millisecond())
        }
    }
    deserializer.deserialize_any(Moment)
}

const COUNTRIES: [&str; 5] = ["US", "CA", "DE", "FR", "GB"];
const TIERS: [&str; 3] = ["basic", "silver", "gold"];

/// The n-th event.
pub(crate) fn event(n: u64) -> Json {
    let item = |k: u64| {
        json!({
            "sku": format!("garden-{:05}", (n * 7 + k) % 5_000),
            "price": price(n * 31 + k * 977),
            "quantity": 1 + (n + k) % 4,
        })
    };
    json!({
        "event_id": format!("01J9Z{:021}", n * 7_919),
        "customer_id": format!("customer-{}", n * 37 % 100_000),
        "event_type": "purchase",
        "occurred_at": "2026-11-24T09:30:00.123Z",
        "amount": price(n * 101),
        "currency": "USD",
        "country": COUNTRIES[place(n, 5)],
        "tier": TIERS[place(n, 3)],
        "store": n % 800,
        "first": n.is_multiple_of(9),
        "coupon": Json::Null,
        "items": [item(0), item(1), item(2)],
    })
}

fn place(n: u64, of: u64) -> usize {
    usize::try_from(n % of).expect("small")
}

#[expect(clippy::cast_precision_loss, reason = "a few dollars")]
fn price(n: u64) -> f64 {
    (n % 20_000) as f64 / 100.0
}

/// The n-th match, in its JSON form.
pub(crate) fn won(n: u64) -> Json {
    let event_id = format!("01J9Z{:021}", n * 7_919);
    json!({
        "match_id": format!("{event_id}:ten-for-fifty"),
        "event_id": event_id,
        "campaign_id": "ten-for-fifty",
        "campaign_version": 3,
        "campaigns_offset": 41,
        "customer_id": format!("customer-{}", n * 37 % 100_000),
        "event_type": "purchase",
        "occurred_at": "2026-11-24T09:30:00.123Z",
        "matched_at": "2026-11-24T09:30:00.128Z",
        "reward": {"kind": "credit", "amount": "10.00", "currency": "USD"},
        "source": {"topic": "events", "partition": n % 12, "offset": 1_000_000 + n},
    })
}

/// A match as a struct whose fields are those of the schema, for the libraries.
#[derive(Debug, Serialize)]
#[serde(rename = "Match")]
pub(crate) struct AvroMatch {
    match_id: String,
    event_id: String,
    campaign_id: String,
    campaign_version: i64,
    campaigns_offset: i64,
    customer_id: String,
    event_type: String,
    occurred_at: i64,
    matched_at: i64,
    reward: AvroReward,
    source: AvroSource,
}

#[derive(Debug, Serialize)]
#[serde(rename = "Reward")]
struct AvroReward {
    kind: String,
    /// Without an amount: the libraries differ in what they take for a decimal.
    amount: Option<i64>,
    currency: Option<String>,
    further: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
#[serde(rename = "Source")]
struct AvroSource {
    topic: String,
    partition: i32,
    offset: i64,
}

impl AvroMatch {
    pub(crate) fn of(won: &Match<'_>) -> Self {
        let reward: Reward = serde_json::from_str(won.reward.get()).expect("a reward");
        Self {
            match_id: won.match_id.to_string(),
            event_id: won.event_id.to_string(),
            campaign_id: won.campaign_id.to_string(),
            campaign_version: won.campaign_version.cast_signed(),
            campaigns_offset: won.campaigns_offset,
            customer_id: won.customer_id.to_string(),
            event_type: won.event_type.to_string(),
            occurred_at: won.occurred_at.as_microsecond(),
            matched_at: won.matched_at.as_microsecond(),
            reward: AvroReward {
                kind: reward.kind,
                amount: None,
                currency: reward.currency,
                further: BTreeMap::new(),
            },
            source: AvroSource {
                topic: won.source.topic.to_string(),
                partition: won.source.partition,
                offset: won.source.offset,
            },
        }
    }
}
