//! Whether all is as it must be before anything is carried over.

use std::time::{Duration, Instant};

use rdkafka::Message as _;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList, TopicPartitionListElem};
use service::kafka::{Logged, topics};
use service::settings::{KafkaSettings, TopicSettings};

use super::read::each;
use super::{Repartition, RepartitionError};

/// How long the broker may take to answer a question.
const ASK: Duration = Duration::from_secs(10);

/// Members with a stable name count as being there until their session is over (KIP-345).
const SESSION: Duration = Duration::from_secs(12);

/// The brokers, to be asked.
pub(super) struct Cluster {
    pub(super) kafka: KafkaSettings,
}

impl Cluster {
    pub(super) fn new(kafka: &KafkaSettings) -> Self {
        Self {
            kafka: kafka.clone(),
        }
    }

    /// Nobody has read the new events yet.
    pub(super) fn not_begun(&self, group: &str, topic: &str) -> Result<(), RepartitionError> {
        let committed = self.committed(group, topic)?;
        if committed.iter().any(|it| matches!(it, Offset::Offset(_))) {
            return Err(RepartitionError::Begun {
                group: group.to_owned(),
                topic: topic.to_owned(),
            });
        }
        Ok(())
    }

    /// Nobody is in the group, or will be until the session of the last is over.
    pub(super) fn idle(&self, group: &str) -> Result<(), RepartitionError> {
        let consumer = self.consumer(group)?;
        let until = Instant::now() + SESSION;
        loop {
            let groups = consumer.fetch_group_list(Some(group), ASK);
            let groups = groups.map_err(ask(|| format!("the members of group {group}")))?;
            let found = groups.groups().iter().find(|it| it.name() == group);
            let members = found.map_or(0, |it| it.members().len());
            if members == 0 {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(RepartitionError::Running {
                    group: group.to_owned(),
                    members,
                });
            }
            tracing::info!(group, members, "waiting for the members to be gone");
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    /// The group has taken in all records of the topic. Returns where its partitions end.
    pub(super) fn done(&self, group: &str, topic: &str) -> Result<Vec<i64>, RepartitionError> {
        let committed = self.committed(group, topic)?;
        let consumer = self.consumer(group)?;
        let (mut from, mut ends) = (Vec::new(), Vec::new());
        for (partition, committed) in (0..).zip(committed) {
            let watermarks = consumer.fetch_watermarks(topic, partition, ASK);
            let (begin, end) = watermarks.map_err(ask(|| format!("the end of topic {topic}")))?;
            from.push(Offset::Offset(match committed {
                Offset::Offset(committed) => committed.max(begin),
                _ => begin,
            }));
            ends.push(end);
        }
        // Behind the last record there may be the ends of transactions, so that offsets alone do not tell.
        each(self, (topic, &from), |message| {
            Err(RepartitionError::Behind {
                group: group.to_owned(),
                topic: topic.to_owned(),
                partition: message.partition(),
                offset: message.offset(),
            })
        })?;
        Ok(ends)
    }

    /// A group's offset on each partition of a topic.
    fn committed(&self, group: &str, topic: &str) -> Result<Vec<Offset>, RepartitionError> {
        let consumer = self.consumer(group)?;
        let partitions = i32::try_from(self.partitions(topic)?).unwrap_or(i32::MAX);
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition(topic, partition);
        }
        let committed = consumer.committed_offsets(list, ASK);
        let committed = committed.map_err(ask(|| format!("the offsets of group {group}")))?;
        let committed = committed.elements();
        Ok(committed
            .iter()
            .map(TopicPartitionListElem::offset)
            .collect())
    }

    /// How many partitions a topic has.
    pub(super) fn partitions(&self, topic: &str) -> Result<usize, RepartitionError> {
        let consumer = make(&self.kafka.reader())?;
        let count = topics::partitions(&consumer, topic, ASK);
        match count.map_err(ask(|| format!("the partitions of topic {topic}")))? {
            0 => Err(RepartitionError::Missing {
                topic: topic.to_owned(),
            }),
            partitions => Ok(partitions),
        }
    }

    fn consumer(&self, group: &str) -> Result<BaseConsumer<Logged>, RepartitionError> {
        let mut config = self.kafka.reader();
        config.set("group.id", group);
        make(&config)
    }
}

fn make(config: &ClientConfig) -> Result<BaseConsumer<Logged>, RepartitionError> {
    config
        .create_with_context(Logged)
        .map_err(ask(|| "a client".to_owned()))
}

fn ask(what: impl FnOnce() -> String) -> impl FnOnce(KafkaError) -> RepartitionError {
    move |error| RepartitionError::Ask {
        what: what(),
        error,
    }
}

/// The old and the new topics are others, and all are as their events are. Returns how many partitions the new ones have.
pub(super) fn names(
    from: &Repartition,
    topics: &TopicSettings,
    cluster: &Cluster,
) -> Result<usize, RepartitionError> {
    let pairs = [
        (
            "EVENTS_TOPIC",
            &topics.events_topic,
            ("--from-events", &from.from_events),
        ),
        (
            "CUSTOMER_STATE_TOPIC",
            &topics.customer_state_topic,
            ("--from-customer-state", &from.from_customer_state),
        ),
        (
            "AUDIENCE_MEMBERS_TOPIC",
            &topics.audience_members_topic,
            ("--from-audience-members", &from.from_audience_members),
        ),
    ];
    for (variable, to, (flag, from)) in pairs {
        if to == from {
            let topic = to.clone();
            return Err(RepartitionError::Same {
                variable,
                topic,
                flag,
            });
        }
    }
    let old = [&from.from_customer_state, &from.from_audience_members];
    alike(cluster, &from.from_events, &old)?;
    let new = [
        &topics.customer_state_topic,
        &topics.audience_members_topic,
        &topics.matches_topic,
        &topics.refusals_topic,
        &topics.dead_letters_topic,
    ];
    alike(cluster, &topics.events_topic, &new)
}

/// Topics have as many partitions as their events.
fn alike(cluster: &Cluster, events: &str, topics: &[&String]) -> Result<usize, RepartitionError> {
    let wanted = cluster.partitions(events)?;
    for topic in topics {
        let found = cluster.partitions(topic)?;
        if found != wanted {
            return Err(RepartitionError::Uneven {
                topic: (*topic).clone(),
                found,
                events: events.to_owned(),
                wanted,
            });
        }
    }
    Ok(wanted)
}
