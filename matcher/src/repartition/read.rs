//! Reads all partitions of a topic to their true ends.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use service::kafka::Logged;

use super::RepartitionError;
use super::check::{ASK, Cluster, ask, make};

/// How often the end of open transactions is looked for.
const LOOK: Duration = Duration::from_millis(20);

/// How often progress is logged.
const REPORT: Duration = Duration::from_secs(5);

/// When nothing came for so long, nothing will.
const SILENCE: Duration = Duration::from_mins(1);

/// Shows each committed record, partition by partition in its order, from that offset on of each partition to where it ends
/// now. Whatever transaction is open is waited for: the end that a reader of committed records sees might otherwise lie before
/// records that are acknowledged (KAFKA-10167).
pub(super) fn each(
    cluster: &Cluster,
    (topic, from): (&str, &[Offset]),
    mut take: impl FnMut(&BorrowedMessage<'_>) -> Result<(), RepartitionError>,
) -> Result<(), RepartitionError> {
    let observer = make(&cluster.kafka.observer())?;
    let reader = make(&cluster.kafka.reader())?;
    let mut positions = TopicPartitionList::new();
    for (partition, offset) in (0..).zip(from) {
        let end = end(&observer, topic, partition)?;
        let begun = Instant::now();
        while self::end(&reader, topic, partition)? < end {
            if begun.elapsed() > SILENCE {
                return Err(silence("the end of a transaction", topic));
            }
            std::thread::sleep(LOOK);
        }
        positions
            .add_partition_offset(topic, partition, *offset)
            .map_err(ask(|| format!("topic {topic}")))?;
    }
    let assigned = reader.assign(&positions);
    assigned.map_err(ask(|| format!("topic {topic}")))?;
    let mut open: HashSet<i32> = (0..).zip(from).map(|(partition, _)| partition).collect();
    let (mut records, mut report) = (0_u64, Instant::now() + REPORT);
    while !open.is_empty() {
        match reader.poll(SILENCE) {
            Some(Ok(message)) => {
                take(&message)?;
                records += 1;
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                open.remove(&partition);
            }
            Some(Err(
                error @ (KafkaError::MessageConsumptionFatal(_)
                | KafkaError::MessageConsumption(
                    RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange,
                )),
            )) => return Err(ask(|| format!("the records of topic {topic}"))(error)),
            Some(Err(error)) => tracing::warn!(topic, %error, "reading"),
            None => return Err(silence("the records", topic)),
        }
        if Instant::now() >= report {
            tracing::info!(topic, records, "reading");
            report += REPORT;
        }
    }
    tracing::info!(topic, records, "read to its end");
    Ok(())
}

fn end(
    consumer: &BaseConsumer<Logged>,
    topic: &str,
    partition: i32,
) -> Result<i64, RepartitionError> {
    let watermarks = consumer.fetch_watermarks(topic, partition, ASK);
    let (_, end) = watermarks.map_err(ask(|| format!("the end of topic {topic}")))?;
    Ok(end)
}

fn silence(what: &str, topic: &str) -> RepartitionError {
    let error = KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut);
    ask(|| format!("{what} of topic {topic}"))(error)
}
