//! Several replicas that take changes at the same time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use service::kafka::config::KafkaConfig;
use service::settings::KafkaSettings;
use tests::servers::Server;
use tests::wait;

use crate::client::Api;
use crate::installation::{Installation, PATIENCE, Replica};
use crate::load::{self, Ledger};

/// Lets clients change campaigns while something is done. Client `n` talks to the replica that
/// `apis` has at `n` modulo their number.
fn under_load(apis: &Mutex<Vec<Api>>, clients: usize, ledger: &Ledger, during: impl FnOnce()) {
    let stopped = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for number in 0..clients {
            let (stopped, ledger) = (&stopped, ledger);
            scope.spawn(move || {
                let api = move || {
                    let apis = apis.lock().unwrap_or_else(PoisonError::into_inner);
                    apis[number % apis.len()].clone()
                };
                load::client(&api, number * 1000, ledger, stopped);
            });
        }
        during();
        stopped.store(true, Ordering::Relaxed);
    });
}

fn wait_acknowledged(ledger: &Ledger, more: usize) {
    let before = ledger.acknowledged();
    wait::until("changes to be acknowledged", PATIENCE, || {
        (ledger.acknowledged() >= before + more).then_some(())
    });
}

#[test]
fn two_replicas_take_changes_at_the_same_time_and_none_is_lost_or_made_twice() {
    let installation = Installation::new();
    let (one, other) = (installation.replica(), installation.replica());
    load::prepare(&one.api);
    let ledger = Ledger::default();
    let apis = Mutex::new(vec![one.api.clone(), other.api.clone()]);
    let metric = |replica: &Replica, name| replica.process.metric(name).unwrap_or(0.0);
    under_load(&apis, 8, &ledger, || {
        wait_acknowledged(&ledger, 400);
        // Both take part, and each is fenced by the other again and again.
        wait::until("fights for the topic", PATIENCE, || {
            let has_fought = |replica| {
                metric(replica, "admin_campaign_changes_total") > 20.0
                    && metric(replica, "admin_takeovers_total") >= 10.0
            };
            (has_fought(&one) && has_fought(&other)).then_some(())
        });
    });
    println!(
        "{} changes, {} conflicts, {} told to try again, {} and {} takeovers",
        ledger.acknowledged(),
        ledger.conflicts.load(Ordering::Relaxed),
        ledger.busy.load(Ordering::Relaxed),
        metric(&one, "admin_takeovers_total"),
        metric(&other, "admin_takeovers_total"),
    );
    load::check(&installation, &ledger);
    assert_eq!(ledger.unknown.load(Ordering::Relaxed), 0);
    // Both say the same.
    let list = |api: &Api| api.get("/v1/campaigns?page_size=500").is(200).json;
    let expected = list(&one.api);
    other.wait_for("the same campaigns", |api| {
        (list(api) == expected).then_some(())
    });
}

#[test]
fn a_replica_killed_under_load_loses_no_change_that_was_acknowledged() {
    let installation = Installation::new();
    let one = installation.replica();
    load::prepare(&one.api);
    let ledger = Ledger::default();
    let mut victim = installation.replica();
    let apis = Mutex::new(vec![one.api.clone(), victim.api.clone()]);
    under_load(&apis, 6, &ledger, || {
        for _ in 0..3 {
            wait_acknowledged(&ledger, 60);
            victim.process.kill();
            // The other one goes on alone.
            wait_acknowledged(&ledger, 30);
            victim = installation.replica();
            apis.lock().unwrap_or_else(PoisonError::into_inner)[1] = victim.api.clone();
        }
        wait_acknowledged(&ledger, 60);
    });
    load::check(&installation, &ledger);
}

#[test]
fn a_replica_that_stood_still_changes_nothing_that_others_changed_meanwhile() {
    let installation = Installation::new();
    let (one, other) = (installation.replica(), installation.replica());
    load::prepare(&one.api);
    let path = "/v1/campaigns/shared-0";
    // It has the producer, and believes itself current.
    let document = one.api.get(path).is(200).json;
    one.process.signal("STOP");
    let mut changed = document.clone();
    changed["name"] = "changed meanwhile".into();
    let tag = other.wait_for("the campaign", |api| {
        let answer = api.get(path);
        (answer.status == 200).then(|| answer.tag())
    });
    assert_eq!(tag, "1");
    assert_eq!(other.api.put(path, "1", &changed).is(200).tag(), "2");
    one.process.signal("CONT");
    // Both what is refused and what is done is so by the newest state.
    let mut lost = document;
    lost["name"] = "lost".into();
    assert_eq!(one.api.put(path, "1", &lost).is(412).tag(), "2");
    let created = one
        .api
        .post("/v1/campaigns", &crate::installation::campaign("new", ""));
    assert_eq!(created.is(201).tag(), "1");
    let twice = other
        .api
        .post("/v1/campaigns", &crate::installation::campaign("new", ""));
    assert_eq!(twice.is(409).tag(), "1");
}

/// A transaction of somebody else hides what comes behind it, so no replica can know of the change of the other
/// before that transaction ends. Who takes over must wait for that; by what it knows, it would write over it.
#[test]
fn who_takes_over_decides_only_after_everything_before_is_read() {
    let installation = Installation::new();
    let (one, other) = (installation.replica(), installation.replica());
    load::prepare(&one.api);
    let path = "/v1/campaigns/shared-0";
    let document = one.api.get(path).is(200).json;
    let named = |name: &str| {
        let mut document = document.clone();
        document["name"] = name.into();
        document
    };
    // It has the producer, and has read everything.
    let begun = |api: &Api| {
        let answer = api.post("/v1/campaigns/shared-1:pause", &serde_json::json!({}));
        (answer.status == 200).then_some(())
    };
    other.wait_for("a change by the other one", begun);
    let clients = KafkaSettings {
        bootstrap_servers: Server::shared_kafka().address().to_owned(),
        config: KafkaConfig::default(),
    };
    let name = format!("{}-stranger", installation.world.name);
    let stranger = clients.transactional_producer(&name);
    let stranger: BaseProducer = stranger.create().unwrap();
    stranger.init_transactions(PATIENCE).unwrap();
    stranger.begin_transaction().unwrap();
    let topic = installation.world.topic("campaigns");
    let record = BaseRecord::to(&topic).key("shared-0").payload("{}");
    stranger.send(record).map_err(|(error, _)| error).unwrap();
    stranger.flush(PATIENCE).unwrap();

    let changed = other.api.put(path, "1", &named("changed"));
    assert_eq!(changed.is(200).tag(), "2");
    let takeovers = || one.process.metric("admin_takeovers_total");
    let before = takeovers();
    let answer = std::thread::scope(|scope| {
        let answer = scope.spawn(|| one.api.put(path, "1", &named("written over")));
        wait::until("the takeover", PATIENCE, || {
            (takeovers() > before).then_some(())
        });
        stranger.abort_transaction(PATIENCE).unwrap();
        answer.join().unwrap()
    });
    assert_eq!(answer.is(412).tag(), "2");
    assert_eq!(one.api.get(path).is(200).json["name"], "changed");
}

#[test]
fn a_change_is_made_in_milliseconds_by_a_replica_that_is_alone() {
    let installation = Installation::new();
    let replica = installation.replica();
    load::prepare(&replica.api);
    let begun = std::time::Instant::now();
    for _ in 0..50 {
        for verb in ["pause", "resume"] {
            let path = format!("/v1/campaigns/shared-0:{verb}");
            replica.api.post(&path, &serde_json::json!({})).is(200);
        }
    }
    println!("a change takes {:?}", begun.elapsed() / 100);
    // One producer for all of them: none was begun for a change.
    let takeovers = replica
        .process
        .metric("admin_takeovers_total")
        .expect("a metric");
    assert!(takeovers < 3.0, "{takeovers} producers for 100 changes");
}
