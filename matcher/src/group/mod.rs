//! A member of a consumer group: a worker's, a settler's or the recorder's.
//!
//! librdkafka announces a rebalance inside `poll`. It is only noted there and carried out by the
//! member between two polls, where finished work can be committed first: a revoked partition's
//! offsets are committed or its batch is given up *before* the partition is given away.
//!
//! Positions are offsets, never "the beginning" or "the end": librdkafka asks the broker for these, and an answer that comes too
//! late makes it ask again half a second later and go there, although the partition was set to another position meanwhile.
//! (`rd_kafka_toppar_handle_Offset` of 2.12.1; it lost events.)

mod context;
mod held;
mod metrics;
mod orphans;
mod position;
mod progress;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use self::context::GroupContext;
use self::held::Held;
use self::position::{Start, starting_position};
use self::progress::{Progress, STALLED};

pub(crate) use self::context::Change;
pub(crate) use self::held::{Until, Waiting};
pub(crate) use self::metrics::{GroupMetrics, Share};
pub(crate) use self::orphans::Orphans;
pub(crate) use self::position::Truncation;

/// How long one look at committed offsets or watermarks may block the member.
const LOOK: Duration = Duration::from_millis(250);

/// How long a partition must look truncated before it counts as such.
const CONFIRM: Duration = Duration::from_secs(10);

/// Why the group cannot go on with this consumer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GroupError {
    #[error("cannot join the group: {0}")]
    Join(KafkaError),
    #[error("the assignment cannot be changed: {0}")]
    Assign(KafkaError),
    #[error("the positions of the partitions cannot be set back: {0}")]
    Rewind(KafkaError),
    #[error("partitions cannot be paused or resumed: {0}")]
    Pause(KafkaError),
    #[error("a partition cannot be set back to a record that was waited for: {0}")]
    SetBack(KafkaError),
    #[error("the consumer failed for good: {0}")]
    Consumer(KafkaError),
    #[error("librdkafka knows no broker any more")]
    NoBroker,
    #[error("{backlog} records wait and none came for {} s", STALLED.as_secs())]
    Stalled { backlog: i64 },
    #[error(
        "partition {partition} ends at offset {end}, before the committed offset {committed}: the \
         topic was truncated or made anew. Going on could pay twice. Stop all matchers and decide what customer-state (of \
         claims: budget-state) is worth: kept, it says that everything below offset {committed} was taken in, and new records below \
         that are left out (matcher_torn_transactions_total); emptied, all customers are forgotten, and \
         their counts and limits begin anew. Then set the group's offsets with kafka-consumer-groups.sh \
         --reset-offsets and start"
    )]
    Truncated {
        partition: i32,
        committed: i64,
        end: i64,
    },
}

/// A member of the consumer group. Owned by one thread; dropping it leaves the group.
pub(crate) struct Group {
    consumer: BaseConsumer<GroupContext>,
    topic: String,
    truncation: Truncation,
    paused: bool,
    held: Held,
    progress: Progress,
    /// Partitions that are ours but whose position is not known yet.
    arriving: TopicPartitionList,
    /// Partitions whose position is known, and that are not read yet.
    found: TopicPartitionList,
    next_look: Instant,
    /// Since when a partition ends before its committed offset.
    truncated: Option<Instant>,
    assigned: Share,
    waiting: Share,
    metrics: GroupMetrics,
}

impl Group {
    /// Joins the group that `config` names, to read `topic`.
    pub(crate) fn join(
        config: &ClientConfig,
        topic: &str,
        truncation: Truncation,
        metrics: GroupMetrics,
    ) -> Result<Self, GroupError> {
        let context = GroupContext::new(metrics.clone());
        let consumer: BaseConsumer<_> = config
            .create_with_context(context)
            .map_err(GroupError::Join)?;
        consumer.subscribe(&[topic]).map_err(GroupError::Join)?;
        Ok(Self {
            consumer,
            topic: topic.to_owned(),
            truncation,
            paused: false,
            held: Held::default(),
            progress: Progress::new(Instant::now()),
            arriving: TopicPartitionList::new(),
            found: TopicPartitionList::new(),
            next_look: Instant::now(),
            truncated: None,
            assigned: metrics.assigned(),
            waiting: metrics.waiting(),
            metrics,
        })
    }

    /// The next event; `None` when there is none in that time, or when a rebalance was noted.
    pub(crate) fn poll(&self, timeout: Duration) -> Option<KafkaResult<BorrowedMessage<'_>>> {
        let polled = self.consumer.poll(timeout);
        if polled.is_some() {
            self.progress.polled();
        }
        if let Some(Ok(message)) = &polled
            && !self.held.is_empty()
            && !(self.held).lets_through(message.partition(), message.offset())
        {
            return None;
        }
        polled
    }

    /// Reads a partition no further until [`Group::go_on`] brings this record again.
    pub(crate) fn hold(&mut self, record: Waiting) -> Result<(), GroupError> {
        let Waiting {
            partition,
            offset,
            until,
        } = record;
        match until {
            Until::Schema(_) => {
                tracing::warn!(topic = self.topic, partition, offset, %until, "waiting for it");
            }
            // Nearly always for a moment, and who follows these tells if it is for longer.
            Until::Campaigns(_) | Until::Audiences(_) => {
                tracing::debug!(topic = self.topic, partition, offset, %until, "waiting for it");
            }
        }
        self.held.hold(record);
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, partition);
        self.waiting.set(self.held.len());
        self.consumer.pause(&list).map_err(GroupError::Pause)
    }

    /// Whether partitions wait for [`Group::go_on`].
    pub(crate) fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// Reads on where what was waited for is known now.
    pub(crate) fn go_on(&mut self, is_known: impl FnMut(Until) -> bool) -> Result<(), GroupError> {
        self.waiting.set(self.held.len());
        if self.held.is_empty() || self.paused {
            return Ok(());
        }
        let ready = self.held.ready(is_known);
        if ready.is_empty() {
            return Ok(());
        }
        let mut positions = TopicPartitionList::new();
        for record in ready {
            let offset = Offset::Offset(record.offset);
            positions
                .add_partition_offset(&self.topic, record.partition, offset)
                .map_err(GroupError::SetBack)?;
        }
        self.consumer
            .resume(&positions)
            .map_err(GroupError::Pause)?;
        self.seek(positions).map_err(GroupError::SetBack)
    }

    fn seek(&self, positions: TopicPartitionList) -> Result<(), KafkaError> {
        let sought = self.consumer.seek_partitions(positions, REWIND)?;
        for partition in sought.elements() {
            partition.error()?;
        }
        Ok(())
    }

    /// Forgets what was waited for on a partition, so that it is as any other.
    fn let_go(&self, partition: i32) -> Result<(), GroupError> {
        if !self.held.forget(partition) {
            return Ok(());
        }
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, partition);
        self.consumer.resume(&list).map_err(GroupError::Pause)
    }

    /// The oldest rebalance that is not carried out yet.
    pub(crate) fn next_change(&self) -> Option<Change> {
        self.consumer.context().next_change()
    }

    /// Whether no partition waits to be read.
    pub(crate) fn is_settled(&self) -> bool {
        self.arriving.count() == 0 && self.found.count() == 0
    }

    /// Whether the group took our partitions without asking: what was read from them must not be
    /// committed.
    pub(crate) fn assignment_lost(&self) -> bool {
        self.consumer.assignment_lost()
    }

    /// What the transaction needs to prove that we are still a member. Valid now, not later.
    pub(crate) fn metadata(&self) -> Option<ConsumerGroupMetadata> {
        self.consumer.group_metadata()
    }

    /// Takes partitions on. They are read when [`Group::settle`] has found their positions and [`Group::read`] is called.
    pub(crate) fn admit(&mut self, partitions: &TopicPartitionList) {
        self.metrics.rebalanced("assigned");
        for partition in partitions.elements() {
            self.arriving
                .add_partition(partition.topic(), partition.partition());
        }
        self.next_look = Instant::now();
    }

    /// Gives partitions away.
    pub(crate) fn release(&mut self, partitions: &TopicPartitionList) -> Result<(), GroupError> {
        let lost = self.assignment_lost();
        self.metrics
            .rebalanced(if lost { "lost" } else { "revoked" });
        self.arriving = without(&self.arriving, partitions).map_err(GroupError::Assign)?;
        self.found = without(&self.found, partitions).map_err(GroupError::Assign)?;
        for partition in partitions.elements() {
            self.metrics
                .forget_lag(partition.topic(), partition.partition());
            self.let_go(partition.partition())?;
        }
        context::give_back(&self.consumer, partitions).map_err(GroupError::Assign)?;
        self.count_assigned();
        Ok(())
    }

    /// Finds the positions of arriving partitions and returns those found; [`Group::read`] reads them.
    ///
    /// The committed offsets of a partition are not known while a transaction on them is open, which
    /// after a kill can last until the transaction times out. So one look is short, the member goes
    /// on with its other partitions, and calls again.
    ///
    /// # Errors
    /// The partitions cannot be read, or have stopped to be read for no reason.
    pub(crate) fn settle(&mut self) -> Result<Vec<i32>, GroupError> {
        if self.consumer.context().contact().is_lost() {
            return Err(GroupError::NoBroker);
        }
        let backlog = self.consumer.context().backlog();
        let waiting = backlog > 0 && !self.paused && self.held.is_empty();
        if self.progress.is_stalled(waiting, Instant::now()) {
            return Err(GroupError::Stalled { backlog });
        }
        if self.arriving.count() == 0 || Instant::now() < self.next_look {
            return Ok(Vec::new());
        }
        match self.starting_positions() {
            Ok(positions) => {
                let mut numbers = Vec::new();
                for position in positions.elements() {
                    let (topic, number) = (position.topic(), position.partition());
                    self.found
                        .add_partition_offset(topic, number, position.offset())
                        .map_err(GroupError::Assign)?;
                    numbers.push(number);
                }
                self.arriving = TopicPartitionList::new();
                self.truncated = None;
                Ok(numbers)
            }
            Err(Look::Later(error)) => {
                tracing::info!(%error, "committed offsets are not stable yet, looking again");
                self.next_look = Instant::now() + LOOK;
                Ok(Vec::new())
            }
            Err(Look::Never(error)) => {
                // Right after a restart a broker may know less of the end than it has.
                self.truncated.get_or_insert_with(Instant::now);
                if !self.is_confirmed() {
                    self.next_look = Instant::now() + LOOK;
                    return Ok(Vec::new());
                }
                Err(error)
            }
        }
    }

    /// Begins to read a partition whose position was found.
    pub(crate) fn read(&mut self, partition: i32) -> Result<(), GroupError> {
        let mut begun = TopicPartitionList::new();
        if let Some(found) = self.found.find_partition(&self.topic, partition) {
            begun
                .add_partition_offset(&self.topic, partition, found.offset())
                .map_err(GroupError::Assign)?;
        }
        if begun.count() == 0 {
            return Ok(());
        }
        self.found = without(&self.found, &begun).map_err(GroupError::Assign)?;
        self.consumer
            .incremental_assign(&begun)
            .map_err(GroupError::Assign)?;
        if self.paused {
            self.consumer.pause(&begun).map_err(GroupError::Pause)?;
        }
        self.count_assigned();
        Ok(())
    }

    fn starting_positions(&self) -> Result<TopicPartitionList, Look> {
        let committed = self
            .consumer
            .committed_offsets(self.arriving.clone(), LOOK)
            .map_err(Look::Later)?;
        let mut positions = TopicPartitionList::new();
        for committed in committed.elements() {
            committed.error().map_err(Look::Later)?;
            let (topic, partition) = (committed.topic(), committed.partition());
            let (begin, end) = self
                .consumer
                .fetch_watermarks(topic, partition, LOOK)
                .map_err(Look::Later)?;
            let position = match starting_position(partition, committed.offset(), begin, end) {
                Ok(position) => position,
                Err(error) if self.truncation == Truncation::BeginAnew && self.is_confirmed() => {
                    tracing::error!(topic, %error, "beginning with the oldest record");
                    Start {
                        offset: begin,
                        lost: None,
                    }
                }
                Err(error) => return Err(Look::Never(error)),
            };
            if let Some(lost) = position.lost {
                tracing::error!(
                    topic,
                    partition,
                    lost,
                    "retention removed events before they were matched; lengthen the topic's \
                     retention or add workers"
                );
                self.metrics.lost(lost);
            }
            positions
                .add_partition_offset(topic, partition, Offset::Offset(position.offset))
                .map_err(Look::Later)?;
        }
        Ok(positions)
    }

    /// Reads nothing more until [`Group::resume`], also of partitions that come meanwhile. Go on to poll:
    /// otherwise the group takes the partitions away.
    pub(crate) fn pause(&mut self) -> Result<(), GroupError> {
        self.paused = true;
        let assignment = self.consumer.assignment().map_err(GroupError::Pause)?;
        self.consumer.pause(&assignment).map_err(GroupError::Pause)
    }

    /// Reads on.
    pub(crate) fn resume(&mut self) -> Result<(), GroupError> {
        self.paused = false;
        let assignment = self.consumer.assignment().map_err(GroupError::Pause)?;
        self.consumer.resume(&assignment).map_err(GroupError::Pause)
    }

    /// Asks the broker to keep these offsets, without waiting for its answer.
    pub(crate) fn commit(&self, offsets: &TopicPartitionList) {
        if let Err(error) = self.consumer.commit(offsets, CommitMode::Async) {
            tracing::info!(%error, "committing offsets");
        }
    }

    /// Whether a partition has looked truncated for long enough.
    fn is_confirmed(&self) -> bool {
        self.truncated
            .is_some_and(|since| since.elapsed() >= CONFIRM)
    }

    /// Sets every partition back to what the broker says is committed: after an abort, or when nobody
    /// knows whether a commit succeeded, only the broker can tell.
    pub(crate) fn rewind(&self) -> Result<(), GroupError> {
        let assignment = self.consumer.assignment().map_err(GroupError::Rewind)?;
        if assignment.count() == 0 {
            return Ok(());
        }
        let deadline = Instant::now() + REWIND;
        let committed = loop {
            match self.consumer.committed_offsets(assignment.clone(), LOOK) {
                Ok(committed) => break committed,
                Err(error) if Instant::now() > deadline => return Err(GroupError::Rewind(error)),
                Err(error) => tracing::info!(%error, "asking for committed offsets again"),
            }
        };
        let mut positions = TopicPartitionList::new();
        for committed in committed.elements() {
            committed.error().map_err(GroupError::Rewind)?;
            let (topic, partition) = (committed.topic(), committed.partition());
            let offset = if let Offset::Offset(offset) = committed.offset() {
                offset
            } else {
                let span = self.consumer.fetch_watermarks(topic, partition, REWIND);
                span.map_err(GroupError::Rewind)?.0
            };
            positions
                .add_partition_offset(topic, partition, Offset::Offset(offset))
                .map_err(GroupError::Rewind)?;
        }
        // What was waited for lies at these positions or behind them.
        for partition in positions.elements() {
            self.let_go(partition.partition())?;
        }
        self.seek(positions).map_err(GroupError::Rewind)
    }

    fn count_assigned(&mut self) {
        if let Ok(assignment) = self.consumer.assignment() {
            self.assigned.set(assignment.count());
        }
    }
}

/// A transaction that blocks the committed offsets ends within its time-out of 15 s and the broker's
/// look for it each 10 s.
const REWIND: Duration = Duration::from_secs(30);

/// Errors of the consumer that pass by themselves are logged.
///
/// # Errors
/// Those that do not pass: the consumer is of no further use.
pub(crate) fn tolerate(error: KafkaError) -> Result<(), GroupError> {
    use rdkafka::error::RDKafkaErrorCode::{AutoOffsetReset, OffsetOutOfRange};
    match error {
        KafkaError::MessageConsumption(AutoOffsetReset | OffsetOutOfRange)
        | KafkaError::MessageConsumptionFatal(_) => Err(GroupError::Consumer(error)),
        passing => {
            tracing::warn!(error = %passing, "consuming");
            Ok(())
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.consumer.context().close();
        // Closing waits for what was asked for and not given.
        while let Some(change) = self.next_change() {
            if let Change::Revoked(partitions) = change
                && let Err(error) = self.release(&partitions)
            {
                tracing::debug!(%error, "giving partitions away while closing");
            }
        }
    }
}

/// The partitions of a list that are not in another, with their offsets.
fn without(
    list: &TopicPartitionList,
    others: &TopicPartitionList,
) -> Result<TopicPartitionList, KafkaError> {
    let mut rest = TopicPartitionList::new();
    for partition in list.elements() {
        let (topic, number) = (partition.topic(), partition.partition());
        if others.find_partition(topic, number).is_none() {
            rest.add_partition_offset(topic, number, partition.offset())?;
        }
    }
    Ok(rest)
}

/// Why positions are not known.
enum Look {
    Later(KafkaError),
    Never(GroupError),
}
