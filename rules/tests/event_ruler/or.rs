//! `$or`, the relationship and the field.

use serde_json::{Value, json};

use crate::{check, matches};

// JsonRuleCompilerTest, testBasicFunctionOfOrRelationshipRules.
#[test]
fn or_beside_other_fields_at_several_depths() {
    let event = json!({
        "detail": {
            "detail-type": "EC2 Instance State-change Notification",
            "resources": "arn:aws:ec2:us-east-1:123456789012:instance/i-000000aaaaaa00000",
            "info": {"state-status": "running", "state-count": {"count": 100}},
            "c-count": 1,
            "d-count": 8,
        },
        "news": {"newsProviders": "p1", "newCondition1": "news111", "newCondition2": "news222"},
    });
    let or = json!([
        {"c-count": [{"numeric": [">", 0, "<=", 5]}]},
        {"d-count": [{"numeric": ["<", 10]}]},
        {"x-limit": [{"numeric": ["=", 3.018e2]}]},
    ]);
    let whole = |status: &str, news: &str| {
        json!({
            "detail": {
                "detail-type": ["EC2 Instance State-change Notification"],
                "resources": ["arn:aws:ec2:us-east-1:123456789012:instance/i-000000aaaaaa00000"],
                "info": {"state-status": ["initializing", status], "state-count": {"count": [100]}},
                "$or": or,
            },
            "news": {
                "newsProviders": ["p1", "p2"],
                "$or": [{"newCondition1": [news]}, {"newCondition2": ["news333"]}],
            },
        })
    };
    check(
        &event,
        &[json!({"detail": {"$or": or}}), whole("running", "news111")],
        &[whole("stopped", "news111"), whole("running", "news000")],
    );
}

// src/test/data/orRelationshipRules.json, and what it means by README.md, "The "$or" Primitive".
#[test]
fn or_as_its_readme_explains_it() {
    let metric = json!({"metricName": ["CPUUtilization", "ReadLatency"]});
    let space = json!({"namespace": ["AWS/EC2", "AWS/ES"]});
    let scope = json!({"scope": ["Service"]});
    let either = json!({"$or": [metric, space]});
    let parallel = json!({
        "$or": [metric, space],
        "detail": {"$or": [
            {"source": ["aws.cloudwatch"]},
            {"detail-type": ["CloudWatch Alarm State Change"]},
        ]},
    });
    let with_and = json!({
        "source": ["aws.cloudwatch"],
        "$or": [metric, {"metricType": ["MetricType"], "namespace": ["AWS/EC2", "AWS/ES"]}, scope],
    });
    let nested = json!({
        "source": ["aws.cloudwatch"],
        "$or": [
            metric,
            {
                "metricType": ["MetricType"],
                "namespace": ["AWS/EC2", "AWS/ES"],
                "$or": [{"metricId": [1234]}, {"spaceId": [1000]}],
            },
            scope,
        ],
    });
    let patterns = [either, parallel, with_and, nested];
    let cases = [
        (
            json!({"metricName": "ReadLatency"}),
            [true, false, false, false],
        ),
        (json!({"namespace": "AWS/ES"}), [true, false, false, false]),
        (json!({"namespace": "AWS/S3"}), [false; 4]),
        (json!({"source": "aws.cloudwatch"}), [false; 4]),
        (
            json!({"namespace": "AWS/ES", "detail": {"source": "aws.cloudwatch"}}),
            [true, true, false, false],
        ),
        (
            json!({"metricName": "ReadLatency", "detail": {"detail-type": "CloudWatch Alarm State Change"}}),
            [true, true, false, false],
        ),
        (
            json!({"source": "aws.cloudwatch", "metricName": "ReadLatency"}),
            [true, false, true, true],
        ),
        (
            json!({"source": "aws.cloudwatch", "scope": "Service"}),
            [false, false, true, true],
        ),
        (
            json!({"source": "aws.cloudwatch", "namespace": "AWS/ES", "metricType": "MetricType"}),
            [true, false, true, false],
        ),
        (
            json!({"source": "aws.cloudwatch", "namespace": "AWS/ES", "metricType": "MetricType",
                   "spaceId": 1000}),
            [true, false, true, true],
        ),
        (
            json!({"source": "aws.cloudwatch", "namespace": "AWS/ES", "spaceId": 1000}),
            [true, false, false, false],
        ),
    ];
    for (event, expected) in cases {
        assert_eq!(
            patterns.clone().map(|pattern| matches(&pattern, &event)),
            expected,
            "{event}"
        );
    }
}

// README.md, "The backward compatibility of using "$or" as filed name"; JsonRuleCompilerTest,
// testOrFieldCanKeepWorkingInLegacyRuleCompiler.
#[test]
fn or_can_be_the_name_of_a_field() {
    check(
        &json!({"source": "aws.cloudwatch", "$or": {"metricType": "MetricType", "namespace": "AWS/ES"}}),
        &[json!({
            "source": ["aws.cloudwatch"],
            "$or": {"metricType": ["MetricType"], "namespace": ["AWS/EC2", "AWS/ES"]},
        })],
        &[json!({"$or": {"metricType": ["other"]}})],
    );
    let operators = json!({
        "time": [{"prefix": "2017-10-02"}],
        "detail": {"$or": [{"numeric": [">", 0, "<=", 5]}, {"cidr": "10.0.0.0/8"}]},
    });
    let event = |value: Value| json!({"time": "2017-10-02T16:24:49Z", "detail": {"$or": value}});
    for (value, expected) in [
        (json!(5), true),
        (json!("10.1.2.3"), true),
        (json!(6), false),
        (json!("11.1.2.3"), false),
    ] {
        assert_eq!(
            matches(&operators, &event(value.clone())),
            expected,
            "{value}"
        );
    }
    check(
        &json!({"$or": "10.0.0.9"}),
        &[json!({"$or": [{"cidr": "10.0.0.0/24"}]})],
        &[],
    );
}
