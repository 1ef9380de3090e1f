//! What a producer of an upstream team must do.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::json;
use service::kafka::partitioner::partition_of;
use tests::servers::Server;
use tests::topics::Kafka;

const PARTITIONS: i32 = 7;

/// Gives events to a program, and looks at what it wrote.
pub(crate) fn check(name: &str, program: &mut Command) {
    let bootstrap = Server::shared_kafka().address();
    let topic = format!("examples-{}-{name}", std::process::id());
    let kafka = Kafka::new(bootstrap);
    kafka.create_topic(&topic, PARTITIONS, &[]);
    let events: BTreeMap<String, String> = (0..200)
        .map(|number| {
            let id = format!("e-{number}");
            // Also ids beyond ASCII.
            let customer = format!("kundin-ä-{}", number % 90);
            let event = json!({
                "event_id": id, "customer_id": customer, "event_type": "purchase",
                "occurred_at": "2026-11-24T09:30:00Z", "payload": {"amount": 75},
            });
            (id, event.to_string())
        })
        .collect();

    let mut child = program
        .env("KAFKA_BOOTSTRAP_SERVERS", bootstrap)
        .env("EVENTS_TOPIC", &topic)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program:?}: {error}"));
    let mut input = child.stdin.take().expect("its input");
    for event in events.values() {
        writeln!(input, "{event}").expect("it reads");
    }
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{name}: {}", output.status);
    let acknowledged = String::from_utf8_lossy(&output.stdout);
    assert!(!acknowledged.is_empty(), "{name} says what is acknowledged");

    let records = kafka.read_all(&topic);
    assert_eq!(records.len(), events.len(), "{name}");
    for record in records {
        let event = record.json();
        let id = event["event_id"].as_str().expect("an event has an id");
        let value = record.value.as_deref().expect("a value");
        assert_eq!(value, events[id].as_bytes(), "{name}: the event as it is");
        let key = record.key.as_deref().expect("a key");
        assert_eq!(key, event["customer_id"].as_str().expect("text").as_bytes());
        let partition = partition_of(key, usize::try_from(PARTITIONS).expect("some"));
        assert_eq!(record.partition, partition, "{name}: {id}");
        let trace = record.header("traceparent").expect("a trace");
        let parts: Vec<_> = trace.split('-').map(str::len).collect();
        assert_eq!(parts, [2, 32, 16, 2], "{name}: {trace}");
    }
}
