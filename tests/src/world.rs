//! One installation of the product for one test: topics, tables and programs of its own on servers
//! that may be shared.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use crate::oracle::{self, Pair, Shopping};
use crate::process::Process;
use crate::topics::{Kafka, Seen, Written};
use crate::wait;

/// Partitions of the events.
pub const PARTITIONS: i32 = 4;

/// An installation. Its names begin with a word that no other test uses.
pub struct World {
    /// Kafka, as upstream and the reward services see it.
    pub kafka: Kafka,
    /// That word; also the keyspace.
    pub name: String,
    bootstrap: String,
    cassandra: Option<String>,
    folder: TempDir,
}

impl World {
    /// Topics on that broker, made by the product's own command; with a database also the tables.
    pub fn new(bootstrap: &str, cassandra: Option<&str>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let world = Self {
            kafka: Kafka::new(bootstrap),
            name: format!("w{}_{number}", std::process::id()),
            bootstrap: bootstrap.to_owned(),
            cassandra: cassandra.map(str::to_owned),
            folder: TempDir::new().expect("a folder"),
        };
        let partitions = PARTITIONS.to_string();
        world.command(&[
            "create-topics",
            "--partitions",
            &partitions,
            "--replication-factor",
            "1",
        ]);
        if cassandra.is_some() {
            world.command(&["migrate"]);
        }
        world
    }

    /// Name of a topic of this installation.
    pub fn topic(&self, what: &str) -> String {
        format!("{}-{what}", self.name)
    }

    /// Runs a command of the matcher to its end.
    pub fn command(&self, arguments: &[&str]) {
        let output = std::process::Command::new(crate::process::binary("matcher"))
            .args(arguments)
            .envs(self.settings())
            .output()
            .expect("the matcher is built");
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "matcher {arguments:?}: {log}");
    }

    /// Settings of this installation, as environment variables.
    pub fn settings(&self) -> Vec<(String, String)> {
        let topics = [
            "campaigns",
            "campaign-changes",
            "matches",
            "claims",
            "customer-state",
        ]
        .into_iter()
        .chain(["events", "dead-letters"])
        .map(|topic| {
            let name = topic.replace('-', "_").to_uppercase();
            (format!("{name}_TOPIC"), self.topic(topic))
        });
        let mut settings: Vec<_> = topics.collect();
        let mut set = |name: &str, value: &str| settings.push((name.to_owned(), value.to_owned()));
        set("KAFKA_BOOTSTRAP_SERVERS", &self.bootstrap);
        set("MATCHER_GROUP", &self.name);
        set("MATCHER_WORKERS", "2");
        set("RECORDER_GROUP", &format!("{}-recorder", self.name));
        set("LOG_FILTER", "info,matcher=debug");
        if let Some(nodes) = &self.cassandra {
            set("SCYLLA_NODES", nodes);
            set("SCYLLA_KEYSPACE", &self.name);
        }
        settings
    }

    /// Starts a matcher under that instance's name and waits until it is ready.
    pub fn matcher(&self, instance: &str) -> Process {
        self.matcher_with(instance, &[])
    }

    /// The same with further settings.
    pub fn matcher_with(&self, instance: &str, further: &[(&str, &str)]) -> Process {
        let mut settings = self.settings();
        settings.push(("MATCHER_INSTANCE".to_owned(), instance.to_owned()));
        let further = further
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        settings.extend(further);
        let mut matcher = Process::start("matcher", self.folder.path(), &settings);
        matcher.wait_ready();
        matcher
    }

    /// Writes the campaigns of the oracle.
    pub fn write_campaigns(&self) {
        for (id, document) in oracle::campaigns() {
            self.kafka
                .send_json(&self.topic("campaigns"), id, &document);
        }
        self.kafka.flush();
    }

    /// Produces an event. [`World::acknowledged`] waits for the broker.
    pub fn produce(&self, event: &Shopping) {
        let record = Written {
            key: Some(event.customer_id.clone().into_bytes()),
            value: Some(event.document().to_string().into_bytes()),
            ..Written::default()
        };
        self.kafka.send(&self.topic("events"), &record);
    }

    /// Waits until every event is acknowledged.
    pub fn acknowledged(&self) {
        self.kafka.flush();
    }

    /// Waits until the matchers have committed `events` in all.
    pub fn wait_committed(&self, events: i64) {
        let topic = self.topic("events");
        wait::until("all events to be committed", Duration::from_mins(2), || {
            (self.kafka.committed(&self.name, &topic, PARTITIONS) >= events).then_some(())
        });
    }

    /// All committed matches.
    pub fn matches(&self) -> Vec<Seen> {
        self.kafka.read_all(&self.topic("matches"))
    }

    /// All dead letters.
    pub fn dead_letters(&self) -> Vec<Seen> {
        self.kafka.read_all(&self.topic("dead-letters"))
    }

    /// Checks that the committed matches are exactly the expected ones, none twice, and each what it
    /// says it is.
    pub fn check_matches(&self, expected: &BTreeSet<Pair>) {
        let mut times = BTreeMap::<Pair, u32>::new();
        for record in self.matches() {
            let json = record.json();
            let text = |field: &str| json[field].as_str().unwrap_or_default().to_owned();
            let pair = (text("event_id"), text("campaign_id"));
            assert_eq!(text("match_id"), format!("{}:{}", pair.0, pair.1));
            assert_eq!(record.key.as_deref(), Some(pair.0.as_bytes()));
            assert_eq!(json["source"]["partition"], record.partition);
            *times.entry(pair).or_default() += 1;
        }
        let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "matched more than once: {twice:?}");
        let got: BTreeSet<Pair> = times.into_keys().collect();
        let missing: Vec<_> = expected.difference(&got).take(5).collect();
        let surplus: Vec<_> = got.difference(expected).take(5).collect();
        assert!(
            missing.is_empty() && surplus.is_empty(),
            "{} expected, {} found; missing {missing:?}; surplus {surplus:?}",
            expected.len(),
            got.len(),
        );
    }
}
