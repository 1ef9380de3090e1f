//! The topics as the design wants them, and how they are made.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use super::clients::MAX_MESSAGE_BYTES;
use crate::settings::{KafkaSettings, TopicSettings};

/// A topic to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// Its partitions; they cannot be changed later without parting customers from their state.
    pub partitions: i32,
    /// Copies of each partition.
    pub replication: i32,
    /// Settings that differ from the broker's defaults.
    pub config: Vec<(&'static str, String)>,
}

/// Why topics could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// The broker could not be asked.
    #[error("the broker cannot be asked to make topics: {0}")]
    Broker(#[from] KafkaError),
    /// The broker refused.
    #[error("topic {name} cannot be made: {code}")]
    Refused {
        /// Name of the topic.
        name: String,
        /// The broker's reason.
        code: RDKafkaErrorCode,
    },
    /// The broker did not say how a topic is set.
    #[error("the broker does not say how topic {name} is set: {reason}")]
    Untold {
        /// Name of the topic.
        name: String,
        /// Why.
        reason: String,
    },
}

/// How many partitions a topic has; 0 if there is none of that name.
///
/// # Errors
/// The broker does not answer within that time.
pub fn partitions<C: ConsumerContext>(
    client: &BaseConsumer<C>,
    topic: &str,
    within: Duration,
) -> KafkaResult<usize> {
    let metadata = client.fetch_metadata(Some(topic), within)?;
    let found = metadata.topics().iter().find(|it| it.name() == topic);
    Ok(found.map_or(0, |it| it.partitions().len()))
}

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// All topics. Those of events have `partitions`, those of claims and budgets `of_claims`, which is another number where the
/// events got more partitions later; those of the campaigns themselves have one, so that there is an order.
pub fn plan(
    topics: &TopicSettings,
    (partitions, of_claims): (i32, i32),
    replication: i32,
) -> Vec<TopicSpec> {
    let topic = |name: &str, partitions, config: &[(&'static str, String)]| TopicSpec {
        name: name.to_owned(),
        partitions,
        replication,
        config: config.to_vec(),
    };
    let compacted = ("cleanup.policy", "compact".to_owned());
    // A reader that was away for less than this still sees that a campaign was deleted.
    let tombstones = ("delete.retention.ms", (7 * DAY_MS).to_string());
    // What an erased customer left in older records is off the disks after this, also where little is written (KIP-354).
    let gone = ("max.compaction.lag.ms", (7 * DAY_MS).to_string());
    let for_ever = ("retention.ms", "-1".to_owned());
    let long = ("retention.ms", (90 * DAY_MS).to_string());
    // An event plus its reason must fit wherever the event fitted.
    let large = ("max.message.bytes", MAX_MESSAGE_BYTES.to_string());
    vec![
        topic(&topics.events_topic, partitions, &[]),
        topic(&topics.campaigns_topic, 1, &[compacted.clone(), tombstones]),
        topic(&topics.campaign_changes_topic, 1, &[for_ever]),
        topic(&topics.matches_topic, partitions, &[]),
        topic(&topics.claims_topic, of_claims, &[]),
        topic(
            &topics.customer_state_topic,
            partitions,
            &[compacted.clone(), gone.clone()],
        ),
        topic(
            &topics.audience_members_topic,
            partitions,
            &[compacted.clone(), gone],
        ),
        topic(&topics.budget_state_topic, of_claims, &[compacted]),
        topic(&topics.refusals_topic, partitions, &[]),
        topic(
            &topics.campaign_events_topic,
            1,
            std::slice::from_ref(&long),
        ),
        topic(&topics.dead_letters_topic, partitions, &[long, large]),
    ]
}

/// Makes those topics that do not exist. Safe to repeat, and safe when two do it at once; topics that
/// exist are left as they are.
///
/// # Errors
/// [`TopicError`]: the broker cannot be reached within 30 s or refuses.
pub async fn create_missing(kafka: &KafkaSettings, topics: &[TopicSpec]) -> Result<(), TopicError> {
    let admin: AdminClient<_> = kafka.admin().create()?;
    let options = AdminOptions::new()
        .request_timeout(Some(Duration::from_secs(30)))
        .operation_timeout(Some(Duration::from_secs(30)));
    let new: Vec<_> = topics
        .iter()
        .map(|topic| {
            let replication = TopicReplication::Fixed(topic.replication);
            let new = NewTopic::new(&topic.name, topic.partitions, replication);
            topic
                .config
                .iter()
                .fold(new, |new, (key, value)| new.set(key, value))
        })
        .collect();
    for result in admin.create_topics(&new, &options).await? {
        match result {
            Ok(name) => tracing::info!(topic = name, "topic made"),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => return Err(TopicError::Refused { name, code }),
        }
    }
    Ok(())
}

/// How long the record of a compacted topic that deletes its key can still be read, at least. Takes `DescribeConfigs` on
/// the topic.
///
/// # Errors
/// [`TopicError`]: the broker cannot be reached within 5 s, or does not say.
pub async fn tombstones_kept(kafka: &KafkaSettings, topic: &str) -> Result<Duration, TopicError> {
    let admin: AdminClient<_> = kafka.admin().create()?;
    let options = AdminOptions::new().request_timeout(Some(Duration::from_secs(5)));
    let asked = [ResourceSpecifier::Topic(topic)];
    let answers = admin.describe_configs(&asked, &options).await?;
    let untold = |reason: String| TopicError::Untold {
        name: topic.to_owned(),
        reason,
    };
    let answer = answers.into_iter().next();
    let answer = answer.ok_or_else(|| untold("no answer".to_owned()))?;
    let config = answer.map_err(|code| untold(code.to_string()))?;
    let value = config.get("delete.retention.ms");
    let value = value.and_then(|it| it.value.as_deref()?.parse().ok());
    let kept = value.ok_or_else(|| untold("no delete.retention.ms".to_owned()))?;
    Ok(Duration::from_millis(kept))
}
