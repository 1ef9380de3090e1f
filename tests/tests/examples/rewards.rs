//! What a reward service must do.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::{Value, json};
use tests::servers::Server;
use tests::topics::{Seen, Written};
use tests::wait;
use tests::world::World;

const PATIENCE: Duration = Duration::from_mins(2);

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Lets matches come while a reward service is killed and started again, some of them twice and some in a
/// transaction that is aborted; and what becomes of matches that are held or taken back. `read` reads the ledger: the id of each
/// match whose reward was given, and of each return after a minus.
pub(crate) fn check(
    name: &str,
    program: impl Fn() -> Command,
    read: impl Fn(&Path) -> Vec<String>,
) {
    let world = World::new(Server::shared_kafka().address(), None);
    let matcher = world.matcher("m");
    world.produce(200);
    world.wait_quiet();
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = folder.path().join("ledger");
    let start = || {
        let mut program = program();
        let child = program
            .arg(&ledger)
            .env("KAFKA_BOOTSTRAP_SERVERS", Server::shared_kafka().address())
            .env("MATCHES_TOPIC", world.topic("matches"))
            .env("GROUP", world.topic("rewards"))
            .spawn();
        Running(child.unwrap_or_else(|error| panic!("{program:?}: {error}")))
    };
    let first = start();
    wait::until("the first rewards", PATIENCE, || {
        (!read(&ledger).is_empty()).then_some(())
    });
    world.under_load(500, || drop(first));
    world.wait_quiet();
    let won = world.read("matches");
    // Whatever comes twice counts once; what was aborted and what is no match counts for nothing.
    let topic = world.topic("matches");
    for again in won.iter().take(50) {
        let record = Written {
            key: again.key.clone(),
            value: again.value.clone(),
            partition: Some(again.partition),
            ..Written::default()
        };
        world.kafka.send(&topic, &record);
    }
    world.kafka.send(
        &topic,
        &Written {
            value: Some(b"garbage".to_vec()),
            ..Written::default()
        },
    );
    let mut expected: BTreeSet<String> = (won.iter())
        .map(|seen| seen.json()["match_id"].as_str().expect("an id").to_owned())
        .collect();
    become_more(&world, &won[0], &mut expected);
    world.kafka.flush();
    abort(&topic, won[0].value.as_deref().expect("a match"));

    let _second = start();
    wait::until("all rewards", PATIENCE, || {
        let given: BTreeSet<_> = read(&ledger).into_iter().collect();
        (given.len() >= expected.len()).then_some(())
    });
    wait::until("the group to be at the end", PATIENCE, || {
        let partitions = tests::world::PARTITIONS;
        let group = world.topic("rewards");
        let committed = world.kafka.committed(&group, &topic, partitions)?;
        let ends = world.kafka.ends(&topic, partitions)?;
        let is_at_end = |(committed, end): (&i64, &tests::topics::End)| *committed >= end.stable;
        committed.iter().zip(&ends).all(is_at_end).then_some(())
    });
    let given = read(&ledger);
    let distinct: BTreeSet<_> = given.iter().cloned().collect();
    assert_eq!(distinct, expected, "{name}");
    assert_eq!(
        given.len(),
        distinct.len(),
        "{name}: a reward was given twice"
    );
    drop(matcher);
}

/// Writes matches that are like one of which something becomes, and a customer who is to be forgotten; says what is expected of them.
fn become_more(world: &World, like: &Seen, expected: &mut BTreeSet<String>) {
    let topic = world.topic("matches");
    let send = |id: &str, fields: &[(&str, Value)]| {
        let mut json = like.json();
        json["match_id"] = id.into();
        for (name, value) in fields {
            json[name] = value.clone();
        }
        let record = Written {
            key: like.key.clone(),
            value: Some(json.to_string().into_bytes()),
            partition: Some(like.partition),
            ..Written::default()
        };
        world.kafka.send(&topic, &record);
    };
    let pending = ("status", json!("pending"));
    let confirmed = ("status", json!("confirmed"));
    send("held:c", std::slice::from_ref(&pending));
    send("kept:c", &[pending]);
    send("kept:c", &[confirmed]);
    let reversal = json!({"reversal_id": "r:kept:c", "amount": "0.5", "whole": false});
    let reversed = [("status", json!("reversed")), ("reversal", reversal)];
    send("kept:c", &reversed);
    send("kept:c", &reversed);
    send("unknown:c", &[("status", json!("of a later release"))]);
    expected.extend(["kept:c".to_owned(), "-r:kept:c".to_owned()]);
    let forgotten = Written {
        key: Some(b"somebody".to_vec()),
        partition: Some(like.partition),
        ..Written::default()
    };
    world.kafka.send(&topic, &forgotten);
}

/// Writes a match that was never won.
fn abort(topic: &str, value: &[u8]) {
    let text = String::from_utf8_lossy(value);
    let mut never: serde_json::Value = serde_json::from_str(&text).expect("a match is JSON");
    never["match_id"] = "never-won".into();
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", Server::shared_kafka().address())
        .set("transactional.id", format!("{topic}-aborts"))
        .create()
        .expect("a producer");
    let patience = Duration::from_secs(30);
    producer
        .init_transactions(patience)
        .expect("the broker answers");
    producer.begin_transaction().expect("a transaction");
    let value = never.to_string();
    let record = BaseRecord::<(), _>::to(topic).payload(value.as_bytes());
    assert!(producer.send(record).is_ok(), "it is sent");
    producer.flush(patience).expect("the broker has it");
    producer.abort_transaction(patience).expect("it is aborted");
}
