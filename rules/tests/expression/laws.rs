//! Laws: what is printed is read again, and nothing panics, whatever is written and whatever the event.

use proptest::prelude::*;
use proptest::sample::select;
use rules::Expression;
use schemas::{Document, Limits};
use serde_json::{Value, json};

/// Texts that are expressions, in many forms.
fn number() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        select(
            &[
                "0",
                "1",
                "0.05",
                "79228162514264337593543950335",
                "0.0000000000000000000000000001",
                "12.50"
            ][..]
        )
        .prop_map(str::to_owned),
        select(
            &[
                "payload.a",
                "payload.b",
                "payload.a.b",
                "payload[\"a b\"]",
                "event.a",
                "event.payload",
                "sum(payload.a)",
                "count(payload.b)",
                "payload[\"\\\"\\\\\"]",
            ][..]
        )
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let n = || inner.clone();
        let compare = (n(), select(&["==", "!=", "<", "<=", ">", ">="][..]), n())
            .prop_map(|(a, sign, b)| format!("({a}) {sign} ({b})"));
        let equals =
            select(&["payload.a == \"x\"", "\"é\\\"\" != payload.b"][..]).prop_map(str::to_owned);
        let test = prop_oneof![compare, equals];
        let tests = (
            test.clone(),
            select(&["&&", "||"][..]),
            test.clone(),
            any::<bool>(),
        )
            .prop_map(|(a, sign, b, not)| {
                if not {
                    format!("!({a} {sign} {b})")
                } else {
                    format!("{a} {sign} {b}")
                }
            });
        prop_oneof![
            (n(), select(&["+", "-", "*", "/"][..]), n())
                .prop_map(|(a, sign, b)| format!("{a} {sign} {b}")),
            (n(), select(&["+", "-", "*", "/"][..]), n())
                .prop_map(|(a, sign, b)| format!("({a}) {sign} ({b})")),
            n().prop_map(|a| format!("-({a})")),
            (tests, n(), n()).prop_map(|(test, a, b)| format!("({test} ? {a} : {b})")),
            (select(&["min", "max"][..]), n(), n()).prop_map(|(f, a, b)| format!("{f}({a}, {b})")),
            (select(&["round", "floor", "ceil"][..]), n(), 0..11u8)
                .prop_map(|(f, a, d)| format!("{f}({a}, {d})")),
            (n(), n(), n()).prop_map(|(of, a, b)| format!("tier({of}, -1.5: {a}, 100: {b})")),
            n().prop_map(|a| format!("default(payload.b, {a})")),
        ]
    })
}

fn event() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|double| json!(double)),
        select(
            &[
                "x",
                "",
                "1.5",
                "-0",
                "79228162514264337593543950335",
                "1e5",
                "-0.0000000000000000000000000001"
            ][..]
        )
        .prop_map(Value::from),
    ];
    let node = scalar.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            (inner.clone(), inner).prop_map(|(a, b)| json!({"a": a, "b": b})),
        ]
    });
    (node.clone(), node)
        .prop_map(|(a, payload)| json!({"a": a, "payload": {"a": payload, "b": 5, "a b": 0}}))
}

fn evaluate(expression: &Expression, event: &Value) {
    let mut document = Document::new();
    let event = event.to_string();
    document.read(event.as_bytes(), Limits::default()).unwrap();
    let _no_panic = expression.evaluate(document.root());
}

proptest! {
    #[test]
    fn what_is_printed_is_read_again(text in number()) {
        match Expression::parse(&text) {
            Ok(expression) => {
                let printed = expression.to_string();
                prop_assert_eq!(Expression::parse(&printed), Ok(expression), "{}", printed);
            }
            // The generator knows only these mistakes.
            Err(error) => {
                let error = error.to_string();
                prop_assert!(["by zero", "bytes", "levels"].iter().any(|word| error.contains(word)), "{}", error);
            }
        }
    }

    #[test]
    fn evaluation_never_panics(text in number(), event in event()) {
        if let Ok(expression) = Expression::parse(&text) {
            evaluate(&expression, &event);
        }
    }

    #[test]
    fn reading_never_panics(text in any::<String>()) {
        let _no_panic = Expression::parse(&text);
    }

    #[test]
    fn reading_words_never_panics(words in prop::collection::vec(select(&[
        "payload", ".a", "event", "[\"a\"]", "min(", "tier(", "round(", "default(", "sum(", ")", "(", ",", ":", "?",
        "1", "0.5", "-", "+", "/", "*", "==", "<", "&&", "!", "\"x\"", "é", " ", "\\", "\"",
    ][..]), 0..30), event in event()) {
        if let Ok(expression) = Expression::parse(&words.concat()) {
            prop_assert_eq!(Expression::parse(&expression.to_string()), Ok(expression.clone()));
            evaluate(&expression, &event);
        }
    }
}
