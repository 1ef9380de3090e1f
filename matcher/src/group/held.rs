//! Partitions that are not read on until what their next record takes is known: its schema, the campaigns, or audiences.
//!
//! Such a partition is paused at the record. Once that is known it is resumed and set back to it.
//! librdkafka may still hand out what it had fetched before, so only the record itself ends the wait:
//! whatever else comes of the partition is dropped, and comes again behind it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use schemas::avro::SchemaId;

/// A record that cannot be processed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) until: Until,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// The schema is known.
    Schema(SchemaId),
    /// The campaigns are read up to that offset, this one included.
    Campaigns(i64),
    /// It is known who is in which audience, of the customers of that partition.
    Audiences(i32),
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Schema(schema) => write!(f, "schema {schema}"),
            Self::Campaigns(offset) => write!(f, "offset {offset} of the campaigns"),
            Self::Audiences(partition) => write!(f, "the audiences of partition {partition}"),
        }
    }
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

    /// The records for which what was waited for is known now, each once.
    pub(super) fn ready(&self, mut is_known: impl FnMut(Until) -> bool) -> Vec<Waiting> {
        let mut partitions = self.0.borrow_mut();
        let waiting = partitions.values_mut().filter(|hold| !hold.called);
        waiting
            .filter_map(|hold| {
                hold.called = is_known(hold.record.until);
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
        let until = Until::Schema(SchemaId::Number(7));
        held.hold(Waiting {
            partition: 1,
            offset: 10,
            until,
        });
        assert!(held.lets_through(0, 11), "another partition");
        assert!(!held.lets_through(1, 10), "not before that is known");
        assert_eq!(held.ready(|_| false), []);
        assert_eq!(held.ready(|it| it == until).len(), 1);
        assert_eq!(held.ready(|_| true), [], "each once");
        assert!(!held.lets_through(1, 11), "what was fetched before");
        assert!(!held.lets_through(1, 12));
        assert!(held.lets_through(1, 10));
        assert!(held.lets_through(1, 11));
        assert!(held.is_empty());
    }
}
