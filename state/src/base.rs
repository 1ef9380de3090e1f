//! Where the committed customers of a partition are: in memory, or wherever an implementation of [`Base`] has them.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Debug;

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use indexmap::map::raw_entry_v1::{RawEntryApiV1 as _, RawEntryMut};

use crate::codec::StateError;

/// The committed customers of a partition, as the bytes that the changelog has.
///
/// Owned by one worker. What can fail here is I/O of an implementation; what it then has is not to be believed.
pub trait Base: Debug + Send {
    /// The state of a customer.
    ///
    /// # Errors
    /// [`StateError::Base`].
    fn customer(&self, id: &str) -> Result<Option<Cow<'_, [u8]>>, StateError>;

    /// Takes in what the changelog says of a customer, in the order of the log.
    ///
    /// # Errors
    /// [`StateError::Base`].
    fn restore(&mut self, id: &str, state: Option<Bytes<'_>>) -> Result<(), StateError>;

    /// Takes in what a batch has changed together with the mark that it leaves, or what
    /// [`restore`](Self::restore) was told: all of it or nothing.
    ///
    /// # Errors
    /// [`StateError::Base`].
    fn put(
        &mut self,
        changes: &mut dyn Iterator<Item = Put<'_>>,
        mark: Mark<'_>,
    ) -> Result<(), StateError>;

    /// How many customers there are, and how many bytes they and their ids have.
    fn size(&self) -> Size;

    /// Shows so many customers, or all: those whose turn it is.
    ///
    /// # Errors
    /// [`StateError::Base`], or what `each` said.
    fn visit(&mut self, customers: usize, each: Visit<'_>) -> Result<(), StateError>;

    /// When the first of what is waited for is due, in milliseconds since 1970.
    fn first_due(&self) -> Option<i64>;

    /// A customer of whom something is due at that time and whom `skip` does not name.
    ///
    /// # Errors
    /// [`StateError::Base`].
    fn next_due(
        &self,
        at: i64,
        skip: &dyn Fn(&str) -> bool,
    ) -> Result<Option<Box<str>>, StateError>;
}

/// What looks at a customer: the id, and the state.
pub type Visit<'a> = &'a mut dyn FnMut(&str, &[u8]) -> Result<(), StateError>;

/// The state of a customer in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes<'a> {
    /// As the changelog has them.
    pub bytes: &'a [u8],
    /// When the first of what is waited for is due; none if nothing is.
    pub due: Option<i64>,
}

/// What becomes of a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Put<'a> {
    /// Whose.
    pub id: &'a str,
    /// What is remembered from now on; none if nothing is.
    pub after: Option<Bytes<'a>>,
    /// What was remembered before.
    pub before: Option<Before>,
}

/// What is known of the state that a customer had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    /// Its length in bytes.
    pub length: usize,
    /// When the first of what was waited for was due.
    pub due: Option<i64>,
}

/// How far the changelog is in a base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark<'a> {
    /// The value of the last record of the partition's progress; see
    /// [`Partition::on`](crate::Partition::on). None if there is none yet.
    pub progress: Option<&'a [u8]>,
    /// Offset of that record; none if it is not known. Then the base is ahead of its mark, which is no harm: the
    /// records between are read again, and say the same.
    pub position: Option<i64>,
}

/// How much is remembered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Customers.
    pub customers: usize,
    /// Bytes of their states and their ids.
    pub bytes: usize,
}

impl Size {
    /// Counts what becomes of a customer.
    pub fn count(&mut self, id: &str, before: Option<usize>, after: Option<usize>) {
        if let Some(length) = before {
            self.customers -= 1;
            self.bytes -= id.len() + length;
        }
        if let Some(length) = after {
            self.customers += 1;
            self.bytes += id.len() + length;
        }
    }
}

/// Customers in memory.
#[derive(Debug, Default)]
pub(crate) struct InMemory {
    customers: IndexMap<Box<str>, Box<[u8]>, RandomState>,
    /// When something is due, and whose.
    due: BTreeSet<(i64, Box<str>)>,
    /// Whose turn it is to be visited.
    turn: usize,
    size: Size,
}

impl InMemory {
    /// One look-up, for those of a million customers wait for memory.
    fn change(&mut self, Put { id, after, before }: Put<'_>) {
        let before_due = before.and_then(|it| it.due);
        let after_due = after.and_then(|it| it.due);
        if before_due != after_due {
            if let Some(due) = before_due {
                self.due.remove(&(due, id.into()));
            }
            if let Some(due) = after_due {
                self.due.insert((due, id.into()));
            }
        }
        let length = after.map(|it| it.bytes.len());
        self.size.count(id, before.map(|it| it.length), length);
        match (self.customers.raw_entry_mut_v1().from_key(id), after) {
            (RawEntryMut::Occupied(held), None) => {
                held.swap_remove();
            }
            (RawEntryMut::Occupied(mut held), Some(Bytes { bytes, .. })) => {
                let held = held.get_mut();
                if held.len() == bytes.len() {
                    held.copy_from_slice(bytes);
                } else {
                    *held = bytes.into();
                }
            }
            (RawEntryMut::Vacant(place), Some(Bytes { bytes, .. })) => {
                place.insert(id.into(), bytes.into());
            }
            (RawEntryMut::Vacant(_), None) => {}
        }
    }
}

impl Base for InMemory {
    fn customer(&self, id: &str) -> Result<Option<Cow<'_, [u8]>>, StateError> {
        Ok(self.customers.get(id).map(|held| Cow::Borrowed(&**held)))
    }

    fn restore(&mut self, id: &str, state: Option<Bytes<'_>>) -> Result<(), StateError> {
        let before = match self.customers.get(id) {
            Some(held) => Some(Before {
                length: held.len(),
                due: crate::codec::due(held)?,
            }),
            None => None,
        };
        self.change(Put {
            id,
            after: state,
            before,
        });
        Ok(())
    }

    fn put(
        &mut self,
        changes: &mut dyn Iterator<Item = Put<'_>>,
        _: Mark<'_>,
    ) -> Result<(), StateError> {
        for change in changes {
            self.change(change);
        }
        Ok(())
    }

    fn size(&self) -> Size {
        self.size
    }

    fn visit(&mut self, customers: usize, each: Visit<'_>) -> Result<(), StateError> {
        for _ in 0..customers.min(self.customers.len()) {
            if self.turn >= self.customers.len() {
                self.turn = 0;
            }
            let Some((id, bytes)) = self.customers.get_index(self.turn) else {
                break;
            };
            self.turn += 1;
            each(id, bytes)?;
        }
        Ok(())
    }

    fn first_due(&self) -> Option<i64> {
        self.due.first().map(|(due, _)| *due)
    }

    fn next_due(
        &self,
        at: i64,
        skip: &dyn Fn(&str) -> bool,
    ) -> Result<Option<Box<str>>, StateError> {
        let due = self.due.iter().take_while(|(due, _)| *due <= at);
        let mut ids = due.map(|(_, id)| id);
        Ok(ids.find(|id| !skip(id)).cloned())
    }
}
