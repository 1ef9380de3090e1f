//! Events over HTTP in JSON, on the topic in Avro, and matched.

use std::time::Duration;

use serde_json::{Value, json};
use tests::contracts::prefix;
use tests::http::{Connection, request};
use tests::process::Process;
use tests::servers::Server;
use tests::wait;
use tests::world::World;

use super::{wait_not_ready, world, world_at};

const OPEN: [(&str, &str); 2] = [("AUTH", "none"), ("HTTP_ADDR", "127.0.0.1:0")];

fn ready(world: &World) -> Process {
    let mut ingest = world.start("ingest", &OPEN);
    ingest.wait_ready();
    ingest
}

/// Sends a body; returns the status.
fn post(ingest: &Process, media_type: &str, body: &str) -> u16 {
    let mut connection = Connection::open(ingest.api()).expect("ingest listens");
    let headers = [("content-type", media_type)];
    let request = request("POST", "/v1/events", &headers, body.as_bytes());
    let answer = connection.ask(&request).expect("an answer");
    if answer.status != 202 {
        println!("{}", answer.json());
    }
    answer.status
}

fn lines(events: &[Value]) -> String {
    let lines: Vec<_> = events.iter().map(Value::to_string).collect();
    lines.join("\n")
}

#[test]
fn events_come_as_json_are_written_as_avro_and_win() {
    let world = world();
    let matcher = world.matcher("a");
    let ingest = ready(&world);
    for body in world.expect_events(300).chunks(100) {
        assert_eq!(post(&ingest, "application/x-ndjson", &lines(body)), 202);
    }
    for event in world.expect_events(20) {
        assert_eq!(post(&ingest, "application/json", &event.to_string()), 202);
    }
    world.check();

    // What has no field of its own in the schema, and texts that another writer would write otherwise.
    let yesterday = (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24)).to_string();
    let yesterday = &yesterday[.."2026-11-24".len()];
    let odd = r#" {"event_id": "odd", "customer_id": "ada", "event_type": "purchase",
        "occurred_at": "2026-11-24T10:30:00+01:00", "till": {"no": 7.10}, "payload": { "amount": 1e2 } }"#;
    let odd = odd.replace("2026-11-24", yesterday);
    assert_eq!(post(&ingest, "application/json", &odd), 202);
    let cloud = json!({
        "specversion": "1.0", "id": "1", "source": "/tills", "type": "purchase",
        "time": format!("{yesterday}T09:30:00Z"), "subject": "ada", "data": {"amount": 75},
    });
    let cloud = cloud.to_string();
    assert_eq!(post(&ingest, "application/cloudevents+json", &cloud), 202);
    let nameless = r#"{"customer_id": "ada", "event_type": "purchase",
        "occurred_at": "2026-11-24T09:30:00Z"}"#;
    let nameless = nameless.replace("2026-11-24", yesterday);
    assert_eq!(post(&ingest, "application/json", &nameless), 202);

    let written = world.kafka.read_all(&world.topic("events"));
    let begins = prefix(world.event_schema());
    assert_eq!(written.len(), 323);
    for record in &written {
        let value = record.value.as_deref().expect("a value");
        assert!(value.starts_with(&begins), "{value:?}");
    }
    let find = |text: &[u8]| {
        let mut values = written.iter().filter_map(|record| record.value.as_deref());
        values.any(|value| value.windows(text.len()).any(|part| part == text))
    };
    assert!(
        find(br#"{ "amount": 1e2 }"#),
        "a payload is kept as it came"
    );
    let read = world.read("events");
    let read: Vec<_> = read.iter().map(tests::topics::Seen::json).collect();
    let event = |id: &str| read.iter().find(|event| event["event_id"] == id);
    assert_eq!(
        event("odd").expect("it is there")["till"],
        json!({"no": 7.1})
    );
    assert!(event("/tills|1").is_some());
    world.wait_quiet();
    assert!(world.read("dead-letters").is_empty());
    assert!(ingest.terminate().0.success());
    assert!(matcher.terminate().0.success());
}

#[test]
fn ingest_begins_with_the_registry_and_goes_on_without_it() {
    let mut registry = Server::registry();
    let world = world_at(&registry);
    registry.kill();
    let mut ingest = world.start("ingest", &OPEN);
    wait_not_ready(&ingest, "schemas: the schema registry cannot be asked");
    let event = world.expect_events(1)[0].to_string();
    assert_eq!(post(&ingest, "application/json", &event), 503);
    registry.restart();
    ingest.wait_ready();
    assert_eq!(post(&ingest, "application/json", &event), 202);
    registry.kill();
    let further = lines(&world.expect_events(50));
    assert_eq!(post(&ingest, "application/x-ndjson", &further), 202);
    registry.restart();
    let matcher = world.matcher("a");
    world.check();
    assert!(ingest.terminate().0.success());
    assert!(matcher.terminate().0.success());
}

#[test]
fn ingest_registers_nothing_and_waits_for_the_schema() {
    let registry = Server::registry();
    let world = world_at(&registry);
    let other = format!("{}-other", world.name);
    world.kafka.create_topic(&other, 1, &[]);
    let mut ingest = world.start("ingest", &[&OPEN[..], &[("EVENTS_TOPIC", &other)]].concat());
    let subject = format!("{other}-value");
    wait_not_ready(
        &ingest,
        &format!("subject {subject} does not have this release's schema"),
    );
    world.contracts().register(&subject, schemas::avro::EVENT);
    ingest.wait_ready();
    let event = json!({
        "event_id": "1", "customer_id": "ada", "event_type": "purchase",
        "occurred_at": "2026-11-24T09:30:00Z",
    });
    assert_eq!(post(&ingest, "application/json", &event.to_string()), 202);
    wait::until("the event", Duration::from_secs(30), || {
        let written = world.kafka.read_all(&other);
        written
            .first()?
            .value
            .as_ref()?
            .starts_with(&[0])
            .then_some(())
    });
    assert!(ingest.terminate().0.success());
}
