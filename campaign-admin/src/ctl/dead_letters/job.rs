//! A redrive with its progress: what was sent and how far it came are committed together.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};

use super::show::Place;
use crate::ctl::kafka::{Cluster, Outgoing, Producer, Quiet, Range, Reader, Start, TIMEOUT};

/// Most letters in a transaction.
const BATCH: usize = 500;

/// Longest time that a transaction is left open, far below the broker's own limit of
/// [`service::kafka::clients::TRANSACTION_TIMEOUT_MS`].
const BATCH_TIME: Duration = Duration::from_secs(1);

/// A name made of a text: the same on every machine and in every version (FNV-1a).
pub(super) fn name(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// Where a job begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begin {
    /// With the oldest letter, and not where it stopped.
    pub(super) afresh: bool,
    /// Not before that time.
    pub(super) since: Option<Timestamp>,
}

/// A redrive under a name. At most one of that name works at a time: a later one fences the earlier.
pub(super) struct Job {
    pub(super) name: String,
    topic: String,
    /// What is left to go through, up to the end as it was at the start.
    pub(super) ranges: BTreeMap<i32, Range>,
    /// Belongs to the group that keeps the progress, and reads nothing.
    consumer: BaseConsumer<Quiet>,
    /// None if nothing is to be sent.
    producer: Option<Producer>,
    batch: Option<Batch>,
    /// By partition, the offset after the last letter that was gone through since the last commit.
    positions: BTreeMap<i32, i64>,
    /// Whether some of it was committed.
    has_committed: bool,
}

struct Batch {
    begun: Instant,
    letters: usize,
}

impl Job {
    /// Takes over the job of that name.
    ///
    /// # Errors
    /// No broker answers, or the progress cannot be read.
    pub(super) fn open(cluster: &Cluster, name: String, begin: Begin) -> anyhow::Result<Self> {
        // Before the progress is read: what an earlier one has open is ended by this.
        let producer = Producer::open(cluster, Some(&group(&name)))?;
        Self::with(cluster, name, begin, Some(producer))
    }

    /// The same, but nothing is sent and no progress is kept.
    ///
    /// # Errors
    /// No broker answers, or the progress cannot be read.
    pub(super) fn try_out(cluster: &Cluster, name: String, begin: Begin) -> anyhow::Result<Self> {
        Self::with(cluster, name, begin, None)
    }

    fn with(
        cluster: &Cluster,
        name: String,
        begin: Begin,
        producer: Option<Producer>,
    ) -> anyhow::Result<Self> {
        let topic = cluster.topics.dead_letters_topic.clone();
        let start = begin.since.map_or(Start::Beginning, Start::Since);
        let mut ranges = Reader::open(cluster, &topic, start)?.ranges;
        let mut config = cluster.kafka.reader();
        config.set("group.id", group(&name));
        let consumer: BaseConsumer<Quiet> = config.create_with_context(Quiet)?;
        if !begin.afresh {
            let mut asked = TopicPartitionList::new();
            for partition in ranges.keys() {
                asked.add_partition(&topic, *partition);
            }
            let committed = consumer
                .committed_offsets(asked, TIMEOUT)
                .context("the job's progress cannot be read")?;
            for found in committed.elements() {
                found.error().context("the job's progress cannot be read")?;
                if let (Some(range), Offset::Offset(offset)) =
                    (ranges.get_mut(&found.partition()), found.offset())
                {
                    range.start = range.start.max(offset);
                }
            }
        }
        Ok(Self {
            name,
            topic,
            ranges,
            consumer,
            producer,
            batch: None,
            positions: BTreeMap::new(),
            has_committed: false,
        })
    }

    /// Sends a record with the next commit.
    ///
    /// # Errors
    /// It can never be sent, or another one took over the job.
    pub(super) fn send(&mut self, outgoing: Outgoing<'_>) -> anyhow::Result<()> {
        let Some(producer) = &self.producer else {
            return Ok(());
        };
        if self.batch.is_none() {
            producer.begin()?;
        }
        let batch = self.batch.get_or_insert_with(|| Batch {
            begun: Instant::now(),
            letters: 0,
        });
        batch.letters += 1;
        producer.send(outgoing)
    }

    /// Notes that the letter at that place has been dealt with.
    ///
    /// # Errors
    /// A commit was due and failed.
    pub(super) fn passed(&mut self, place: Place) -> anyhow::Result<()> {
        self.positions.insert(place.partition, place.offset + 1);
        let is_due = self
            .batch
            .as_ref()
            .is_some_and(|batch| batch.letters >= BATCH || batch.begun.elapsed() >= BATCH_TIME);
        if is_due { self.commit() } else { Ok(()) }
    }

    /// Commits what is left; if the job `is_whole`, all that was there is behind it.
    ///
    /// # Errors
    /// The commit failed.
    pub(super) fn finish(&mut self, is_whole: bool) -> anyhow::Result<()> {
        if is_whole {
            let ends = self
                .ranges
                .iter()
                .map(|(partition, range)| (*partition, range.end));
            self.positions.extend(ends);
        }
        self.commit()
    }

    /// Whether some of what it did was committed.
    pub(super) fn has_committed(&self) -> bool {
        self.has_committed
    }

    /// Whether all that it went through was committed.
    pub(super) fn is_settled(&self) -> bool {
        self.positions.is_empty()
    }

    /// Gives up what is not committed.
    pub(super) fn abort(&self) {
        if let (Some(producer), Some(_)) = (&self.producer, &self.batch) {
            producer.abort();
        }
    }

    fn commit(&mut self) -> anyhow::Result<()> {
        let Some(producer) = &self.producer else {
            return Ok(());
        };
        if self.batch.is_none() {
            producer.begin()?;
        }
        let mut positions = TopicPartitionList::new();
        for (partition, next) in &self.positions {
            positions.add_partition_offset(&self.topic, *partition, Offset::Offset(*next))?;
        }
        let group = self.consumer.group_metadata();
        let group = group.context("the consumer has a group")?;
        producer
            .commit(&positions, &group)
            .inspect_err(|_| producer.abort())?;
        self.batch = None;
        self.positions.clear();
        self.has_committed = true;
        Ok(())
    }
}

fn group(job: &str) -> String {
    format!("campaignctl-redrive-{job}")
}
