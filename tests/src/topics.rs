//! Topics from outside: made, written to and read to their end.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

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
}

/// A record as it was read.
#[derive(Debug, Clone, PartialEq)]
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

/// Kafka as an upstream team and a reward service use it. Its own clients, not the product's.
pub struct Kafka {
    bootstrap: String,
    producer: ThreadedProducer<DefaultProducerContext>,
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
        }
    }

    /// Makes a topic.
    pub fn create_topic(&self, name: &str, partitions: i32, config: &[(&str, &str)]) {
        let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .create()
            .expect("an admin client");
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
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
            result.expect("the topic can be made");
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
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("group.id", "tests")
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", "20")
            .set("reconnect.backoff.max.ms", "1000")
            .create()
            .expect("a consumer");
        let metadata = consumer
            .fetch_metadata(Some(topic), Duration::from_secs(30))
            .expect("the broker answers");
        let mut all = TopicPartitionList::new();
        for found in metadata.topics() {
            for partition in found.partitions() {
                all.add_partition_offset(found.name(), partition.id(), Offset::Beginning)
                    .expect("a partition once");
            }
        }
        consumer.assign(&all).expect("partitions can be assigned");
        Reader { consumer }
    }

    /// All committed records of a topic, as they stand now.
    pub fn read_all(&self, topic: &str) -> Vec<Seen> {
        let reader = self.reader(topic);
        let mut open = reader.consumer.assignment().expect("an assignment").count();
        let mut seen = Vec::new();
        while open > 0 {
            match reader.consumer.poll(Duration::from_secs(30)) {
                Some(Ok(message)) => seen.push(owned(&message)),
                Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
                Some(Err(error)) => eprintln!("reading {topic}: {error}"),
                None => panic!("{topic} was not read to its end within 30 s"),
            }
        }
        seen
    }

    /// The sum of a group's committed offsets on a topic.
    pub fn committed(&self, group: &str, topic: &str, partitions: i32) -> i64 {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("group.id", group)
            .create()
            .expect("a consumer");
        let mut list = TopicPartitionList::new();
        list.add_partition_range(topic, 0, partitions - 1);
        let committed = consumer.committed_offsets(list, Duration::from_secs(20));
        committed.map_or(0, |list| {
            let offsets = list
                .elements()
                .into_iter()
                .map(|found| match found.offset() {
                    Offset::Offset(offset) => offset,
                    _ => 0,
                });
            offsets.sum()
        })
    }
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
