//! Expressions of rewards: what they mean, what is refused, and laws that hold for all of them.

mod laws;
mod model;

use rules::Expression;
use schemas::{Document, Limits};
use serde_json::{Value, json};

/// The value of an expression for an event, or why there is none.
fn value(expression: &str, event: &Value) -> String {
    let expression =
        Expression::parse(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
    let mut document = Document::new();
    let event = event.to_string();
    document.read(event.as_bytes(), Limits::default()).unwrap();
    match expression.evaluate(document.root()) {
        Ok(value) => value.normalize().to_string(),
        Err(why) => why.to_string(),
    }
}

#[test]
fn expressions_have_exact_values() {
    let event = json!({"total": 7, "event_type": "purchase", "payload": {
        "amount": 75.10, "text": "19.99", "none": null, "tier": "gold", "unit price": 3, "list": [1, 2.5, "3"],
        "items": [{"price": 10, "n": 1}, {"price": 0.2}, {"sku": "A"}], "big": 1e20, "tiny": 0.1, "zero": 0,
        "tags": ["new", "vip"], "one": [[4]],
    }});
    let cases = [
        ("0.1 + 0.2", "0.3"),
        ("payload.tiny + 0.2", "0.3"),
        ("payload.amount * 0.05", "3.755"),
        ("min(payload.amount * 0.5, 20)", "20"),
        ("max(1, payload.amount, 2)", "75.1"),
        ("1 - 2 - 3", "-4"),
        ("8 / 2 / 2", "2"),
        ("2 + 3 * 4", "14"),
        ("(2 + 3) * -4", "-20"),
        ("1 / 3", "0.3333333333333333333333333333"),
        ("round(2.5)", "3"),
        ("round(-2.5)", "-3"),
        ("round(payload.amount * 0.05, 2)", "3.76"),
        ("floor(-2.5)", "-3"),
        ("ceil(2.001, 2)", "2.01"),
        ("floor(payload.amount / 10) * 5", "35"),
        (
            "payload.amount >= 100 ? 10 : payload.amount >= 50 ? 5 : 0",
            "5",
        ),
        (
            "payload.tier == \"gold\" && !(payload.amount < 50) ? 1 : 2",
            "1",
        ),
        (
            "payload.tier != \"gold\" || \"vip\" == payload.tags ? 1 : 2",
            "1",
        ),
        ("payload.absent == \"x\" ? 1 : 2", "2"),
        (
            "payload.amount * tier(payload.amount, 0: 0.02, 50: 0.1, 100: 0.5)",
            "7.51",
        ),
        ("tier(payload.amount, -5: 1, 75.1: 2, 75.2: 3)", "2"),
        (
            "tier(payload.zero, 100: 5)",
            "0 is below the first tier, 100",
        ),
        (
            "default(payload.absent, 3) + default(payload.none, 4) + default(payload.amount, 5)",
            "82.1",
        ),
        (
            "default(payload.tier, 3)",
            "payload.tier is \"gold\", no decimal of at most 28 digits",
        ),
        (
            "sum(payload.items.price) + count(payload.items.price)",
            "12.2",
        ),
        ("sum(payload.absent) + count(payload.list)", "3"),
        ("sum(payload.list)", "6.5"),
        (
            "sum(payload.tags)",
            "payload.tags is \"new\", no decimal of at most 28 digits",
        ),
        ("payload.text * 2", "39.98"),
        (
            "payload[\"unit price\"] + event.total + event[\"payload\"].zero",
            "10",
        ),
        ("payload.one", "4"),
        ("payload.absent", "payload.absent is absent"),
        ("payload.items", "payload.items is absent"),
        (
            "payload.none",
            "payload.none is null, no decimal of at most 28 digits",
        ),
        (
            "payload.list",
            "payload.list has 3 values; sum and count take them all",
        ),
        ("1 / payload.zero", "it divides by zero"),
        ("payload.zero != 0 ? 1 / payload.zero : 0", "0"),
        ("payload.zero == 0 || 1 / payload.zero > 1 ? 1 : 0", "1"),
        (
            "payload.big * payload.big",
            "a number in it becomes too large",
        ),
        ("event.event_type == \"purchase\" ? 1 : 0", "1"),
    ];
    for (expression, expected) in cases {
        assert_eq!(value(expression, &event), expected, "{expression}");
    }
}

#[test]
fn what_is_wrong_has_its_place_and_says_what_to_write() {
    let cases = [
        "",
        "payload.amount *",
        "payload.amount 5",
        "(payload.amount",
        "min(payload.amount)",
        "min()",
        "round(1, 2, 3)",
        "round(1, 11)",
        "round(1, payload.n)",
        "tier(payload.amount)",
        "tier(payload.amount, 10: 1, 10: 2)",
        "tier(payload.amount, payload.n: 2)",
        "default(5, 3)",
        "percent(payload.amount)",
        "ten",
        "payload",
        "event * 2",
        "paylod.amount * 2",
        "payload. amount . 5",
        "payload[amount]",
        "1e3",
        "0.00000000000000000000000000001",
        "5%",
        "payload.amount > 5",
        "payload.amount ? 1 : 2",
        "payload.amount > 5 ? 1",
        "1 < 2 < 3 ? 1 : 2",
        "\"gold\"",
        "payload.tier == \"gold ? 1 : 2",
        "payload.tier > \"gold\" ? 1 : 2",
        "1 + payload.é / (2 - 2)",
    ];
    let problems: Vec<_> = cases
        .iter()
        .map(|case| format!("{case}\n    {}", Expression::parse(case).unwrap_err()))
        .collect();
    insta::assert_snapshot!(problems.join("\n"));
}

#[test]
fn what_is_too_long_or_too_deep_is_refused() {
    let long = format!("1{}", " + 1".repeat(250));
    let deep = [
        format!("{}1{}", "(".repeat(40), ")".repeat(40)),
        format!("{}1", "-".repeat(40)),
        format!("{}1 > 2 ? 1 : 2", "!".repeat(40)),
        format!("{}3", "1 > 2 ? 1 : ".repeat(40)),
    ];
    let error = |text: &str| Expression::parse(text).unwrap_err().to_string();
    assert!(error(&long).contains("1001 bytes; at most 1000"));
    for text in deep {
        assert!(error(&text).contains("deeper than 32 levels"), "{text}");
    }
    assert!(Expression::parse(&long[..long.len() - 4]).is_ok());
}
