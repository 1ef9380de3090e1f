//! Topics from outside: made, written to and read to their end.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::metadata::MetadataPartition;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::wait;

/// A record to be written.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// Its headers.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// Its partition; by the key if there is none.
    pub partition: Option<i32>,
    /// Its timestamp, in milliseconds; the time of writing if there is none.
    pub timestamp: Option<i64>,
}

/// A record as it was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// Its headers.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// Its timestamp, in milliseconds.
    pub timestamp: Option<i64>,
}

impl Seen {
    /// The text of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().rev().find(|(key, _)| key == name)?;
        std::str::from_utf8(value.as_ref()?).ok()
    }

    /// The value as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(self.value.as_deref().unwrap_or_default()).unwrap_or_default()
    }
}

/// Settings that give each topic of the product a name of its own, which begins with that one.
pub fn names(installation: &str) -> impl Iterator<Item = (String, String)> {
    let topics = [
        "events",
        "campaigns",
        "campaign-changes",
        "matches",
        "claims",
        "customer-state",
        "budget-state",
        "refusals",
        "campaign-events",
        "audience-members",
        "dead-letters",
    ];
    topics.into_iter().map(move |topic| {
        let variable = format!("{}_TOPIC", topic.replace('-', "_").to_uppercase());
        (variable, format!("{installation}-{topic}"))
    })
}

/// Kafka as an upstream team and a reward service use it. Its own clients, not the product's.
pub struct Kafka {
    bootstrap: String,
    producer: ThreadedProducer<DefaultProducerContext>,
    /// To ask for the offsets of a group, one for each.
    groups: Mutex<HashMap<String, BaseConsumer>>,
    committed: BaseConsumer,
    uncommitted: BaseConsumer,
}

/// How far the records of a partition go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The last stable offset: no reader of committed records gets beyond.
    pub stable: i64,
    /// The high watermark: all that the broker has.
    pub high: i64,
}

impl Kafka {
    /// Clients of the broker at that address.
    pub fn new(bootstrap: &str) -> Self {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("message.max.bytes", "20000000")
            .set("linger.ms", "2")
            .set("queue.buffering.max.messages", "1000000")
            .set("reconnect.backoff.max.ms", "1000")
            .set("message.timeout.ms", "120000")
            .create()
            .expect("a producer");
        Self {
            bootstrap: bootstrap.to_owned(),
            producer,
            groups: Mutex::default(),
            committed: consumer(bootstrap, "tests", &[("isolation.level", "read_committed")]),
            uncommitted: consumer(
                bootstrap,
                "tests",
                &[("isolation.level", "read_uncommitted")],
            ),
        }
    }

    /// Makes a topic.
    ///
    /// # Panics
    /// When it exists.
    pub fn create_topic(&self, name: &str, partitions: i32, config: &[(&str, &str)]) {
        self.create(
            NewTopic::new(name, partitions, TopicReplication::Fixed(1)),
            config,
        );
    }

    /// Makes a topic whose partitions are all on that broker.
    ///
    /// # Panics
    /// When it exists.
    pub fn create_topic_on(
        &self,
        broker: i32,
        name: &str,
        partitions: i32,
        config: &[(&str, &str)],
    ) {
        let replicas = [broker];
        let assignment = vec![&replicas[..]; usize::try_from(partitions).expect("some")];
        let replication = TopicReplication::Variable(&assignment);
        self.create(NewTopic::new(name, partitions, replication), config);
    }

    fn create(&self, topic: NewTopic<'_>, config: &[(&str, &str)]) {
        let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .create()
            .expect("an admin client");
        let topic = config
            .iter()
            .fold(topic, |topic, (key, value)| topic.set(key, value));
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let results = runtime
            .block_on(admin.create_topics([&topic], &options))
            .expect("the broker answers");
        for result in results {
            let topic = result.expect("the topic can be made");
            partitions(&self.committed, &topic);
        }
    }

    /// Hands a record to the producer; [`Kafka::flush`] waits for the acknowledgements.
    pub fn send(&self, topic: &str, record: &Written) {
        loop {
            let headers = record
                .headers
                .iter()
                .fold(OwnedHeaders::new(), |all, (key, value)| {
                    all.insert(Header {
                        key,
                        value: value.as_deref(),
                    })
                });
            let mut written = BaseRecord::<[u8], [u8]>::to(topic).headers(headers);
            written.key = record.key.as_deref();
            written.payload = record.value.as_deref();
            written.partition = record.partition;
            written.timestamp = record.timestamp;
            match self.producer.send(written) {
                Ok(()) => return,
                Err((error, _)) => {
                    assert_eq!(
                        error.rdkafka_error_code(),
                        Some(rdkafka::types::RDKafkaErrorCode::QueueFull),
                        "{error}"
                    );
                    self.producer.poll(Duration::from_millis(10));
                }
            }
        }
    }

    /// Writes a document under a key.
    pub fn send_json(&self, topic: &str, key: &str, value: &serde_json::Value) {
        let record = Written {
            key: Some(key.as_bytes().to_vec()),
            value: Some(value.to_string().into_bytes()),
            ..Written::default()
        };
        self.send(topic, &record);
    }

    /// Waits until everything sent is acknowledged.
    pub fn flush(&self) {
        self.producer
            .flush(Duration::from_mins(2))
            .expect("the broker acknowledges");
    }

    /// A consumer of a whole topic from its beginning, as a reward service would have it: committed
    /// records only.
    pub fn reader(&self, topic: &str) -> Reader {
        let config = [
            ("isolation.level", "read_committed"),
            ("enable.partition.eof", "true"),
            ("fetch.wait.max.ms", "20"),
        ];
        let consumer = consumer(&self.bootstrap, "tests", &config);
        let mut all = TopicPartitionList::new();
        for partition in partitions(&consumer, topic) {
            all.add_partition_offset(topic, partition, Offset::Beginning)
                .expect("a partition once");
        }
        consumer.assign(&all).expect("partitions can be assigned");
        Reader { consumer }
    }

    /// All committed records of a topic, as they stand now.
    pub fn read_all(&self, topic: &str) -> Vec<Seen> {
        let mut seen = Vec::new();
        self.each(topic, |record| seen.push(record));
        seen
    }

    /// Takes each of them, those of a partition in their order.
    pub fn each(&self, topic: &str, mut take: impl FnMut(Seen)) {
        let reader = self.reader(topic);
        let mut open = reader.consumer.assignment().expect("an assignment").count();
        while open > 0 {
            match reader.consumer.poll(Duration::from_secs(30)) {
                Some(Ok(message)) => take(owned(&message)),
                Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
                Some(Err(error)) => eprintln!("reading {topic}: {error}"),
                None => panic!("{topic} was not read to its end within 30 s"),
            }
        }
    }

    /// A group's committed offset on each partition, 0 where there is none, whether a transaction that
    /// would move it is open or not; nothing while the broker does not answer.
    pub fn committed(&self, group: &str, topic: &str, partitions: i32) -> Option<Vec<i64>> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let asking = groups.entry(group.to_owned()).or_insert_with(|| {
            consumer(
                &self.bootstrap,
                group,
                &[("isolation.level", "read_uncommitted")],
            )
        });
        let mut list = TopicPartitionList::new();
        list.add_partition_range(topic, 0, partitions - 1);
        let committed = asking
            .committed_offsets(list, Duration::from_secs(2))
            .ok()?;
        let offsets = committed.elements().into_iter().map(|found| {
            found.error().ok()?;
            match found.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => Some(0),
            }
        });
        offsets.collect()
    }

    /// Commits offsets for a group without members, a partition each.
    pub fn commit(&self, group: &str, topic: &str, offsets: &[i64]) {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in (0..).zip(offsets) {
            list.add_partition_offset(topic, partition, Offset::Offset(*offset))
                .expect("a partition once");
        }
        consumer(&self.bootstrap, group, &[])
            .commit(&list, CommitMode::Sync)
            .expect("the broker commits");
    }

    /// How many members a consumer group has; nothing while the broker does not answer.
    pub fn members(&self, group: &str) -> Option<usize> {
        let groups = self
            .committed
            .fetch_group_list(Some(group), Duration::from_secs(2));
        let groups = groups.ok()?;
        let found = groups.groups().iter().find(|found| found.name() == group)?;
        Some(found.members().len())
    }

    /// Whether a consumer group has shared its partitions out and is at rest.
    pub fn is_at_rest(&self, group: &str) -> bool {
        let groups = self
            .committed
            .fetch_group_list(Some(group), Duration::from_secs(2));
        groups.is_ok_and(|groups| {
            groups
                .groups()
                .iter()
                .any(|found| found.state() == "Stable")
        })
    }

    /// How far each partition goes; nothing while the broker does not answer.
    pub fn ends(&self, topic: &str, partitions: i32) -> Option<Vec<End>> {
        let ask = |consumer: &BaseConsumer, partition| {
            let answer = consumer.fetch_watermarks(topic, partition, Duration::from_secs(2));
            answer.ok().map(|(_, end)| end)
        };
        let ends = (0..partitions).map(|partition| {
            // In this order an end that moves meanwhile never looks stable when it is not.
            let stable = ask(&self.committed, partition)?;
            let high = ask(&self.uncommitted, partition)?;
            Some(End { stable, high })
        });
        ends.collect()
    }
}

/// The partitions of a topic. Waits for it: a broker may not know at once what its controller has made.
fn partitions(consumer: &BaseConsumer, topic: &str) -> Vec<i32> {
    wait::until("the topic", Duration::from_secs(30), || {
        let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(5));
        let metadata = metadata.ok()?;
        let found = (metadata.topics().iter()).find(|found| found.name() == topic)?;
        let partitions = found.partitions().iter().map(MetadataPartition::id);
        let partitions: Vec<_> = partitions.collect();
        (!partitions.is_empty()).then_some(partitions)
    })
}

fn consumer(bootstrap: &str, group: &str, further: &[(&str, &str)]) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("reconnect.backoff.max.ms", "1000");
    for (name, value) in further {
        config.set(*name, *value);
    }
    config.create().expect("a consumer")
}

/// Reads a topic as it grows.
pub struct Reader {
    consumer: BaseConsumer,
}

impl Reader {
    /// The next record, if one comes in that time.
    pub fn next(&self, timeout: Duration) -> Option<Seen> {
        let deadline = std::time::Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            match self.consumer.poll(left) {
                Some(Ok(message)) => return Some(owned(&message)),
                _ if left.is_zero() => return None,
                _ => {}
            }
        }
    }
}

fn owned(message: &rdkafka::message::BorrowedMessage<'_>) -> Seen {
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        headers
            .iter()
            .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
            .collect()
    });
    Seen {
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers,
        timestamp: message.timestamp().to_millis(),
    }
}
