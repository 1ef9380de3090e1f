//! A member of a consumer group: a worker's, or the recorder's.
//!
//! librdkafka announces a rebalance inside `poll`. It is only noted there and carried out by the
//! member between two polls, where finished work can be committed first: a revoked partition's
//! offsets are committed or its batch is given up *before* the partition is given away.

mod metrics;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{
    BaseConsumer, CommitMode, Consumer, ConsumerContext, ConsumerGroupMetadata,
};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::BorrowedMessage;
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;

use self::metrics::Assigned;
pub(crate) use self::metrics::GroupMetrics;

/// How long one look at committed offsets or watermarks may block the member.
const LOOK: Duration = Duration::from_millis(250);

/// A change of the member's partitions, to be carried out by [`Group::admit`] or [`Group::release`].
#[derive(Debug)]
pub(crate) enum Change {
    Assigned(TopicPartitionList),
    Revoked(TopicPartitionList),
}

/// What to do when a partition ends before the committed offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Truncation {
    /// Work no more: what is read again would count twice.
    Refuse,
    /// Begin with the oldest record: what is read again does no harm.
    BeginAnew,
}

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
    #[error("the consumer failed for good: {0}")]
    Consumer(KafkaError),
    #[error(
        "partition {partition} ends at offset {end}, before the committed offset {committed}: the \
         topic was truncated or made anew. Going on could pay twice; set the group's offsets with \
         kafka-consumer-groups.sh --reset-offsets and restart"
    )]
    Truncated {
        partition: i32,
        committed: i64,
        end: i64,
    },
}

/// Notes rebalances for the member. Called by librdkafka inside `poll`, on the member's own thread.
pub(crate) struct GroupContext {
    changes: Mutex<VecDeque<Change>>,
    closing: AtomicBool,
    metrics: GroupMetrics,
}

impl ClientContext for GroupContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        service::kafka::log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        service::kafka::log_error(&error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        for topic in statistics.topics.values() {
            for partition in topic.partitions.values() {
                // librdkafka keeps partitions that went elsewhere.
                if partition.desired
                    && let Some(lag) = lag(partition)
                {
                    self.metrics.set_lag(&topic.topic, partition.partition, lag);
                }
            }
        }
    }
}

/// Committed records that are not consumed yet. librdkafka's own `consumer_lag` counts from the offset
/// that the consumer committed, and offsets that a transaction commits pass it by.
fn lag(partition: &rdkafka::statistics::Partition) -> Option<i64> {
    // Behind the last record there may be markers of transactions: with nothing left in memory, what is
    // fetched next is the position.
    let position = if partition.fetchq_cnt == 0 {
        partition.next_offset
    } else {
        partition.app_offset
    };
    let known = partition.ls_offset >= 0 && position >= 0;
    known.then(|| (partition.ls_offset - position).max(0))
}

impl ConsumerContext for GroupContext {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        kind: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let assigned = kind == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        // librdkafka holds all partitions, takes part in no further rebalance and does not close until an
        // assignment is answered, also one that brings nothing. So it is answered at once with nothing;
        // the partitions follow when their positions are known.
        if assigned && let Err(error) = consumer.incremental_assign(&TopicPartitionList::new()) {
            tracing::warn!(%error, "answering an assignment");
        }
        if self.closing.load(Ordering::Relaxed) {
            // The consumer is being closed, nobody will come back to carry this out.
            if !assigned && let Err(error) = consumer.incremental_unassign(partitions) {
                tracing::debug!(%error, "unassign while closing");
            }
            return;
        }
        let partitions = partitions.clone();
        let change = if assigned {
            Change::Assigned(partitions)
        } else {
            Change::Revoked(partitions)
        };
        self.changes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(change);
    }
}

/// A member of the consumer group. Owned by one thread; dropping it leaves the group.
pub(crate) struct Group {
    consumer: BaseConsumer<GroupContext>,
    truncation: Truncation,
    paused: bool,
    /// Partitions that are ours but whose position is not known yet.
    arriving: TopicPartitionList,
    next_look: Instant,
    assigned: Assigned,
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
        let context = GroupContext {
            changes: Mutex::default(),
            closing: AtomicBool::new(false),
            metrics: metrics.clone(),
        };
        let consumer: BaseConsumer<_> = config
            .create_with_context(context)
            .map_err(GroupError::Join)?;
        consumer.subscribe(&[topic]).map_err(GroupError::Join)?;
        Ok(Self {
            consumer,
            truncation,
            paused: false,
            arriving: TopicPartitionList::new(),
            next_look: Instant::now(),
            assigned: metrics.assigned(),
            metrics,
        })
    }

    /// The next event; `None` when there is none in that time, or when a rebalance was noted.
    pub(crate) fn poll(&self, timeout: Duration) -> Option<KafkaResult<BorrowedMessage<'_>>> {
        self.consumer.poll(timeout)
    }

    /// The oldest rebalance that is not carried out yet.
    pub(crate) fn next_change(&self) -> Option<Change> {
        self.consumer
            .context()
            .changes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }

    /// Whether partitions wait for [`Group::settle`].
    pub(crate) fn is_settled(&self) -> bool {
        self.arriving.count() == 0
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

    /// Takes partitions on. They are read as soon as [`Group::settle`] has found their positions.
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
        self.give_up_arriving(partitions)?;
        for partition in partitions.elements() {
            self.metrics
                .forget_lag(partition.topic(), partition.partition());
        }
        self.consumer
            .incremental_unassign(partitions)
            .map_err(GroupError::Assign)?;
        self.count_assigned();
        Ok(())
    }

    /// librdkafka gives back only what was assigned, so partitions that leave before their position was
    /// found are assigned first. Nothing is read of them: nobody polls in between.
    fn give_up_arriving(&mut self, leaving: &TopicPartitionList) -> Result<(), GroupError> {
        let (mut given_up, mut staying) = (TopicPartitionList::new(), TopicPartitionList::new());
        for partition in self.arriving.elements() {
            let (topic, number) = (partition.topic(), partition.partition());
            let leaves = leaving.find_partition(topic, number).is_some();
            let list = if leaves { &mut given_up } else { &mut staying };
            list.add_partition(topic, number);
        }
        if given_up.count() > 0 {
            self.consumer
                .incremental_assign(&given_up)
                .map_err(GroupError::Assign)?;
        }
        self.arriving = staying;
        Ok(())
    }

    /// Finds the positions of arriving partitions and begins to read them.
    ///
    /// The committed offsets of a partition are not known while a transaction on them is open, which
    /// after a kill can last until the transaction times out. So one look is short, the member goes
    /// on with its other partitions, and calls again.
    pub(crate) fn settle(&mut self) -> Result<(), GroupError> {
        if self.is_settled() || Instant::now() < self.next_look {
            return Ok(());
        }
        match self.starting_positions() {
            Ok(positions) => {
                self.consumer
                    .incremental_assign(&positions)
                    .map_err(GroupError::Assign)?;
                if self.paused {
                    self.consumer.pause(&positions).map_err(GroupError::Pause)?;
                }
                self.arriving = TopicPartitionList::new();
                self.count_assigned();
                Ok(())
            }
            Err(Look::Later(error)) => {
                tracing::info!(%error, "committed offsets are not stable yet, looking again");
                self.next_look = Instant::now() + LOOK;
                Ok(())
            }
            Err(Look::Never(error)) => Err(error),
        }
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
                Err(error) if self.truncation == Truncation::BeginAnew => {
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
            let offset = match committed.offset() {
                Offset::Offset(offset) => Offset::Offset(offset),
                _ => Offset::Beginning,
            };
            positions
                .add_partition_offset(committed.topic(), committed.partition(), offset)
                .map_err(GroupError::Rewind)?;
        }
        let sought = self
            .consumer
            .seek_partitions(positions, REWIND)
            .map_err(GroupError::Rewind)?;
        for partition in sought.elements() {
            partition.error().map_err(GroupError::Rewind)?;
        }
        Ok(())
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
        self.consumer
            .context()
            .closing
            .store(true, Ordering::Relaxed);
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

/// Why positions are not known.
enum Look {
    Later(KafkaError),
    Never(GroupError),
}

/// Where to begin, and how many events retention took before.
#[derive(Debug, PartialEq, Eq)]
struct Start {
    offset: i64,
    lost: Option<i64>,
}

/// A group's first start begins at the oldest event. `begin` and `end` are the partition's watermarks.
fn starting_position(
    partition: i32,
    committed: Offset,
    begin: i64,
    end: i64,
) -> Result<Start, GroupError> {
    let Offset::Offset(committed) = committed else {
        return Ok(Start {
            offset: begin,
            lost: None,
        });
    };
    if committed > end {
        return Err(GroupError::Truncated {
            partition,
            committed,
            end,
        });
    }
    Ok(Start {
        offset: committed.max(begin),
        lost: (committed < begin).then_some(begin - committed),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_read_from_its_committed_offset() {
        let start = |committed, begin, end| starting_position(0, committed, begin, end).unwrap();
        let at = |offset, lost| Start { offset, lost };
        assert_eq!(start(Offset::Invalid, 0, 10), at(0, None));
        assert_eq!(start(Offset::Invalid, 7, 10), at(7, None));
        assert_eq!(start(Offset::Offset(5), 0, 10), at(5, None));
        assert_eq!(start(Offset::Offset(10), 0, 10), at(10, None));
        assert_eq!(start(Offset::Offset(5), 8, 10), at(8, Some(3)));
    }

    #[test]
    fn a_partition_that_ends_before_its_committed_offset_is_not_read_again() {
        let error = starting_position(3, Offset::Offset(11), 0, 10).unwrap_err();
        assert!(matches!(error, GroupError::Truncated { partition: 3, .. }));
    }
}
