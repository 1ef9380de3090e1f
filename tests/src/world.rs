//! One installation of the product for one test: topics, tables and programs of its own on servers
//! that may be shared.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::check::{self, Evidence};
use crate::ledger::{Ledger, Poison, State};
use crate::observer::Observer;
use crate::oracle::{self, Shopping};
use crate::process::Process;
use crate::rows::{self, Rows};
use crate::topics::{Kafka, Seen, Written};
use crate::wait;

/// Partitions of the events.
pub const PARTITIONS: i32 = 4;

/// How long anything may take that is only a matter of time.
const PATIENCE: Duration = Duration::from_mins(2);

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
    folder: TempDir,
    ledger: Mutex<Ledger>,
    next_event: AtomicU64,
    observer: Observer,
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
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("w{}_{number}", std::process::id());
        let kafka = Kafka::new(bootstrap);
        let folder = TempDir::new().expect("a folder");
        let mut settings = settings(&name, bootstrap);
        if let Some(nodes) = cassandra {
            settings.push(("SCYLLA_NODES".to_owned(), nodes.to_owned()));
            settings.push(("SCYLLA_KEYSPACE".to_owned(), name.clone()));
        }
        make(&kafka, &name);
        let partitions = PARTITIONS.to_string();
        let copies = ["--replication-factor", "1"];
        let topics = ["create-topics", "--partitions", &partitions];
        run(&settings, &[&topics[..], &copies].concat());
        if cassandra.is_some() {
            run(&settings, &[&["migrate"][..], &copies].concat());
        }
        let observer = Observer::new(kafka.reader(&format!("{name}-matches")));
        let world = Self {
            kafka,
            name,
            bootstrap: bootstrap.to_owned(),
            cassandra: cassandra.map(str::to_owned),
            folder,
            ledger: Mutex::default(),
            next_event: AtomicU64::new(0),
            observer,
        };
        world.ledger().begin();
        for id in oracle::campaigns() {
            world.write_campaign(id, &oracle::document(id, 1));
        }
        world.kafka.flush();
        world
    }

    /// Name of a topic of this installation.
    pub fn topic(&self, what: &str) -> String {
        format!("{}-{what}", self.name)
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
        let mut settings = settings(&self.name, &self.bootstrap);
        if let Some(nodes) = &self.cassandra {
            settings.push(("SCYLLA_NODES".to_owned(), nodes.clone()));
            settings.push(("SCYLLA_KEYSPACE".to_owned(), self.name.clone()));
        }
        let further = further
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        settings.extend(further);
        Process::start("matcher", self.folder.path(), &settings)
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
        let topic = self.topic("campaigns");
        let ends = wait::until("the campaigns' end", PATIENCE, || {
            self.kafka.ends(&topic, 1)
        });
        #[expect(clippy::cast_precision_loss, reason = "a handful of campaigns")]
        let end = ends[0].high as f64;
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
            self.kafka.send(&self.topic("events"), &record(&event));
            self.ledger().produced(event);
        }
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

    /// How many events the matchers have committed; nothing while the broker does not say.
    pub fn committed(&self) -> Option<i64> {
        let topic = self.topic("events");
        let committed = self.kafka.committed(&self.name, &topic, PARTITIONS)?;
        Some(committed.iter().sum())
    }

    /// Waits until the matchers have committed so many more events.
    pub fn wait_progress(&self, events: i64) {
        let before = wait::until("committed offsets", PATIENCE, || self.committed());
        wait::until("progress", PATIENCE, || {
            self.committed().filter(|now| *now >= before + events)
        });
    }

    /// Waits until a matcher reads so many partitions at least.
    pub fn wait_assigned(&self, matcher: &Process, partitions: i32) {
        wait::until("partitions to be assigned", PATIENCE, || {
            let assigned = matcher.metric("matcher_assigned_partitions")?;
            (assigned >= f64::from(partitions)).then_some(())
        });
    }

    /// Waits until the group of the matchers has so many members; each worker is one.
    pub fn wait_members(&self, members: usize) {
        wait::until("the members of the group", PATIENCE, || {
            (self.kafka.members(&self.name)? == members).then_some(())
        });
    }

    /// The same, and until all of them know their partitions: who ends before that is waited for.
    pub fn wait_settled(&self, members: usize) {
        wait::until("the group of the matchers to settle", PATIENCE, || {
            let there = self.kafka.members(&self.name) == Some(members);
            (there && self.kafka.is_at_rest(&self.name)).then_some(())
        });
    }

    /// Waits until a transaction has just begun: one on the matches has ended and another is open.
    pub fn wait_new_transaction(&self) {
        let topic = self.topic("matches");
        let stable = || -> Option<i64> {
            let ends = self.kafka.ends(&topic, PARTITIONS)?;
            Some(ends.iter().map(|end| end.stable).sum())
        };
        let before = wait::until("the end of the matches", PATIENCE, stable);
        wait::until("the end of a transaction", PATIENCE, || {
            stable().filter(|now| *now > before)
        });
        self.wait_open_transaction();
    }

    /// Waits until a transaction is open on the matches, with records in it that the broker has.
    pub fn wait_open_transaction(&self) {
        wait::until("an open transaction", PATIENCE, || {
            self.has_open_transaction().filter(|open| *open)
        });
    }

    /// Waits until readers of committed matches have got beyond everything that is there now: whatever
    /// was open is ended.
    pub fn wait_stable(&self) {
        let topic = self.topic("matches");
        let ends = || self.kafka.ends(&topic, PARTITIONS);
        let now = wait::until("the end of the matches", PATIENCE, ends);
        wait::until("the end of open transactions", PATIENCE, || {
            let beyond = ends()?
                .iter()
                .zip(&now)
                .all(|(end, now)| end.stable >= now.high);
            beyond.then_some(())
        });
    }

    /// Whether there is one now; nothing while the broker does not say.
    pub fn has_open_transaction(&self) -> Option<bool> {
        let ends = self.kafka.ends(&self.topic("matches"), PARTITIONS)?;
        Some(ends.iter().any(|end| end.stable < end.high))
    }

    /// Waits until every event is acknowledged and committed, and no transaction is open.
    pub fn wait_quiet(&self) {
        self.kafka.flush();
        let topic = self.topic("events");
        wait::until("all events to be committed", PATIENCE, || {
            let committed = self.kafka.committed(&self.name, &topic, PARTITIONS)?;
            let ends = self.kafka.ends(&topic, PARTITIONS)?;
            committed
                .iter()
                .zip(ends)
                .all(|(committed, end)| *committed == end.high)
                .then_some(())
        });
        for topic in [self.topic("matches"), self.topic("dead-letters")] {
            wait::until("all transactions to be ended", PATIENCE, || {
                let ends = self.kafka.ends(&topic, PARTITIONS)?;
                ends.iter().all(|end| end.stable == end.high).then_some(())
            });
        }
    }

    /// Waits until all is quiet, and checks that the matches that the oracle expects are those that are
    /// committed, those that were seen on the way and those that are recorded, each exactly once.
    pub fn check(&self) {
        self.wait_quiet();
        let matches = self.kafka.read_all(&self.topic("matches"));
        let evidence = Evidence {
            events_topic: self.topic("events"),
            events: self.kafka.read_all(&self.topic("events")),
            campaigns: self.kafka.read_all(&self.topic("campaigns")),
            observed: self.observer.wait_for(matches.len()),
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
        let some: Vec<_> = problems.iter().take(20).map(String::as_str).collect();
        let some = some.join("\n");
        assert!(problems.is_empty(), "{} problems:\n{some}", problems.len());
        println!(
            "{} events, {} poison, {} matches",
            ledger.events().count(),
            ledger.poison().len(),
            evidence.matches.len(),
        );
    }

    /// Waits until all committed matches have their rows.
    pub fn wait_recorded(&self) {
        self.wait_quiet();
        wait::until("all rows", PATIENCE, || {
            (self.missing_rows() == 0).then_some(())
        });
    }

    /// How many rows, or columns of rows, are not as the committed matches say.
    pub fn missing_rows(&self) -> usize {
        let nodes = self
            .cassandra
            .as_ref()
            .expect("an installation with a database");
        let matches = self.kafka.read_all(&self.topic("matches"));
        check::recorded(&matches, &rows::read_all(nodes, &self.name)).len()
    }

    /// The rows, once they are those of the matches, or as they are after a minute and a half: that is
    /// longer than an outage can hold up the recorder once it is over.
    fn rows(&self, nodes: &str, matches: &[Seen]) -> Rows {
        let deadline = Instant::now() + Duration::from_secs(90);
        loop {
            let rows = rows::read_all(nodes, &self.name);
            if check::recorded(matches, &rows).is_empty() || Instant::now() > deadline {
                return rows;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
    let topics = [
        "events",
        "campaigns",
        "campaign-changes",
        "matches",
        "claims",
        "customer-state",
        "dead-letters",
    ];
    let variable = |topic: &str| format!("{}_TOPIC", topic.replace('-', "_").to_uppercase());
    let mut settings: Vec<_> = topics
        .into_iter()
        .map(|topic| (variable(topic), format!("{name}-{topic}")))
        .collect();
    let mut set = |name: &str, value: &str| settings.push((name.to_owned(), value.to_owned()));
    set("KAFKA_BOOTSTRAP_SERVERS", bootstrap);
    set("MATCHER_GROUP", name);
    set("MATCHER_WORKERS", "2");
    set("RECORDER_GROUP", &format!("{name}-recorder"));
    set("LOG_FILTER", "info,matcher=debug");
    settings
}

/// Runs a command of the matcher to its end.
fn run(settings: &[(String, String)], arguments: &[&str]) {
    let output = std::process::Command::new(crate::process::binary("matcher"))
        .args(arguments)
        .envs(settings.iter().map(|(name, value)| (name, value)))
        .output()
        .expect("the matcher is built");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "matcher {arguments:?}: {log}");
}
