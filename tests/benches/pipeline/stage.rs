//! An installation to measure on: topics and campaigns of its own, and a matcher whose workers have
//! shared the partitions before the measurement begins.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::groups::GroupMemberInfo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::process::{Process, binary};
use tests::servers::Server;
use tests::topics::{self, Kafka};
use tests::wait;

use crate::{Variant, shop};

/// Topics with names of their own.
pub(crate) struct Stage {
    pub(crate) kafka: Kafka,
    pub(crate) bootstrap: String,
    pub(crate) broker: u32,
    pub(crate) name: String,
    pub(crate) partitions: i32,
    folder: TempDir,
    groups: BaseConsumer,
}

impl Stage {
    /// Makes the topics and writes the campaigns.
    pub(crate) fn new(broker: &Server, partitions: i32, campaigns: &[Value]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let stage = Self {
            kafka: Kafka::new(broker.address()),
            bootstrap: broker.address().to_owned(),
            broker: broker.pid(),
            name: format!("b{}_{number}", std::process::id()),
            partitions,
            folder: TempDir::new().expect("a folder"),
            groups: ClientConfig::new()
                .set("bootstrap.servers", broker.address())
                .set("group.id", "bench")
                .create()
                .expect("a consumer"),
        };
        let made = Command::new(binary("matcher"))
            .args(["create-topics", "--replication-factor", "1"])
            .args(["--partitions", &partitions.to_string()])
            .envs(stage.settings())
            .output()
            .expect("cargo build --release -p matcher");
        let log = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "matcher create-topics: {log}");
        for campaign in campaigns {
            let id = campaign["id"].as_str().expect("a campaign has an id");
            let topic = stage.topic("campaigns");
            stage.kafka.send_json(&topic, id, campaign);
        }
        stage.kafka.flush();
        stage
    }

    /// Name of a topic of this installation.
    pub(crate) fn topic(&self, what: &str) -> String {
        format!("{}-{what}", self.name)
    }

    fn settings(&self) -> Vec<(String, String)> {
        let others = [
            ("KAFKA_BOOTSTRAP_SERVERS", self.bootstrap.clone()),
            ("MATCHER_GROUP", self.name.clone()),
            ("SETTLER_GROUP", format!("{}-settler", self.name)),
            ("MATCHER_INSTANCE", "bench".to_owned()),
            ("LOG_FILTER", "info".to_owned()),
        ];
        let others = others.map(|(variable, value)| (variable.to_owned(), value));
        topics::names(&self.name).chain(others).collect()
    }

    /// Starts a matcher.
    pub(crate) fn start(&self, variant: &Variant, workers: u32) -> Process {
        let mut settings = self.settings();
        settings.push(("MATCHER_WORKERS".to_owned(), workers.to_string()));
        settings.extend(variant.settings.iter().cloned());
        Process::start(&variant.program, self.folder.path(), &settings)
    }

    /// Starts the service that changes campaigns.
    pub(crate) fn admin(&self) -> Process {
        let mut settings = self.settings();
        let further = [("AUTH", "none"), ("HTTP_ADDR", "127.0.0.1:0")];
        let further = further.map(|(name, value)| (name.to_owned(), value.to_owned()));
        settings.extend(further);
        let mut admin = Process::start("campaign-admin", self.folder.path(), &settings);
        admin.wait_ready();
        admin
    }

    /// Starts a matcher. Returns when its workers have shared the partitions.
    pub(crate) fn matcher(&self, variant: &Variant, workers: u32) -> Process {
        let mut matcher = self.start(variant, workers);
        matcher.wait_ready();
        let assigned = f64::from(self.partitions);
        wait::until("a balanced group", Duration::from_mins(3), || {
            let is_even = self.is_shared_out(&self.name, workers);
            (is_even && matcher.metric("matcher_assigned_partitions") == Some(assigned))
                .then_some(())
        });
        matcher
    }

    /// Whether every one of so many members of a group has its part of the partitions.
    pub(crate) fn is_shared_out(&self, group: &str, members: u32) -> bool {
        let Ok(groups) = self
            .groups
            .client()
            .fetch_group_list(Some(group), Duration::from_secs(10))
        else {
            return false;
        };
        let part = self.partitions.cast_unsigned() / members;
        groups.groups().iter().any(|group| {
            let has_its_part = |member: &GroupMemberInfo| {
                let partitions = member.assignment().and_then(count);
                partitions.is_some_and(|partitions| partitions >= part)
            };
            group.state() == "Stable"
                && group.members().len() == members as usize
                && group.members().iter().all(has_its_part)
        })
    }

    /// Events that the matcher says it has committed.
    pub(crate) fn committed(matcher: &Process) -> f64 {
        matcher
            .metric("matcher_events_consumed_total")
            .unwrap_or_default()
    }
}

/// How many partitions of one topic an assignment has; its form is Kafka's `ConsumerProtocolAssignment`.
fn count(assignment: &[u8]) -> Option<u32> {
    // Version and number of topics, then the topic's name behind its length, then the partitions.
    let name = assignment.get(6..8)?;
    let name = usize::from(u16::from_be_bytes(name.try_into().ok()?));
    let partitions = assignment.get(8 + name..12 + name)?;
    Some(u32::from_be_bytes(partitions.try_into().ok()?))
}

/// So many campaigns of the shop.
pub(crate) fn campaigns(count: u32) -> Vec<Value> {
    let count = u64::from(count);
    (0..count).map(|n| shop::campaign(n, count)).collect()
}

/// The same in a shop that has so many times as many merchants, articles and tags.
pub(crate) fn campaigns_in(breadth: u32, count: u32) -> Vec<Value> {
    let (breadth, count) = (u64::from(breadth), u64::from(count));
    (0..count)
        .map(|n| shop::campaign_in(breadth, n, count))
        .collect()
}

/// A campaign that every event wins.
pub(crate) fn everything() -> Value {
    campaign("everything", &json!({"event_id": [{"exists": true}]}))
}

/// A campaign that one event in eleven wins: amounts are spread evenly below 500.
pub(crate) fn one_in_eleven() -> Value {
    let when = json!({"payload": {"amount": [{"numeric": ["<", 500.0 / 11.0]}]}});
    campaign("one-in-eleven", &when)
}

/// Ten campaigns, each of which concerns one event in so many; which `across` counts and `limits` allow, if given, wins.
pub(crate) fn ten(one_in: u32, across: Option<&Value>, limits: Option<&Value>) -> Vec<Value> {
    let width = 500.0 / f64::from(one_in);
    let ten = (0..10_u32).map(|n| {
        let from = width * f64::from(n);
        let range = json!([{"numeric": [">=", from, "<", from + width]}]);
        let mut campaign = campaign(
            &format!("tenth-{n}"),
            &json!({"payload": {"amount": range}}),
        );
        if let Some(across) = across {
            campaign["across"] = across.clone();
        }
        if let Some(limits) = limits {
            campaign["limits"] = limits.clone();
        }
        campaign
    });
    ten.collect()
}

fn campaign(id: &str, when: &Value) -> Value {
    json!({
        "id": id,
        "name": "Bench",
        "when": when,
        "reward": {"kind": "credit", "amount": "10.00", "currency": "USD"},
    })
}
