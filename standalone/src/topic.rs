//! Reads a topic to its end, and on.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use service::kafka::Logged;
use service::settings::KafkaSettings;

/// How long the broker may take to say which partitions there are.
const ASK: Duration = Duration::from_secs(10);

/// How much of a topic is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// All that is there.
    Beginning,
    /// At most so many records of each partition, the newest.
    Newest(u16),
}

/// Reads the committed records of a topic. Belongs to no consumer group.
pub struct TopicReader {
    consumer: BaseConsumer<Logged>,
    /// Partitions that were not yet read to their end.
    unfinished: BTreeSet<i32>,
}

impl TopicReader {
    /// Begins to read each partition. Blocks until the broker has named them.
    ///
    /// # Errors
    /// The broker cannot be reached or does not know the topic.
    pub fn begin(kafka: &KafkaSettings, topic: &str, start: Start) -> anyhow::Result<Self> {
        let offset = match start {
            Start::Beginning => Offset::Beginning,
            Start::Newest(records) => Offset::OffsetTail(records.into()),
        };
        // Retention may remove what we were about to read; then what is left is all there is.
        let mut config = kafka.reader();
        config.set("auto.offset.reset", "earliest");
        let consumer: BaseConsumer<Logged> = config.create_with_context(Logged)?;
        let metadata = consumer
            .fetch_metadata(Some(topic), ASK)
            .with_context(|| format!("asking for topic {topic}"))?;
        let mut beginning = TopicPartitionList::new();
        let mut unfinished = BTreeSet::new();
        for found in metadata.topics() {
            for partition in found.partitions() {
                beginning.add_partition_offset(topic, partition.id(), offset)?;
                unfinished.insert(partition.id());
            }
        }
        anyhow::ensure!(!unfinished.is_empty(), "topic {topic} does not exist");
        consumer.assign(&beginning)?;
        Ok(Self {
            consumer,
            unfinished,
        })
    }

    /// The next record, if one comes in that time.
    pub fn next(&mut self, timeout: Duration) -> Option<BorrowedMessage<'_>> {
        match self.consumer.poll(timeout)? {
            Ok(message) => Some(message),
            Err(KafkaError::PartitionEOF(partition)) => {
                self.unfinished.remove(&partition);
                None
            }
            Err(error) => {
                tracing::warn!(%error, "reading a topic");
                None
            }
        }
    }

    /// Whether every partition was read to the end it had at some moment since we began.
    pub fn is_at_end(&self) -> bool {
        self.unfinished.is_empty()
    }

    /// Reads on to the end. Blocks meanwhile.
    ///
    /// # Errors
    /// The end was not reached in that time.
    pub fn to_end(
        &mut self,
        timeout: Duration,
        mut each: impl FnMut(&BorrowedMessage<'_>),
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + timeout;
        while !self.is_at_end() {
            anyhow::ensure!(Instant::now() < deadline, "the broker is too slow");
            if let Some(message) = self.next(Duration::from_millis(100)) {
                each(&message);
            }
        }
        Ok(())
    }
}
