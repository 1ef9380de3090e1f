//! What the embedded broker does not keep to, and that what is done about it helps. Whoever reads here
//! that a fault has been mended can take out what was done.

use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::producer::BaseRecord;
use standalone::broker::{Broker, BrokerSettings};
use tempfile::TempDir;
use tests::standalone::Standalone;
use tests::wait;

use crate::clients::{Clients, PATIENCE};

/// Commits a record under that transactional id; returns whether a reader of committed records sees it.
fn commits_visibly(clients: &Clients, id: &str, topic: &str) -> bool {
    let producer = clients.transactional(id);
    producer.begin();
    assert!(producer.send(topic, 0, id).is_ok());
    producer.commit().expect("the transaction commits");
    clients.committed(topic, 0).contains(&id.to_owned())
}

#[test]
fn after_a_crash_only_a_new_transactional_id_commits_visibly_on_the_embedded_broker() {
    let folder = TempDir::new().expect("a folder");
    let before = Standalone::start(folder.path(), &[("SAMPLES", "false")]);
    let clients = Clients::new(&before.bootstrap);
    let topic = clients.topic(1, &[]);
    assert!(commits_visibly(&clients, "settled", &topic));
    let open = clients.transactional("open");
    open.begin();
    assert!(open.send(&topic, 0, "lost").is_ok());
    before.process.kill();

    let after = Standalone::start(folder.path(), &[("SAMPLES", "false")]);
    let clients = Clients::new(&after.bootstrap);
    assert_eq!(clients.committed(&topic, 0), ["settled"]);
    assert!(commits_visibly(&clients, "new", &topic));
    assert!(commits_visibly(&clients, "settled", &topic));
    assert!(
        !commits_visibly(&clients, "open", &topic),
        "the embedded broker has been mended: `standalone` needs no boot id any more, and can fence \
         what a crash left open"
    );
    assert_eq!(
        clients.uncommitted(&topic, 0).last().map(String::as_str),
        Some("open")
    );
}

/// An embedded broker that tidies up often.
fn tidy(folder: Option<&TempDir>) -> Broker {
    let settings = BrokerSettings {
        data_dir: folder.map(|folder| folder.path().to_owned()),
        cleaner_interval: Duration::from_millis(100),
        ..BrokerSettings::default()
    };
    Broker::start(&settings).expect("the embedded broker starts")
}

/// The offset of the first record of a topic.
fn beginning(clients: &Clients, topic: &str) -> i64 {
    let consumer = clients.consumer(&Clients::name("group"), &[]);
    let marks = consumer.fetch_watermarks(topic, 0, PATIENCE);
    marks.expect("the broker answers").0
}

#[test]
fn topics_of_the_embedded_broker_are_cut_to_their_retention_also_after_a_restart() {
    let folder = TempDir::new().expect("a folder");
    let broker = tidy(Some(&folder));
    let clients = Clients::new(&broker.bootstrap_servers());
    let topic = clients.topic(
        1,
        &[("retention.bytes", "100000"), ("segment.bytes", "10000")],
    );
    drop(broker);
    let broker = tidy(Some(&folder));
    let clients = Clients::new(&broker.bootstrap_servers());
    let producer = clients.producer();
    for _ in 0..10 {
        for _ in 0..30 {
            let value = "x".repeat(1_000);
            producer.enqueue(BaseRecord::<str, str>::to(&topic).payload(&value));
        }
        // A batch each: retention takes whole ones.
        assert!(producer.reports().iter().all(Result::is_ok));
    }
    wait::until("retention", PATIENCE, || {
        (beginning(&clients, &topic) > 150).then_some(())
    });
}

#[test]
fn compacted_topics_of_the_embedded_broker_lose_old_records_unless_they_say_otherwise() {
    let broker = tidy(None);
    let clients = Clients::new(&broker.bootstrap_servers());
    let compacted = ("cleanup.policy", "compact");
    let (lost, kept) = (
        clients.topic(1, &[compacted]),
        clients.topic(1, &[compacted, ("retention.ms", "-1")]),
    );
    let long_ago = jiff::Timestamp::now().as_millisecond() - 30 * 24 * 60 * 60 * 1_000;
    let producer = clients.producer();
    for topic in [&kept, &lost] {
        let record = BaseRecord::<str, str>::to(topic).key("k").payload("v");
        assert!(producer.send_record(record.timestamp(long_ago)).is_ok());
    }
    wait::until("the embedded broker to lose a record", PATIENCE, || {
        clients.committed(&lost, 0).is_empty().then_some(())
    });
    assert_eq!(clients.committed(&kept, 0), ["v"]);
}
