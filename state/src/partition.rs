//! The customers of one partition: what is committed, and what the open batch made of it.

use std::collections::{BTreeSet, HashMap};

use indexmap::IndexMap;

use crate::codec::{self, StateError};
use crate::customer::{Customer, NEVER};

/// The state of a partition's customers.
///
/// Changes are made on copies of the customers that they touch, and take the place of what was there only with
/// [`commit`](Self::commit). Owned by one worker.
#[derive(Debug, Default)]
pub struct Partition {
    committed: Progress,
    customers: IndexMap<Box<str>, Box<[u8]>>,
    /// When something is due, and whose.
    due: BTreeSet<(i64, Box<str>)>,
    open: Progress,
    touched: HashMap<Box<str>, Touched>,
    /// The bytes of what was touched, made for the changelog.
    written: Vec<u8>,
    /// Where the search for expired state goes on.
    swept: usize,
    bytes: usize,
}

/// How far a partition was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The time of the partition: the greatest of its records, in milliseconds since 1970.
    pub(crate) clock: i64,
    /// Offset of the last event.
    pub(crate) offset: i64,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            clock: i64::MIN,
            offset: -1,
        }
    }
}

#[derive(Debug)]
struct Touched {
    customer: Customer,
    due: i64,
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

/// The key of the record with the partition's progress. A customer's id is never empty.
const PROGRESS: &[u8] = b"";

impl Partition {
    /// Takes in a record of the changelog, in the order of the log.
    ///
    /// # Errors
    /// [`StateError`]: a later release wrote it, or nobody did.
    pub fn restore(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), StateError> {
        if key == PROGRESS {
            let value = value.ok_or(StateError::Broken { at: 0 })?;
            self.committed = progress(value)?;
            self.open = self.committed;
            return Ok(());
        }
        let key = std::str::from_utf8(key).map_err(|_| StateError::Broken { at: 0 })?;
        let before = self.customers.get(key).map(|bytes| codec::header(bytes));
        if let Some(header) = before
            && let (_, due) = header?
            && due != NEVER
        {
            self.due.remove(&(due, key.into()));
        }
        match value {
            None => self.remove(key),
            Some(value) => {
                let (_, due) = codec::header(value)?;
                if due != NEVER {
                    self.due.insert((due, key.into()));
                }
                self.put(key, value.into());
            }
        }
        Ok(())
    }

    /// How many customers are remembered.
    pub fn len(&self) -> usize {
        self.customers.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.customers.is_empty()
    }

    /// How many bytes the customers and their ids have.
    pub fn bytes(&self) -> usize {
        self.bytes
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

    /// The customer as the open batch has it.
    ///
    /// # Errors
    /// [`StateError`]: what is kept cannot be read.
    pub fn customer(&self, id: &str) -> Result<Option<Customer>, StateError> {
        if let Some(touched) = self.touched.get(id) {
            return Ok(Some(touched.customer.clone()));
        }
        let bytes = self.customers.get(id);
        bytes.map(|bytes| Customer::from_bytes(bytes)).transpose()
    }

    /// The customer, to be changed.
    pub(crate) fn touch(&mut self, id: &str) -> Result<&mut Customer, StateError> {
        // Two look-ups, for a name is made only for who is new in the batch.
        if !self.touched.contains_key(id) {
            let customer = match self.customers.get(id) {
                Some(bytes) => Customer::from_bytes(bytes)?,
                None => Customer::default(),
            };
            let touched = Touched {
                due: customer.due(),
                customer,
                bytes: None,
            };
            self.touched.insert(id.into(), touched);
        }
        let touched = self.touched.get_mut(id);
        Ok(&mut touched.expect("was put there").customer)
    }

    /// Forgets a customer.
    ///
    /// # Errors
    /// [`StateError`]: what is kept cannot be read.
    pub fn forget(&mut self, id: &str) -> Result<(), StateError> {
        *self.touch(id)? = Customer::default();
        Ok(())
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
        for _ in 0..customers.min(self.customers.len()) {
            if self.swept >= self.customers.len() {
                self.swept = 0;
            }
            let Some((id, bytes)) = self.customers.get_index(self.swept) else {
                break;
            };
            self.swept += 1;
            let (stale_at, _) = codec::header(bytes)?;
            let is_stale = stale_at < oldest || stale_at == NEVER;
            if !is_stale || self.touched.contains_key(id) {
                continue;
            }
            let before = Customer::from_bytes(bytes)?;
            let mut customer = before.clone();
            customer.expire(oldest);
            customer.forget_unknown(oldest, is_known);
            if customer != before {
                let touched = Touched {
                    due: before.due(),
                    customer,
                    bytes: None,
                };
                self.touched.insert(id.clone(), touched);
            }
        }
        Ok(())
    }

    /// Whether the open batch has changed anything.
    pub fn is_changed(&self) -> bool {
        !self.touched.is_empty() || self.open != self.committed
    }

    /// Writes what the open batch has changed: a record a customer, and one for the partition's progress.
    pub fn changes(&mut self, mut write: impl FnMut(Change<'_>)) {
        if !self.is_changed() {
            return;
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
            if value.is_some() || self.customers.contains_key(id) {
                write(Change {
                    key: id.as_bytes(),
                    value,
                });
            }
        }
        let mut progress = Vec::new();
        codec::write_progress(self.open.clock, self.open.offset, &mut progress);
        write(Change {
            key: PROGRESS,
            value: Some(&progress),
        });
    }

    /// The batch was committed: what [`changes`](Self::changes) wrote is what is remembered.
    pub fn commit(&mut self) {
        self.committed = self.open;
        let written = std::mem::take(&mut self.written);
        for (id, touched) in std::mem::take(&mut self.touched) {
            let due = touched.customer.due();
            if touched.due != due {
                self.due.remove(&(touched.due, id.clone()));
                if due != NEVER {
                    self.due.insert((due, id.clone()));
                }
            }
            match touched.bytes {
                Some((begin, end)) => self.put(&id, written[begin..end].into()),
                None => self.remove(&id),
            }
        }
        self.written = written;
    }

    /// The batch was given up: nothing has changed.
    pub fn roll_back(&mut self) {
        self.open = self.committed;
        self.touched.clear();
    }

    /// A customer of whom something committed is due at that time, unless the open batch has touched them.
    pub(crate) fn next_due(&self, at: i64) -> Option<&str> {
        let due = self.due.iter().take_while(|(due, _)| *due <= at);
        let mut ids = due.map(|(_, id)| &**id);
        ids.find(|id| !self.touched.contains_key(*id))
    }

    /// When the first of what is waited for is due, in milliseconds since 1970.
    pub fn first_due(&self) -> Option<i64> {
        self.due.first().map(|(due, _)| *due)
    }

    fn put(&mut self, id: &str, bytes: Box<[u8]>) {
        self.bytes += bytes.len();
        if let Some(before) = self.customers.get_mut(id) {
            self.bytes -= before.len();
            *before = bytes;
        } else {
            self.bytes += id.len();
            self.customers.insert(id.into(), bytes);
        }
    }

    fn remove(&mut self, id: &str) {
        if let Some(before) = self.customers.swap_remove(id) {
            self.bytes -= before.len() + id.len();
        }
    }
}

fn progress(value: &[u8]) -> Result<Progress, StateError> {
    let (clock, offset) = codec::read_progress(value)?;
    Ok(Progress { clock, offset })
}
