//! JSON values written as YAML for people: blocks, and short lists on one line.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::yaml::plain;

/// Longest line that a list is kept on.
const WIDTH: usize = 100;

/// The order of a campaign's fields; others follow in the order of their names.
const ORDER: [&str; 24] = [
    "id",
    "name",
    "description",
    "version",
    "status",
    "tripped",
    "schedule",
    "when",
    "across",
    "audience",
    "limits",
    "on_change",
    "priority",
    "exclusive_group",
    "stacking",
    "experiment",
    "holdout",
    "reward",
    "variants",
    "hold",
    "reverse_on",
    "breaker",
    "labels",
    "tests",
];

/// A document of YAML, with a line break at its end.
pub(crate) fn to_yaml(value: &Json) -> String {
    let mut text = String::new();
    match value {
        Json::Object(fields) if !fields.is_empty() => mapping(&mut text, value, 0),
        Json::Array(elements) if !elements.is_empty() => sequence(&mut text, elements, 0),
        _ => flow(&mut text, value),
    }
    let line = text.trim_end_matches('\n').len();
    text.truncate(line);
    text.push('\n');
    text
}

fn in_order(value: &Json) -> Vec<(&String, &Json)> {
    let mut fields: Vec<_> = value.as_object().into_iter().flatten().collect();
    // A campaign, and not an event, which has no name.
    if value.get("id").is_some() && value.get("name").is_some() {
        let place = |name: &str| ORDER.iter().position(|known| *known == name);
        fields.sort_by_key(|(name, _)| place(name).unwrap_or(ORDER.len()));
    }
    fields
}

fn indent(text: &mut String, depth: usize) {
    let _infallible = write!(text, "{:width$}", "", width = depth * 2);
}

fn mapping(text: &mut String, value: &Json, depth: usize) {
    for (number, (name, value)) in in_order(value).into_iter().enumerate() {
        if number > 0 {
            indent(text, depth);
        }
        string(text, name);
        text.push(':');
        field(text, value, depth);
    }
}

/// What stands after a name and its colon.
fn field(text: &mut String, value: &Json, depth: usize) {
    match value {
        Json::Object(fields) if !fields.is_empty() => {
            text.push('\n');
            indent(text, depth + 1);
            mapping(text, value, depth + 1);
        }
        Json::Array(elements) if !fits(text, value) => {
            text.push('\n');
            indent(text, depth + 1);
            sequence(text, elements, depth + 1);
        }
        value => {
            text.push(' ');
            flow(text, value);
            text.push('\n');
        }
    }
}

fn sequence(text: &mut String, elements: &[Json], depth: usize) {
    for (number, element) in elements.iter().enumerate() {
        if number > 0 {
            indent(text, depth);
        }
        text.push_str("- ");
        match element {
            Json::Object(fields) if !fields.is_empty() && !fits(text, element) => {
                mapping(text, element, depth + 1);
            }
            Json::Array(inner) if !fits(text, element) => sequence(text, inner, depth + 1),
            value => {
                flow(text, value);
                text.push('\n');
            }
        }
    }
}

/// Whether the value can end the line that has begun.
fn fits(text: &str, value: &Json) -> bool {
    let mut one_line = String::new();
    flow(&mut one_line, value);
    let begun = text.len() - text.rfind('\n').map_or(0, |at| at + 1);
    begun + 1 + one_line.len() <= WIDTH
}

fn flow(text: &mut String, value: &Json) {
    match value {
        Json::String(value) => string(text, value),
        Json::Array(elements) => {
            text.push('[');
            for (number, element) in elements.iter().enumerate() {
                text.push_str(if number > 0 { ", " } else { "" });
                flow(text, element);
            }
            text.push(']');
        }
        Json::Object(fields) => {
            text.push('{');
            for (number, (name, value)) in fields.iter().enumerate() {
                text.push_str(if number > 0 { ", " } else { "" });
                string(text, name);
                text.push_str(": ");
                flow(text, value);
            }
            text.push('}');
        }
        value => {
            let _infallible = write!(text, "{value}");
        }
    }
}

/// Without quotes where every reader of YAML takes it for this text.
fn string(text: &mut String, value: &str) {
    if is_plain(value) {
        text.push_str(value);
        return;
    }
    text.push('"');
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            // Not printable in YAML 1.2 (section 5.1), or a line break to some readers.
            c if c.is_control()
                || matches!(
                    c,
                    '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
                ) =>
            {
                let _infallible = write!(text, "\\u{:04x}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text.push('"');
}

fn is_plain(value: &str) -> bool {
    // Readers of YAML 1.1 take these for booleans.
    const WORDS: [&str; 6] = ["yes", "no", "on", "off", "y", "n"];
    let inside = |c: char| c.is_alphanumeric() || " _./$+-:%".contains(c);
    let begins = value.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '$'))
        || (value.starts_with(|c: char| c.is_ascii_digit()) && value.contains('T'));
    begins
        && !value.ends_with([' ', ':'])
        && !value.contains(": ")
        && value.chars().all(inside)
        && plain(value).is_ok_and(|read| read.is_string())
        && !WORDS.contains(&value.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::ctl::documents::yaml;

    #[test]
    fn a_campaign_reads_as_the_design_writes_it() {
        let campaign = json!({
            "when": {
                "event_type": ["purchase"],
                "payload": {"amount": [{"numeric": [">=", 50]}], "country": ["US", "NO"]},
            },
            "id": "ten-for-fifty", "name": "$10 for purchases over $50", "status": "active", "version": 3,
            "schedule": {"start": "2026-11-01T00:00:00Z"},
            "reward": {"kind": "credit", "amount": "10.00", "currency": "USD"},
            "labels": {"team": "growth"}, "zeta": [], "alpha": {},
        });
        insta::assert_snapshot!(to_yaml(&campaign), @r#"
        id: ten-for-fifty
        name: $10 for purchases over $50
        version: 3
        status: active
        schedule:
          start: 2026-11-01T00:00:00Z
        when:
          event_type: [purchase]
          payload:
            amount: [{numeric: [">=", 50]}]
            country: [US, "NO"]
        reward:
          amount: "10.00"
          currency: USD
          kind: credit
        labels:
          team: growth
        alpha: {}
        zeta: []
        "#);
    }

    #[test]
    fn long_lists_take_a_line_for_each_entry() {
        let many: Vec<_> = (0..40).map(|n| format!("sku-{n}")).collect();
        let text = to_yaml(&json!([{"id": 1, "sku": many}, [1, many]]));
        assert!(text.lines().all(|line| line.len() <= WIDTH));
        assert!(
            text.starts_with("- id: 1\n  sku:\n    - sku-0\n    - sku-1\n"),
            "{text}"
        );
    }

    fn json() -> impl Strategy<Value = Json> {
        let text = prop_oneof![
            any::<String>(),
            prop::sample::select(
                &[
                    "",
                    "no",
                    "null",
                    "5",
                    "1e3",
                    "- a",
                    "a: b",
                    "a #b",
                    "'",
                    "2026-11-01",
                    "&a",
                    "*a",
                    "?",
                    "!x",
                    "a:",
                    " a",
                    "a ",
                    "%a",
                    "@",
                    "`",
                    "0x1F",
                    ".inf",
                    "~",
                    "---",
                    "...",
                    "<<",
                    "=",
                    "12:30",
                ][..]
            )
            .prop_map(str::to_owned),
        ]
        .boxed();
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<u64>().prop_map(Json::from),
            (-1e300..1e300).prop_map(Json::from),
            text.clone().prop_map(Json::from),
        ];
        leaf.prop_recursive(5, 40, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
                prop::collection::btree_map(text.clone(), inner, 0..6)
                    .prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn what_is_written_is_read_back(value in json()) {
            let value = json!({"x": value});
            let text = to_yaml(&value);
            let read = yaml::read(&text);
            let (read, _) = &read.map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?[0];
            prop_assert_eq!(read, &value, "{}", text);
        }
    }
}
