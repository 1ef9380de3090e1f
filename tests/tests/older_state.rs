//! What an older release remembered of customers is remembered by this one: records that it wrote are kept
//! in `tests/fixtures/customer-state`, a file a release, and this release's matcher goes on from them.
//!
//! A release whose state has a new version gets a file of its own:
//! `UPDATE_STATE_FIXTURE=0.2.0 cargo test -p tests --test older_state` writes it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};
use tests::servers::{Server, root};
use tests::topics::{Seen, Written};
use tests::world::{PARTITIONS, World};

const CUSTOMERS: usize = 12;

/// The time of the first event, in milliseconds: 2026-11-24T09:00:00Z.
const BEGAN: i64 = 1_795_510_800_000;
const HOUR: i64 = 3_600_000;

/// Topics that do not forget what is old, and campaigns that remember.
fn world() -> World {
    let keep = ("retention.ms", "-1");
    let world = World::with_topics(Server::shared_kafka().address(), None, |kafka, name| {
        for topic in ["events", "matches"] {
            kafka.create_topic(&format!("{name}-{topic}"), PARTITIONS, &[keep]);
        }
    });
    let campaigns = [
        (
            "kept-once",
            json!({"limits": {"per_customer": {"times": 1, "every": "30d"}}}),
        ),
        (
            "kept-third",
            json!({"across": [{"count": {"at_least": 3}, "within": "7d", "when": {"event_type": ["remembered"]}}]}),
        ),
        (
            "kept-sum",
            json!({"across": [{"sum": {"of": "payload.amount", "at_least": 30}, "within": "7d", "when": {"event_type": ["remembered"]}}]}),
        ),
    ];
    for (id, fields) in campaigns {
        let mut campaign = json!({
            "id": id, "name": id, "when": {"event_type": ["remembered"]},
            "reward": {"kind": "credit", "amount": "2.50", "currency": "EUR"},
        });
        for (name, value) in fields.as_object().expect("fields") {
            campaign[name] = value.clone();
        }
        world.write_campaign(id, &campaign);
    }
    world.kafka.flush();
    world
}

/// The nth event of a customer.
fn send(world: &World, customer: &str, number: i64) {
    let at = BEGAN + number * HOUR;
    let time = jiff::Timestamp::from_millisecond(at).expect("a time");
    let event = json!({
        "event_id": format!("{customer}-{number}"), "customer_id": customer, "event_type": "remembered",
        "occurred_at": time, "payload": {"amount": 10},
    });
    let record = Written {
        key: Some(customer.into()),
        value: Some(event.to_string().into_bytes()),
        timestamp: Some(at),
        ..Written::default()
    };
    world.kafka.send(&world.topic("events"), &record);
}

fn customers() -> impl Iterator<Item = String> {
    (0..CUSTOMERS).map(|number| format!("kept-{number}"))
}

fn folder() -> PathBuf {
    root().join("tests/fixtures/customer-state")
}

fn hex(bytes: Option<&[u8]>) -> Value {
    bytes.map_or(Value::Null, |bytes| {
        let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
        digits.collect::<String>().into()
    })
}

fn bytes(hex: &Value) -> Option<Vec<u8>> {
    let digits = hex.as_str()?.as_bytes().chunks(2);
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).expect("digits");
        u8::from_str_radix(pair, 16).expect("digits")
    };
    Some(digits.map(byte).collect())
}

/// Lets this release remember two events of each customer, and keeps what it wrote.
fn keep(release: &str) {
    let world = world();
    let matcher = world.matcher("m");
    for number in 0..2 {
        customers().for_each(|customer| send(&world, &customer, number));
    }
    world.wait_committed();
    assert!(matcher.terminate().0.success());
    let mut lines = String::new();
    for topic in ["events", "customer-state"] {
        for Seen {
            partition,
            key,
            value,
            timestamp,
            ..
        } in world.kafka.read_all(&world.topic(topic))
        {
            let line = json!({
                "topic": topic, "partition": partition, "timestamp": timestamp,
                "key": hex(key.as_deref()), "value": hex(value.as_deref()),
            });
            lines.push_str(&line.to_string());
            lines.push('\n');
        }
    }
    std::fs::create_dir_all(folder()).expect("a folder");
    let file = folder().join(format!("{release}.jsonl"));
    std::fs::write(file, lines).expect("it can be written");
}

#[test]
fn this_release_goes_on_from_what_each_older_one_remembered() {
    if let Ok(release) = std::env::var("UPDATE_STATE_FIXTURE") {
        keep(&release);
    }
    let files: Vec<_> = std::fs::read_dir(folder())
        .expect("records of older releases are kept")
        .map(|file| file.expect("an entry").path())
        .collect();
    assert!(!files.is_empty());
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a file can be read");
        let world = world();
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).expect("a line is JSON");
            let record = Written {
                key: bytes(&line["key"]),
                value: bytes(&line["value"]),
                partition: line["partition"]
                    .as_i64()
                    .and_then(|it| i32::try_from(it).ok()),
                timestamp: line["timestamp"].as_i64(),
                ..Written::default()
            };
            let topic = line["topic"].as_str().expect("a topic");
            world.kafka.send(&world.topic(topic), &record);
        }
        world.kafka.flush();
        // The older release had committed them all.
        let events = world.topic("events");
        let ends = world
            .kafka
            .ends(&events, PARTITIONS)
            .expect("the broker answers");
        let ends: Vec<_> = ends.iter().map(|end| end.high).collect();
        world.kafka.commit(&world.name, &events, &ends);

        let matcher = world.matcher("m");
        // An event again, and a third one; and somebody new.
        for customer in customers() {
            send(&world, &customer, 0);
            send(&world, &customer, 2);
        }
        send(&world, "new", 2);
        world.wait_committed();
        let won: BTreeSet<(String, String)> = (world.read("matches").iter())
            .map(|record| {
                let document = record.json();
                let text = |field: &str| document[field].as_str().unwrap_or_default().to_owned();
                (text("event_id"), text("campaign_id"))
            })
            .collect();
        let mut expected: BTreeSet<(String, String)> = customers()
            .flat_map(|customer| {
                let event = format!("{customer}-2");
                ["kept-third", "kept-sum"].map(|campaign| (event.clone(), campaign.to_owned()))
            })
            .collect();
        expected.insert(("new-2".to_owned(), "kept-once".to_owned()));
        assert_eq!(won, expected, "{}", file.display());
        assert!(matcher.terminate().0.success());
    }
}
