//! Upstream's own records, by a mapping.

use apache_avro::types::Value as Avro;
use jiff::Timestamp;
use tests::topics::Written;

use super::world;

const ORDER: &str = r#"{"type": "record", "name": "Order", "namespace": "shop", "fields": [
    {"name": "number", "type": "long"},
    {"name": "customer", "type": {"type": "record", "name": "Customer", "fields": [
        {"name": "id", "type": "string"}]}},
    {"name": "placed", "type": "long"},
    {"name": "payload", "type": {"type": "record", "name": "Basket", "fields": [
        {"name": "amount", "type": "double"}, {"name": "country", "type": "string"}]}}]}"#;

const MAPPING: &str = r#"[{"subject": "SUBJECT", "event_id": "number", "customer_id": "customer.id",
    "event_type": {"constant": "purchase"}, "occurred_at": {"field": "placed", "unit": "millis"}}]"#;

#[test]
fn upstreams_own_record_wins_by_its_own_names() {
    let world = world();
    let subject = format!("{}-orders", world.name);
    let id = world.contracts().register(&subject, ORDER);
    let folder = tempfile::TempDir::new().expect("a folder");
    let file = folder.path().join("mapping.json");
    std::fs::write(&file, MAPPING.replace("SUBJECT", &subject)).expect("a file");
    let file = file.to_str().expect("a path in UTF-8");
    let matcher = world.matcher_with("a", &[("EVENT_MAPPING", file)]);

    let placed = Timestamp::now().as_millisecond();
    let of = |name: &str, value| (name.to_owned(), value);
    let text = |text: &str| Avro::String(text.to_owned());
    let order = Avro::Record(vec![
        of("number", Avro::Long(4711)),
        of("customer", Avro::Record(vec![of("id", text("ada"))])),
        of("placed", Avro::Long(placed)),
        of(
            "payload",
            Avro::Record(vec![
                of("amount", Avro::Double(99.5)),
                of("country", text("US")),
            ]),
        ),
    ]);
    let record = Written {
        key: Some(b"ada".to_vec()),
        value: Some(world.contracts().encode(id, order)),
        ..Written::default()
    };
    world.kafka.send(&world.topic("events"), &record);
    world.kafka.flush();
    world.wait_quiet();
    let won = world.read("matches");
    let mut won = won.iter().map(tests::topics::Seen::json);
    let big = won.find(|won| won["campaign_id"] == "big");
    let big = big.expect("an order of $99.50 from the US is big");
    assert_eq!(big["event_id"], "4711");
    assert_eq!(big["customer_id"], "ada");
    assert_eq!(big["event_type"], "purchase");
    let occurred_at = big["occurred_at"].as_str().map(str::parse::<Timestamp>);
    let occurred_at = occurred_at.expect("a time").expect("a time");
    assert_eq!(occurred_at.as_millisecond(), placed);
    assert!(world.read("dead-letters").is_empty());
    assert!(matcher.terminate().0.success());
}
