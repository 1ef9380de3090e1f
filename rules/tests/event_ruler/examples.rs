//! Whole patterns on whole events.

use serde_json::{Value, json};

use crate::check;

// README.md, "Ruler by Example"; RulerTest, WHEN_RulesFromReadmeAreTried_THEN_TheyWork; ACMachineTest,
// rulesFromREADMETest.
#[test]
fn the_examples_of_its_readme() {
    let event = json!({
        "version": "0",
        "detail-type": "EC2 Instance State-change Notification",
        "source": "aws.ec2",
        "time": "2017-10-02T16:24:49Z",
        "resources": ["arn:aws:ec2:us-east-1:123456789012:instance/i-000000aaaaaa00000"],
        "detail": {
            "c.count": 5,
            "d-count": 3,
            "x-limit": 301.8,
            "source-ip": "10.0.0.33",
            "instance-id": "i-000000aaaaaa00000",
            "state": "running",
        },
    });
    let detail = |field: &str, alternative: Value| json!({"detail": {field: [alternative]}});
    check(
        &event,
        &[
            json!({
                "detail-type": ["EC2 Instance State-change Notification"],
                "resources": ["arn:aws:ec2:us-east-1:123456789012:instance/i-000000aaaaaa00000"],
                "detail": {"state": ["initializing", "running"]},
            }),
            json!({"time": [{"prefix": "2017-10-02"}]}),
            json!({"source": [{"suffix": "ec2"}]}),
            json!({"source": [{"equals-ignore-case": "AWS.EC2"}]}),
            json!({"source": [{"wildcard": "a*s.*2"}]}),
            detail("state", json!({"anything-but": "initializing"})),
            detail("state", json!({"anything-but": ["stopped", "overloaded"]})),
            detail("state", json!({"anything-but": {"prefix": "init"}})),
            detail(
                "state",
                json!({"anything-but": {"equals-ignore-case": ["Stopped", "OverLoaded"]}}),
            ),
            detail("instance-id", json!({"anything-but": {"suffix": "1234"}})),
            detail("x-limit", json!({"anything-but": 123})),
            detail("x-limit", json!({"anything-but": [100, 200, 300]})),
            detail("c.count", json!({"numeric": [">", 0, "<=", 5]})),
            detail("d-count", json!({"numeric": ["<", 10]})),
            detail("x-limit", json!({"numeric": ["=", 3.018e2]})),
            detail("source-ip", json!({"cidr": "10.0.0.0/24"})),
            detail("source-ip", json!({"cidr": "10.0.0.0/8"})),
            detail("d-count", json!({"exists": true})),
            detail("e-count", json!({"exists": false})),
        ],
        &[
            detail("d-count", json!({"exists": false})),
            detail("state", json!({"anything-but": {"prefix": "run"}})),
        ],
    );
}

// RulerTest, WHEN_WeWriteRulesToMatchVariousFieldCombos_THEN_TheyWork; the event is RFC 4627's.
#[test]
fn combinations_of_fields() {
    let event = json!({"Image": {
        "Width": 800,
        "Height": 600,
        "Title": "View from 15th Floor",
        "Thumbnail": {"Url": "http://www.example.com/image/481989943", "Height": 125, "Width": 100},
        "Animated": false,
        "IDs": [116, 943, 234, 38793],
    }});
    check(
        &event,
        &[
            json!({"Image": {"Width": [800], "Thumbnail": {"Height": [125, 300]}}}),
            json!({"Image": {"Thumbnail": {"Url": [{"prefix": "http"}]}}}),
            json!({"Image": {
                "Width": [{"numeric": ["<", 1000]}],
                "Height": [{"numeric": ["<=", 600]}],
                "Title": [{"anything-but": "View from 15th Flood"}],
                "Thumbnail": {
                    "Url": [{"prefix": "http"}],
                    "Height": [{"numeric": [">", 124, "<", 126]}],
                    "Width": [{"numeric": [">=", 99.999, "<=", 100]}],
                },
                "Animated": [false],
            }}),
        ],
        &[
            json!({"Image": {"Width": [{"numeric": ["<", 800]}]}}),
            json!({"Image": {"Height": [{"numeric": ["<", 599]}]}}),
            json!({"Image": {"Title": [{"anything-but": "View from 15th Floor"}]}}),
            json!({"Image": {"Thumbnail": {"Url": [{"prefix": "https"}]}}}),
            json!({"Image": {"Thumbnail": {"Height": [{"numeric": [">", 124, "<", 125]}]}}}),
            json!({"Image": {"Thumbnail": {"Width": [{"numeric": [">=", 100.00001, "<=", 1001]}]}}}),
            json!({"Image": {"Animated": [true]}}),
        ],
    );
}

// RulerTest, WHEN_WeTryReallySimpleRules_THEN_TheyWork; ACMachineTest, addRuleOriginalAPI.
#[test]
fn exact_values() {
    check(
        &json!({"a": 1}),
        &[json!({"a": [1]})],
        &[json!({"b": [2]}), json!({"x": ["X"]})],
    );
    check(
        &json!({"x": true}),
        &[],
        &[json!({"a": [1]}), json!({"b": [2]}), json!({"x": ["X"]})],
    );
    check(
        &json!({"f1": "x", "f2": 1}),
        &[json!({"f1": ["x", "y"], "f2": [1, 2]})],
        &[json!({"f1": ["foo", "bar"]})],
    );
}
