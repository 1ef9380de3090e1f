//! Our evaluation beside event-ruler itself, on the same generated patterns and events: both say yes, both say no, or
//! the difference is one that docs/rules.md explains. The generated cases are always the same ones.
//!
//! It needs Java, and Maven when the jars are not there yet.

mod difference;
#[path = "../naive/generator.rs"]
#[expect(
    dead_code,
    reason = "patterns beyond EventBridge are for the naive evaluator"
)]
mod generator;
mod java;
mod text;

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use rules::Pattern;
use schemas::{Document, Limits};
use serde_json::{Value, json};

use crate::difference::Difference;

const PATTERNS: usize = 2_000;
const EVENTS: usize = 12;

/// The last numbers that event-ruler knows, their neighbours, and zeros.
fn edge() -> impl Strategy<Value = Value> {
    proptest::sample::select(vec![
        json!(5_000_000_000i64),
        json!(4_999_999_999.999_999),
        json!(-5_000_000_000i64),
        json!(-4_999_999_999.999_999),
        json!(0.000_001),
        json!(-0.000_001),
        json!(-0.0),
        json!(1e-5),
    ])
}

/// Characters of 32 bits and of several code points, and an IPv4 address in its other form.
fn strange_text() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(&["😀", "a😀", "e\u{301}", "ẞ", "::ffff:10.0.0.1"][..])
}

/// A pattern, and events in the form they are written in.
struct Case {
    pattern: Value,
    events: Vec<(Value, String)>,
}

fn cases() -> Vec<Case> {
    let mut runner = TestRunner::deterministic();
    let forms = || prop::collection::vec(any::<u8>(), 5..30);
    let any = (
        generator::pattern_of(generator::event_bridge()),
        prop::collection::vec((generator::event(), forms()), EVENTS),
    );
    // One field alone, so that each operator decides often.
    let comparison = (
        proptest::sample::select(&["=", "<", "<=", ">", ">="][..]),
        edge(),
    );
    let alternative = prop_oneof![
        20 => generator::event_bridge(),
        1 => edge(),
        1 => strange_text().prop_map(Value::from),
        1 => strange_text().prop_map(|text| json!({"equals-ignore-case": text})),
        1 => strange_text().prop_map(|text| json!({"suffix": text})),
        1 => strange_text().prop_map(|text| json!({"anything-but": text})),
        1 => comparison.prop_map(|(sign, number)| json!({"numeric": [sign, number]})),
    ];
    let list = prop::collection::vec(alternative, 1..3);
    let value = prop_oneof![
        4 => generator::scalar(),
        1 => edge(),
        1 => strange_text().prop_map(Value::from),
        1 => prop::collection::vec(generator::scalar(), 0..3).prop_map(Value::from),
    ];
    let value = value.prop_map(|value| json!({"a": value}));
    let alone = (
        list.prop_map(|list| json!({"a": list})),
        prop::collection::vec((value, forms()), EVENTS),
    );
    let mut case = |number: usize| {
        let (pattern, events) = if number.is_multiple_of(2) {
            any.new_tree(&mut runner).expect("a case").current()
        } else {
            alone.new_tree(&mut runner).expect("a case").current()
        };
        let events = events.into_iter().map(|(event, choices)| {
            let text = text::write(&event, &choices);
            (event, text)
        });
        Case {
            pattern,
            events: events.collect(),
        }
    };
    (0..PATTERNS).map(&mut case).collect()
}

fn matches(pattern: &Pattern, event: &str) -> bool {
    let mut document = Document::new();
    document.read(event.as_bytes(), Limits::default()).unwrap();
    pattern.matches(document.root())
}

#[test]
fn event_ruler_agrees_but_for_what_is_documented() {
    let cases = cases();
    let mut questions = Vec::new();
    for case in &cases {
        questions.push(format!("pattern {}", case.pattern));
        questions.extend(case.events.iter().map(|(_, text)| format!("event {text}")));
    }
    let answers = java::ask(&questions);

    let mut differ = Vec::new();
    let mut excused: BTreeMap<Difference, usize> = BTreeMap::new();
    let (mut compared, mut met) = (0, 0);
    for (case, answers) in cases.iter().zip(answers.chunks(1 + EVENTS)) {
        let ours = Pattern::parse(&case.pattern);
        let taken = answers[0] == "taken";
        if taken != ours.is_ok() {
            match Difference::of_pattern(&ours, &answers[0]) {
                Some(known) => *excused.entry(known).or_default() += 1,
                None => differ.push(format!(
                    "{}: event-ruler: {}; here: {}",
                    case.pattern,
                    answers[0],
                    ours.as_ref()
                        .err()
                        .map_or_else(|| "taken".to_owned(), ToString::to_string)
                )),
            }
        }
        let Some(pattern) = ours.ok().filter(|_| taken) else {
            continue;
        };
        for ((event, text), answer) in case.events.iter().zip(&answers[1..]) {
            let here = if matches(&pattern, text) { "yes" } else { "no" };
            compared += 1;
            met += usize::from(here == "yes");
            if answer != here {
                match Difference::of(&case.pattern, event) {
                    Some(known) => *excused.entry(known).or_default() += 1,
                    None => differ.push(format!(
                        "{} on {text}: event-ruler: {answer}; here: {here}",
                        case.pattern
                    )),
                }
            }
        }
    }
    // The shortest say most.
    differ.sort_by_key(String::len);
    println!("{compared} compared, {met} met, {excused:?}");
    assert!(
        differ.is_empty(),
        "{} of {compared} differ:\n{}",
        differ.len(),
        differ
            .iter()
            .take(40)
            .cloned()
            .collect::<Vec<_>>()
            .join("\n")
    );
    // Agreement on nothing would be none.
    assert!(compared > PATTERNS * EVENTS / 2, "{compared} were compared");
    assert!(
        met > compared / 10 && met < compared * 9 / 10,
        "{met} of {compared}"
    );
}
