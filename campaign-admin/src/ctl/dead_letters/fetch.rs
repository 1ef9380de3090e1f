//! One record, by its place.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use crate::ctl::kafka::{Cluster, Next, Quiet, Range, Reader, Record, TIMEOUT};

/// The record at that place; none if it is gone, has not been written, or is no record.
///
/// # Errors
/// No broker answers, or there is no such topic.
pub(super) fn one(
    cluster: &Cluster,
    topic: &str,
    partition: i32,
    offset: i64,
) -> anyhow::Result<Option<Record>> {
    let asking: BaseConsumer<Quiet> = cluster.kafka.reader().create_with_context(Quiet)?;
    if !cluster.partitions(&asking, topic)?.contains(&partition) {
        return Ok(None);
    }
    let (low, end) = asking
        .fetch_watermarks(topic, partition, TIMEOUT)
        .with_context(|| cluster.away())?;
    if !(low..end).contains(&offset) {
        return Ok(None);
    }
    let range = Range {
        start: offset,
        end: offset + 1,
    };
    let reader = Reader::of_ranges(cluster, topic, BTreeMap::from([(partition, range)]))?;
    let deadline = Instant::now() + TIMEOUT;
    while Instant::now() < deadline {
        match reader.next(Duration::from_millis(100))? {
            Next::Record(record) => {
                return Ok((record.offset() == offset).then(|| Record::from(&record)));
            }
            Next::End(_) => return Ok(None),
            Next::Nothing => {}
        }
    }
    anyhow::bail!(
        "{topic}:{partition}:{offset} was not sent within {} s",
        TIMEOUT.as_secs()
    );
}
