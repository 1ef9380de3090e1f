//! Events in over HTTP, on a real Kafka.

mod crash;
mod forms;
mod overload;
mod refusals;

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use service::auth::{Scope, Scopes, make_key};
use tempfile::TempDir;
use tests::http::{Answer, Connection, request};
use tests::process::Process;
use tests::topics::{Kafka, Seen};

/// A topic of events with partitions, and keys to write to it: what ingest needs.
struct Door {
    kafka: Kafka,
    bootstrap: String,
    topic: String,
    folder: TempDir,
    /// A key that may write events.
    key: String,
    /// A key that may do everything else.
    other_key: String,
}

impl Door {
    fn new(bootstrap: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let topic = format!("i{}_{number}-events", std::process::id());
        let kafka = Kafka::new(bootstrap);
        kafka.create_topic(&topic, 4, &[]);
        let folder = TempDir::new().expect("a folder");
        let (key, other_key) = write_keys(&folder.path().join("keys"));
        Self {
            kafka,
            bootstrap: bootstrap.to_owned(),
            topic,
            folder,
            key,
            other_key,
        }
    }

    /// Starts ingest, and waits until it is ready.
    fn ingest(&self, further: &[(&str, &str)]) -> Process {
        let mut ingest = self.start(further);
        ingest.wait_ready();
        ingest
    }

    fn start(&self, further: &[(&str, &str)]) -> Process {
        let keys = self.folder.path().join("keys");
        let own = [
            ("KAFKA_BOOTSTRAP_SERVERS", &*self.bootstrap),
            ("EVENTS_TOPIC", &self.topic),
            ("HTTP_ADDR", "127.0.0.1:0"),
            ("API_KEYS_FILE", keys.to_str().expect("UTF-8")),
            ("LOG_FILTER", "info,service=debug,ingest=debug"),
        ];
        let settings: Vec<_> = own
            .iter()
            .chain(further)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Process::start("ingest", self.folder.path(), &settings)
    }

    /// The request that sends this body with the right key.
    fn post(&self, media_type: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
        let bearer = format!("Bearer {}", self.key);
        let own = [("authorization", &*bearer), ("content-type", media_type)];
        request("POST", "/v1/events", &[&own, headers].concat(), body)
    }

    /// Sends a body on a connection of its own.
    fn send(&self, ingest: &Process, media_type: &str, body: &[u8]) -> Answer {
        let request = self.post(media_type, &[], body);
        ask(ingest, &request)
    }

    /// The records of the topic, in the order of their events' ids.
    fn records(&self) -> Vec<Seen> {
        let mut records = self.kafka.read_all(&self.topic);
        records.sort_by_key(|record| record.json()["event_id"].to_string());
        records
    }
}

fn ask(ingest: &Process, request: &[u8]) -> Answer {
    let mut connection = Connection::open(ingest.api()).expect("ingest listens");
    connection.ask(request).expect("ingest answers")
}

fn write_keys(path: &Path) -> (String, String) {
    let others: Scopes = Scope::ALL
        .into_iter()
        .filter(|scope| *scope != Scope::EventsWrite)
        .collect();
    let now = jiff::Timestamp::now();
    let (key, record) = make_key("till", Scopes::of(&[Scope::EventsWrite]), now, None);
    let (other_key, other_record) = make_key("marketing", others, now, None);
    let lines = [record, other_record].map(|record| serde_json::to_string(&record).expect("JSON"));
    std::fs::write(path, lines.join("\n")).expect("the folder can be written to");
    (key.reveal().to_owned(), other_key.reveal().to_owned())
}

/// A purchase under that id.
fn purchase(id: &str) -> Value {
    json!({
        "event_id": id, "customer_id": format!("customer of {id}"), "event_type": "purchase",
        "occurred_at": "2026-11-24T09:30:00Z", "payload": {"amount": 75, "country": "US"},
    })
}
