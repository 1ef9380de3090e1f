//! What has been consumed: for each partition the offset after the last record processed.

use std::collections::BTreeMap;

use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// The offsets to commit. Kept by ourselves: the consumer's own position counts what was handed out, not
/// what was processed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Positions(BTreeMap<i32, i64>);

impl Positions {
    /// Notes that the record at `offset` is processed.
    pub(crate) fn processed(&mut self, partition: i32, offset: i64) {
        self.0.insert(partition, offset + 1);
    }

    /// Takes over positions that came later.
    pub(crate) fn advance(&mut self, later: &Self) {
        self.0.extend(&later.0);
    }

    /// Forgets a partition, which is another member's now.
    pub(crate) fn forget(&mut self, partition: i32) {
        self.0.remove(&partition);
    }

    /// The partitions that have some.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = i32> + '_ {
        self.0.keys().copied()
    }

    /// Whether nothing is processed.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The positions as Kafka wants them: the offset of the next record to read.
    pub(crate) fn to_list(&self, topic: &str) -> Result<TopicPartitionList, KafkaError> {
        let mut list = TopicPartitionList::with_capacity(self.0.len());
        for (&partition, &next) in &self.0 {
            list.add_partition_offset(topic, partition, Offset::Offset(next))?;
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_position_is_the_next_record_to_read() {
        let mut positions = Positions::default();
        for (partition, offset) in [(0, 7), (2, 0), (0, 8)] {
            positions.processed(partition, offset);
        }
        let list = positions.to_list("events").unwrap();
        let next = |partition| list.find_partition("events", partition).unwrap().offset();
        assert_eq!((next(0), next(2)), (Offset::Offset(9), Offset::Offset(1)));
        assert_eq!(list.count(), 2);
    }
}
