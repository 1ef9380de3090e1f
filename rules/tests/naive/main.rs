//! The evaluator against a naive one that works in another way: it flattens the event into values with
//! their paths and the array elements they lie in, as event-ruler does, and tries every combination.

mod changes;
mod evaluator;
mod explain;
mod generator;
mod rule_sets;

use proptest::prelude::*;
use rules::{Pattern, Problem};
use schemas::{Document, Limits};
use serde_json::{Value, json};

fn matches(pattern: &Pattern, event: &Value) -> bool {
    let mut document = Document::new();
    document
        .read(event.to_string().as_bytes(), Limits::default())
        .unwrap();
    pattern.matches(document.root())
}

/// The generated patterns are right but for what their form does not exclude.
fn compile(pattern: &Value) -> Option<Pattern> {
    match Pattern::parse(pattern) {
        Ok(compiled) => Some(compiled),
        Err(errors) => {
            let is_expected = |problem: &Problem| {
                matches!(
                    problem,
                    Problem::ValueAndObject | Problem::TooManyConjunctions { .. }
                )
            };
            assert!(
                errors.iter().all(|error| is_expected(&error.problem)),
                "{pattern}: {errors}"
            );
            None
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn the_naive_evaluator_agrees(pattern in generator::pattern(), event in generator::event()) {
        if let Some(compiled) = compile(&pattern) {
            let found = matches(&compiled, &event);
            prop_assert_eq!(found, evaluator::matches(&pattern, &event), "{} on {}", pattern, event);
        }
    }

    #[test]
    fn any_json_is_compiled_or_refused(pattern in generator::any_json()) {
        let Err(errors) = Pattern::parse(&pattern) else {
            return Ok(());
        };
        prop_assert!(errors.iter().count() > 0);
        prop_assert!(errors.to_string().lines().count() >= errors.iter().count());
    }

    #[test]
    fn what_compiles_is_evaluated_on_any_event(
        pattern in generator::any_json(),
        event in generator::any_json(),
    ) {
        if let Ok(pattern) = Pattern::parse(&pattern) {
            matches(&pattern, &json!({"a": event}));
        }
    }
}

// The cases above would agree on nothing if hardly any event matched.
#[test]
fn generated_events_meet_generated_patterns_often_enough() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut met = 0;
    for _ in 0..2_000 {
        let strategy = (generator::pattern(), generator::event());
        let (pattern, event) = strategy.new_tree(&mut runner).unwrap().current();
        met += usize::from(evaluator::matches(&pattern, &event));
    }
    assert!((200..1_800).contains(&met), "{met} of 2000");
}
