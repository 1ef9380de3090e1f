//! Carries what is remembered over to topics with another number of partitions: `matcher repartition`.
//!
//! A customer's state belongs to the partition of their events, and a number of partitions cannot be changed without moving
//! customers. So the events get a new set of topics, and what is remembered is copied: to the partitions that the new topics
//! give the customers, when nothing of the old events waits and nobody works ([`check`]). [`carry`] copies. Claims and the
//! state of budgets and pools stay where they are: their partitions are the campaigns'.

mod carry;
mod check;
mod read;
mod writer;

use clap::Args;
use rdkafka::error::KafkaError;
use service::kafka::reader::ReadError;
use service::settings::{KafkaSettings, TopicSettings};
use state::StateError;

use self::check::Cluster;

/// From where what is remembered is carried over.
#[derive(Debug, Clone, Args)]
pub struct Repartition {
    /// Topic of the events so far
    #[arg(long, value_name = "TOPIC", default_value = "events")]
    pub from_events: String,

    /// Topic of what was remembered of customers so far
    #[arg(long, value_name = "TOPIC", default_value = "customer-state")]
    pub from_customer_state: String,

    /// Topic of who was in which audience so far
    #[arg(long, value_name = "TOPIC", default_value = "audience-members")]
    pub from_audience_members: String,
}

/// Why nothing, or not all, was carried over. It may be tried again, as long as no matcher has begun on the new topics.
#[derive(Debug, thiserror::Error)]
pub enum RepartitionError {
    /// A client cannot be made, or the broker did not answer.
    #[error("asking for {what}: {error}")]
    Ask {
        /// What was asked for.
        what: String,
        /// Why.
        error: KafkaError,
    },
    /// A topic cannot be read, or a transaction on it was open for a minute, or the brokers were silent for one.
    #[error("{0}; try again when the brokers are well")]
    Read(#[from] ReadError),
    /// From and to are the same.
    #[error(
        "{variable} is {topic}, which is carried over; set it to the name of the new topic, or say with {flag} what the old one is called"
    )]
    Same {
        /// The setting.
        variable: &'static str,
        /// Its value.
        topic: String,
        /// The flag that names the old topic.
        flag: &'static str,
    },
    /// A topic is not there.
    #[error("topic {topic} does not exist; make the new ones with `matcher create-topics`")]
    Missing {
        /// Its name.
        topic: String,
    },
    /// Topics that belong together differ.
    #[error(
        "topic {topic} has {found} partitions, and topic {events} has {wanted}; they must have as many"
    )]
    Uneven {
        /// The topic that differs.
        topic: String,
        /// How many it has.
        found: usize,
        /// The topic of the events that it belongs to.
        events: String,
        /// How many that has.
        wanted: usize,
    },
    /// Somebody works.
    #[error("group {group} still has {members} members; stop all matchers and try again")]
    Running {
        /// The group.
        group: String,
        /// How many are in it.
        members: usize,
    },
    /// Something waits.
    #[error(
        "group {group} has not taken in offset {offset} of {topic}, partition {partition}; let matchers run on the old topics until nothing \
         waits, stop them and try again"
    )]
    Behind {
        /// The group.
        group: String,
        /// What it consumes.
        topic: String,
        /// The partition in which something waits.
        partition: i32,
        /// Where that is.
        offset: i64,
    },
    /// Matchers work on the new topics already.
    #[error(
        "group {group} has begun to read {topic}: what is carried over now would be older than what is remembered since. Nothing was done"
    )]
    Begun {
        /// The group.
        group: String,
        /// The new topic.
        topic: String,
    },
    /// What is remembered cannot be read.
    #[error("{topic}, partition {partition}, offset {offset}: {error}")]
    State {
        /// The old topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// The record.
        offset: i64,
        /// Why.
        error: StateError,
    },
    /// A record was not acknowledged.
    #[error("writing to topic {topic}: {error}")]
    Write {
        /// The new topic.
        topic: String,
        /// Why.
        error: KafkaError,
    },
}

/// What was carried over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Carried {
    /// Records of customers, several of one among them where the topic is not compacted yet.
    pub customers: u64,
    /// Records of members of audiences, likewise.
    pub members: u64,
}

/// The consumer groups whose work must be done.
#[derive(Debug, Clone, Copy)]
pub struct Groups<'a> {
    /// The matchers'.
    pub matcher: &'a str,
    /// The settlers'.
    pub settler: &'a str,
}

/// Carries customers and members over to the topics of the settings. Blocks.
///
/// # Errors
/// [`RepartitionError`]
pub fn repartition(
    from: &Repartition,
    kafka: &KafkaSettings,
    topics: &TopicSettings,
    groups: Groups<'_>,
) -> Result<Carried, RepartitionError> {
    let cluster = Cluster::new(kafka);
    let to = check::names(from, topics, &cluster)?;
    cluster.not_begun(groups.matcher, &topics.events_topic)?;
    for group in [groups.matcher, groups.settler] {
        cluster.idle(group)?;
    }
    let ends = cluster.done(groups.matcher, &from.from_events)?;
    cluster.done(groups.settler, &topics.claims_topic)?;
    let customers = carry::customers(
        &cluster,
        (&from.from_customer_state, &topics.customer_state_topic),
        (&ends, to),
    )?;
    let members = carry::members(
        &cluster,
        (&from.from_audience_members, &topics.audience_members_topic),
        (ends.len(), to),
    )?;
    Ok(Carried { customers, members })
}
