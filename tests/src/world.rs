//! One installation of the product for one test: topics, tables and programs of its own on servers
//! that may be shared.

mod progress;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::check::{self, Evidence};
use crate::contracts::{self, Contracts, SCHEMA_HEADER};
use crate::ledger::{Ledger, Poison, State};
use crate::observer::Observer;
use crate::oracle::{self, Shopping};
use crate::process::{self, Process};
use crate::topics::{self, Kafka, Seen, Written};
use crate::wait;

/// Partitions of the events.
pub const PARTITIONS: i32 = 4;

/// How long anything may take that is only a matter of time.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// An installation. Its names begin with a word that no other test uses.
///
/// It keeps a ledger of what the test writes, which says what ought to come of it, and reads the matches
/// from the beginning, as a reward service would.
pub struct World {
    /// Kafka, as upstream and the reward services see it.
    pub kafka: Kafka,
    /// That word; also the keyspace.
    pub name: String,
    bootstrap: String,
    cassandra: Option<String>,
    contracts: Option<Contracts>,
    /// The id of the schema of our own events.
    event_schema: u32,
    folder: TempDir,
    ledger: Mutex<Ledger>,
    next_event: AtomicU64,
    observer: Observer,
    is_traced: AtomicBool,
}

impl World {
    /// Topics on that broker, made by the product's own command; with a database also the tables.
    /// Campaigns are in force.
    pub fn new(bootstrap: &str, cassandra: Option<&str>) -> Self {
        Self::with_topics(bootstrap, cassandra, |_, _| {})
    }

    /// The same, but `make` may make some of the topics first; it is told how their names begin.
    pub fn with_topics(
        bootstrap: &str,
        cassandra: Option<&str>,
        make: impl FnOnce(&Kafka, &str),
    ) -> Self {
        Self::installed(bootstrap, (cassandra, None), make)
    }

    /// The same with a schema registry that has the product's schemas: documents are written in Avro, and
    /// of three events one in JSON, one in Avro and one in Avro whose header names its schema.
    pub fn with_registry(bootstrap: &str, cassandra: Option<&str>, registry: &str) -> Self {
        let contracts = Contracts::new(registry);
        Self::installed(bootstrap, (cassandra, Some(contracts)), |_, _| {})
    }

    fn installed(
        bootstrap: &str,
        (cassandra, contracts): (Option<&str>, Option<Contracts>),
        make: impl FnOnce(&Kafka, &str),
    ) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("w{}_{number}", std::process::id());
        let kafka = Kafka::new(bootstrap);
        let folder = TempDir::new().expect("a folder");
        let mut settings = settings(&name, bootstrap);
        let mut event_schema = 0;
        if let Some(nodes) = cassandra {
            settings.push(("SCYLLA_NODES".to_owned(), nodes.to_owned()));
            settings.push(("SCYLLA_KEYSPACE".to_owned(), name.clone()));
        }
        if let Some(contracts) = &contracts {
            settings.push(("SCHEMA_REGISTRY_URL".to_owned(), contracts.url()));
            run("campaign-admin", &settings, &["register-schemas"]);
            event_schema = contracts.newest(&format!("{name}-events-value"));
        }
        make(&kafka, &name);
        let partitions = PARTITIONS.to_string();
        let copies = ["--replication-factor", "1"];
        let topics = ["create-topics", "--partitions", &partitions];
        run("matcher", &settings, &[&topics[..], &copies].concat());
        if cassandra.is_some() {
            run("matcher", &settings, &[&["migrate"][..], &copies].concat());
        }
        let observer = Observer::new(kafka.reader(&format!("{name}-matches")));
        let world = Self {
            kafka,
            name,
            bootstrap: bootstrap.to_owned(),
            cassandra: cassandra.map(str::to_owned),
            contracts,
            event_schema,
            folder,
            ledger: Mutex::default(),
            next_event: AtomicU64::new(0),
            observer,
            is_traced: AtomicBool::new(false),
        };
        world.ledger().begin();
        for id in oracle::campaigns() {
            world.write_campaign(id, &oracle::document(id, 1));
        }
        world.kafka.flush();
        world
    }

    /// Where its Kafka is.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Name of a topic of this installation.
    pub fn topic(&self, what: &str) -> String {
        format!("{}-{what}", self.name)
    }

    /// The matchers to come export traces: a match carries a span of its own in the trace of its event.
    pub fn traced(&self) {
        self.is_traced.store(true, Ordering::Relaxed);
    }

    /// Starts a matcher under that instance's name and waits until it is ready.
    pub fn matcher(&self, instance: &str) -> Process {
        self.matcher_with(instance, &[])
    }

    /// The same with further settings.
    pub fn matcher_with(&self, instance: &str, further: &[(&str, &str)]) -> Process {
        let mut matcher =
            self.start_matcher(&[&[("MATCHER_INSTANCE", instance)], further].concat());
        matcher.wait_ready();
        matcher
    }

    /// Starts a matcher with these settings beyond those of the installation.
    pub fn start_matcher(&self, further: &[(&str, &str)]) -> Process {
        self.start("matcher", further)
    }

    /// Starts a program with these settings beyond those of the installation.
    pub fn start(&self, program: &str, further: &[(&str, &str)]) -> Process {
        self.start_file(&process::binary(program), further)
    }

    /// The same with a program that is not beside the test, such as one of an older release.
    pub fn start_file(&self, program: &Path, further: &[(&str, &str)]) -> Process {
        let mut settings = settings(&self.name, &self.bootstrap);
        if let Some(nodes) = &self.cassandra {
            settings.push(("SCYLLA_NODES".to_owned(), nodes.clone()));
            settings.push(("SCYLLA_KEYSPACE".to_owned(), self.name.clone()));
        }
        if let Some(contracts) = &self.contracts {
            settings.push(("SCHEMA_REGISTRY_URL".to_owned(), contracts.url()));
        }
        let further = further
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        settings.extend(further);
        Process::start_file(program, self.folder.path(), &settings)
    }

    /// Changes a campaign, or deletes it. From now on events may meet it so, or still as it was. Does
    /// not wait for the broker.
    pub fn change_campaign(&self, id: &'static str, state: State) {
        self.ledger().changed(id, state);
        if let Some(version) = state {
            self.write_campaign(id, &oracle::document(id, version));
        } else {
            let tombstone = Written {
                key: Some(id.into()),
                ..Written::default()
            };
            self.kafka.send(&self.topic("campaigns"), &tombstone);
        }
    }

    /// Writes a document as a campaign, whatever it may be.
    pub fn write_campaign(&self, id: &str, document: &serde_json::Value) {
        self.kafka.send_json(&self.topic("campaigns"), id, document);
    }

    /// Waits until every event is committed and these matchers, which must be all, have read every
    /// campaign: what is produced from now on meets the campaigns as they are.
    pub fn settle(&self, matchers: &[&Process]) {
        self.wait_quiet();
        // Behind the last record there may be the marker of a transaction.
        let campaigns = self.kafka.read_all(&self.topic("campaigns"));
        let end = campaigns.iter().map(|record| record.offset + 1).max();
        #[expect(clippy::cast_precision_loss, reason = "a handful of campaigns")]
        let end = end.unwrap_or(0) as f64;
        for matcher in matchers {
            wait::until("the campaigns to be in force", PATIENCE, || {
                matcher
                    .metric("matcher_campaigns_offset")
                    .filter(|offset| *offset >= end)
            });
        }
        self.ledger().settled();
    }

    /// Produces the next events. Does not wait for the broker.
    pub fn produce(&self, events: u64) {
        for _ in 0..events {
            let number = self.next_event.fetch_add(1, Ordering::Relaxed);
            let event = Shopping::nth(&self.name, number);
            let mut record = record(&event);
            if let Some(contracts) = &self.contracts {
                let id = self.event_schema;
                let value = contracts::event(&event.document());
                match number % 3 {
                    0 => {}
                    1 => record.value = Some(contracts.encode(id, value)),
                    _ => {
                        record.value = Some(contracts.body(id, value));
                        let header = contracts::prefix(id).to_vec();
                        record
                            .headers
                            .push((SCHEMA_HEADER.to_owned(), Some(header)));
                    }
                }
            }
            self.kafka.send(&self.topic("events"), &record);
            self.ledger().produced(event);
        }
    }

    /// The next events, which somebody else is about to write.
    pub fn expect_events(&self, events: u64) -> Vec<serde_json::Value> {
        let next = |_| {
            let number = self.next_event.fetch_add(1, Ordering::Relaxed);
            let event = Shopping::nth(&self.name, number);
            let document = event.document();
            self.ledger().produced(event);
            document
        };
        (0..events).map(next).collect()
    }

    /// Produces the next event in Avro, to that partition, with a schema that has the fields of ours. The
    /// registry must be there, or have been asked for it before.
    pub fn produce_with(&self, schema: u32, partition: i32) {
        let number = self.next_event.fetch_add(1, Ordering::Relaxed);
        let event = Shopping::nth(&self.name, number);
        let value = contracts::event(&event.document());
        let record = Written {
            value: Some(self.contracts().encode(schema, value)),
            partition: Some(partition),
            ..record(&event)
        };
        self.kafka.send(&self.topic("events"), &record);
        self.ledger().produced(event);
    }

    /// The id of the schema of our own events.
    pub fn event_schema(&self) -> u32 {
        self.event_schema
    }

    /// Somebody else is about to write that state of a campaign.
    pub fn expect_campaign(&self, id: &'static str, state: State) {
        self.ledger().changed(id, state);
    }

    /// Produces a record that can never be processed.
    pub fn poison(&self, poison: Poison) {
        self.kafka.send(&self.topic("events"), &poison.record);
        self.ledger().poisoned(poison);
    }

    /// Does something while events flow, so many a second.
    pub fn under_load<T>(&self, per_second: u32, fault: impl FnOnce() -> T) -> T {
        struct Stop<'a>(&'a AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let stopped = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let begun = Instant::now();
                let mut produced = 0;
                while !stopped.load(Ordering::Relaxed) {
                    let due = begun.elapsed().mul_f64(f64::from(per_second)).as_secs();
                    self.produce(due - produced);
                    produced = due;
                    std::thread::sleep(Duration::from_millis(2));
                }
            });
            // Also when `fault` panics.
            let _stop = Stop(&stopped);
            fault()
        })
    }

    /// Waits until all is quiet, and checks that the matches that the oracle expects are those that are
    /// committed, those that were seen on the way and those that are recorded, each exactly once.
    pub fn check(&self) {
        self.wait_quiet();
        let matches = self.read("matches");
        let evidence = Evidence {
            is_traced: self.is_traced.load(Ordering::Relaxed),
            events_topic: self.topic("events"),
            events: self.events(),
            campaigns: self.read("campaigns"),
            observed: self.plain(self.observer.wait_for(matches.len())),
            dead_letters: self.kafka.read_all(&self.topic("dead-letters")),
            rows: self
                .cassandra
                .as_ref()
                .map(|nodes| self.rows(nodes, &matches)),
            matches,
        };
        let ledger = self.ledger();
        assert!(ledger.records() > 0, "nothing was tried");
        let problems = check::problems(&ledger, &evidence);
        assert!(problems.is_empty(), "{}", some(&problems));
        println!(
            "{} events, {} poison, {} matches",
            ledger.events().count(),
            ledger.poison().len(),
            evidence.matches.len(),
        );
    }

    /// What `campaignctl` says of this installation, as JSON.
    pub fn campaignctl(&self, arguments: &[&str]) -> serde_json::Value {
        let output = std::process::Command::new(process::binary("campaignctl"))
            .args(arguments)
            .envs(settings(&self.name, &self.bootstrap))
            .output()
            .expect("the program is built");
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {log}");
        serde_json::from_slice(&output.stdout).expect("it prints JSON")
    }

    /// All committed records of a topic, in the JSON form of our documents.
    pub fn read(&self, topic: &str) -> Vec<Seen> {
        self.plain(self.kafka.read_all(&self.topic(topic)))
    }

    /// The events in their JSON form, poison as it is.
    fn events(&self) -> Vec<Seen> {
        let records = self.kafka.read_all(&self.topic("events"));
        let ledger = self.ledger();
        let is_poison = |record: &Seen| {
            let same = |poison: &Poison| poison.record.value == record.value;
            ledger.poison().iter().any(same)
        };
        let (poison, good): (Vec<_>, Vec<_>) = records.into_iter().partition(is_poison);
        [poison, self.plain(good)].concat()
    }

    fn plain(&self, records: Vec<Seen>) -> Vec<Seen> {
        let Some(contracts) = &self.contracts else {
            return records;
        };
        let records = records.into_iter();
        records.map(|record| contracts.plain(record)).collect()
    }

    /// The schema registry.
    ///
    /// # Panics
    /// The installation has none.
    pub fn contracts(&self) -> &Contracts {
        self.contracts.as_ref().expect("a schema registry")
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let topic = |what| self.kafka.ends(&self.topic(what), PARTITIONS);
            eprintln!(
                "--- {}: {} records written",
                self.name,
                self.ledger().records()
            );
            eprintln!("committed: {:?}", self.committed());
            eprintln!("events:    {:?}", topic("events"));
            eprintln!("matches:   {:?}", topic("matches"));
            eprintln!("members:   {:?}", self.kafka.members(&self.name));
        }
    }
}

/// How many problems there are, and the first and the last of them: those of one kind follow each other.
fn some(problems: &[String]) -> String {
    const SHOWN: usize = 20;
    let (first, rest) = problems.split_at(problems.len().min(SHOWN));
    let last = &rest[rest.len().saturating_sub(SHOWN)..];
    let (first, last) = (first.join("\n"), last.join("\n"));
    format!("{} problems:\n{first}\n[…]\n{last}", problems.len())
}

/// An event as upstream writes it; some carry headers.
fn record(event: &Shopping) -> Written {
    let mut headers = Vec::new();
    if event.coupon.is_some() {
        let mut add = |name: &str, value: &str| headers.push((name.to_owned(), Some(value.into())));
        add(
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        );
        add("source", "till");
        add("correlation-id", &event.event_id);
    }
    Written {
        key: Some(event.customer_id.clone().into()),
        value: Some(event.document().to_string().into()),
        headers,
        ..Written::default()
    }
}

/// Settings of an installation, as environment variables.
fn settings(name: &str, bootstrap: &str) -> Vec<(String, String)> {
    let mut settings: Vec<_> = topics::names(name).collect();
    let mut set = |name: &str, value: &str| settings.push((name.to_owned(), value.to_owned()));
    set("KAFKA_BOOTSTRAP_SERVERS", bootstrap);
    set("MATCHER_GROUP", name);
    set("MATCHER_WORKERS", "2");
    set("RECORDER_GROUP", &format!("{name}-recorder"));
    set("SETTLER_GROUP", &format!("{name}-settler"));
    set("LOG_FILTER", "info,matcher=debug");
    settings
}

/// Runs a command of a program to its end.
fn run(program: &str, settings: &[(String, String)], arguments: &[&str]) {
    let output = std::process::Command::new(crate::process::binary(program))
        .args(arguments)
        .envs(settings.iter().map(|(name, value)| (name, value)))
        .output()
        .expect("the program is built");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {log}");
}
