//! What the doctor finds.

use std::time::Duration;

use serde_json::{Value, json};
use tests::topics::Written;
use tests::wait;

use crate::installation::{Installation, PARTITIONS};

fn level<'a>(checks: &'a Value, what: &str) -> &'a str {
    let checks = checks["checks"].as_array().unwrap();
    let check = checks
        .iter()
        .find(|check| check["what"].as_str().unwrap().starts_with(what));
    check.unwrap_or_else(|| panic!("{what} in {checks:?}"))["level"]
        .as_str()
        .unwrap()
}

#[test]
fn a_sound_installation_has_nothing_wrong() {
    let installation = Installation::new();
    let _matcher = installation.start("matcher", &[]);
    installation
        .ctl(&["send", "--kafka", "--customer", "c-1", "amount=1"])
        .exits(0);
    let checks = installation.ctl(&["doctor", "-o", "json"]).exits(0).json();
    for what in [
        "brokers",
        "version of the brokers",
        "partitions of keys",
        "matchers",
        "settlers",
        "campaign-admin",
    ] {
        assert_eq!(level(&checks, what), "good", "{what}: {checks}");
    }
    // One copy of each partition is a danger, and all that a test needs.
    assert_eq!(level(&checks, "topic"), "warning");
    assert_eq!(level(&checks, "database"), "skipped");
}

#[test]
fn what_is_missing_or_wrong_is_named_with_what_to_do() {
    let installation = Installation::new();
    let wrong = format!("{}-own", installation.topic("matches"));
    installation.kafka.create_topic(&wrong, PARTITIONS + 1, &[]);
    let delete = format!("{}-own", installation.topic("customer-state"));
    installation.kafka.create_topic(&delete, PARTITIONS, &[]);
    // Where librdkafka's own partitioner might have put it: for one of these keys it is another place
    // than murmur2's in any case.
    for number in 0..20 {
        let record = Written {
            key: Some(format!("c-{number}").into_bytes()),
            value: Some(b"{}".to_vec()),
            partition: Some(0),
            ..Written::default()
        };
        installation
            .kafka
            .send(&installation.topic("events"), &record);
    }
    installation.kafka.flush();
    let ran = installation
        .ctl(&[
            "doctor",
            "-o",
            "json",
            "--matches-topic",
            &wrong,
            "--customer-state-topic",
            &delete,
            "--claims-topic",
            "nowhere",
            "--server",
            "http://127.0.0.1:1",
            "--scylla-nodes",
            "127.0.0.1:1",
        ])
        .exits(1);
    let checks = ran.json();
    for what in [
        &*format!("topic {wrong}"),
        &format!("topic {delete}"),
        "topic nowhere",
        "partitions of keys",
        "matchers",
        "campaign-admin",
        "database",
    ] {
        assert_eq!(level(&checks, what), "bad", "{what}: {checks}");
    }
    assert!(
        ran.out.contains("partitioner=murmur2_random"),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("cleanup.policy is \\\"delete\\\""),
        "{}",
        ran.out
    );

    let away = ["doctor", "-o", "json", "--bootstrap-servers", "127.0.0.1:1"];
    let checks = installation.ctl(&away).exits(1).json();
    assert_eq!(level(&checks, "brokers"), "bad");
}

#[test]
fn a_campaign_with_a_budget_and_nobody_who_settles_is_wrong() {
    let installation = Installation::new();
    let _matcher = installation.start("matcher", &[("SETTLER_WORKERS", "0")]);
    let look = || installation.ctl(&["doctor", "-o", "json"]);
    assert_eq!(level(&look().exits(0).json(), "settlers"), "good");
    let campaign = json!({
        "id": "ten", "name": "Ten", "when": {"event_type": ["purchase"]}, "reward": {"kind": "credit"},
        "limits": {"total": {"times": 5}},
    });
    let campaigns = installation.topic("campaigns");
    installation.kafka.send_json(&campaigns, "ten", &campaign);
    installation.kafka.flush();
    let ran = look().exits(1);
    assert_eq!(level(&ran.json(), "settlers"), "bad");
    assert!(ran.out.contains("ten among them"), "{}", ran.out);

    let _settler = installation.start(
        "matcher",
        &[("MATCHER_WORKERS", "0"), ("MATCHER_INSTANCE", "settler")],
    );
    let members = || {
        let checks = look().json();
        (level(&checks, "settlers") == "good").then_some(())
    };
    wait::until("the settler to be there", Duration::from_mins(1), members);
}
