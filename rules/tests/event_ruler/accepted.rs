//! Which patterns are accepted.

use rules::Pattern;
use serde_json::json;

// JsonRuleCompilerTest, testCompile, testNumericExpressions and testExistsExpression; those that are
// not JSON at all are left out. Numbers beyond ±5 billion, which event-ruler refuses, are accepted here.
#[test]
fn what_it_accepts_is_accepted() {
    let alternatives = [
        json!({"exactly": "child"}),
        json!({"prefix": "child"}),
        json!({"prefix": {"equals-ignore-case": "child"}}),
        json!({"suffix": "child"}),
        json!({"suffix": {"equals-ignore-case": "child"}}),
        json!({"anything-but": "child"}),
        json!({"anything-but": ["child0", "child1", "child2"]}),
        json!({"anything-but": [111, 222, 333]}),
        json!({"anything-but": 111}),
        json!({"anything-but": {"prefix": "foo"}}),
        json!({"anything-but": {"prefix": ["abc", "123"]}}),
        json!({"anything-but": {"suffix": "foo"}}),
        json!({"anything-but": {"suffix": ["abc", "123"]}}),
        json!({"anything-but": {"equals-ignore-case": "rule"}}),
        json!({"anything-but": {"equals-ignore-case": ""}}),
        json!({"anything-but": {"equals-ignore-case": ["abc", "123"]}}),
        json!({"anything-but": {"equals-ignore-case": ["abc", ""]}}),
        json!({"anything-but": {"wildcard": "foo*bar"}}),
        json!({"anything-but": {"wildcard": ""}}),
        json!({"anything-but": {"wildcard": ["foo*bar", "*foobar*"]}}),
        json!({"anything-but": {"wildcard": ["foo*bar", ""]}}),
        json!({"exists": true}),
        json!({"exists": false}),
        json!({"cidr": "10.0.0.0/8"}),
        json!({"equals-ignore-case": "abc"}),
        json!({"wildcard": "a*b*c"}),
    ];
    for alternative in alternatives {
        let pattern = json!({"a": [alternative]});
        assert!(Pattern::parse(&pattern).is_ok(), "{pattern}");
    }
    for sign in ["=", "<", ">", "<=", ">="] {
        for number in [3.8, 0.000_000_33, -4e-8, 55555.0] {
            let pattern = json!({"x": [{"numeric": [sign, number]}]});
            assert!(Pattern::parse(&pattern).is_ok(), "{pattern}");
        }
    }
    for (low, high) in [(">", "<"), (">=", "<"), (">", "<="), (">=", "<=")] {
        let pattern = json!({"x": [{"numeric": [low, 0, high, 1]}]});
        assert!(Pattern::parse(&pattern).is_ok(), "{pattern}");
    }
}

// JsonRuleCompilerTest, testCompile (badPatternTypes), testNumericExpressions, testExistsExpression,
// testWildcardConsecutiveWildcards and testWildcardInvalidEscapeCharacter.
#[test]
fn what_it_refuses_is_refused() {
    let alternatives = [
        json!({"x": 2}),
        json!({"exactly": 33}),
        json!({"prefix": "child", "foo": []}),
        json!({"prefix": 3}),
        json!({"prefix": [1, 2, 3]}),
        json!({"suffix": "child", "foo": []}),
        json!({"suffix": 3}),
        json!({"suffix": [1, 2, 3]}),
        json!({"foo": "child"}),
        json!({"cidr": "foo"}),
        json!({"anything-but": "child", "foo": []}),
        json!({"anything-but": ["child0", 111, "child2"]}),
        json!({"anything-but": {"foo": 3}}),
        json!({"anything-but": {"prefix": 27}}),
        json!({"anything-but": {"prefix": ""}}),
        json!({"anything-but": {"prefix": "foo", "a": 1}}),
        json!({"anything-but": {"prefix": "foo"}, "x": 1}),
        json!({"anything-but": {"prefix": ["1", ""]}}),
        json!({"anything-but": {"prefix": [1, 2, 3]}}),
        json!({"anything-but": {"suffix": 27}}),
        json!({"anything-but": {"suffix": ""}}),
        json!({"anything-but": {"suffix": "foo", "a": 1}}),
        json!({"anything-but": {"suffix": "foo"}, "x": 1}),
        json!({"anything-but": {"suffix": ["1", ""]}}),
        json!({"anything-but": {"suffix": [1, 2, 3]}}),
        json!({"anything-but": {"equals-ignore-case": [1, 2, 3]}}),
        json!({"anything-but": {"wildcard": 27}}),
        json!({"anything-but": {"wildcard": "foo", "a": 1}}),
        json!({"anything-but": {"wildcard": "foo"}, "x": 1}),
        json!({"anything-but": {"wildcard": "foo**bar"}}),
        json!({"anything-but": {"wildcard": "foo*bar\\"}}),
        json!({"anything-but": {"wildcard": ["1", "foo**bar"]}}),
        json!({"anything-but": {"wildcard": ["1", "foo*bar\\"]}}),
        json!({"anything-but": {"wildcard": [1, 2, 3]}}),
        json!({"equals-ignore-case": 5}),
        json!({"equals-ignore-case": ["abc"]}),
        json!({"prefix": {"invalid-expression": ["abc"]}}),
        json!({"prefix": {"equals-ignore-case": 5}}),
        json!({"prefix": {"equals-ignore-case": ["abc"]}}),
        json!({"prefix": {"equals-ignore-case": "abc", "test": "def"}}),
        json!({"prefix": {"equals-ignore-case": "abc"}, "test": "def"}),
        json!({"suffix": {"invalid-expression": ["abc"]}}),
        json!({"suffix": {"equals-ignore-case": 5}}),
        json!({"suffix": {"equals-ignore-case": ["abc"]}}),
        json!({"suffix": {"equals-ignore-case": "abc", "test": "def"}}),
        json!({"suffix": {"equals-ignore-case": "abc"}, "test": "def"}),
        json!({"wildcard": 5}),
        json!({"wildcard": ["abc"]}),
        json!({"wildcard": "abc**def"}),
        json!({"wildcard": "a*c\\def"}),
        json!({"exists": "badString"}),
        json!({"exists": true, "extraKey": "extraValue"}),
        json!({"numeric": ["=", true]}),
        json!({"numeric": ["=", "-4e-8"]}),
        json!({"numeric": ["="]}),
        json!({"numeric": ["<>", 1, ">", 0]}),
        json!({"numeric": ["==", 1, ">", 0]}),
        json!({"numeric": ["<", 1, ">", 0]}),
        json!({"numeric": [">", 1, "<", 1]}),
        json!({"numeric": [">", 30, "<", 1]}),
        json!({"numeric": [">", 1, "<", 30, false]}),
    ];
    for alternative in alternatives {
        let pattern = json!({"a": [alternative]});
        assert!(Pattern::parse(&pattern).is_err(), "{pattern}");
    }
    let patterns = [
        json!([1, 2, 3]),
        json!({"a": 1}),
        json!({"foo": {}}),
        json!({"foo": []}),
        // README.md, "The "$or" Primitive": neither a relationship nor a field's alternatives.
        json!({"$or": []}),
        json!({"$or": [{}]}),
        json!({"$or": [{"metricName": ["CPUUtilization"]}]}),
        json!({"$or": [{"numeric": 123}, {"prefix": "abc"}]}),
        json!({"$or": [{"metricName": ["CPUUtilization"]}, {"prefix": ["abc"]}]}),
        json!({"$or": [{"metricName": ["CPUUtilization"]}, {"a": {"prefix": ["abc"]}}]}),
    ];
    for pattern in patterns {
        assert!(Pattern::parse(&pattern).is_err(), "{pattern}");
    }
}
