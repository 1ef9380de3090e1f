//! Reads all partitions of a topic to their true ends.

use std::time::{Duration, Instant};

use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::Offset;
use service::kafka::reader::{Next, ReadError, TopicReader, TopicSource};

use super::RepartitionError;
use super::check::Cluster;

/// How often progress is logged.
const REPORT: Duration = Duration::from_secs(5);

/// Longest wait for the next record before it is looked how long that has been.
const IDLE: Duration = Duration::from_secs(1);

/// When nothing came for so long, nothing will; nor does a transaction end that was open for so long.
const SILENCE: Duration = Duration::from_mins(1);

/// Shows each committed record, partition by partition in its order, from that offset on of each partition to where it ends
/// now. Whatever transaction is open is waited for.
pub(super) fn each(
    cluster: &Cluster,
    (topic, from): (&str, &[Offset]),
    mut take: impl FnMut(&BorrowedMessage<'_>) -> Result<(), RepartitionError>,
) -> Result<(), RepartitionError> {
    let (mut records, mut report) = (0_u64, Instant::now() + REPORT);
    for (partition, offset) in (0..).zip(from) {
        let reader = TopicReader::open(&TopicSource {
            partition: Some(partition),
            ..TopicSource::new(&cluster.kafka, topic)
        })?;
        let begun = Instant::now();
        reader.begin(*offset, || begun.elapsed() <= SILENCE)?;
        let mut heard = Instant::now();
        loop {
            match reader.next(IDLE)? {
                Next::Record(message) => {
                    take(&message)?;
                    records += 1;
                    heard = Instant::now();
                }
                Next::End => break,
                Next::Nothing if heard.elapsed() <= SILENCE => {}
                Next::Nothing => {
                    let topic = topic.to_owned();
                    return Err(ReadError::GivenUp { topic }.into());
                }
            }
            if Instant::now() >= report {
                tracing::info!(topic, records, "reading");
                report += REPORT;
            }
        }
    }
    tracing::info!(topic, records, "read to its end");
    Ok(())
}
