//! The operators on single values.

use rules::Pattern;
use schemas::{Document, Limits};
use serde_json::json;

use crate::{check, matches};

// RulerTest, WHEN_WeTryAnythingButRules_THEN_Theywork.
#[test]
fn anything_but() {
    let pattern = json!({
        "a": [{"anything-but": ["dad0", "dad1", "dad2"]}],
        "b": [{"anything-but": [111, 222, 333]}],
        "c": [{"anything-but": "zdd"}],
        "d": [{"anything-but": 444}],
        "z": [{"numeric": [">", 0, "<", 1]}],
        "w": [{"anything-but": {"prefix": "zax"}}],
    });
    let matching =
        json!({"a": "child1", "b": "444", "c": "child1", "d": 123, "w": "xaz", "z": 0.001});
    check(&matching, std::slice::from_ref(&pattern), &[]);
    let changes = [
        ("c", json!("zdd")),
        ("z", json!(1.01)),
        ("a", json!("dad1")),
        ("b", json!(111)),
        ("b", json!(333)),
        ("d", json!(444)),
        ("w", json!("zaxonie")),
    ];
    for (field, value) in changes {
        let mut event = matching.clone();
        event[field] = value;
        check(&event, &[], std::slice::from_ref(&pattern));
    }
}

// ACMachineTest, testAnythingButSuffix and testAnythingButEqualsIgnoreCase.
#[test]
fn anything_but_a_suffix_or_a_text_in_any_case() {
    let suffix = json!({"a": [{"anything-but": {"suffix": "$"}}]});
    for (value, expected) in [("value$", false), ("notvalue", true), ("$notvalue", true)] {
        assert_eq!(matches(&suffix, &json!({"a": value})), expected, "{value}");
    }
    let pattern = json!({
        "a": [{"anything-but": {"equals-ignore-case": ["yes", "please"]}}],
        "b": [{"anything-but": {"equals-ignore-case": "no"}}],
    });
    let cases = [
        ("value", "nothing", true),
        ("YES", "nothing", false),
        ("yEs", "nothing", false),
        ("pLease", "nothing", false),
        ("PLEASE", "nothing", false),
        ("please", "nothing", false),
        ("please", "no", false),
        ("please", "No", false),
        ("please", "No!", false),
        ("value", "No", false),
        ("value", "No!", true),
    ];
    for (a, b, expected) in cases {
        assert_eq!(
            matches(&pattern, &json!({"a": a, "b": b})),
            expected,
            "{a} {b}"
        );
    }
}

// RulerTest, WHEN_WeTryEqualsIgnoreCaseRules_THEN_TheyWork and WHEN_WeTryWildcardRules_THEN_TheyWork.
#[test]
fn texts_in_any_case_and_with_wildcards() {
    let ignoring_case = json!({
        "a": [{"equals-ignore-case": "aBc"}],
        "b": [{"equals-ignore-case": "Def"}],
        "c": [{"equals-ignore-case": "xyZ"}],
    });
    let cases = [
        (
            json!({"a": "ABC", "b": "defx", "c": "xYz", "d": "rst"}),
            false,
        ),
        (json!({"a": "ABC", "c": "xYz", "d": "rst"}), false),
        (
            json!({"a": "ABC", "b": "xYz", "c": "def", "d": "rst"}),
            false,
        ),
        (
            json!({"a": "ABC", "b": "def", "c": "xYz", "d": "rst"}),
            true,
        ),
    ];
    for (event, expected) in cases {
        assert_eq!(matches(&ignoring_case, &event), expected, "{event}");
    }
    let wildcards = json!({
        "a": [{"wildcard": "*bc"}],
        "b": [{"wildcard": "d*f"}],
        "c": [{"wildcard": "xy*"}],
        "d": [{"wildcard": "xy*"}],
    });
    let cases = [
        (
            json!({"a": "abcbc", "b": "deeeefx", "c": "xy", "d": "xyzzz"}),
            false,
        ),
        (json!({"a": "abcbc", "b": "deeeef", "d": "xyzzz"}), false),
        (
            json!({"a": "abcbc", "b": "xy", "c": "deeeef", "d": "xyzzz"}),
            false,
        ),
        (
            json!({"a": "abcbc", "b": "deeeef", "c": "xy", "d": "xyzzz"}),
            true,
        ),
    ];
    for (event, expected) in cases {
        assert_eq!(matches(&wildcards, &event), expected, "{event}");
    }
}

// ACMachineTest, testNumericMatch and testRangeDeletion; JsonRuleCompilerTest, testBigNumbers and
// testVariantForms.
#[test]
fn numbers() {
    check(
        &json!({"a": [0], "b": [-0.1], "c": [0], "x": [1], "y": [0], "z": [0.1]}),
        &[json!({
            "a": [{"numeric": ["=", 0]}],
            "b": [{"numeric": ["<", 0]}],
            "c": [{"numeric": ["<=", 0]}],
            "x": [{"numeric": [">", 0]}],
            "y": [{"numeric": [">=", 0]}],
            "z": [{"numeric": [">", 0, "<", 1]}],
        })],
        &[],
    );
    let below = json!({"x": [{"numeric": [">=", 0, "<", 1_000_000_000]}]});
    assert!(matches(&below, &json!({"x": 111_111_111.111_111_1})));
    assert!(!matches(&below, &json!({"x": 1_000_000_000})));
    let ranges = json!({
        "m": ["abc"],
        "x": [{"numeric": [">", 0, "<", 30]}, {"numeric": [">", 100, "<", 120]}],
        "n": ["efg"],
    });
    for (x, expected) in [(23, true), (110, true), (50, false)] {
        let event = json!({"m": "abc", "n": "efg", "x": x});
        assert_eq!(matches(&ranges, &event), expected, "{x}");
    }
    check(
        &json!({"account": 123_456_789_012_u64, "a": 133.3, "b": "192.0.2.0"}),
        &[
            json!({"account": [123_456_789_012_u64]}),
            json!({"a": [133.3]}),
            json!({"a": [{"numeric": [">", 120, "<=", 140]}]}),
            json!({"b": ["192.0.2.0"]}),
            json!({"b": [{"cidr": "192.0.2.0/24"}]}),
        ],
        &[],
    );
}

// ACMachineTest, CIDRTest: a network of n bits has 2^(32 - n) addresses.
#[test]
fn a_network_has_as_many_addresses_as_its_mask_says() {
    for bits in 22..32 {
        let pattern = json!({"a": [{"cidr": format!("10.0.0.0/{bits}")}]});
        let pattern = Pattern::parse(&pattern).unwrap();
        let expected = 1_usize << (32 - bits);
        let first = 0x0A00_0000_u32;
        let last = first + u32::try_from(expected).unwrap() + 16;
        let mut document = Document::new();
        let found = (first - 16..last).filter(|address| {
            let event = json!({"a": std::net::Ipv4Addr::from_bits(*address).to_string()});
            document
                .read(event.to_string().as_bytes(), Limits::default())
                .unwrap();
            pattern.matches(document.root())
        });
        assert_eq!(found.count(), expected, "{bits}");
    }
}
