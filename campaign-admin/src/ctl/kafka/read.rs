//! A topic read in the order of its partitions' records, committed ones only.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Message as _, Offset, TopicPartitionList};

use super::{Cluster, Quiet, Start, TIMEOUT};

/// From which offset to before which other one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) start: i64,
    /// The end as it was when it was asked for: the offset that the next record will get.
    pub(crate) end: i64,
}

impl Range {
    /// How many offsets it spans; some may be gone or be marks of transactions.
    pub(crate) fn span(self) -> u64 {
        u64::try_from(self.end - self.start).unwrap_or(0)
    }
}

/// A reader of one topic. Commits nothing and belongs to no group.
pub(crate) struct Reader {
    consumer: BaseConsumer<Quiet>,
    topic: String,
    bootstrap: String,
    /// Of the partitions that are read.
    pub(crate) ranges: BTreeMap<i32, Range>,
}

/// What a poll brought.
pub(crate) enum Next<'r> {
    /// A record.
    Record(BorrowedMessage<'r>),
    /// All that there is of this partition has been read.
    End(i32),
    /// Nothing in that time.
    Nothing,
}

impl Reader {
    /// A reader that stands at `start` in every partition.
    ///
    /// # Errors
    /// No broker answers, or there is no such topic.
    pub(crate) fn open(cluster: &Cluster, topic: &str, start: Start) -> anyhow::Result<Self> {
        let consumer: BaseConsumer<Quiet> = cluster.kafka.reader().create_with_context(Quiet)?;
        let partitions = cluster.partitions(&consumer, topic)?;
        let mut ranges = BTreeMap::new();
        for partition in partitions {
            let (low, end) = consumer
                .fetch_watermarks(topic, partition, TIMEOUT)
                .with_context(|| cluster.away())?;
            let start = if start == Start::Beginning { low } else { end };
            ranges.insert(partition, Range { start, end });
        }
        if let Start::Since(at) = start {
            let mut asked = TopicPartitionList::new();
            for partition in ranges.keys() {
                let time = Offset::Offset(at.as_millisecond().max(0));
                asked.add_partition_offset(topic, *partition, time)?;
            }
            let found =
                (consumer.offsets_for_times(asked, TIMEOUT)).with_context(|| cluster.away())?;
            for found in found.elements() {
                found.error()?;
                // Without a record of that time or later the end is meant.
                if let (Some(range), Offset::Offset(offset)) =
                    (ranges.get_mut(&found.partition()), found.offset())
                {
                    range.start = offset.clamp(0, range.end);
                }
            }
        }
        let reader = Self {
            consumer,
            topic: topic.to_owned(),
            bootstrap: cluster.kafka.bootstrap_servers.clone(),
            ranges,
        };
        reader.assign()?;
        Ok(reader)
    }

    /// A reader of these ranges.
    ///
    /// # Errors
    /// The client cannot be made.
    pub(crate) fn of_ranges(
        cluster: &Cluster,
        topic: &str,
        ranges: BTreeMap<i32, Range>,
    ) -> anyhow::Result<Self> {
        let reader = Self {
            consumer: cluster.kafka.reader().create_with_context(Quiet)?,
            topic: topic.to_owned(),
            bootstrap: cluster.kafka.bootstrap_servers.clone(),
            ranges,
        };
        reader.assign()?;
        Ok(reader)
    }

    fn assign(&self) -> anyhow::Result<()> {
        let mut assignment = TopicPartitionList::new();
        for (partition, range) in &self.ranges {
            let offset = Offset::Offset(range.start);
            assignment.add_partition_offset(&self.topic, *partition, offset)?;
        }
        self.consumer.assign(&assignment)?;
        Ok(())
    }

    /// How many offsets the ranges span.
    pub(crate) fn span(&self) -> u64 {
        self.ranges.values().map(|range| range.span()).sum()
    }

    /// The next record, if one comes in that time.
    ///
    /// # Errors
    /// Something that waiting does not mend; a broker that is away is waited for.
    pub(crate) fn next(&self, timeout: Duration) -> anyhow::Result<Next<'_>> {
        match self.consumer.poll(timeout) {
            None => Ok(Next::Nothing),
            Some(Err(KafkaError::PartitionEOF(partition))) => Ok(Next::End(partition)),
            Some(Ok(record)) => Ok(Next::Record(record)),
            Some(Err(error)) => match error.rdkafka_error_code() {
                Some(
                    code @ (RDKafkaErrorCode::AutoOffsetReset
                    | RDKafkaErrorCode::OffsetOutOfRange
                    | RDKafkaErrorCode::TopicAuthorizationFailed
                    | RDKafkaErrorCode::UnknownTopicOrPartition
                    | RDKafkaErrorCode::Fatal),
                ) => bail!(
                    "{} at {} cannot be read: {code}",
                    self.topic,
                    self.bootstrap
                ),
                _ => Ok(Next::Nothing),
            },
        }
    }

    /// Every record of the ranges, to their ends. Stops early when `each` says so or when it is
    /// interrupted.
    ///
    /// # Errors
    /// As [`Reader::next`], and those of `each`.
    pub(crate) fn each(
        &self,
        interrupted: &AtomicBool,
        mut each: impl FnMut(&BorrowedMessage<'_>) -> anyhow::Result<ControlFlow<()>>,
    ) -> anyhow::Result<()> {
        let mut open: BTreeMap<i32, i64> = (self.ranges.iter())
            .filter(|(_, range)| range.start < range.end)
            .map(|(partition, range)| (*partition, range.end))
            .collect();
        while !open.is_empty() && !interrupted.load(Ordering::Relaxed) {
            match self.next(Duration::from_millis(200))? {
                Next::Record(record) => {
                    let (partition, next) = (record.partition(), record.offset() + 1);
                    let Some(&end) = open.get(&partition) else {
                        continue;
                    };
                    if next <= end && each(&record)?.is_break() {
                        return Ok(());
                    }
                    if next >= end {
                        open.remove(&partition);
                    }
                }
                // The last offsets may be marks of transactions, which are no records.
                Next::End(partition) => {
                    open.remove(&partition);
                }
                Next::Nothing => {}
            }
        }
        Ok(())
    }
}

/// Set when the user presses Ctrl-C. A second time ends the program at once.
pub(crate) fn interrupted() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            if set.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
        }
    });
    flag
}
