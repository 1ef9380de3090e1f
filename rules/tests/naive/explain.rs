//! Explanations of the generated patterns and events: they say what the evaluator does, and each part
//! says what its parts do.

use std::sync::Arc;

use proptest::prelude::*;
use rules::explain::{Findings, Part};
use rules::{Explanation, Rule, RuleSet};
use schemas::{Campaign, Document, Event, Limits};
use serde_json::{Value, json};

use crate::generator;

fn rule(pattern: &Value, status: &str) -> Option<Arc<Rule>> {
    let campaign = json!({
        "id": "c", "name": "c", "status": status, "when": pattern, "reward": {"kind": "custom"},
        "schedule": {"start": "2026-11-01T00:00:00Z", "end": "2026-12-01T00:00:00Z"},
    });
    let campaign = Campaign::from_json(campaign.to_string().as_bytes()).unwrap();
    Rule::compile(campaign).ok().map(Arc::new)
}

fn check(findings: &Findings) -> Result<(), TestCaseError> {
    let mut all = true;
    for part in &findings.parts {
        all &= part.held();
        if let Part::Or(or) = part {
            let any = or.objects.iter().any(|object| object.held);
            prop_assert_eq!(or.held, any);
            or.objects.iter().try_for_each(check)?;
        }
    }
    prop_assert_eq!(findings.held, all && findings.excludes.is_empty());
    prop_assert!(all || findings.excludes.is_empty());
    Ok(())
}

/// Events that are near to what the pattern asks for occur often enough in the small world.
fn explained(
    pattern: &Value,
    mut event: Value,
    status: &str,
    at: &str,
) -> Result<(), TestCaseError> {
    let Some(rule) = rule(pattern, status) else {
        return Ok(());
    };
    event["event_id"] = "e".into();
    event["customer_id"] = "c".into();
    event["event_type"] = "purchase".into();
    event["occurred_at"] = at.into();
    let mut document = Document::new();
    let read = document.read(event.to_string().as_bytes(), Limits::default());
    read.unwrap();
    let event = Event::of(&document).unwrap();

    let explanation = Explanation::of(&rule, &event);
    let set = RuleSet::build([Arc::clone(&rule)]);
    let mut winners = Vec::new();
    set.winners(&event, &mut winners);
    prop_assert_eq!(explanation.wins, !winners.is_empty(), "{}", &explanation);
    prop_assert_eq!(explanation.when.held, rule.pattern().matches(event.root));
    check(&explanation.when)?;
    let text = explanation.to_string();
    prop_assert_eq!(
        text.contains('✗'),
        !explanation.wins || any_failed(&explanation.when)
    );
    serde_json::to_value(&explanation).unwrap();
    Ok(())
}

/// Objects of an `$or` may fail although the pattern is met.
fn any_failed(findings: &Findings) -> bool {
    let failed = |part: &Part| match part {
        Part::Condition(condition) => !condition.held,
        Part::Or(or) => or.objects.iter().any(any_failed),
    };
    !findings.held || findings.parts.iter().any(failed)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn an_explanation_says_what_the_rule_set_does(
        pattern in generator::pattern(),
        event in generator::event(),
    ) {
        explained(&pattern, event, "active", "2026-11-24T00:00:00Z")?;
    }
}

#[test]
fn a_campaign_that_is_not_live_is_not_won_and_the_pattern_may_hold() {
    for (status, at) in [
        ("paused", "2026-11-24T00:00:00Z"),
        ("active", "2026-10-31T23:59:59Z"),
        ("active", "2026-12-01T00:00:00Z"),
    ] {
        explained(&json!({"a": [1]}), json!({"a": 1}), status, at).unwrap();
    }
}
