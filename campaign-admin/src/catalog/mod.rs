//! What the two topics say, in memory: every campaign in force, and the index of its changes.
//!
//! 10,000 campaigns of 2 KB with 20 changes each take some 100 MB: the documents in force 50, the index
//! of changes 30. The documents before and after each change, another gigabyte, stay in
//! `campaign-changes`, which keeps them for ever and hands one out by its offset within milliseconds
//! ([`crate::archive`]).

mod change_id;
mod entry;
mod filter;

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use jiff::Timestamp;
use schemas::{Campaign, CampaignId, Status};

pub use self::change_id::{ChangeId, NotAChangeId};
pub use self::entry::{Change, Current, Foreign, Past, Says};
pub use self::filter::Filter;

use self::entry::Entry;

/// One of the two topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// The compacted one.
    Campaigns,
    /// The audit.
    Changes,
}

/// A record of `campaigns`, read.
#[derive(Debug)]
pub struct CampaignRecord {
    /// The campaign that it names.
    pub id: CampaignId,
    /// Its place in the topic.
    pub offset: i64,
    /// When it was written.
    pub written_at: Timestamp,
    /// The change that wrote it.
    pub change: Option<ChangeId>,
    /// What it says.
    pub value: Value,
}

/// The value of a record of `campaigns`.
#[derive(Debug)]
pub enum Value {
    /// A document.
    Document(Box<Campaign>),
    /// Nothing: the campaign is gone.
    Tombstone,
    /// Something broken. The last good document stays in force, as in the matcher.
    Broken(Box<str>),
}

/// What a change of a campaign starts from.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// The document in force.
    pub current: Option<Arc<Current>>,
    /// The highest version that any document of the campaign had.
    pub highest: u64,
    /// When it was last changed; the next change is not before.
    pub changed_at: Option<Timestamp>,
}

/// See the module. Written to by whoever reads the topics, each record once, and read by everybody.
/// Locks are held for the time of a lookup, never during I/O.
#[derive(Debug, Default)]
pub struct Catalog {
    inner: RwLock<Inner>,
    /// Beside the lock of `moved`, which is told when the awaited records were applied.
    awaited: Mutex<Awaited>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    entries: BTreeMap<CampaignId, Entry>,
    campaigns: Progress,
    changes: Progress,
}

/// How far a topic was read.
#[derive(Debug, Default)]
struct Progress {
    /// The offset after the last record that was applied.
    next: i64,
    /// Whether it was read to its end once.
    loaded: bool,
}

/// The change whose records somebody waits for.
#[derive(Debug, Default)]
struct Awaited {
    change: Option<ChangeId>,
    in_campaigns: bool,
    in_changes: bool,
}

impl Inner {
    fn progress(&mut self, topic: Topic) -> &mut Progress {
        match topic {
            Topic::Campaigns => &mut self.campaigns,
            Topic::Changes => &mut self.changes,
        }
    }
}

impl Catalog {
    /// An empty catalog.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a record of `campaigns`. Returns whether it was new: two may read the same topic, and a
    /// record counts once.
    pub fn apply(&self, record: CampaignRecord) -> bool {
        let mut inner = self.write();
        if record.offset < inner.campaigns.next {
            return false;
        }
        inner.campaigns.next = record.offset + 1;
        let entry = inner.entries.entry(record.id).or_default();
        let says = match record.value {
            Value::Document(campaign) => {
                let version = campaign.version;
                entry.saw_version(Some(version));
                // A pipeline that writes what is there already does nothing.
                let repeats = |current: &Arc<Current>| {
                    record.change.is_none() && current.campaign == *campaign
                };
                if entry.current.as_ref().is_some_and(repeats) {
                    return true;
                }
                entry.current = Some(Arc::new(Current {
                    campaign: *campaign,
                    offset: record.offset,
                    written_at: record.written_at,
                    change: record.change,
                }));
                Says::Stored { version }
            }
            Value::Tombstone => {
                if entry.current.take().is_none() && record.change.is_none() {
                    return true;
                }
                Says::Deleted
            }
            Value::Broken(detail) => Says::Refused { detail },
        };
        match record.change {
            Some(change) => {
                drop(inner);
                self.tell(change, Topic::Campaigns);
            }
            None => entry.add_foreign(Foreign {
                offset: record.offset,
                written_at: record.written_at,
                says,
            }),
        }
        true
    }

    /// Takes in a record of `campaign-changes`. Returns whether it was new.
    pub fn apply_change(&self, campaign: &CampaignId, change: Change) -> bool {
        let mut inner = self.write();
        if change.offset < inner.changes.next {
            return false;
        }
        inner.changes.next = change.offset + 1;
        let id = change.id;
        let entry = inner.entries.entry(campaign.clone()).or_default();
        entry.saw_version(change.before);
        entry.saw_version(change.after);
        entry.changes.push(change);
        drop(inner);
        if let Some(id) = id {
            self.tell(id, Topic::Changes);
        }
        true
    }

    /// A record that says nothing of any campaign was read.
    pub fn skip(&self, topic: Topic, offset: i64) -> bool {
        let mut inner = self.write();
        let progress = inner.progress(topic);
        let is_new = offset >= progress.next;
        progress.next = progress.next.max(offset + 1);
        is_new
    }

    /// The topic was read to its end.
    pub fn loaded(&self, topic: Topic) {
        self.write().progress(topic).loaded = true;
    }

    /// The topic is not the one that was read before: forgets what it said.
    pub fn reset(&self, topic: Topic) {
        let mut inner = self.write();
        *inner.progress(topic) = Progress::default();
        for entry in inner.entries.values_mut() {
            match topic {
                Topic::Campaigns => {
                    entry.current = None;
                    entry.foreign.clear();
                }
                Topic::Changes => entry.changes.clear(),
            }
        }
    }

    /// Whether both topics were read to their ends, so that what is said of campaigns can be believed.
    pub fn is_loaded(&self) -> bool {
        let inner = self.read();
        inner.campaigns.loaded && inner.changes.loaded
    }

    /// The offset after the last record that was applied.
    pub fn next_offset(&self, topic: Topic) -> i64 {
        let inner = self.read();
        match topic {
            Topic::Campaigns => inner.campaigns.next,
            Topic::Changes => inner.changes.next,
        }
    }

    /// The document in force.
    pub fn current(&self, id: &CampaignId) -> Option<Arc<Current>> {
        self.read().entries.get(id)?.current.clone()
    }

    /// What a change of the campaign starts from.
    pub fn standing(&self, id: &CampaignId) -> Standing {
        let inner = self.read();
        let Some(entry) = inner.entries.get(id) else {
            return Standing::default();
        };
        let changed_at = entry.changes.last().map(|change| change.changed_at);
        Standing {
            current: entry.current.clone(),
            highest: entry.highest,
            changed_at,
        }
    }

    /// What was done to a campaign, oldest first; empty if it was never there.
    pub fn history(&self, id: &CampaignId) -> Vec<Past> {
        let inner = self.read();
        inner.entries.get(id).map_or_else(Vec::new, Entry::history)
    }

    /// Whether that change of a campaign was made: both of its records are there.
    pub fn has_change(&self, campaign: &CampaignId, id: ChangeId) -> bool {
        let inner = self.read();
        let Some(entry) = inner.entries.get(campaign) else {
            return false;
        };
        // Newest first: it is looked for right after it was made.
        let mut changes = entry.changes.iter().rev();
        changes.any(|change| change.id == Some(id))
    }

    /// Campaigns in force in the order of their ids, at most `size` of those behind `after`, and whether
    /// there are more.
    pub fn list(
        &self,
        filter: &Filter,
        after: Option<&CampaignId>,
        size: usize,
    ) -> (Vec<Arc<Current>>, bool) {
        use std::ops::Bound::{Excluded, Unbounded};
        let inner = self.read();
        let behind = (after.map_or(Unbounded, Excluded), Unbounded);
        let mut found: Vec<_> = inner
            .entries
            .range::<CampaignId, _>(behind)
            .filter_map(|(_, entry)| entry.current.as_ref())
            .filter(|current| filter.takes(&current.campaign))
            .take(size + 1)
            .cloned()
            .collect();
        let more = found.len() > size;
        found.truncate(size);
        (found, more)
    }

    /// How many campaigns have that status.
    pub fn count(&self, status: Status) -> usize {
        let inner = self.read();
        let currents = inner
            .entries
            .values()
            .filter_map(|entry| entry.current.as_ref());
        currents
            .filter(|current| current.campaign.status == status)
            .count()
    }

    /// From now on notes whether the records of that change are applied, for [`Catalog::wait`].
    pub fn expect(&self, change: ChangeId) {
        *self.awaited() = Awaited {
            change: Some(change),
            ..Awaited::default()
        };
    }

    /// Waits until both records of the expected change are applied, and with them all before. Returns
    /// whether that came about in time.
    pub fn wait(&self, deadline: Instant) -> bool {
        let mut awaited = self.awaited();
        while !(awaited.in_campaigns && awaited.in_changes) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            awaited = self
                .moved
                .wait_timeout(awaited, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }

    fn tell(&self, change: ChangeId, topic: Topic) {
        let mut awaited = self.awaited();
        if awaited.change != Some(change) {
            return;
        }
        match topic {
            Topic::Campaigns => awaited.in_campaigns = true,
            Topic::Changes => awaited.in_changes = true,
        }
        self.moved.notify_all();
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn awaited(&self) -> std::sync::MutexGuard<'_, Awaited> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
