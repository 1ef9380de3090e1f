//! Whether a consumer still hands records out.
//!
//! It can stop to fetch although it keeps its place in the group (seen with rdkafka, issue 638). Any poll
//! satisfies `max.poll.interval.ms`, so nobody else would notice.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// How long records may wait without one being handed out. The longest pause with a reason is the end of
/// another member's transaction, 25 s.
pub(super) const STALLED: Duration = Duration::from_mins(2);

/// Whether records are handed out.
pub(super) struct Progress {
    polled: Cell<u64>,
    /// `polled` when it was last looked at.
    seen: u64,
    /// When it last differed, or nothing waited.
    since: Instant,
}

impl Progress {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            polled: Cell::new(0),
            seen: 0,
            since: now,
        }
    }

    /// Something was handed out. Costs an addition, for it is called for each record.
    pub(super) fn polled(&self) {
        self.polled.set(self.polled.get().wrapping_add(1));
    }

    /// Whether records have been waiting for too long at `now`; `waiting` says whether any do.
    pub(super) fn is_stalled(&mut self, waiting: bool, now: Instant) -> bool {
        let polled = self.polled.get();
        if polled != self.seen || !waiting {
            self.seen = polled;
            self.since = now;
        }
        now.duration_since(self.since) > STALLED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_records_that_wait_and_are_not_handed_out_are_a_stall() {
        let begun = Instant::now();
        let mut progress = Progress::new(begun);
        let at = |times: u32| begun + STALLED * times + Duration::from_millis(u64::from(times));
        assert!(!progress.is_stalled(false, at(1)), "nothing waits");
        progress.polled();
        assert!(!progress.is_stalled(true, at(2)), "one came");
        assert!(progress.is_stalled(true, at(3)));
    }
}
