//! Partitions that are not read on until the schema of their next record is known.
//!
//! Such a partition is paused at the record. Once its schema is known it is resumed and set back to it.
//! librdkafka may still hand out what it had fetched before, so only the record itself ends the wait:
//! whatever else comes of the partition is dropped, and comes again behind it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use schemas::avro::SchemaId;

/// A record whose schema is not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) schema: SchemaId,
}

/// The records that are waited for, one a partition at most.
#[derive(Debug, Default)]
pub(super) struct Held(RefCell<BTreeMap<i32, Hold>>);

#[derive(Debug, Clone, Copy)]
struct Hold {
    record: Waiting,
    /// Whether the record was asked for again.
    called: bool,
}

impl Held {
    /// Whether no partition is held.
    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Holds a partition at a record.
    pub(super) fn hold(&self, record: Waiting) {
        let called = false;
        let hold = Hold { record, called };
        self.0.borrow_mut().insert(record.partition, hold);
    }

    /// Whether a record that was handed out is to be processed. The one that was waited for ends the wait.
    pub(super) fn lets_through(&self, partition: i32, offset: i64) -> bool {
        let mut partitions = self.0.borrow_mut();
        let Some(hold) = partitions.get(&partition) else {
            return true;
        };
        let is_it = hold.called && hold.record.offset == offset;
        if is_it {
            partitions.remove(&partition);
        }
        is_it
    }

    /// The records whose schema is known now, each once.
    pub(super) fn ready(&self, mut is_known: impl FnMut(SchemaId) -> bool) -> Vec<Waiting> {
        let mut partitions = self.0.borrow_mut();
        let waiting = partitions.values_mut().filter(|hold| !hold.called);
        waiting
            .filter_map(|hold| {
                hold.called = is_known(hold.record.schema);
                hold.called.then_some(hold.record)
            })
            .collect()
    }

    /// Forgets a partition. Says whether it was held.
    pub(super) fn forget(&self, partition: i32) -> bool {
        self.0.borrow_mut().remove(&partition).is_some()
    }

    /// How many partitions are held.
    pub(super) fn len(&self) -> usize {
        self.0.borrow().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_goes_on_with_the_very_record_that_was_waited_for() {
        let held = Held::default();
        let schema = SchemaId::Number(7);
        held.hold(Waiting {
            partition: 1,
            offset: 10,
            schema,
        });
        assert!(held.lets_through(0, 11), "another partition");
        assert!(!held.lets_through(1, 10), "not before its schema is known");
        assert_eq!(held.ready(|_| false), []);
        assert_eq!(held.ready(|id| id == schema).len(), 1);
        assert_eq!(held.ready(|_| true), [], "each once");
        assert!(!held.lets_through(1, 11), "what was fetched before");
        assert!(!held.lets_through(1, 12));
        assert!(held.lets_through(1, 10));
        assert!(held.lets_through(1, 11));
        assert!(held.is_empty());
    }
}
