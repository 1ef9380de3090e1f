//! Patterns and events from a small world, so that they often meet.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

fn name() -> impl Strategy<Value = String> {
    select(&["a", "b", "é"][..]).prop_map(str::to_owned)
}

fn text() -> impl Strategy<Value = &'static str> {
    select(
        &[
            "", "a", "A", "ab", "aB", "abab", "ß", "SS", "É", "é", "éa", "*", "a\\", "10.0.0.1",
            "10.0.1.1", "null", "1", "-1.5",
        ][..],
    )
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        (-2i64..4).prop_map(Value::from),
        (-4i32..8).prop_map(|halves| json!(f64::from(halves) / 2.0)),
    ]
}

pub(crate) fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        3 => number(),
        5 => text().prop_map(Value::from),
    ]
}

/// An event: objects and arrays in each other, also arrays of arrays.
pub(crate) fn event() -> impl Strategy<Value = Value> {
    let node = scalar().prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            2 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            3 => object(inner, 0..4),
        ]
    });
    object(node, 2..4)
}

fn object(
    value: impl Strategy<Value = Value>,
    size: std::ops::Range<usize>,
) -> impl Strategy<Value = Value> {
    prop::collection::btree_map(name(), value, size).prop_map(|map| map.into_iter().collect())
}

fn wildcard() -> impl Strategy<Value = &'static str> {
    select(&["*", "a*", "*a", "*a*b*", "a*a", "\\**", "a\\\\", "", "É*"][..])
}

fn range() -> impl Strategy<Value = Value> {
    let one = (select(&["=", "<", "<=", ">", ">="][..]), number())
        .prop_map(|(sign, number)| json!([sign, number]));
    let two = (
        select(&[">", ">="][..]),
        -2i64..2,
        select(&["<", "<="][..]),
        1i64..4,
    )
        .prop_map(|(low, from, high, width)| json!([low, from, high, from + width]));
    prop_oneof![one, two]
}

fn not_empty() -> impl Strategy<Value = &'static str> {
    text().prop_filter("not empty", |text| !text.is_empty())
}

fn anything_but() -> impl Strategy<Value = Value> {
    let list = |text| prop::collection::vec(text, 1..3);
    prop_oneof![
        text().prop_map(Value::from),
        number(),
        list(text().boxed()).prop_map(|list| json!(list)),
        prop::collection::vec(number(), 1..3).prop_map(Value::from),
        not_empty().prop_map(|text| json!({"prefix": text})),
        list(not_empty().boxed()).prop_map(|list| json!({"suffix": list})),
        list(text().boxed()).prop_map(|list| json!({"equals-ignore-case": list})),
        list(wildcard().boxed()).prop_map(|list| json!({"wildcard": list})),
    ]
}

/// What EventBridge has.
pub(crate) fn event_bridge() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => scalar(),
        1 => text().prop_map(|text| json!({"exactly": text})),
        1 => text().prop_map(|text| json!({"prefix": text})),
        1 => text().prop_map(|text| json!({"suffix": text})),
        1 => text().prop_map(|text| json!({"equals-ignore-case": text})),
        1 => text().prop_map(|text| json!({"prefix": {"equals-ignore-case": text}})),
        1 => text().prop_map(|text| json!({"suffix": {"equals-ignore-case": text}})),
        1 => wildcard().prop_map(|text| json!({"wildcard": text})),
        2 => range().prop_map(|range| json!({"numeric": range})),
        1 => (0..=32u8).prop_map(|bits| json!({"cidr": format!("10.0.0.0/{bits}")})),
        3 => anything_but().prop_map(|operand| json!({"anything-but": operand})),
        4 => any::<bool>().prop_map(|exists| json!({"exists": exists})),
    ]
}

/// What EventBridge does not have.
fn beyond() -> impl Strategy<Value = Value> {
    let sign = || select(&["=", "!=", "<", "<=", ">", ">="][..]);
    prop_oneof![
        2 => (select(&["^", ""][..]), select(&["a", "[aA]b", "É", "1", "."][..]))
            .prop_map(|(begin, text)| json!({"regexp": format!("{begin}{text}")})),
        2 => range().prop_map(|range| json!({"decimal": range})),
        1 => select(&["1", "-1.50", "0"][..]).prop_map(|text| json!({"decimal": ["=", text]})),
        2 => prop::collection::vec(scalar(), 1..3).prop_map(|list| json!({"contains-all": list})),
        2 => (0..3u8, select(&["=", ">=", "<"][..]))
            .prop_map(|(count, sign)| json!({"size": [sign, count + 1]})),
        1 => (0..3u8).prop_map(|count| json!({"size": count})),
        2 => (sign(), prop::collection::vec(name(), 1..3))
            .prop_map(|(sign, path)| json!({"field": [sign, path]})),
    ]
}

/// A pattern without mistakes, but that an `$or` may ask for a field's value beside its fields.
pub(crate) fn pattern() -> impl Strategy<Value = Value> {
    pattern_of(prop_oneof![24 => event_bridge(), 3 => beyond()])
}

/// Such a pattern of these alternatives.
pub(crate) fn pattern_of(
    alternative: impl Strategy<Value = Value> + 'static,
) -> impl Strategy<Value = Value> {
    let values = prop::collection::vec(alternative, 1..4).prop_map(Value::from);
    let part = values.prop_recursive(2, 6, 2, |inner| fields(inner.boxed()));
    fields(part.boxed())
}

fn fields(part: BoxedStrategy<Value>) -> impl Strategy<Value = Value> {
    let plain = move || object(part.clone(), 1..3);
    let or = prop::collection::vec(plain(), 2..4).boxed();
    prop_oneof![
        6 => plain(),
        1 => (plain(), or.clone()).prop_map(|(mut object, or)| {
            object["$or"] = or.into();
            object
        }),
        1 => or.prop_map(|or| json!({"$or": or})),
    ]
}

/// Any JSON, made of words that mean something in patterns.
pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let word = || {
        prop_oneof![
            1 => any::<String>(),
            4 => select(&[
                "a", "$or", "exactly", "prefix", "suffix", "equals-ignore-case", "wildcard",
                "anything-but", "numeric", "cidr", "exists", "=", "<", ">=", "payload.a", "*",
                "10.0.0.0/8", "regex", "", "regexp", "time", "decimal", "semver", "contains-all", "size",
                "field", "after", "days", "zone", "UTC", "hours", "2026-11-24T00:00:00Z",
            ][..]).prop_map(str::to_owned),
        ]
    };
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e300..1e300).prop_map(Value::from),
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(word(), inner, 0..3)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}
