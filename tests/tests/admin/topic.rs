//! The topics: what the matcher makes of a change, and what the API makes of what others write.

use std::time::Duration;

use serde_json::json;
use tests::topics::Written;
use tests::wait;

use crate::installation::{Installation, PATIENCE, campaign};

#[test]
fn a_matcher_takes_a_change_over_and_stamps_its_version() {
    let installation = Installation::new();
    let world = &installation.world;
    let replica = installation.replica();
    let matcher = world.matcher("one");
    let headers = [(
        "traceparent",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )];
    let document = campaign("ten", "first");
    let created = replica
        .api
        .send("POST", "/v1/campaigns", &headers, Some(&document));
    created.unwrap().is(201);
    let results = world.kafka.reader(&world.topic("matches"));
    let mut number = 0;
    // Sends a purchase again and again until one is won by that version.
    let mut wait_version = |version: u64| {
        wait::until("a match by that version", PATIENCE, || {
            number += 1;
            let event = json!({
                "event_id": format!("e-{number}"), "customer_id": "ada", "event_type": "purchase",
                "occurred_at": jiff::Timestamp::now(), "payload": {"amount": 75},
            });
            world.kafka.send_json(&world.topic("events"), "ada", &event);
            world.kafka.flush();
            let seen = std::iter::from_fn(|| results.next(Duration::from_millis(200)));
            let mut won = seen.map(|record| record.json());
            won.find(|won| won["campaign_id"] == "ten" && won["campaign_version"] == version)
        })
    };
    assert_eq!(wait_version(1)["reward"]["amount"], "10.00");
    let mut better = document;
    better["reward"]["amount"] = json!("20.00");
    replica.api.put("/v1/campaigns/ten", "1", &better).is(200);
    assert_eq!(wait_version(2)["reward"]["amount"], "20.00");
    drop(matcher);

    // Both records of the change carry its trace and its name.
    let is_first = |record: &&tests::topics::Seen| record.key.as_deref() == Some(b"ten");
    let (campaigns, changes) = (installation.campaigns(), installation.changes());
    let record = campaigns.iter().find(is_first).expect("the campaign");
    let change = changes.iter().find(is_first).expect("its change");
    assert!(record.header("change-id").is_some());
    assert_eq!(record.header("change-id"), change.header("change-id"));
    let trace = record.header("traceparent").expect("a trace");
    assert!(
        trace.contains("0af7651916cd43dd8448eb211c80319c"),
        "{trace}"
    );
    let log = replica.process.log();
    let told = log.lines().find(|line| line.contains("campaign changed"));
    assert!(
        told.expect("a line")
            .contains("0af7651916cd43dd8448eb211c80319c")
    );
}

#[test]
fn campaigns_written_to_the_topic_are_served_and_told_apart_from_changes() {
    let installation = Installation::new();
    let world = &installation.world;
    let (replica, other) = (installation.replica(), installation.replica());
    let api = &replica.api;
    let path = "/v1/campaigns/piped";
    let write = |description: &str| {
        world.write_campaign("piped", &campaign("piped", description));
        world.kafka.flush();
        replica.wait_for("the document", |api| {
            (api.get(path).json["description"] == description).then_some(())
        });
    };
    write("by a pipeline");
    let first = api.get(path).is(200);
    assert_eq!(first.json["version"], 1);
    assert!(first.tag().starts_with("1-"), "{}", first.tag());
    // The same version with another content is another state.
    write("by a pipeline again");
    let second = api.get(path).is(200);
    assert_ne!(second.tag(), first.tag());
    let tag = other.wait_for("the same state", |api| {
        let answer = api.get(path);
        (answer.status == 200 && answer.tag() == second.tag()).then(|| answer.tag())
    });
    api.put(path, &first.tag(), &campaign("piped", "lost"))
        .is(412);

    let paused = json!({"status": "paused"});
    let headers = [("If-Match", &*format!("\"{tag}\""))];
    let patched = other
        .api
        .send("PATCH", path, &headers, Some(&paused))
        .unwrap();
    assert_eq!(patched.is(200).tag(), "2");

    // Broken: the last good document stays in force.
    world.write_campaign("piped", &json!({"id": "piped", "name": 7}));
    world.kafka.flush();
    let history = replica.wait_for("the refusal", |api| {
        let history = api.get(&format!("{path}/history")).json;
        (history["changes"][0]["action"] == "refused").then_some(history)
    });
    assert_eq!(api.get(path).is(200).tag(), "2");
    let told: Vec<_> = history["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            (
                entry["source"].as_str().unwrap(),
                entry["action"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("topic", "refused"),
            ("api", "updated"),
            ("topic", "written"),
            ("topic", "written"),
        ]
    );
    assert!(
        history["changes"][0]["problem"]
            .as_str()
            .unwrap()
            .contains("expected a string")
    );
    // What a change replaced is kept by it, also when others had written it.
    let before = api.get(&format!("{path}?version=1")).is(200);
    assert_eq!(before.json["description"], "by a pipeline again");

    // A deletion by others, and a campaign that never was one.
    let tombstone = Written {
        key: Some(b"piped".to_vec()),
        ..Written::default()
    };
    world.kafka.send(&world.topic("campaigns"), &tombstone);
    world.kafka.flush();
    replica.wait_for("the deletion", |api| {
        (api.get(path).status == 404).then_some(())
    });
    let created = api
        .post("/v1/campaigns", &campaign("piped", "anew"))
        .is(201);
    assert_eq!(created.tag(), "3");

    // A replica that begins now knows the same.
    let late = installation.replica();
    let found = late.api.get(path).is(200);
    assert_eq!((found.tag(), found.json), (created.tag(), created.json));
}
