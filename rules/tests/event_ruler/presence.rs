//! Absent, null and present.

use serde_json::{Value, json};

use crate::{check, matches};

// README.md, "Exists matching": an object is not a leaf, so the field does not exist.
#[test]
fn exists_speaks_of_leaves_only() {
    let absent = json!({"detail": {"c-count": [{"exists": false}]}});
    let present = json!({"detail": {"c-count": [{"exists": true}]}});
    for event in [
        json!({"detail": {"state": "running"}}),
        json!({"detail": {"c-count": {"c1": 100}}}),
    ] {
        check(
            &event,
            std::slice::from_ref(&absent),
            std::slice::from_ref(&present),
        );
    }
}

// RulerTest, WHEN_WeTryToMatchExistsRules_THEN_TheyWork.
#[test]
fn presence_and_absence() {
    let exists = |field: &str, value: bool| json!({field: [{"exists": value}]});
    let patterns = [
        exists("a", true),
        exists("b", false),
        exists("x", true),
        exists("x", false),
    ];
    let cases = [
        (json!({"a": 1}), [true, true, false, true]),
        (json!({"b": 2}), [false, false, false, true]),
        (json!({"x": "X"}), [false, true, true, false]),
    ];
    for (event, expected) in cases {
        assert_eq!(
            patterns.clone().map(|pattern| matches(&pattern, &event)),
            expected,
            "{event}"
        );
    }
}

// What the service that runs event-ruler does with null: localstack/localstack#9711 and #13268,
// getmoto/moto#5125.
#[test]
fn null_is_a_value_and_not_absence() {
    check(
        &json!({"a": null}),
        &[
            json!({"a": [null]}),
            json!({"a": [{"exists": true}]}),
            json!({"a": [{"anything-but": ["x"]}]}),
            json!({"a": [{"anything-but": {"suffix": "x"}}]}),
        ],
        &[json!({"a": [{"exists": false}]}), json!({"a": ["null"]})],
    );
    check(
        &json!({"b": 1}),
        &[json!({"a": [{"exists": false}]})],
        &[
            json!({"a": [null]}),
            json!({"a": [{"anything-but": ["x"]}]}),
            json!({"a": [{"anything-but": {"suffix": "x"}}]}),
        ],
    );
}

// ACMachineTest, testACWithExistFalseRule: the active task has no additional context, the inactive one
// has one with an interface's name; in the second event both have it.
#[test]
fn absence_is_asked_of_the_element_that_meets_the_rest() {
    let task = |state: &str, provider: &str, resource: Value| {
        json!({
            "taskInstanceState": state,
            "provider": {"id": provider},
            "resources": [resource],
        })
    };
    let plain = json!({"endpointIdentifier": {"type": "X"}});
    let named = json!({
        "endpointIdentifier": {"type": "X"},
        "additionalContext": {"capabilityInterfaces": [{"interfaceName": "Dummy"}]},
    });
    let event = |active: &Value| {
        json!({"requestContext": {"taskInstances": [
            task("ACTIVE", "X", active.clone()),
            task("INACTIVE", "other", named.clone()),
        ]}})
    };
    let pattern = |leaf: &str| {
        json!({"requestContext": {"taskInstances": {
            "taskInstanceState": ["ACTIVE"],
            "provider": {"id": ["X"]},
            "resources": {"additionalContext": {"capabilityInterfaces": {leaf: [{"exists": false}]}}},
        }}})
    };
    check(
        &event(&plain),
        &[pattern("interfaceName"), pattern("abc")],
        &[],
    );
    check(
        &event(&named),
        &[pattern("abc")],
        &[pattern("interfaceName")],
    );
}
