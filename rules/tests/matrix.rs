//! Every operator on every kind of value: the verdicts of `docs/rules.md` as one table.

use rules::Pattern;
use schemas::{Document, Limits};
use serde_json::{Value, json};

fn matches(pattern: &Value, event: &Value) -> bool {
    let pattern = Pattern::parse(pattern).unwrap_or_else(|errors| panic!("{pattern}: {errors}"));
    let mut document = Document::new();
    document
        .read(event.to_string().as_bytes(), Limits::default())
        .unwrap();
    pattern.matches(document.root())
}

/// The columns: the event's field `a`; `None` is an event without it.
fn values() -> Vec<Option<Value>> {
    let mut values = vec![None];
    values.extend(
        [
            json!(null),                     // n
            json!(true),                     // t
            json!("ab"),                     // "
            json!("10.0.0.1"),               // I
            json!(5),                        // 5
            json!(5.5),                      // .
            json!({}),                       // {
            json!({"b": "ab"}),              // O
            json!([]),                       // [
            json!([{}]),                     // E
            json!([[], {"b": "ab"}]),        // F
            json!([null]),                   // N
            json!(["x", "ab"]),              // A
            json!([["x"], ["10.0.0.1", 5]]), // D
            json!([{"b": "x"}, "ab"]),       // M
        ]
        .map(Some),
    );
    values
}

#[test]
fn every_operator_on_every_kind_of_value() {
    //   absent null true "ab" ip 5 5.5 {} {b} [] [{}] [[],{b}] [null] [x,ab] [[x],[ip,5]] [{b},ab]
    //   written as one letter each, - where it does not match
    let table = [
        (json!("ab"), "---\"---------A-M"),
        (json!(5), "-----5--------D-"),
        (json!(5.0), "-----5--------D-"),
        (json!("5"), "----------------"),
        (json!(true), "--t-------------"),
        (json!(false), "----------------"),
        (json!(null), "-n----------N---"),
        (json!({"exactly": "ab"}), "---\"---------A-M"),
        (json!({"prefix": "a"}), "---\"---------A-M"),
        (json!({"prefix": ""}), "---\"I--------ADM"),
        (
            json!({"prefix": {"equals-ignore-case": "A"}}),
            "---\"---------A-M",
        ),
        (json!({"suffix": "b"}), "---\"---------A-M"),
        (
            json!({"suffix": {"equals-ignore-case": "AB"}}),
            "---\"---------A-M",
        ),
        (json!({"equals-ignore-case": "AB"}), "---\"---------A-M"),
        (json!({"wildcard": "*b"}), "---\"---------A-M"),
        (json!({"wildcard": "*"}), "---\"I--------ADM"),
        (json!({"numeric": ["=", 5]}), "-----5--------D-"),
        (json!({"numeric": [">=", 5]}), "-----5.-------D-"),
        (json!({"numeric": [">", 5, "<=", 5.5]}), "------.---------"),
        (json!({"cidr": "10.0.0.0/8"}), "----I---------D-"),
        (json!({"anything-but": "ab"}), "-nt-I5.-----NAD-"),
        (json!({"anything-but": ["ab", "x"]}), "-nt-I5.-----N-D-"),
        (json!({"anything-but": 5}), "-nt\"I-.-----NADM"),
        (json!({"anything-but": [5, 5.5]}), "-nt\"I-------NADM"),
        (json!({"anything-but": {"prefix": "a"}}), "-nt-I5.-----NAD-"),
        (
            json!({"anything-but": {"suffix": ["b", "x"]}}),
            "-nt-I5.-----N-D-",
        ),
        (
            json!({"anything-but": {"equals-ignore-case": "AB"}}),
            "-nt-I5.-----NAD-",
        ),
        (
            json!({"anything-but": {"wildcard": "*"}}),
            "-nt--5.-----N-D-",
        ),
        (json!({"exists": true}), "-nt\"I5.-----NADM"),
        (json!({"exists": false}), "@------{O[EF----"),
    ];
    let letters: Vec<char> = "@nt\"I5.{O[EFNADM".chars().collect();
    for (alternative, expected) in table {
        let pattern = json!({"a": [alternative]});
        let found: String = values()
            .into_iter()
            .zip(&letters)
            .map(|(value, letter)| {
                let event = value.map_or_else(|| json!({}), |value| json!({"a": value}));
                if matches(&pattern, &event) {
                    *letter
                } else {
                    '-'
                }
            })
            .collect();
        assert_eq!(found, expected, "{pattern}");
    }
}

#[test]
fn alternatives_are_met_by_any_one_of_them() {
    let pattern = json!({"a": ["x", 7, null, {"exists": false}, {"prefix": "ab"}]});
    for event in [
        json!({}),
        json!({"a": "x"}),
        json!({"a": 7.0}),
        json!({"a": null}),
        json!({"a": "abc"}),
        json!({"a": ["y", "x"]}),
        json!({"a": []}),
    ] {
        assert!(matches(&pattern, &event), "{event}");
    }
    for event in [json!({"a": "y"}), json!({"a": [8]}), json!({"a": false})] {
        assert!(!matches(&pattern, &event), "{event}");
    }
}

#[test]
fn numbers_are_compared_by_value() {
    let event = |text: &str| serde_json::from_str::<Value>(&format!("{{\"a\": {text}}}")).unwrap();
    let pattern = |alternative: &str| {
        serde_json::from_str::<Value>(&format!("{{\"a\": [{alternative}]}}")).unwrap()
    };
    let cases = [
        ("300", "300.0", true),
        ("300", "3.0e2", true),
        ("3.0e2", "300", true),
        ("0", "-0.0", true),
        ("0.1", "1e-1", true),
        ("0.1", "0.10000000000000001", true), // the same double
        ("9007199254740993", "9007199254740992", false),
        ("9223372036854775807", "9223372036854775806", false),
        (r#"{"numeric": ["=", 300]}"#, "3e2", true),
        (
            r#"{"numeric": [">", 9007199254740992]}"#,
            "9007199254740993",
            true,
        ),
        (r#"{"numeric": ["<", 0.3]}"#, "0.2999999999999999", true),
        (r#"{"numeric": [">=", 50]}"#, "49.999999999999", false),
        (r#"{"numeric": [">=", 5e20]}"#, "1e300", true),
        (r#"{"numeric": [">=", 50, "<=", 50]}"#, "50.0", true),
        (r#"{"anything-but": 300}"#, "300.0", false),
        (r#"{"anything-but": [100, 3e2]}"#, "300", false),
    ];
    for (alternative, value, expected) in cases {
        assert_eq!(
            matches(&pattern(alternative), &event(value)),
            expected,
            "{alternative} {value}"
        );
    }
}

// Places where an evaluator that looks at one condition at a time goes wrong.
#[test]
fn one_element_meets_all_that_is_asked_of_it() {
    let cases = [
        // Through `$or`, wherever it stands.
        (
            json!({"i": {"s": ["A"]}, "$or": [{"i": {"p": [1]}}, {"i": {"p": [2]}}]}),
            vec![
                json!({"i": [{"s": "A", "p": 2}]}),
                json!({"i": {"s": "A", "p": 1}}),
            ],
            vec![json!({"i": [{"s": "A", "p": 3}, {"s": "B", "p": 1}]})],
        ),
        // Two conditions on one field: different values of an array may meet them, but not values in
        // different inner arrays.
        (
            json!({"a": [1], "$or": [{"a": [2]}, {"a": [3]}]}),
            vec![
                json!({"a": [1, 2]}),
                json!({"a": [[1, 2], [5]]}),
                json!({"a": [1, [2], [4]]}),
            ],
            vec![
                json!({"a": 1}),
                json!({"a": [[1], [2]]}),
                json!({"a": [[1, [4]], [[3], 2]]}),
            ],
        ),
        // Absence is asked of the chosen element, whatever the order of the names.
        (
            json!({"i": {"a": [{"exists": false}], "s": ["A"]}}),
            vec![json!({"i": [{"s": "A"}, {"s": "B", "a": 1}]})],
            vec![json!({"i": [{"s": "A", "a": 1}, {"s": "B"}]})],
        ),
        // Of all elements, if nothing chooses one.
        (
            json!({"i": {"a": [{"exists": false}]}}),
            vec![
                json!({"i": [{"s": "A"}, 5]}),
                json!({"i": []}),
                json!({"i": 5}),
                json!({}),
            ],
            vec![
                json!({"i": [{"s": "A"}, {"a": null}]}),
                json!({"i": [[{"a": 1}], {}]}),
            ],
        ),
        // An element that merely lacks the field does not excuse one that has a wrong value.
        (
            json!({"i": {"a": ["x", {"exists": false}]}}),
            vec![json!({"i": [{"a": "y"}, {"a": "x"}]}), json!({"i": [{}]})],
            vec![json!({"i": [{"a": "y"}, {}]})],
        ),
        // Inner arrays belong to their element.
        (
            json!({"o": {"n": ["A"], "i": {"s": [1]}}}),
            vec![json!({"o": [{"n": "A", "i": [{"s": 2}, {"s": 1}]}]})],
            vec![json!({"o": [{"n": "A", "i": [{"s": 2}]}, {"n": "B", "i": [{"s": 1}]}]})],
        ),
        // Arrays beside each other are independent.
        (
            json!({"x": {"a": [1]}, "y": {"a": [2]}}),
            vec![json!({"x": [{"a": 0}, {"a": 1}], "y": [{"a": 2}, {"a": 3}]})],
            vec![json!({"x": [{"a": 2}], "y": [{"a": 1}]})],
        ),
        // Names are literal and values are not fields.
        (
            json!({"a": {"b.c": [1]}}),
            vec![json!({"a": {"b.c": 1}})],
            vec![
                json!({"a": {"b": {"c": 1}}}),
                json!({"a": "b.c"}),
                json!({"a.b.c": 1}),
            ],
        ),
    ];
    for (pattern, matching, refused) in cases {
        for event in matching {
            assert!(matches(&pattern, &event), "{pattern} on {event}");
        }
        for event in refused {
            assert!(!matches(&pattern, &event), "{pattern} on {event}");
        }
    }
}
