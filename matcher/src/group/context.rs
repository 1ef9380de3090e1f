//! What librdkafka tells a member inside `poll`: rebalances, errors, statistics.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::statistics::{Partition, Statistics};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use service::kafka::contact::Contact;

use super::GroupMetrics;

/// A change of the member's partitions, to be carried out by [`Group::admit`] or [`Group::release`].
#[derive(Debug)]
pub(crate) enum Change {
    Assigned(TopicPartitionList),
    Revoked(TopicPartitionList),
}

/// Notes rebalances for the member. Called by librdkafka inside `poll`, on the member's own thread.
pub(crate) struct GroupContext {
    changes: Mutex<VecDeque<Change>>,
    closing: AtomicBool,
    backlog: AtomicI64,
    contact: Contact,
    metrics: GroupMetrics,
}

impl GroupContext {
    pub(super) fn new(metrics: GroupMetrics) -> Self {
        Self {
            changes: Mutex::default(),
            closing: AtomicBool::new(false),
            backlog: AtomicI64::new(0),
            contact: Contact::default(),
            metrics,
        }
    }

    /// The oldest rebalance that is not carried out yet.
    pub(super) fn next_change(&self) -> Option<Change> {
        self.changes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }

    /// Nobody carries out rebalances any more.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    /// Committed records that wait at the broker, all partitions together, a few seconds ago.
    pub(super) fn backlog(&self) -> i64 {
        self.backlog.load(Ordering::Relaxed)
    }

    /// What is known of the brokers.
    pub(super) fn contact(&self) -> &Contact {
        &self.contact
    }
}

impl ClientContext for GroupContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        service::kafka::log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        service::kafka::log_error(&error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        self.contact.note(&statistics);
        let mut backlog = 0;
        for topic in statistics.topics.values() {
            for partition in topic.partitions.values() {
                // librdkafka keeps partitions that went elsewhere.
                if partition.desired
                    && let Some(lag) = lag(partition)
                {
                    self.metrics.set_lag(&topic.topic, partition.partition, lag);
                    backlog += lag;
                }
            }
        }
        self.backlog.store(backlog, Ordering::Relaxed);
    }
}

/// Committed records that are not consumed yet. librdkafka's own `consumer_lag` counts from the offset
/// that the consumer committed, and offsets that a transaction commits pass it by.
fn lag(partition: &Partition) -> Option<i64> {
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

/// Gives these partitions back to librdkafka, which waits for it. It refuses all of them if there is one that it was not told to
/// read, as of those whose position was not known yet; of these it wants to hear nothing, but be answered all the same.
pub(super) fn give_back(
    consumer: &BaseConsumer<GroupContext>,
    partitions: &TopicPartitionList,
) -> Result<(), KafkaError> {
    let read = consumer.assignment()?;
    let mut given = TopicPartitionList::new();
    for partition in partitions.elements() {
        let (topic, number) = (partition.topic(), partition.partition());
        if read.find_partition(topic, number).is_some() {
            given.add_partition(topic, number);
        }
    }
    consumer.incremental_unassign(&given)
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
            if !assigned && let Err(error) = give_back(consumer, partitions) {
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
