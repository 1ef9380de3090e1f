use std::collections::BTreeMap;

use serde_json::json;

use super::*;

/// The cases of docs/rules.md, worked out with Python's `hashlib`.
#[test]
fn the_draw_is_for_ever() {
    let cases = [
        ("ten-for-fifty", "ada", 744_991, 49),
        ("ten-for-fifty", "customer-1", 683_657, 29),
        ("ten-for-fifty", "customer-2", 56_424, 79),
        ("global-2026", "ada", 180_041, 16),
        ("global-2026", "Zoë", 901_147, 39),
        ("a", "", 528_359, 2),
    ];
    for (experiment, customer, holdout, variant) in cases {
        let draw = Draw::of(experiment, customer);
        assert_eq!(
            (draw.holdout(), draw.variant(100)),
            (holdout, variant),
            "{experiment} {customer}"
        );
    }
}

fn experiment(fields: &serde_json::Value) -> Experiment {
    let mut document = json!({
        "id": "ten", "name": "n", "when": {"event_type": ["t"]}, "reward": {"kind": "custom"},
    });
    for (name, value) in fields.as_object().unwrap() {
        document[name] = value.clone();
    }
    let campaign = Campaign::from_json(document.to_string().as_bytes()).unwrap();
    Experiment::compile(&campaign).unwrap().unwrap()
}

fn customers() -> impl Iterator<Item = String> {
    (0..100_000).map(|number| format!("customer-{number}"))
}

/// Pearson's statistic: how far counts are from what they should be.
fn chi_squared(counts: impl IntoIterator<Item = (u32, f64)>) -> f64 {
    let of = |(found, expected): (u32, f64)| (f64::from(found) - expected).powi(2) / expected;
    counts.into_iter().map(of).sum()
}

/// By chance alone one of a thousand experiments would be beyond these.
const BEYOND_99: f64 = 148.2;
const BEYOND_1: f64 = 10.8;
const BEYOND_2: f64 = 13.8;

#[test]
fn draws_are_spread_evenly() {
    for name in ["ten", "global-2026", "x"] {
        let (mut holdouts, mut variants) = ([0_u32; 100], [0_u32; 100]);
        for customer in customers() {
            let draw = Draw::of(name, &customer);
            holdouts[usize::try_from(draw.holdout() / 10_000).unwrap()] += 1;
            variants[usize::try_from(draw.variant(100)).unwrap()] += 1;
        }
        for counts in [holdouts, variants] {
            let counts = counts.map(|count| (count, 1000.0));
            assert!(chi_squared(counts) < BEYOND_99, "{name}");
        }
    }
}

/// Whether two yes or no questions have nothing to do with each other, by a table of two by two.
fn are_independent(pairs: impl Iterator<Item = (bool, bool)>) -> bool {
    let mut table = BTreeMap::<(bool, bool), u32>::new();
    for pair in pairs {
        *table.entry(pair).or_default() += 1;
    }
    let sum = |is: &dyn Fn(bool, bool) -> bool| -> f64 {
        let of = table.iter().filter(|((a, b), _)| is(*a, *b));
        of.map(|(_, count)| f64::from(*count)).sum()
    };
    let all = sum(&|_, _| true);
    let cells = table.iter().map(|((a, b), count)| {
        let expected = sum(&|x, _| x == *a) * sum(&|_, y| y == *b) / all;
        (*count, expected)
    });
    chi_squared(cells) < BEYOND_1
}

#[test]
fn the_groups_of_two_campaigns_have_nothing_to_do_with_each_other() {
    let holdout = |name: &str| experiment(&json!({"holdout": "10%", "experiment": name}));
    let (a, b) = (holdout("a"), holdout("b"));
    let pairs = customers().map(|it| (a.holds_out(&it), b.holds_out(&it)));
    assert!(are_independent(pairs));
    // Nor has who is held out with the variant that they would have.
    let both = experiment(&json!({
        "holdout": "10%", "variants": [{"name": "x", "weight": 50}, {"name": "y", "weight": 50}],
    }));
    let pairs = customers().map(|it| (both.holds_out(&it), both.drawn(&it) == Some(0)));
    assert!(are_independent(pairs));
    // Of one name they are the same.
    let again = holdout("a");
    assert!(customers().all(|it| a.holds_out(&it) == again.holds_out(&it)));
}

#[test]
fn a_larger_holdout_has_all_of_a_smaller_one_and_moves_nobody_between_variants() {
    let variants = json!([{"name": "x", "weight": 1}, {"name": "y", "weight": 3}]);
    let small = experiment(&json!({"holdout": "1%", "variants": variants}));
    let large = experiment(&json!({"holdout": "20%", "variants": variants}));
    let mut held_out = 0;
    for customer in customers() {
        assert!(large.holds_out(&customer) || !small.holds_out(&customer));
        assert_eq!(large.drawn(&customer), small.drawn(&customer));
        held_out += u32::from(large.holds_out(&customer));
    }
    assert!((19_600..20_400).contains(&held_out), "{held_out}");
}

#[test]
fn variants_are_drawn_by_their_weights() {
    let of = experiment(&json!({"variants": [
        {"name": "x", "weight": 1}, {"name": "never", "weight": 0}, {"name": "y", "weight": 3},
        {"name": "z", "weight": 6},
    ]}));
    let mut counts = BTreeMap::<&str, u32>::new();
    for customer in customers() {
        let variant = of.variant(&customer).unwrap();
        *counts.entry(variant.as_str()).or_default() += 1;
        assert!(!of.holds_out(&customer));
    }
    let expected = [("x", 10_000.0), ("y", 30_000.0), ("z", 60_000.0)];
    assert_eq!(counts.len(), expected.len());
    let counts = expected.map(|(name, expected)| (counts[name], expected));
    assert!(chi_squared(counts) < BEYOND_2);
}
