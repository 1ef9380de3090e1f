//! How far an installation has come, and waiting until it has come that far.

use std::time::{Duration, Instant};

use super::{PARTITIONS, PATIENCE, World};
use crate::process::Process;
use crate::rows::{self, Rows};
use crate::topics::Seen;
use crate::{check, wait};

impl World {
    /// How many events the matchers have committed; nothing while the broker does not say.
    pub fn committed(&self) -> Option<i64> {
        let topic = self.topic("events");
        let committed = self.kafka.committed(&self.name, &topic, PARTITIONS)?;
        Some(committed.iter().sum())
    }

    /// Waits until all events are committed. Unlike [`World::wait_quiet`] it may be that transactions on other topics go on.
    pub fn wait_committed(&self) {
        self.kafka.flush();
        let topic = self.topic("events");
        wait::until("all events to be committed", PATIENCE, || {
            let ends = self.kafka.ends(&topic, PARTITIONS)?;
            let all: i64 = ends.iter().map(|end| end.high).sum();
            (self.committed()? >= all).then_some(())
        });
    }

    /// Waits until the matchers have committed so many more events.
    pub fn wait_progress(&self, events: i64) {
        let before = wait::until("committed offsets", PATIENCE, || self.committed());
        wait::until("progress", PATIENCE, || {
            self.committed().filter(|now| *now >= before + events)
        });
    }

    /// Waits until a matcher reads so many partitions at least.
    pub fn wait_assigned(&self, matcher: &Process, partitions: i32) {
        wait::until("partitions to be assigned", PATIENCE, || {
            let assigned = matcher.metric("matcher_assigned_partitions")?;
            (assigned >= f64::from(partitions)).then_some(())
        });
    }

    /// Waits until the group of the matchers has so many members; each worker is one.
    pub fn wait_members(&self, members: usize) {
        wait::until("the members of the group", PATIENCE, || {
            (self.kafka.members(&self.name)? == members).then_some(())
        });
    }

    /// The same, and until all of them know their partitions: who ends before that is waited for.
    pub fn wait_settled(&self, members: usize) {
        wait::until("the group of the matchers to settle", PATIENCE, || {
            let there = self.kafka.members(&self.name) == Some(members);
            (there && self.kafka.is_at_rest(&self.name)).then_some(())
        });
    }

    /// Waits until a transaction has just begun: those on the matches have ended and another is open. It must be one that stays open
    /// for seconds.
    pub fn wait_new_transaction(&self) {
        let topic = self.topic("matches");
        let stable = || -> Option<i64> {
            let ends = self.kafka.ends(&topic, PARTITIONS)?;
            Some(ends.iter().map(|end| end.stable).sum())
        };
        self.wait_open_transaction();
        self.wait_stable();
        wait::until("a transaction that stays open", PATIENCE, || {
            let before = stable()?;
            // One that ends does so in one partition after the other, within milliseconds.
            std::thread::sleep(Duration::from_millis(200));
            (stable()? == before && self.has_open_transaction()?).then_some(())
        });
    }

    /// Waits until a transaction is open on the matches, with records in it that the broker has.
    pub fn wait_open_transaction(&self) {
        wait::until("an open transaction", PATIENCE, || {
            self.has_open_transaction().filter(|open| *open)
        });
    }

    /// Waits until readers of committed matches have got beyond everything that is there now: whatever
    /// was open is ended.
    pub fn wait_stable(&self) {
        let topic = self.topic("matches");
        let ends = || self.kafka.ends(&topic, PARTITIONS);
        let now = wait::until("the end of the matches", PATIENCE, ends);
        wait::until("the end of open transactions", PATIENCE, || {
            let beyond = ends()?
                .iter()
                .zip(&now)
                .all(|(end, now)| end.stable >= now.high);
            beyond.then_some(())
        });
    }

    /// Whether there is one now; nothing while the broker does not say.
    pub fn has_open_transaction(&self) -> Option<bool> {
        let ends = self.kafka.ends(&self.topic("matches"), PARTITIONS)?;
        Some(ends.iter().any(|end| end.stable < end.high))
    }

    /// Waits until every event is acknowledged and committed, and no transaction is open.
    pub fn wait_quiet(&self) {
        self.kafka.flush();
        let topic = self.topic("events");
        wait::until("all events to be committed", PATIENCE, || {
            let committed = self.kafka.committed(&self.name, &topic, PARTITIONS)?;
            let ends = self.kafka.ends(&topic, PARTITIONS)?;
            committed
                .iter()
                .zip(ends)
                .all(|(committed, end)| *committed == end.high)
                .then_some(())
        });
        for topic in [self.topic("matches"), self.topic("dead-letters")] {
            wait::until("all transactions to be ended", PATIENCE, || {
                let ends = self.kafka.ends(&topic, PARTITIONS)?;
                ends.iter().all(|end| end.stable == end.high).then_some(())
            });
        }
    }

    /// Waits until all events and all claims are committed, those too that come of others.
    pub fn wait_decided(&self) {
        self.kafka.flush();
        let all = |topic: &str, group: &str| {
            let topic = self.topic(topic);
            let mut ends = vec![0; usize::try_from(PARTITIONS).expect("small")];
            for record in self.kafka.read_all(&topic) {
                let end = &mut ends[usize::try_from(record.partition).expect("a partition")];
                *end = (*end).max(record.offset + 1);
            }
            let committed = self.kafka.committed(group, &topic, PARTITIONS);
            committed.is_some_and(|it| it.iter().zip(&ends).all(|(at, end)| at >= end))
        };
        let settler = format!("{}-settler", self.name);
        wait::until("all events and claims to be committed", PATIENCE, || {
            let mut rounds = (0..3).map(|_| all("events", &self.name) && all("claims", &settler));
            rounds.all(|is_so| is_so).then_some(())
        });
    }

    /// Waits until all committed matches have their rows.
    pub fn wait_recorded(&self) {
        self.wait_quiet();
        wait::until("all rows", PATIENCE, || {
            (self.missing_rows() == 0).then_some(())
        });
    }

    /// How many rows, or columns of rows, are not as the committed matches say.
    pub fn missing_rows(&self) -> usize {
        let nodes = self
            .cassandra
            .as_ref()
            .expect("an installation with a database");
        let matches = self.kafka.read_all(&self.topic("matches"));
        check::recorded(&matches, &rows::read_all(nodes, &self.name)).len()
    }

    /// The rows, once they are those of the matches, or as they are after a minute and a half: that is
    /// longer than an outage can hold up the recorder once it is over.
    pub(super) fn rows(&self, nodes: &str, matches: &[Seen]) -> Rows {
        let deadline = Instant::now() + Duration::from_secs(90);
        loop {
            let rows = rows::read_all(nodes, &self.name);
            if check::recorded(matches, &rows).is_empty() || Instant::now() > deadline {
                return rows;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}
