//! The events' producers.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;

use crate::stage::Stage;

/// Keys and values of events.
pub(crate) type Events = Vec<(String, Vec<u8>)>;

/// So many events of the shop, done now.
pub(crate) fn events(count: u32) -> Events {
    events_in(1, count)
}

/// The same in a shop that has so many times as many merchants, articles and tags.
pub(crate) fn events_in(breadth: u32, count: u32) -> Events {
    let now = jiff::Timestamp::now().to_string();
    let breadth = u64::from(breadth);
    (0..u64::from(count))
        .map(|n| crate::shop::record_in(breadth, n, &now))
        .collect()
}

fn client(stage: &Stage) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &stage.bootstrap)
        .set("enable.idempotence", "true")
        .set("partitioner", "murmur2_random");
    config
}

/// A backlog that becomes visible as a whole: written in a transaction that is still open. So the
/// workers can share the partitions first and begin together.
pub(crate) struct Backlog {
    producer: ThreadedProducer<DefaultProducerContext>,
}

impl Backlog {
    /// Writes the events, without compression.
    pub(crate) fn write(stage: &Stage, events: &Events) -> Self {
        let backlog = Self::open(stage);
        let topic = stage.topic("events");
        for (key, value) in events {
            backlog.add((&topic, None), key, value);
        }
        backlog.flush();
        backlog
    }

    /// An empty one.
    pub(crate) fn open(stage: &Stage) -> Self {
        let producer: ThreadedProducer<DefaultProducerContext> = client(stage)
            .set("transactional.id", stage.topic("upstream"))
            .set("transaction.timeout.ms", "600000")
            .set("linger.ms", "20")
            .set("queue.buffering.max.messages", "200000")
            .create()
            .expect("a producer");
        let patience = Duration::from_mins(1);
        producer.init_transactions(patience).expect("a broker");
        producer.begin_transaction().expect("a transaction");
        Self { producer }
    }

    /// Adds a record to a topic, in that partition or else by its key.
    pub(crate) fn add(&self, (topic, partition): (&str, Option<i32>), key: &str, value: &[u8]) {
        send(&self.producer, (topic, partition), key, value);
    }

    /// Waits until the broker has all.
    pub(crate) fn flush(&self) {
        let patience = Duration::from_mins(1);
        let flushed = self.producer.flush(patience);
        flushed.expect("the broker takes records");
    }

    /// Lets the matchers see it.
    pub(crate) fn release(self) {
        self.producer
            .commit_transaction(Duration::from_mins(1))
            .expect("the broker commits");
    }
}

/// An upstream that sends each event at once.
pub(crate) struct Prompt {
    producer: ThreadedProducer<DefaultProducerContext>,
    topic: String,
}

impl Prompt {
    pub(crate) fn new(stage: &Stage) -> Self {
        let producer = client(stage).set("linger.ms", "0").create();
        Self {
            producer: producer.expect("a producer"),
            topic: stage.topic("events"),
        }
    }

    pub(crate) fn send(&self, (key, value): &(String, Vec<u8>)) {
        send(&self.producer, (&self.topic, None), key, value);
    }
}

fn send(
    producer: &ThreadedProducer<DefaultProducerContext>,
    (topic, partition): (&str, Option<i32>),
    key: &str,
    value: &[u8],
) {
    let mut record = BaseRecord::to(topic).key(key).payload(value);
    record.partition = partition;
    loop {
        match producer.send(record) {
            Ok(()) => return,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), returned)) => {
                record = returned;
                producer.poll(Duration::from_millis(1));
            }
            Err((error, _)) => panic!("a record cannot be sent: {error}"),
        }
    }
}
