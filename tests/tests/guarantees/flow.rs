//! What comes in goes out: events, and what only looks like one.

use serde_json::{Value, json};
use tests::ledger::Poison;
use tests::topics::Written;
use tests::world::PARTITIONS;

use super::{world, world_with};

#[test]
fn campaigns_and_events_in_matches_out() {
    let world = world();
    let matcher = world.matcher("a");
    world.produce(2_000);
    world.check();
    assert_eq!(
        matcher.metric("matcher_events_consumed_total"),
        Some(2_000.0)
    );
    let all = matcher.metric("matcher_matches_total");
    let of_campaigns = matcher.metric("matcher_campaign_matches_total");
    assert!(all > Some(0.0) && of_campaigns == all, "{of_campaigns:?}");
    let told = matcher.metric("matcher_campaign_matches_total{campaign_id=\"big\"}");
    let seen = world.read("matches").into_iter();
    let seen = seen.filter(|seen| seen.json()["campaign_id"] == "big");
    assert_eq!(
        told.map(|told| format!("{told}")),
        Some(seen.count().to_string())
    );
    let (status, _) = matcher.terminate();
    assert!(status.success());
}

fn purchase() -> Value {
    json!({
        "event_id": "poison", "customer_id": "eve", "event_type": "purchase",
        "occurred_at": "2026-11-24T09:30:00Z", "payload": {"amount": 75, "country": "US"},
    })
}

/// Every way in which an event can be broken, with the word of its reason.
fn broken() -> Vec<(&'static str, Option<Vec<u8>>)> {
    let with = |field: &str, value: Value| {
        let mut event = purchase();
        event[field] = value;
        Some(event.to_string().into_bytes())
    };
    let without = |field: &str| {
        let mut event = purchase();
        event.as_object_mut().expect("an object").remove(field);
        Some(event.to_string().into_bytes())
    };
    let good = purchase().to_string().into_bytes();
    let nested = format!("{{\"a\":{}{}}}", "[".repeat(50_000), "]".repeat(50_000));
    vec![
        ("no_value", None),
        ("empty", Some(Vec::new())),
        ("not_json", Some(good[..good.len() / 2].to_vec())),
        ("no_registry", Some(b"\x00\x00\x00\x00\x07Avro".to_vec())),
        ("not_avro", Some(b"\x00\x00\x07".to_vec())),
        (
            "not_utf8",
            Some([&good[..20], b"\xff", &good[20..]].concat()),
        ),
        (
            "too_large",
            with("payload", json!({"a": "x".repeat(300_000)})),
        ),
        ("too_deep", Some(nested.into_bytes())),
        ("not_an_object", Some(b"[1]".to_vec())),
        ("missing_field", without("event_id")),
        ("missing_field", without("customer_id")),
        ("missing_field", without("event_type")),
        ("missing_field", without("occurred_at")),
        ("wrong_type", with("event_id", json!(7))),
        ("wrong_type", with("payload", json!([]))),
        ("empty_id", with("event_id", json!(""))),
        ("id_too_long", with("event_id", json!("x".repeat(300)))),
        ("invalid_id", with("event_id", json!("a\u{0}b"))),
        ("invalid_event_type", with("event_type", json!(""))),
        ("invalid_time", with("occurred_at", json!("yesterday"))),
    ]
}

fn poison(code: &'static str, key: Option<&[u8]>, value: Option<Vec<u8>>) -> Poison {
    let headers = [
        ("source", Some("till")),
        ("empty", None),
        ("source", Some("")),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.map(Into::into)));
    Poison {
        code,
        record: Written {
            key: key.map(<[u8]>::to_vec),
            value,
            headers: headers.to_vec(),
            ..Written::default()
        },
        value_kept: true,
    }
}

#[test]
fn poison_costs_one_dead_letter_byte_for_byte_and_stops_nothing() {
    let world = world();
    let matcher = world.matcher_with("a", &[("MAX_EVENT_BYTES", "262144")]);
    let good = purchase().to_string().into_bytes();
    let mut all: Vec<Poison> = broken()
        .into_iter()
        .map(|(code, value)| poison(code, Some(b"eve"), value))
        .collect();
    all.push(poison("no_key", None, Some(good.clone())));
    all.push(poison("key_mismatch", Some(b"ada"), Some(good.clone())));
    all.push(poison("key_mismatch", Some(b""), Some(good)));
    let written = all.len();
    // Each in each partition, between good events, in one batch with them.
    for partition in 0..PARTITIONS {
        for poison in &all {
            let mut poison = poison.clone();
            poison.record.partition = Some(partition);
            world.poison(poison);
            world.produce(20);
        }
    }
    world.check();
    let written = f64::from(u32::try_from(written).expect("a small number"));
    let letters = matcher.metric("matcher_dead_letters_total");
    assert_eq!(letters, Some(written * f64::from(PARTITIONS)));
    assert!(matcher.terminate().0.success());
}

#[test]
fn a_dead_letter_that_its_topic_does_not_take_goes_without_its_value_and_says_so() {
    // Made before the product would make it larger.
    let make = |kafka: &tests::topics::Kafka, name: &str| {
        let bytes = |bytes: &'static str| [("max.message.bytes", bytes)];
        kafka.create_topic(&format!("{name}-events"), PARTITIONS, &bytes("4000000"));
        kafka.create_topic(
            &format!("{name}-dead-letters"),
            PARTITIONS,
            &bytes("1048588"),
        );
    };
    let world = world_with(make);
    let matcher = world.matcher("a");
    let mut event = purchase();
    // Numbers that no compression makes small enough.
    let numbers: Vec<u64> = (1..100_000)
        .map(|n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15))
        .collect();
    event["payload"] = json!({"a": numbers});
    let mut large = poison(
        "too_large",
        Some(b"eve"),
        Some(event.to_string().into_bytes()),
    );
    large.value_kept = false;
    for partition in 0..PARTITIONS {
        world.produce(100);
        large.record.partition = Some(partition);
        world.poison(large.clone());
        world.poison(poison("not_json", Some(b"eve"), Some(b"{".to_vec())));
    }
    world.produce(100);
    world.check();
    assert!(matcher.terminate().0.success());
}
