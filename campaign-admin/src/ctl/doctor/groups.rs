//! Whether the consumer groups work, and how far behind they are.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Message as _, Offset, TopicPartitionList};

use super::Check;
use crate::ctl::kafka::{Cluster, Next, Quiet, Range, Reader, Start, TIMEOUT};

/// A consumer group and what it consumes.
pub(super) struct Group<'a> {
    name: &'a str,
    who: &'static str,
    topic: &'a str,
    /// How old the oldest record that it has not committed may be.
    patience: Duration,
    /// What is so if nobody consumes, and what to do.
    without: Without,
}

/// What is so if a group has no members.
enum Without {
    Bad(String),
    Warning(String),
    /// There is nothing to do.
    Good(String),
}

/// The matchers.
pub(super) fn matchers<'a>(name: &'a str, cluster: &'a Cluster) -> Group<'a> {
    Group {
        name,
        who: "matchers",
        topic: &cluster.topics.events_topic,
        patience: Duration::from_secs(30),
        without: Without::Bad("nobody consumes; start them, or set the group's name".to_owned()),
    }
}

/// The settlers, which are needed if there are campaigns with budgets.
pub(super) fn settlers<'a>(
    name: &'a str,
    cluster: &'a Cluster,
    with_budgets: &BTreeSet<String>,
) -> Group<'a> {
    let without = match with_budgets.first() {
        None => Without::Good("no active campaign has a budget or a pool".to_owned()),
        Some(first) => {
            let campaigns = with_budgets.len();
            Without::Bad(format!(
                "{campaigns} campaigns have a budget or a pool, {first} among them, and what wins them waits; start matchers with \
                 SETTLER_WORKERS of 1 or more, or set the group's name"
            ))
        }
    };
    Group {
        name,
        who: "settlers",
        topic: &cluster.topics.claims_topic,
        patience: Duration::from_secs(30),
        without,
    }
}

/// The recorders. They commit what was acknowledged a minute ago, so that it can be written again.
pub(super) fn recorders<'a>(name: &'a str, cluster: &'a Cluster) -> Group<'a> {
    Group {
        name,
        who: "recorders",
        topic: &cluster.topics.matches_topic,
        patience: Duration::from_mins(5),
        without: Without::Warning(
            "matches are not recorded; set SCYLLA_NODES of the matchers if they should be"
                .to_owned(),
        ),
    }
}

impl Group<'_> {
    /// Looks at its members and its lag.
    pub(super) fn look(&self, cluster: &Cluster) -> anyhow::Result<Check> {
        let what = format!("{} (group {})", self.who, self.name);
        let mut config = cluster.kafka.reader();
        config.set("group.id", self.name);
        let consumer: BaseConsumer<Quiet> = config.create_with_context(Quiet)?;
        let Ok(ranges) =
            Reader::open(cluster, self.topic, Start::Beginning).map(|reader| reader.ranges)
        else {
            return Ok(Check::bad(
                what,
                format!("topic {} does not exist", self.topic),
            ));
        };
        let groups = consumer
            .fetch_group_list(Some(self.name), TIMEOUT)
            .with_context(|| cluster.away())?;
        let group = groups
            .groups()
            .iter()
            .find(|group| group.name() == self.name);
        let members = group.map_or(0, |group| group.members().len());
        let lag = self.lag(&consumer, &ranges)?;
        let behind: u64 = lag.values().map(|range| range.span()).sum();
        let oldest = self.oldest(cluster, &lag)?;
        let age = oldest.map(|at| Timestamp::now().duration_since(at));
        let age = age
            .and_then(|age| Duration::try_from(age).ok())
            .unwrap_or_default();
        let mut found = format!("{members} members, {behind} records behind");
        if behind > 0 {
            let seconds = age.as_secs();
            found = format!("{found}, the oldest is {seconds} s old");
        }
        if members == 0 {
            return Ok(match &self.without {
                Without::Bad(advice) => Check::bad(what, found).advice(advice),
                Without::Warning(advice) => Check::warning(what, found).advice(advice),
                // What was claimed before is settled all the same.
                Without::Good(_) if behind > 0 => Check::bad(what, found)
                    .advice("claims wait and nobody settles them; start matchers"),
                Without::Good(why) => Check::good(what, format!("{found}; {why}")),
            });
        }
        if age > self.patience {
            return Ok(Check::warning(what, found)
                .advice("they do not keep up, or are stuck; see their log"));
        }
        Ok(Check::good(what, found))
    }

    /// What the group has not committed, by partition.
    fn lag(
        &self,
        consumer: &BaseConsumer<Quiet>,
        ranges: &BTreeMap<i32, Range>,
    ) -> anyhow::Result<BTreeMap<i32, Range>> {
        let mut asked = TopicPartitionList::new();
        for partition in ranges.keys() {
            asked.add_partition(self.topic, *partition);
        }
        let committed = match consumer.committed_offsets(asked, TIMEOUT) {
            // Some brokers say so of a group that has not committed yet.
            Err(KafkaError::MetadataFetch(RDKafkaErrorCode::GroupIdNotFound)) => {
                TopicPartitionList::new()
            }
            found => found
                .with_context(|| format!("the offsets of group {} cannot be read", self.name))?,
        };
        let mut lag = ranges.clone();
        for found in committed.elements() {
            if let (Some(range), Offset::Offset(offset)) =
                (lag.get_mut(&found.partition()), found.offset())
            {
                range.start = range.start.max(offset);
            }
        }
        lag.retain(|_, range| range.start < range.end);
        Ok(lag)
    }

    /// When the oldest record was written that the group has not committed.
    fn oldest(
        &self,
        cluster: &Cluster,
        lag: &BTreeMap<i32, Range>,
    ) -> anyhow::Result<Option<Timestamp>> {
        let mut oldest: Option<Timestamp> = None;
        for (partition, range) in lag {
            let reader =
                Reader::of_ranges(cluster, self.topic, BTreeMap::from([(*partition, *range)]))?;
            let deadline = std::time::Instant::now() + TIMEOUT;
            while std::time::Instant::now() < deadline {
                match reader.next(Duration::from_millis(100))? {
                    Next::Record(record) => {
                        let millis = record.timestamp().to_millis();
                        let at = millis.and_then(|millis| Timestamp::from_millisecond(millis).ok());
                        oldest = match (oldest, at) {
                            (Some(oldest), Some(at)) => Some(oldest.min(at)),
                            (oldest, at) => oldest.or(at),
                        };
                        break;
                    }
                    // What is left are marks of transactions.
                    Next::End(_) => break,
                    Next::Nothing => {}
                }
            }
        }
        Ok(oldest)
    }
}
