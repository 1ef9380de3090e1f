//! Values that begin as Avro and are none.

use tests::contracts::{SCHEMA_HEADER, prefix};
use tests::ledger::Poison;
use tests::topics::Written;
use tests::world::PARTITIONS;

use super::world;

/// An id that no registry of the tests ever gives.
const NOBODYS: u32 = 1_000_000;

#[test]
fn a_broken_value_costs_one_dead_letter_byte_for_byte_and_stops_nothing() {
    let world = world();
    let contracts = world.contracts();
    let id = world.event_schema();
    let event = tests::contracts::event(&serde_json::json!({
        "event_id": "poison", "customer_id": "eve", "event_type": "purchase",
        "occurred_at": "2026-11-24T09:30:00Z", "payload": {"amount": 75},
    }));
    let good = contracts.encode(id, event.clone());
    // A record that holds itself would never end.
    let endless = contracts.register(
        &format!("{}-endless", world.name),
        r#"{"type": "record", "name": "Endless", "fields": [{"name": "inner", "type": "Endless"}]}"#,
    );
    let text = contracts.register(
        &format!("{}-text", world.name),
        r#"{"type": "record", "name": "shop.Note", "fields": [{"name": "text", "type": "string"}]}"#,
    );
    let note = [&prefix(text)[..], b"\x04hi"].concat();
    let values: Vec<(&str, Vec<u8>)> = vec![
        ("not_avro", good[..4].to_vec()),
        ("not_avro", good[..good.len() / 2].to_vec()),
        ("not_avro", [&good[..], b"x"].concat()),
        ("not_avro", prefix(id).to_vec()),
        (
            "unknown_schema",
            [&prefix(NOBODYS)[..], &good[5..]].concat(),
        ),
        (
            "unusable_schema",
            [&prefix(endless)[..], &good[5..]].concat(),
        ),
        ("missing_field", note),
        ("key_mismatch", good.clone()),
    ];
    let mut all: Vec<Poison> = values
        .into_iter()
        .map(|(code, value)| poison(code, value, None))
        .collect();
    all.push(poison("invalid_schema_header", good.clone(), Some(b"\x07")));
    let body = contracts.body(id, event);
    all.push(poison("key_mismatch", body, Some(&prefix(id))));

    let matcher = world.matcher("a");
    for partition in 0..PARTITIONS {
        for poison in &all {
            let mut poison = poison.clone();
            poison.record.partition = Some(partition);
            world.poison(poison);
            world.produce(5);
        }
    }
    world.check();
    let letters = f64::from(u32::try_from(all.len()).expect("a few")) * f64::from(PARTITIONS);
    assert_eq!(matcher.metric("matcher_dead_letters_total"), Some(letters));
    assert!(matcher.terminate().0.success());
}

fn poison(code: &'static str, value: Vec<u8>, schema_header: Option<&[u8]>) -> Poison {
    let header = schema_header.map(|id| (SCHEMA_HEADER.to_owned(), Some(id.to_vec())));
    Poison {
        code,
        record: Written {
            key: Some(b"ada".to_vec()),
            value: Some(value),
            headers: header.into_iter().collect(),
            ..Written::default()
        },
        value_kept: true,
    }
}
