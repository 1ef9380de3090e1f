//! The customers of one partition on disk.

use std::borrow::Cow;
use std::collections::BTreeMap;

use fjall::config::{BloomConstructionPolicy, FilterPolicy, FilterPolicyEntry};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch};
use state::StateError;
use state::base::{self, Base, Before, Bytes, Put, Size, Visit};

use crate::files::Lease;
use crate::lot::Lot;
use crate::mark::{self, Mark};

const CUSTOMER: u8 = b'c';
const DUE: u8 = b'd';
const MARK: &[u8] = b"m";
const SIZE: &[u8] = b"n";

/// Bytes of a partition's changes that are kept in memory before they are written to a table. A batch may go beyond.
const WRITE_BUFFER: u64 = 4 * 1024 * 1024;

/// Fewer are not worth a table.
const FEW: usize = 4_096;

/// How often a table that does not have a customer is read in vain. A restore asks each table for each customer that it
/// brings back, nearly always for nothing: with a hundredth, which is usual, it reads more blocks than it writes. This
/// takes 2.4 bytes a customer instead of 1.2.
const IN_VAIN: f32 = 0.0001;

pub(crate) fn options() -> KeyspaceCreateOptions {
    let filter = BloomConstructionPolicy::FalsePositiveRate(IN_VAIN);
    KeyspaceCreateOptions::default()
        .max_memtable_size(WRITE_BUFFER)
        .filter_policy(FilterPolicy::all(FilterPolicyEntry::Bloom(filter)))
}

pub(crate) fn mark(keyspace: &Keyspace) -> fjall::Result<Option<Mark>> {
    Ok(keyspace.get(MARK)?.and_then(|bytes| Mark::read(&bytes)))
}

/// The customers of a partition on disk. Whoever has it is the only one; others get the partition when it is dropped.
pub struct OnDisk {
    // Dropped before the lease, so that the next to have the partition finds all closed.
    keyspace: Keyspace,
    database: Database,
    lease: Lease,
    mark: Option<Mark>,
    size: Size,
    first_due: Option<i64>,
    /// Whose turn it was last.
    turn: Option<Box<str>>,
    /// Restored, and not written yet.
    lot: Lot,
}

impl std::fmt::Debug for OnDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut f = f.debug_struct("OnDisk");
        f.field("partition", &self.lease.partition);
        f.field("mark", &self.mark).field("size", &self.size);
        f.finish_non_exhaustive()
    }
}

impl OnDisk {
    pub(crate) fn open(lease: Lease, database: Database) -> fjall::Result<Self> {
        let name = lease.partition.to_string();
        let keyspace = database.keyspace(&name, options)?;
        let mark = mark(&keyspace)?;
        let size = keyspace.get(SIZE)?;
        let size = size.and_then(|bytes| mark::read_size(&bytes));
        let first_due = first_due(&keyspace, i64::MIN)?;
        let mut customers = Self {
            keyspace,
            database,
            lease,
            mark,
            size: size.unwrap_or_default(),
            first_due,
            turn: None,
            lot: Lot::default(),
        };
        // Whoever began to restore it did not come to the end.
        if customers.mark.is_none() && size.is_some() {
            customers.remake()?;
        }
        Ok(customers)
    }

    /// How far the changelog is here; none if nothing is here.
    pub fn mark(&self) -> Option<&Mark> {
        self.mark.as_ref()
    }

    /// Throws away all that is here.
    ///
    /// # Errors
    /// [`StateError::Base`].
    pub fn clear(&mut self) -> Result<(), StateError> {
        let remade = self.remake();
        self.told(remade)
    }

    // Not `Keyspace::clear`: after a kill its journal would clear the tables that were ingested since.
    fn remake(&mut self) -> fjall::Result<()> {
        let name = self.lease.partition.to_string();
        self.database.delete_keyspace(self.keyspace.clone())?;
        self.keyspace = self.database.keyspace(&name, options)?;
        self.mark = None;
        self.size = Size::default();
        self.first_due = None;
        self.turn = None;
        self.lot = Lot::default();
        Ok(())
    }

    /// What failed is given up for the whole process.
    fn told<T>(&self, result: fjall::Result<T>) -> Result<T, StateError> {
        result.map_err(|error| {
            self.lease.disk.give_up(&error);
            StateError::Base(error.to_string())
        })
    }

    fn write(
        &mut self,
        changes: &mut dyn Iterator<Item = Put<'_>>,
        mark: base::Mark<'_>,
    ) -> fjall::Result<()> {
        let mut batch = self.database.batch();
        let mut size = self.size;
        let mut dues = Dues::from(self.first_due);
        for Put { id, after, before } in changes {
            let key = customer_key(id);
            match after {
                Some(state) => batch.insert(&self.keyspace, key, state.bytes),
                None => batch.remove(&self.keyspace, key),
            }
            let after_due = after.and_then(|it| it.due);
            dues.change(id, before.and_then(|it| it.due), after_due);
            let after = after.map(|it| it.bytes.len());
            size.count(id, before.map(|it| it.length), after);
        }
        for (key, is_there) in &dues.changes {
            if *is_there {
                batch.insert(&self.keyspace, &**key, []);
            } else {
                batch.remove(&self.keyspace, &**key);
            }
        }
        self.end(batch, size, &dues, mark)
    }

    /// Ends a batch with how much there is then, and how far the changelog is.
    fn end(
        &mut self,
        mut batch: OwnedWriteBatch,
        size: Size,
        dues: &Dues,
        mark: base::Mark<'_>,
    ) -> fjall::Result<()> {
        batch.insert(&self.keyspace, SIZE, mark::write_size(size));
        let written = mark.position.zip(mark.progress);
        let written = written.map(|(position, progress)| Mark::write(position, progress));
        if let Some(written) = &written {
            batch.insert(&self.keyspace, MARK, &**written);
        }
        batch.commit()?;
        if let Some(written) = &written {
            self.mark = Mark::read(written);
        }
        self.size = size;
        self.find_first_due(dues)
    }

    fn find_first_due(&mut self, dues: &Dues) -> fjall::Result<()> {
        if !dues.changes.is_empty() {
            // What was before that is deleted, and would only be passed over again.
            self.first_due = first_due(&self.keyspace, dues.first.unwrap_or(i64::MIN))?;
        }
        Ok(())
    }

    /// What is known of a customer before a change.
    fn before(&self, id: &str) -> Result<Option<Before>, StateError> {
        let Some(bytes) = self.told(self.keyspace.get(customer_key(id)))? else {
            return Ok(None);
        };
        Ok(Some(Before {
            length: bytes.len(),
            due: state::due_of(&bytes)?,
        }))
    }

    /// Writes what was restored.
    fn put_restored(&mut self) -> Result<(), StateError> {
        let mut lot = std::mem::take(&mut self.lot);
        if lot.len() > FEW {
            return self.write_tables(&mut lot);
        }
        let is_new = self.size.customers == 0;
        let puts = lot.in_order();
        let puts: Result<Vec<_>, _> = puts
            .filter_map(|(id, after)| self.change(id, after, is_new).transpose())
            .collect();
        let nowhere = base::Mark {
            progress: None,
            position: None,
        };
        let written = self.write(&mut puts?.into_iter(), nowhere);
        self.told(written)
    }

    /// What a restored customer changes, if anything.
    fn change<'a>(
        &self,
        id: &'a str,
        after: Option<Bytes<'a>>,
        is_new: bool,
    ) -> Result<Option<Put<'a>>, StateError> {
        let before = if is_new { None } else { self.before(id)? };
        let is_one = after.is_some() || before.is_some();
        Ok(is_one.then_some(Put { id, after, before }))
    }

    /// Writes a lot straight to tables.
    fn write_tables(&mut self, lot: &mut Lot) -> Result<(), StateError> {
        let is_new = self.size.customers == 0;
        let mut size = self.size;
        let mut dues = Dues::from(self.first_due);
        let mut tables = self.told(self.keyspace.start_ingestion())?;
        for (id, after) in lot.in_order() {
            let Some(Put { before, .. }) = self.change(id, after, is_new)? else {
                continue;
            };
            let before_due = before.and_then(|it| it.due);
            dues.change(id, before_due, after.and_then(|it| it.due));
            let length = after.map(|it| it.bytes.len());
            size.count(id, before.map(|it| it.length), length);
            let key = customer_key(id);
            self.told(match after {
                Some(state) => tables.write(key, state.bytes),
                None => tables.write_tombstone(key),
            })?;
        }
        for (key, is_there) in &dues.changes {
            self.told(if *is_there {
                tables.write(&**key, [])
            } else {
                tables.write_tombstone(&**key)
            })?;
        }
        self.told(tables.write(SIZE, mark::write_size(size)))?;
        self.told(tables.finish())?;
        self.size = size;
        let found = self.find_first_due(&dues);
        self.told(found)
    }
}

impl Base for OnDisk {
    fn customer(&self, id: &str) -> Result<Option<Cow<'_, [u8]>>, StateError> {
        let bytes = self.told(self.keyspace.get(customer_key(id)))?;
        Ok(bytes.map(|bytes| Cow::Owned(bytes.to_vec())))
    }

    fn restore(&mut self, id: &str, state: Option<Bytes<'_>>) -> Result<(), StateError> {
        self.lot.push(id, state);
        if self.lot.is_full() {
            return self.put_restored();
        }
        Ok(())
    }

    fn put(
        &mut self,
        changes: &mut dyn Iterator<Item = Put<'_>>,
        mark: base::Mark<'_>,
    ) -> Result<(), StateError> {
        if self.lease.disk.is_given_up() {
            return Err(StateError::Base("the disk was given up".to_owned()));
        }
        if self.lot.len() > 0 {
            self.put_restored()?;
        }
        let written = self.write(changes, mark);
        self.told(written)
    }

    fn size(&self) -> Size {
        self.size
    }

    fn visit(&mut self, customers: usize, each: Visit<'_>) -> Result<(), StateError> {
        let from = match self.turn.take() {
            None => vec![CUSTOMER],
            // The next is behind it.
            Some(last) => [&customer_key(&last), &[0][..]].concat(),
        };
        let turn = self.keyspace.range(from..vec![CUSTOMER + 1]);
        let mut left = customers;
        for found in turn.take(customers) {
            let (key, bytes) = self.told(found.into_inner())?;
            let id = str::from_utf8(&key[1..]).map_err(|_| StateError::Broken { at: 0 })?;
            each(id, &bytes)?;
            self.turn = Some(id.into());
            left -= 1;
        }
        if left > 0 {
            self.turn = None;
        }
        Ok(())
    }

    fn first_due(&self) -> Option<i64> {
        self.first_due
    }

    fn next_due(
        &self,
        at: i64,
        skip: &dyn Fn(&str) -> bool,
    ) -> Result<Option<Box<str>>, StateError> {
        let Some(first) = self.first_due.filter(|first| *first <= at) else {
            return Ok(None);
        };
        let until = due_key(at.saturating_add(1), "");
        for found in self.keyspace.range(due_key(first, "")..until) {
            let key = self.told(found.key())?;
            let (_, id) = read_due_key(&key).ok_or(StateError::Broken { at: 0 })?;
            if !skip(id) {
                return Ok(Some(id.into()));
            }
        }
        Ok(None)
    }
}

/// What becomes of the keys by which dues are found, in their order.
struct Dues {
    /// Whether each is there.
    changes: BTreeMap<Box<[u8]>, bool>,
    /// Nothing is due before.
    first: Option<i64>,
}

impl Dues {
    fn from(first: Option<i64>) -> Self {
        Self {
            changes: BTreeMap::new(),
            first,
        }
    }

    fn change(&mut self, id: &str, before: Option<i64>, after: Option<i64>) {
        if before == after {
            return;
        }
        if let Some(due) = before {
            self.changes.insert(due_key(due, id).into(), false);
        }
        if let Some(due) = after {
            self.changes.insert(due_key(due, id).into(), true);
            self.first = Some(self.first.map_or(due, |first| first.min(due)));
        }
    }
}

fn customer_key(id: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + id.len());
    key.push(CUSTOMER);
    key.extend_from_slice(id.as_bytes());
    key
}

/// Times in the order of their numbers, those before 1970 first.
fn due_key(due: i64, id: &str) -> Vec<u8> {
    let mut key = vec![DUE];
    key.extend_from_slice(&(due ^ i64::MIN).to_be_bytes());
    key.extend_from_slice(id.as_bytes());
    key
}

fn read_due_key(key: &[u8]) -> Option<(i64, &str)> {
    let (due, id) = key.get(1..)?.split_first_chunk()?;
    let due = i64::from_be_bytes(*due) ^ i64::MIN;
    Some((due, str::from_utf8(id).ok()?))
}

fn first_due(keyspace: &Keyspace, from: i64) -> fjall::Result<Option<i64>> {
    let mut dues = keyspace.range(due_key(from, "")..vec![DUE + 1]);
    let Some(first) = dues.next() else {
        return Ok(None);
    };
    let key = first.key()?;
    Ok(read_due_key(&key).map(|(due, _)| due))
}
