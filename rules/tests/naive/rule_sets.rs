//! Rule sets against the naive evaluator: whatever the index makes of many patterns together, each event wins
//! those that it meets alone.

use std::cell::RefCell;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;
use rules::{Decider, Rule, RuleSet};
use schemas::Campaign;
use serde_json::{Value, json};

use crate::{compile, evaluator, generator};

/// The patterns that compile, and the rule set of them.
struct Set {
    patterns: Vec<(String, Value)>,
    rules: RuleSet,
    /// Has read the events before, and expects others to be like them.
    decider: RefCell<Decider>,
}

impl Set {
    fn of(patterns: Vec<Value>) -> Self {
        let patterns = patterns
            .into_iter()
            .filter(|pattern| compile(pattern).is_some());
        let numbered = (0..).zip(patterns);
        let patterns: Vec<_> = numbered
            .map(|(n, pattern)| (format!("{n:05}"), pattern))
            .collect();
        let rules = RuleSet::build(patterns.iter().map(|(id, pattern)| rule(id, pattern)));
        Self {
            patterns,
            rules,
            decider: RefCell::default(),
        }
    }

    fn check(&self, event: &Value) -> Result<(), TestCaseError> {
        let expected = self
            .patterns
            .iter()
            .filter(|(_, pattern)| evaluator::matches(pattern, event));
        let expected: Vec<_> = expected.map(|(id, _)| id.as_str()).collect();
        let mut decider = self.decider.borrow_mut();
        let mut winners = Vec::new();
        let text = event.to_string();
        (decider.decide(text.as_bytes(), &self.rules, &mut winners)).unwrap();
        let found: Vec<_> = winners.iter().map(|rule| rule.id().as_str()).collect();
        if found != expected {
            let differs = |(id, _): &&(String, Value)| {
                found.contains(&id.as_str()) != expected.contains(&id.as_str())
            };
            let (id, pattern) = self.patterns.iter().find(differs).unwrap();
            let wins = if found.contains(&id.as_str()) {
                "wins"
            } else {
                "does not win"
            };
            let of = self.patterns.len();
            return Err(TestCaseError::fail(format!(
                "{event} {wins} {pattern}, one of {of}"
            )));
        }
        Ok(())
    }
}

fn rule(id: &str, pattern: &Value) -> Arc<Rule> {
    let campaign = json!({"id": id, "name": id, "when": pattern, "reward": {"kind": "custom"}});
    let campaign = Campaign::from_json(campaign.to_string().as_bytes()).unwrap();
    Arc::new(Rule::compile(campaign).unwrap())
}

fn envelope(mut event: Value) -> Value {
    event["event_id"] = "e".into();
    event["customer_id"] = "c".into();
    event["event_type"] = "purchase".into();
    event["occurred_at"] = "2026-11-24T00:00:00Z".into();
    event
}

fn any_event() -> impl Strategy<Value = Value> {
    generator::event().prop_map(envelope)
}

/// A word of one of several sizes of vocabulary.
fn word(of: u32) -> impl Strategy<Value = String> {
    (0..of).prop_map(move |n| format!("{of}-{n}"))
}

fn words(of: u32) -> BoxedStrategy<Value> {
    let list = prop_oneof![
        4 => prop::collection::vec(word(of), 1..4),
        1 => prop::collection::vec(word(of), 4..12),
    ];
    list.prop_map(|list| json!(list)).boxed()
}

fn alternatives(of: u32) -> BoxedStrategy<Value> {
    let bound = || -5i64..25;
    prop_oneof![
        6 => words(of),
        1 => words(of).prop_map(|list| json!([{"anything-but": list}])),
        1 => word(of).prop_map(|word| json!([{"prefix": word[..word.len() - 1]}])),
        1 => word(of).prop_map(|word| json!([word, {"exists": false}])),
        1 => bound().prop_map(|low| json!([{"numeric": [">=", low]}])),
        1 => (bound(), 1..6i64).prop_map(|(low, width)| json!([{"numeric": [">", low, "<=", low + width]}])),
        1 => bound().prop_map(|number| json!([number, {"anything-but": number}])),
        1 => bound().prop_map(|number| json!([number])),
        1 => any::<bool>().prop_map(|exists| json!([{"exists": exists}])),
        1 => Just(json!([null, true])),
        1 => bound().prop_map(|low| json!([{"decimal": [">", low.to_string()]}])),
        1 => words(of).prop_map(|list| json!([{"contains-all": [list[0]]}, {"size": 2}])),
        1 => (word(of), bound()).prop_map(|(word, number)| json!([word, {"contains-all": [number]}])),
    ]
    .boxed()
}

/// Fields of a shop, some of them with many values.
const FIELDS: [(&str, u32); 5] = [
    ("type", 3),
    ("tier", 6),
    ("tag", 24),
    ("shop", 60),
    ("sku", 300),
];

/// Each field once, and none within another: of an array of values each stands alone.
fn fields() -> impl Strategy<Value = Value> {
    let field = select(&FIELDS[..])
        .prop_flat_map(|(name, of)| alternatives(of).prop_map(move |list| (name, list)));
    prop::collection::vec(field, 1..4).prop_map(|fields| {
        let fields = fields
            .into_iter()
            .map(|(name, list)| (name.to_owned(), list));
        fields.collect::<Value>()
    })
}

fn shop_pattern() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => fields(),
        2 => (fields(), fields()).prop_map(|(mut outer, inner)| {
            outer["items"] = inner;
            outer
        }),
        1 => fields().prop_map(|inner| json!({"items": inner})),
        1 => (fields(), fields(), fields()).prop_map(|(mut outer, one, other)| {
            outer["$or"] = json!([one, {"items": other}]);
            outer
        }),
    ]
}

fn shop_event() -> impl Strategy<Value = Value> {
    let value = |of| {
        prop_oneof![
            12 => word(of).prop_map(Value::from),
            2 => (-6i64..30).prop_map(Value::from),
            1 => (-12i32..60).prop_map(|halves| json!(f64::from(halves) / 2.0)),
            1 => Just(Value::Null),
            1 => any::<bool>().prop_map(Value::from),
            2 => prop::collection::vec(word(of), 0..12).prop_map(|list| json!(list)),
        ]
    };
    let object = move || {
        let fields = FIELDS.map(|(name, of)| {
            prop::option::weighted(0.8, value(of)).prop_map(move |value| (name, value))
        });
        fields.prop_map(|fields| {
            let present = fields
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?)));
            present.collect::<Value>()
        })
    };
    let items = prop_oneof![
        1 => object(),
        3 => prop::collection::vec(object(), 0..4).prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    (object(), items).prop_map(|(mut event, items)| {
        event["items"] = items;
        envelope(event)
    })
}

/// Each of the events wins what it meets.
fn agree(patterns: Vec<Value>, events: &[Value]) -> Result<(), TestCaseError> {
    let set = Set::of(patterns);
    events.iter().try_for_each(|event| set.check(event))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn few_patterns_of_every_operator(
        patterns in prop::collection::vec(generator::pattern(), 1..6),
        events in prop::collection::vec(any_event(), 1..4),
    ) {
        agree(patterns, &events)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn many_patterns_of_every_operator(
        patterns in prop::collection::vec(generator::pattern(), 100..400),
        events in prop::collection::vec(any_event(), 20),
    ) {
        agree(patterns, &events)?;
    }

    #[test]
    fn many_patterns_of_a_shop(
        patterns in prop::collection::vec(shop_pattern(), 200..1_000),
        events in prop::collection::vec(shop_event(), 20),
    ) {
        agree(patterns, &events)?;
    }

    #[test]
    fn many_patterns_of_fields_that_stand_alone(
        patterns in prop::collection::vec(fields(), 200..1_000),
        events in prop::collection::vec(shop_event(), 20),
    ) {
        agree(patterns, &events)?;
    }
}

// The cases above would agree on nothing if hardly any event won anything.
#[test]
fn generated_events_win_often_enough() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let strategy = (
        prop::collection::vec(shop_pattern(), 500),
        prop::collection::vec(shop_event(), 20),
    );
    let (patterns, events) = strategy.new_tree(&mut runner).unwrap().current();
    let won = |event: &Value| {
        let met = patterns
            .iter()
            .filter(|pattern| evaluator::matches(pattern, event));
        met.count()
    };
    let won: usize = events.iter().map(won).sum();
    assert!((200..5_000).contains(&won), "{won} of 10,000");
}

// Long lists are passed over in stretches, by what all of a stretch forbid.
#[test]
fn a_long_list_of_exclusions_is_passed_over_only_where_all_exclude() {
    let word = |n| match n {
        0..150 => "web",
        150..153 => "shop",
        _ => ["web", "shop", "mail"][n / 100 % 3],
    };
    let pattern = |n| json!({"tier": [{"anything-but": [word(n), format!("of-{n}")]}]});
    let set = Set::of((0..700).map(pattern).collect());
    for tier in [
        json!("web"),
        json!("shop"),
        json!("mail"),
        json!("app"),
        json!("of-151"),
        json!(1),
        json!(["web", "shop"]),
        json!(["web"]),
    ] {
        set.check(&envelope(json!({"tier": tier}))).unwrap();
    }
}
