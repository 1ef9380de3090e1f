//! Customers on disk: whether what is there is still a copy of the changelog, up to its mark.
//!
//! It is not when the topic was made anew or is another cluster's, which its lineage tells ([`Partition::lineage`]): a partition
//! is read from its last record of progress on, so that each restore sees one. It is not when the partition was elsewhere for
//! long: the record that forgets a customer is compacted away after `delete.retention.ms`, and who has not seen it by then
//! would remember that customer for ever. Then all is read anew.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use disk::{Disk, Mark};
use rdkafka::topic_partition_list::Offset;
use service::kafka::reader::TopicReader;
use service::kafka::topics;
use service::settings::KafkaSettings;
use state::Partition;
use tokio::runtime::Handle;

use super::restore::RestoreError;

/// How long an answer about the changelog's settings is good for.
const ASKED: Duration = Duration::from_mins(10);

/// How often a restore from nothing looks whether it may begin.
const LOOK: Duration = Duration::from_millis(50);

/// The disk of a process, and what its workers know of the changelog.
#[derive(Clone)]
pub(crate) struct DiskMemory(Arc<Inner>);

struct Inner {
    disk: Disk,
    kafka: KafkaSettings,
    changelog: String,
    runtime: Handle,
    /// How long deletions can be read there, and when that was asked.
    tombstones: Mutex<Option<(Instant, Duration)>>,
    /// Restores from nothing that may begin. Each sorts some MiB in memory and keeps a core busy.
    free: Mutex<usize>,
}

/// Why what is on disk is thrown away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Distrust {
    /// It was elsewhere for so long that deletions may have been missed.
    Age,
    /// The changelog does not have its position.
    Position,
    /// The changelog is another one.
    Lineage,
}

impl Distrust {
    /// As metrics say it.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Position => "position",
            Self::Lineage => "lineage",
        }
    }
}

/// A partition as it is on disk, to be brought up to date.
pub(super) struct Found {
    pub(super) state: Partition,
    /// Where the changelog is to be read from.
    pub(super) from: Offset,
    /// What each record of progress that is read from there must say, and one there must be.
    pub(super) lineage: Option<u64>,
    /// What was thrown away, and why.
    pub(super) distrusted: Option<Distrust>,
    /// Held while much is read.
    pub(super) permit: Option<Permit>,
}

/// Leave to restore a partition from nothing.
pub(super) struct Permit(DiskMemory);

impl Drop for Permit {
    fn drop(&mut self) {
        *self.0.free() += 1;
    }
}

impl DiskMemory {
    /// `changelog` is the topic that this disk is a copy of.
    pub(crate) fn new(disk: Disk, kafka: KafkaSettings, changelog: &str) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Inner {
            disk,
            kafka,
            changelog: changelog.to_owned(),
            runtime: Handle::current(),
            tombstones: Mutex::default(),
            free: Mutex::new(cores),
        }))
    }

    /// How many bytes are on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.0.disk.bytes()
    }

    /// Whether the disk failed.
    pub(super) fn is_given_up(&self) -> bool {
        self.0.disk.is_given_up()
    }

    /// Takes a partition, which its last owner may still have to let go of. None if it is no longer wanted, or the disk
    /// failed. What was found to be wrong with it is given again: it is thrown away.
    pub(super) fn take(
        &self,
        partition: i32,
        reader: &TopicReader,
        known: Option<Distrust>,
        wanted: &dyn Fn() -> bool,
    ) -> Result<Option<Found>, RestoreError> {
        let unkept = |error| RestoreError::Unkept { partition, error };
        let Some(mut customers) = self.0.disk.take(partition, wanted) else {
            return Ok(None);
        };
        let distrusted = match (customers.mark(), known) {
            (None, _) => known,
            (_, Some(known)) => Some(known),
            (Some(mark), None) => self.look_at(mark, reader)?,
        };
        if distrusted.is_some() {
            customers.clear().map_err(unkept)?;
        }
        let mark = customers.mark().cloned();
        let (from, permit) = match &mark {
            Some(mark) => (Offset::Offset(mark.position), None),
            None => match self.wait_for_permit(wanted) {
                None => return Ok(None),
                permit => (Offset::Beginning, permit),
            },
        };
        let progress = mark.as_ref().map(|it| &*it.progress);
        let state = Partition::on(Box::new(customers), progress).map_err(unkept)?;
        Ok(Some(Found {
            lineage: state.lineage(),
            state,
            from,
            distrusted,
            permit,
        }))
    }

    /// What speaks against a mark before anything is read.
    fn look_at(&self, mark: &Mark, reader: &TopicReader) -> Result<Option<Distrust>, RestoreError> {
        if !matches!(state::lineage_of(&mark.progress), Ok(Some(_))) {
            return Ok(Some(Distrust::Lineage));
        }
        if !reader.has(mark.position)? {
            return Ok(Some(Distrust::Position));
        }
        // Half of it: another owner may have written already when the mark was put, and clocks are not exact.
        let in_time = self.tombstones_kept() / 2;
        let is_in_time = mark.age().is_some_and(|age| age < in_time);
        Ok((!is_in_time).then_some(Distrust::Age))
    }

    /// Zero if the broker does not say.
    fn tombstones_kept(&self) -> Duration {
        let tombstones = &self.0.tombstones;
        let mut known = tombstones.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, kept)) = *known
            && at.elapsed() < ASKED
        {
            return kept;
        }
        let asked = topics::tombstones_kept(&self.0.kafka, &self.0.changelog);
        match self.0.runtime.block_on(asked) {
            Ok(kept) => {
                *known = Some((Instant::now(), kept));
                kept
            }
            Err(error) => {
                tracing::warn!(
                    %error,
                    "what is on disk is thrown away and read anew; allow DescribeConfigs on the topic"
                );
                Duration::ZERO
            }
        }
    }

    fn wait_for_permit(&self, wanted: &dyn Fn() -> bool) -> Option<Permit> {
        while wanted() {
            let mut free = self.free();
            if *free > 0 {
                *free -= 1;
                return Some(Permit(self.clone()));
            }
            drop(free);
            std::thread::sleep(LOOK);
        }
        None
    }

    fn free(&self) -> std::sync::MutexGuard<'_, usize> {
        self.0.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number that no other changelog has.
pub(super) fn new_lineage() -> u64 {
    rand::random()
}
