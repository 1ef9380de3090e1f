//! The customers of a worker's partitions; of a settler, the accounts of budgets.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use state::{Partition, StateError};

use super::kept::{KeptMetrics, Shares};
use super::restore::{RestoreError, Restored, Restores};

/// How long after its time something that waits is due: an event that was produced before is then surely here.
const GRACE_MS: i64 = 500;

/// How often it is asked how much is on disk.
const DISK_LOOK: Duration = Duration::from_secs(5);

/// The customers of the partitions that are read.
pub(super) struct Customers {
    partitions: BTreeMap<i32, Held>,
    restores: Restores,
    /// Partitions whose customers are back, and that are not read yet.
    back: Vec<i32>,
    shares: Shares,
    metrics: KeptMetrics,
    next_look: Instant,
}

struct Held {
    state: Partition,
    /// Whether all records of the partition have been read, so that its time is that of the clock.
    at_end: bool,
}

impl Customers {
    pub(super) fn new(restores: Restores, metrics: KeptMetrics) -> Self {
        Self {
            partitions: BTreeMap::new(),
            restores,
            back: Vec::new(),
            shares: metrics.shares(),
            metrics,
            next_look: Instant::now(),
        }
    }

    /// Begins to bring back the customers of partitions.
    pub(super) fn bring_back(&mut self, partitions: &[i32]) -> Result<(), RestoreError> {
        partitions
            .iter()
            .try_for_each(|partition| self.restores.begin(*partition))
    }

    /// A partition whose customers are back, and all else that its records may ask for: it can be read.
    pub(super) fn next_back(
        &mut self,
        is_back: impl Fn(i32) -> bool,
    ) -> Result<Option<i32>, RestoreError> {
        while let Some(restored) = self.restores.next() {
            self.take_back(restored)?;
        }
        let place = self.back.iter().position(|partition| is_back(*partition));
        Ok(place.map(|place| self.back.swap_remove(place)))
    }

    fn take_back(&mut self, restored: Restored) -> Result<(), RestoreError> {
        let state = restored.outcome?;
        let (partition, took, course) = (restored.partition, restored.took, restored.course);
        tracing::info!(
            partition,
            customers = state.len(),
            records = course.records,
            from_disk = course.from_disk,
            took_ms = took.as_millis(),
            "customers are back"
        );
        self.metrics.restored(&course, took);
        let at_end = false;
        self.partitions.insert(partition, Held { state, at_end });
        self.back.push(partition);
        self.count();
        Ok(())
    }

    /// Forgets partitions that are another worker's now.
    pub(super) fn let_go(&mut self, partition: i32) {
        self.restores.cancel(partition);
        self.back.retain(|it| *it != partition);
        self.partitions.remove(&partition);
        self.count();
    }

    /// The state of a partition that is read, for an event of it.
    pub(super) fn of(&mut self, partition: i32) -> &mut Partition {
        let held = self.partitions.entry(partition).or_insert_with(|| {
            unreachable!("a partition is read only when its customers are back");
        });
        held.at_end = false;
        &mut held.state
    }

    /// All records of a partition have been read.
    pub(super) fn reached_end(&mut self, partition: i32) {
        if let Some(held) = self.partitions.get_mut(&partition) {
            held.at_end = true;
        }
    }

    /// Partitions in which something that waits is due, with the time that they have reached.
    pub(super) fn due(&self) -> Vec<(i32, i64)> {
        let now = Timestamp::now().as_millisecond();
        let read = self.partitions.iter();
        let read = read.filter(|(partition, _)| !self.back.contains(partition));
        let due = read.filter_map(|(partition, held)| {
            let time = if held.at_end { now } else { held.state.clock() };
            let time = time.saturating_sub(GRACE_MS);
            (held.state.first_due()? <= time).then_some((*partition, time))
        });
        due.collect()
    }

    /// The state of a partition in which something is due.
    pub(super) fn waiting_in(&mut self, partition: i32) -> Option<&mut Partition> {
        Some(&mut self.partitions.get_mut(&partition)?.state)
    }

    /// Partitions that the open batch has changed; expired state of theirs is dropped with it.
    pub(super) fn changed(
        &mut self,
        sweep: &dyn Fn(&mut Partition) -> Result<(), StateError>,
    ) -> Result<impl Iterator<Item = (i32, &mut Partition)>, StateError> {
        let changed = |held: &&mut Held| held.state.is_changed();
        for held in self.partitions.values_mut().filter(changed) {
            sweep(&mut held.state)?;
        }
        let all = self.partitions.iter_mut();
        let changed = all.filter(|(_, held)| held.state.is_changed());
        Ok(changed.map(|(partition, held)| (*partition, &mut held.state)))
    }

    /// The batch was given up.
    pub(super) fn roll_back(&mut self) {
        for held in self.partitions.values_mut() {
            held.state.roll_back();
        }
    }

    /// Tells how many customers there are, after a commit or an assignment.
    pub(super) fn count(&mut self) {
        let states = || self.partitions.values().map(|held| &held.state);
        let customers = states().map(Partition::len).sum();
        let bytes = states().map(Partition::bytes).sum();
        self.shares.set(customers, bytes);
        if let Some(disk) = self.restores.disk()
            && Instant::now() >= self.next_look
        {
            self.metrics.on_disk(disk);
            self.next_look = Instant::now() + DISK_LOOK;
        }
    }
}
