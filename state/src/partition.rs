//! The customers of one partition: what is committed, and what the open batch made of it.

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use indexmap::map::raw_entry_v1::{RawEntryApiV1 as _, RawEntryMut};

use crate::base::{Base, Before, Bytes, InMemory, Mark, Put};
use crate::codec::{self, StateError};
use crate::customer::{Customer, NEVER};

/// The state of a partition's customers.
///
/// Changes are made on copies of the customers that they touch, and take the place of what was there only with
/// [`Written::commit`]. Owned by one worker.
#[derive(Debug)]
pub struct Partition {
    committed: Progress,
    customers: Box<dyn Base>,
    open: Progress,
    /// In the order in which they were touched. Its room serves one batch after another.
    touched: IndexMap<Box<str>, Touched, RandomState>,
    /// The bytes of what was touched, made for the changelog.
    written: Vec<u8>,
    /// The value of the last record of the partition's progress; empty before the first.
    progress: Vec<u8>,
}

/// How a record came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Offset of its record; greater than that of the one before in the partition.
    pub offset: i64,
    /// The time of its record, in milliseconds since 1970, but not beyond the clock; of a record without a time, now.
    pub time: i64,
}

/// How far a partition was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The time of the partition: the greatest of its records, in milliseconds since 1970.
    pub(crate) clock: i64,
    /// Offset of the last event.
    pub(crate) offset: i64,
    /// See [`Partition::lineage`].
    pub(crate) lineage: Option<u64>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            clock: i64::MIN,
            offset: -1,
            lineage: None,
        }
    }
}

#[derive(Debug, Default)]
struct Touched {
    customer: Customer,
    /// What is committed of them.
    before: Option<Before>,
    /// Where in `written` its bytes are; none when nothing is remembered any more.
    bytes: Option<(usize, usize)>,
}

/// A record of the changelog, to be written in the transaction of the batch.
#[derive(Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// Key of the record.
    pub key: &'a [u8],
    /// Its value; none forgets what was there.
    pub value: Option<&'a [u8]>,
}

impl Change<'_> {
    /// Whether it is the record of the partition's progress, which is the last of each batch.
    pub fn is_progress(&self) -> bool {
        is_progress(self.key)
    }
}

/// Whether a record of the changelog with that key is of the partition's progress, not of a customer.
pub fn is_progress(key: &[u8]) -> bool {
    key == PROGRESS
}

/// Room for so many touched customers is never given back.
const ROOM: usize = 4096;

/// The key of the record with the partition's progress. A customer's id is never empty.
const PROGRESS: &[u8] = b"";

/// When the first of what a customer's state waits for is due; none if nothing is.
///
/// # Errors
/// [`StateError`]: a later release wrote it, or nobody did.
pub fn due_of(state: &[u8]) -> Result<Option<i64>, StateError> {
    codec::due(state)
}

/// The lineage that a record of the partition's progress has; see [`Partition::lineage`].
///
/// # Errors
/// [`StateError`]: a later release wrote it, or nobody did.
pub fn lineage_of(progress: &[u8]) -> Result<Option<u64>, StateError> {
    Ok(codec::read_progress(progress)?.lineage)
}

impl Default for Partition {
    /// A partition of which nothing is remembered yet, in memory.
    fn default() -> Self {
        Self::new(Box::<InMemory>::default(), Progress::default(), Vec::new())
    }
}

impl Partition {
    fn new(customers: Box<dyn Base>, committed: Progress, progress: Vec<u8>) -> Self {
        Self {
            committed,
            customers,
            open: committed,
            touched: IndexMap::default(),
            written: Vec::new(),
            progress,
        }
    }

    /// A partition whose customers are there, as far as that value of a record of the partition's progress says; none of an
    /// empty one.
    ///
    /// # Errors
    /// [`StateError`]: a later release wrote it, or nobody did.
    pub fn on(customers: Box<dyn Base>, progress: Option<&[u8]>) -> Result<Self, StateError> {
        let committed = progress.map(codec::read_progress).transpose()?;
        let progress = progress.unwrap_or_default().to_vec();
        Ok(Self::new(
            customers,
            committed.unwrap_or_default(),
            progress,
        ))
    }

    /// Takes in a record of the changelog, in the order of the log.
    ///
    /// # Errors
    /// [`StateError`]: a later release wrote it, or nobody did, or it cannot be kept.
    pub fn restore(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), StateError> {
        if is_progress(key) {
            let value = value.ok_or(StateError::Broken { at: 0 })?;
            self.committed = codec::read_progress(value)?;
            self.open = self.committed;
            self.progress.clear();
            self.progress.extend_from_slice(value);
            return Ok(());
        }
        let id = std::str::from_utf8(key).map_err(|_| StateError::Broken { at: 0 })?;
        let state = match value {
            None => None,
            Some(bytes) => Some(Bytes {
                bytes,
                due: codec::due(bytes)?,
            }),
        };
        self.customers.restore(id, state)
    }

    /// All of the changelog was taken in. `position` is the offset of its last record of the partition's progress.
    ///
    /// # Errors
    /// [`StateError`]: it cannot be kept.
    pub fn restored(&mut self, position: Option<i64>) -> Result<(), StateError> {
        let mark = Mark {
            progress: (!self.progress.is_empty()).then_some(&self.progress),
            position,
        };
        self.customers.put(&mut std::iter::empty(), mark)
    }

    /// Which changelog this is: a number that the first to keep it elsewhere has thrown, and that each record of the
    /// partition's progress says again. None before that.
    pub fn lineage(&self) -> Option<u64> {
        self.committed.lineage
    }

    /// From the next batch on the changelog is of that lineage, if it has none yet.
    pub fn begin_lineage(&mut self, lineage: u64) {
        self.committed.lineage.get_or_insert(lineage);
        self.open.lineage.get_or_insert(lineage);
    }

    /// How many customers are remembered.
    pub fn len(&self) -> usize {
        self.customers.size().customers
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes the customers and their ids have.
    pub fn bytes(&self) -> usize {
        self.customers.size().bytes
    }

    /// The time of the partition, in milliseconds since 1970: that of its records so far.
    pub fn clock(&self) -> i64 {
        self.open.clock
    }

    /// Offset of the last event that was taken in; -1 if there was none.
    pub fn offset(&self) -> i64 {
        self.open.offset
    }

    /// Takes note of an event that leaves no trace, done or recorded at that time.
    pub fn advance(&mut self, clock: i64, offset: i64) {
        self.open.clock = self.open.clock.max(clock);
        self.open.offset = self.open.offset.max(offset);
    }

    /// Takes note of a record, unless that was done before: then it comes again by a fault of the log, and must do nothing.
    #[must_use]
    pub(crate) fn is_new(&mut self, arrival: Arrival) -> bool {
        let is_new = arrival.offset > self.offset();
        if is_new {
            self.advance(arrival.time, arrival.offset);
        }
        is_new
    }

    /// The customer as the open batch has it.
    ///
    /// # Errors
    /// [`StateError`]: what is kept cannot be read.
    pub fn customer(&self, id: &str) -> Result<Option<Customer>, StateError> {
        if let Some(touched) = self.touched.get(id) {
            return Ok(Some(touched.customer.clone()));
        }
        let bytes = self.customers.customer(id)?;
        bytes.map(|bytes| Customer::from_bytes(&bytes)).transpose()
    }

    /// The customer, to be changed.
    pub(crate) fn touch(&mut self, id: &str) -> Result<&mut Customer, StateError> {
        match self.touched.raw_entry_mut_v1().from_key(id) {
            RawEntryMut::Occupied(touched) => Ok(&mut touched.into_mut().customer),
            RawEntryMut::Vacant(place) => {
                let touched = match self.customers.customer(id)? {
                    Some(bytes) => Touched::of(Customer::from_bytes(&bytes)?, &bytes),
                    None => Touched::default(),
                };
                Ok(&mut place.insert(id.into(), touched).1.customer)
            }
        }
    }

    /// Forgets a customer.
    ///
    /// # Errors
    /// [`StateError`]: what is kept cannot be read.
    pub fn forget(&mut self, id: &str) -> Result<(), StateError> {
        *self.touch(id)? = Customer::default();
        Ok(())
    }

    /// Forgets all whose ids are so. Looks at each customer once.
    ///
    /// # Errors
    /// [`StateError`]: what is kept cannot be read.
    pub(crate) fn forget_all(&mut self, is_so: &dyn Fn(&str) -> bool) -> Result<(), StateError> {
        for (_, touched) in self.touched.iter_mut().filter(|(id, _)| is_so(id)) {
            touched.customer = Customer::default();
        }
        let touched = &mut self.touched;
        let all = self.customers.size().customers;
        self.customers.visit(all, &mut |id, bytes| {
            if is_so(id) && !touched.contains_key(id) {
                touched.insert(id.into(), Touched::of(Customer::default(), bytes));
            }
            Ok(())
        })
    }

    /// Looks at some customers and forgets what has expired: events older than `oldest` come no more. Meant to be called
    /// with each batch, so that all customers have their turn.
    ///
    /// # Errors
    /// [`StateError`]: what is kept cannot be read.
    pub(crate) fn sweep(
        &mut self,
        customers: usize,
        oldest: i64,
        is_known: &dyn Fn(u64, i64) -> bool,
    ) -> Result<(), StateError> {
        let touched = &mut self.touched;
        self.customers.visit(customers, &mut |id, bytes| {
            let (stale_at, _) = codec::header(bytes)?;
            let is_stale = stale_at < oldest || stale_at == NEVER;
            if !is_stale || touched.contains_key(id) {
                return Ok(());
            }
            let before = Customer::from_bytes(bytes)?;
            let mut customer = before.clone();
            customer.expire(oldest);
            customer.forget_unknown(oldest, is_known);
            if customer != before {
                touched.insert(id.into(), Touched::of(customer, bytes));
            }
            Ok(())
        })
    }

    /// Whether the open batch has changed anything.
    pub fn is_changed(&self) -> bool {
        !self.touched.is_empty() || self.open != self.committed
    }

    /// Writes what the open batch has changed: a record a customer, and one for the partition's progress. Nobody can change
    /// more of it until what was written is committed, or dropped.
    pub fn changes(&mut self, mut write: impl FnMut(Change<'_>)) -> Written<'_> {
        if !self.is_changed() {
            return Written(self);
        }
        self.written.clear();
        for (id, touched) in &mut self.touched {
            touched.bytes = None;
            if !touched.customer.is_empty() {
                let begin = self.written.len();
                touched.customer.write(&mut self.written);
                touched.bytes = Some((begin, self.written.len()));
            }
            let value = touched.bytes.map(|(begin, end)| &self.written[begin..end]);
            if value.is_some() || touched.before.is_some() {
                write(Change {
                    key: id.as_bytes(),
                    value,
                });
            }
        }
        self.progress.clear();
        codec::write_progress(self.open, &mut self.progress);
        write(Change {
            key: PROGRESS,
            value: Some(&self.progress),
        });
        Written(self)
    }

    /// The batch was given up: nothing has changed.
    pub fn roll_back(&mut self) {
        self.open = self.committed;
        self.forget_touched();
    }

    /// Gives back most of the room of a batch that was larger by far than this one.
    fn forget_touched(&mut self) {
        let touched = self.touched.len();
        self.touched.clear();
        if self.touched.capacity() > ROOM.max(8 * touched) {
            self.touched.shrink_to(2 * touched);
        }
    }

    /// A customer of whom something committed is due at that time, unless the open batch has touched them.
    pub(crate) fn next_due(&self, at: i64) -> Result<Option<Box<str>>, StateError> {
        let skip = |id: &str| self.touched.contains_key(id);
        self.customers.next_due(at, &skip)
    }

    /// When the first of what is waited for is due, in milliseconds since 1970.
    pub fn first_due(&self) -> Option<i64> {
        self.customers.first_due()
    }
}

/// What the open batch of a partition has changed, and was written to the changelog: all that there is to commit. Dropped, it
/// leaves the batch open. What was not written cannot be committed:
///
/// ```compile_fail,E0499
/// let mut partition = state::Partition::default();
/// let written = partition.changes(|_| {});
/// partition.advance(1, 1);
/// written.commit(None).unwrap();
/// ```
#[derive(Debug)]
#[must_use]
pub struct Written<'p>(&'p mut Partition);

impl Written<'_> {
    /// The batch was committed: what was written is what is remembered. `position` is the offset that the last of it has in
    /// the changelog, if that is known; customers in memory need none.
    ///
    /// # Errors
    /// [`StateError::Base`]: it cannot be kept. The changelog has it; restore the partition.
    pub fn commit(self, position: Option<i64>) -> Result<(), StateError> {
        let Self(partition) = self;
        if !partition.is_changed() {
            return Ok(());
        }
        partition.committed = partition.open;
        let written = &partition.written;
        let mut puts = partition.touched.iter().filter_map(|(id, touched)| {
            let due = touched.customer.due();
            let after = touched.bytes.map(|(begin, end)| Bytes {
                bytes: &written[begin..end],
                due: (due != NEVER).then_some(due),
            });
            let put = Put {
                id,
                after,
                before: touched.before,
            };
            (after.is_some() || put.before.is_some()).then_some(put)
        });
        let mark = Mark {
            progress: Some(&partition.progress),
            position,
        };
        let put = partition.customers.put(&mut puts, mark);
        partition.forget_touched();
        put
    }
}

impl Touched {
    /// A customer whose committed state is those bytes.
    fn of(customer: Customer, committed: &[u8]) -> Self {
        let before = Before {
            length: committed.len(),
            due: codec::due(committed).ok().flatten(),
        };
        Self {
            customer,
            before: Some(before),
            bytes: None,
        }
    }
}
