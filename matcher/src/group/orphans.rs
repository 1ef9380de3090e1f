//! Partitions that nobody reads although the group is at rest.
//!
//! A cooperative rebalance (KIP-429) that moves a partition takes two rounds: its owner gives it away and joins again, and
//! that brings the round which hands it out. An owner with a stable name (KIP-345) who dies between the two comes back to
//! what the first round left it, without a rebalance, and nobody asks for the second. Then the partition is nobody's until the
//! next rebalance, which may be days away. So the group is looked at, and a member without a name, which joins and leaves
//! at once, brings that rebalance.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::MetadataPartition;
use service::Shutdown;

use super::GroupMetrics;

/// Time between two looks. A member that gives partitions away commits first, which takes less.
const EVERY: Duration = Duration::from_secs(5);

/// How long one question may take.
const ANSWER: Duration = Duration::from_secs(5);

/// How long the nameless member waits for its turn: a rebalance waits for members that are slow, up to their time-out.
const TURN: Duration = Duration::from_mins(1);

/// Looks after one group for as long as the process lives.
pub(crate) struct Orphans {
    /// A member of the group without a stable name.
    pub(crate) member: ClientConfig,
    pub(crate) group: String,
    pub(crate) topic: String,
    pub(crate) metrics: GroupMetrics,
    pub(crate) shutdown: Shutdown,
}

impl Orphans {
    /// Looks until the process shuts down, from a moment after its start on, when the group is not at rest anyway. Nothing else
    /// depends on it: what goes wrong is tried again.
    pub(crate) fn run(self) {
        self.shutdown.wait(EVERY);
        while !self.shutdown.is_requested() {
            if let Err(error) = self.look_on() {
                tracing::info!(group = self.group, %error, "looking for partitions that nobody reads");
            }
            self.shutdown.wait(EVERY);
        }
    }

    /// Looks with one client. It asks, and joins no group.
    fn look_on(&self) -> KafkaResult<()> {
        let client: BaseConsumer = self.member.create()?;
        let mut before = Vec::new();
        while !self.shutdown.is_requested() {
            let now = self.orphans(&client)?;
            self.metrics.set_orphans(now.len());
            // What was nobody's twice has not just been given away.
            let stays = now.iter().any(|number| before.contains(number));
            before = now;
            if stays {
                let (group, topic) = (&self.group, &self.topic);
                tracing::warn!(group, topic, partitions = ?before, "nobody reads these partitions; sharing out anew");
                self.share_out()?;
                before.clear();
            }
            self.shutdown.wait(EVERY);
        }
        Ok(())
    }

    /// The partitions that no member has; none while the group is not at rest.
    fn orphans(&self, client: &BaseConsumer) -> KafkaResult<Vec<i32>> {
        let groups = client.fetch_group_list(Some(&self.group), ANSWER)?;
        let group = groups.groups().iter().find(|it| it.name() == self.group);
        let Some(group) = group.filter(|it| it.state() == "Stable") else {
            return Ok(Vec::new());
        };
        let mut owned = Vec::new();
        for member in group.members() {
            let assignment = member.assignment().unwrap_or_default();
            match assigned(assignment, &self.topic) {
                Some(numbers) => owned.extend(numbers),
                // Of a form that is not known, so that it is not known either what is whose.
                None => return Ok(Vec::new()),
            }
        }
        let metadata = client.fetch_metadata(Some(&self.topic), ANSWER)?;
        let topic = metadata.topics().first();
        let topic = topic.ok_or(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopic))?;
        let numbers = topic.partitions().iter().map(MetadataPartition::id);
        Ok(numbers.filter(|number| !owned.contains(number)).collect())
    }

    /// Joins the group and leaves it.
    fn share_out(&self) -> KafkaResult<()> {
        let visitor: BaseConsumer<Visitor> =
            (self.member).create_with_context(Visitor::default())?;
        visitor.subscribe(&[&self.topic])?;
        let deadline = Instant::now() + TURN;
        while Instant::now() < deadline && !self.shutdown.is_requested() {
            // What it is given to read is left to those who get its share.
            if let Some(Err(error)) = visitor.poll(Duration::from_millis(100)) {
                tracing::debug!(%error, "while joining for a moment");
            }
            if visitor.context().has_share.load(Ordering::Relaxed) {
                break;
            }
        }
        Ok(())
    }
}

/// Knows when the member was given its share.
#[derive(Default)]
struct Visitor {
    has_share: AtomicBool,
}

impl ClientContext for Visitor {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        service::kafka::log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        service::kafka::log_error(&error, reason);
    }
}

impl ConsumerContext for Visitor {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if matches!(rebalance, Rebalance::Assign(_)) {
            self.has_share.store(true, Ordering::Relaxed);
        }
    }
}

/// The partitions of a topic in an assignment as the members of a group have agreed to write it: a version, then for each
/// topic its name and the numbers (`ConsumerProtocolAssignment` in Kafka's sources). A member without any has no bytes.
fn assigned(bytes: &[u8], topic: &str) -> Option<Vec<i32>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let mut rest = bytes;
    let mut take = |length: usize| -> Option<&[u8]> {
        let (taken, behind) = rest.split_at_checked(length)?;
        rest = behind;
        Some(taken)
    };
    take(2)?;
    let mut found = Vec::new();
    let topics = i32::from_be_bytes(take(4)?.try_into().ok()?);
    for _ in 0..topics {
        let length = i16::from_be_bytes(take(2)?.try_into().ok()?);
        let is_asked = take(usize::try_from(length).ok()?)? == topic.as_bytes();
        let partitions = i32::from_be_bytes(take(4)?.try_into().ok()?);
        for _ in 0..partitions {
            let number = i32::from_be_bytes(take(4)?.try_into().ok()?);
            if is_asked {
                found.push(number);
            }
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Version 1 with topics `a` (7) and `events` (0, 2) and no user data, as Kafka's own clients write it.
    const WRITTEN: &[u8] = b"\0\x01\0\0\0\x02\0\x01a\0\0\0\x01\0\0\0\x07\0\x06events\0\0\0\x02\0\0\0\0\0\0\0\x02\xff\xff\xff\xff";

    #[test]
    fn an_assignment_is_read_topic_by_topic() {
        assert_eq!(assigned(WRITTEN, "events"), Some(vec![0, 2]));
        assert_eq!(assigned(WRITTEN, "a"), Some(vec![7]));
        assert_eq!(assigned(WRITTEN, "b"), Some(Vec::new()));
        assert_eq!(assigned(&[], "events"), Some(Vec::new()));
    }

    #[test]
    fn what_is_cut_off_is_no_assignment() {
        for length in 1..WRITTEN.len() - 4 {
            assert_eq!(assigned(&WRITTEN[..length], "events"), None, "{length}");
        }
    }
}
