//! Checks of topics.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::Message as _;
use rdkafka::producer::BaseRecord;
use tests::wait;

use crate::clients::{Clients, PATIENCE};

pub(crate) fn create_twice(clients: &Clients) {
    let name = Clients::name("twice");
    let consumer = clients.consumer(&Clients::name("group"), &[]);
    let partitions = || {
        let metadata = consumer.fetch_metadata(Some(&name), PATIENCE);
        let metadata = metadata.expect("the broker answers");
        metadata.topics()[0].partitions().len()
    };
    assert_eq!(partitions(), 0, "asking for a topic does not make it");
    assert_eq!(clients.create(&name, 3, &[]), Ok(name.clone()));
    let exists = Err((name.clone(), RDKafkaErrorCode::TopicAlreadyExists));
    assert_eq!(clients.create(&name, 5, &[]), exists);
    wait::until("the topic", PATIENCE, || (partitions() == 3).then_some(()));
}

pub(crate) fn compaction(clients: &Clients) {
    let topic = clients.topic(1, &[("cleanup.policy", "compact"), ("segment.ms", "100")]);
    let producer = clients.producer();
    let write = |key: &str, value: Option<&str>| {
        let mut record = BaseRecord::<str, str>::to(&topic).key(key);
        record.payload = value;
        producer.send_record(record).expect("the record is taken")
    };
    for number in 0..50 {
        write("kept", Some(&number.to_string()));
        write("deleted", Some(&number.to_string()));
    }
    let last = write("kept", Some("last"));
    let tombstone = write("deleted", None);

    // The newest records are spared until others have come after them.
    wait::until("compaction", PATIENCE, || {
        write("later", Some("x"));
        let mut found = BTreeMap::<String, Vec<(i64, Option<String>)>>::new();
        clients.each(&topic, 0, "read_committed", |message| {
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            let key = text(message.key().unwrap_or_default());
            let value = message.payload().map(text);
            found
                .entry(key)
                .or_default()
                .push((message.offset(), value));
        });
        // Never is the last record of a key missing, however far compaction has come.
        let (kept, deleted) = (&found["kept"], &found["deleted"]);
        assert_eq!(kept.last(), Some(&(last, Some("last".to_owned()))));
        assert_eq!(deleted.last(), Some(&(tombstone, None)));
        std::thread::sleep(Duration::from_millis(100));
        (kept.len() == 1 && deleted.len() == 1).then_some(())
    });
}
