//! Which offsets may be committed: those whose rows were acknowledged long enough ago. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::positions::Positions;

/// Batches are put together as long as they are no further apart, which bounds the memory.
const GRAIN: Duration = Duration::from_secs(1);

/// What was written, and when.
#[derive(Debug)]
pub(super) struct Ledger {
    replay: Duration,
    /// With the moments of their first and last acknowledgement, oldest first.
    recent: VecDeque<Entry>,
    settled: Positions,
}

#[derive(Debug)]
struct Entry {
    first: Instant,
    last: Instant,
    positions: Positions,
}

impl Ledger {
    /// A ledger that lets offsets be committed `replay` after their rows were acknowledged.
    pub(super) fn new(replay: Duration) -> Self {
        Self {
            replay,
            recent: VecDeque::new(),
            settled: Positions::default(),
        }
    }

    /// Notes that everything before these positions is acknowledged.
    pub(super) fn written(&mut self, positions: &Positions, now: Instant) {
        match self.recent.back_mut() {
            Some(entry) if now.duration_since(entry.first) < GRAIN => {
                entry.positions.advance(positions);
                entry.last = now;
            }
            _ => self.recent.push_back(Entry {
                first: now,
                last: now,
                positions: positions.clone(),
            }),
        }
    }

    /// What may be committed at `now`.
    pub(super) fn settled(&mut self, now: Instant) -> &Positions {
        while let Some(entry) = self
            .recent
            .pop_front_if(|entry| now.duration_since(entry.last) >= self.replay)
        {
            self.settled.advance(&entry.positions);
        }
        &self.settled
    }

    /// The database was away: what it acknowledged lately is not trusted.
    pub(super) fn forget_recent(&mut self) {
        self.recent.clear();
    }

    /// The partition is another recorder's now.
    pub(super) fn forget(&mut self, partition: i32) {
        self.settled.forget(partition);
        for entry in &mut self.recent {
            entry.positions.forget(partition);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upto(partition: i32, offset: i64) -> Positions {
        let mut positions = Positions::default();
        positions.processed(partition, offset);
        positions
    }

    fn at(seconds: u64) -> Instant {
        static BEGAN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *BEGAN.get_or_init(Instant::now) + Duration::from_secs(seconds)
    }

    #[test]
    fn an_offset_settles_a_minute_after_its_row_was_acknowledged() {
        let mut ledger = Ledger::new(Duration::from_mins(1));
        ledger.written(&upto(0, 10), at(0));
        ledger.written(&upto(0, 20), at(30));
        assert!(ledger.settled(at(59)).is_empty());
        assert_eq!(*ledger.settled(at(60)), upto(0, 10));
        assert_eq!(*ledger.settled(at(89)), upto(0, 10));
        assert_eq!(*ledger.settled(at(90)), upto(0, 20));
        // Said again: a commit that failed is made good by the next.
        assert_eq!(*ledger.settled(at(100)), upto(0, 20));
    }

    #[test]
    fn rows_put_together_settle_with_the_last_of_them() {
        let mut ledger = Ledger::new(Duration::from_mins(1));
        ledger.written(&upto(0, 10), at(0));
        ledger.written(&upto(0, 11), at(0) + Duration::from_millis(900));
        assert!(ledger.settled(at(60)).is_empty());
        assert_eq!(*ledger.settled(at(61)), upto(0, 11));
    }

    #[test]
    fn after_an_outage_nothing_of_the_last_minute_settles_until_it_is_written_again() {
        let mut ledger = Ledger::new(Duration::from_mins(1));
        ledger.written(&upto(0, 10), at(0));
        ledger.written(&upto(0, 20), at(30));
        assert_eq!(*ledger.settled(at(70)), upto(0, 10));
        ledger.forget_recent();
        assert_eq!(*ledger.settled(at(1000)), upto(0, 10));
    }

    #[test]
    fn a_partition_that_went_elsewhere_is_not_committed_here() {
        let mut ledger = Ledger::new(Duration::from_mins(1));
        ledger.written(&upto(0, 10), at(0));
        ledger.written(&upto(1, 5), at(0));
        ledger.settled(at(60));
        ledger.written(&upto(0, 11), at(61));
        ledger.forget(0);
        assert_eq!(*ledger.settled(at(200)), upto(1, 5));
    }
}
