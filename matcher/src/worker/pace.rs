//! When to commit. Pure: the time is an argument.

use std::time::{Duration, Instant};

/// Bounds of a batch, and of how often batches are committed.
///
/// A transaction costs the broker some requests and a marker in each partition it touched, whatever
/// is in it. So a batch that runs dry is committed at once only if the last commit is long enough ago:
/// a lone event meets no delay, and a trickle of events cannot become thousands of transactions a
/// second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Longest time an event waits for the commit of its batch.
    pub commit_interval: Duration,
    /// Shortest time between the ends of two batches that were committed because they ran dry.
    pub min_commit_interval: Duration,
    /// Most events in a batch.
    pub max_events: usize,
    /// Most bytes of matches and dead letters in a batch.
    pub max_output_bytes: usize,
}

/// What a batch holds so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// When its first event came.
    pub begun: Instant,
    /// Its events.
    pub events: usize,
    /// Bytes of its matches and dead letters.
    pub output_bytes: usize,
}

/// Whether events are waiting in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Supply {
    /// The last look found an event.
    Flowing,
    /// The last look found none.
    Dry,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Look for an event, for as long as this.
    Poll(Duration),
    /// Commit the batch.
    Commit,
}

impl Pace {
    /// Whether the batch takes no further event.
    pub fn is_full(&self, load: Load) -> bool {
        load.events >= self.max_events || load.output_bytes >= self.max_output_bytes
    }

    /// What to do at `now` with a batch of that load, the last commit having ended at `last_commit`.
    pub fn next(&self, load: Load, supply: Supply, last_commit: Instant, now: Instant) -> Next {
        let due = load.begun + self.commit_interval;
        if self.is_full(load) || now >= due {
            return Next::Commit;
        }
        if supply == Supply::Flowing {
            return Next::Poll(Duration::ZERO);
        }
        // Nobody waits for a batch without output; its offsets may wait for the interval.
        let due = if load.output_bytes > 0 {
            due.min(last_commit + self.min_commit_interval)
        } else {
            due
        };
        if now >= due {
            Next::Commit
        } else {
            Next::Poll(due - now)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    const PACE: Pace = Pace {
        commit_interval: ms(100),
        min_commit_interval: ms(10),
        max_events: 1000,
        max_output_bytes: 1 << 20,
    };

    /// (age of the batch, time since the last commit, events, bytes, supply) → what to do.
    #[test]
    fn a_batch_is_committed_when_it_is_full_due_or_dry_but_not_too_often() {
        let poll = |millis| Next::Poll(ms(millis));
        let cases = [
            // Events flow: go on, until the batch is full or due.
            (1, 500, 1, 0, Supply::Flowing, poll(0)),
            (1, 500, 1000, 0, Supply::Flowing, Next::Commit),
            (1, 500, 10, 1 << 20, Supply::Flowing, Next::Commit),
            (100, 500, 10, 0, Supply::Flowing, Next::Commit),
            // Dry with output: at once, unless the last commit was a moment ago.
            (0, 500, 1, 300, Supply::Dry, Next::Commit),
            (0, 4, 1, 300, Supply::Dry, poll(6)),
            (0, 10, 1, 300, Supply::Dry, Next::Commit),
            // Dry without output: its offsets may wait.
            (30, 500, 1, 0, Supply::Dry, poll(70)),
            (100, 500, 1, 0, Supply::Dry, Next::Commit),
        ];
        let epoch = Instant::now();
        let now = epoch + ms(10_000);
        for (age, since_commit, events, output_bytes, supply, expected) in cases {
            let load = Load {
                begun: epoch + ms(10_000 - age),
                events,
                output_bytes,
            };
            let last_commit = epoch + ms(10_000 - since_commit);
            let next = PACE.next(load, supply, last_commit, now);
            assert_eq!(next, expected, "age {age}, last commit {since_commit} ago");
        }
    }

    #[test]
    fn a_trickle_costs_no_more_transactions_than_the_interval_allows() {
        // An event each 2 ms for a second, each a match.
        let start = Instant::now();
        let (mut commits, mut last_commit, mut load) = (0, start, None::<Load>);
        for step in 0..1000 {
            let now = start + ms(step);
            if step % 2 == 0 {
                let batch = load.get_or_insert(Load {
                    begun: now,
                    events: 0,
                    output_bytes: 0,
                });
                batch.events += 1;
                batch.output_bytes += 300;
            }
            if let Some(batch) = load
                && PACE.next(batch, Supply::Dry, last_commit, now) == Next::Commit
            {
                (commits, last_commit, load) = (commits + 1, now, None);
            }
        }
        assert!((90..=100).contains(&commits), "{commits}");
    }
}
