//! Follows the compacted topic and keeps the rule set in force up to date.
//!
//! It always begins at offset 0: a kept snapshot older than the topic's `delete.retention.ms` would
//! miss deletions. It belongs to no consumer group, for every matcher needs every campaign.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use rdkafka::Message;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rules::RuleSet;
use schemas::Encoding;
use service::kafka::Logged;
use service::retry::Backoff;
use service::{Component, Heartbeat, Shutdown};

use super::{Applied, CampaignMetrics, CampaignRecord, Catalog};

const PARTITION: i32 = 0;
const ASK: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_millis(100);

/// Where the campaigns are.
pub struct FollowerSettings {
    /// Reads committed records, without a group, and tells of the end of the partition.
    pub reader: ClientConfig,
    /// Sees uncommitted records: whoever wants to be sure to miss nothing asks how far they go.
    pub observer: ClientConfig,
    /// The compacted topic; one partition.
    pub topic: String,
    /// Form of the documents.
    pub encoding: Encoding,
}

/// Keeps the rule set in force up to date. Runs on a thread of its own.
pub struct Follower {
    /// Where the campaigns are.
    pub settings: FollowerSettings,
    /// The rule set in force; workers load it once a batch.
    pub rules: Arc<ArcSwap<RuleSet>>,
    /// What is told of the campaigns.
    pub metrics: CampaignMetrics,
    /// Ready once the topic was read to its end.
    pub component: Component,
    /// Beats while the follower lives.
    pub heartbeat: Heartbeat,
    /// Ends the follower.
    pub shutdown: Shutdown,
}

impl Follower {
    /// Follows the topic until shutdown. `loaded` is called once, when the topic was read to its end
    /// for the first time: until then no event may be matched.
    ///
    /// What fails is begun anew from offset 0, while the rule set in force stays in force.
    pub fn run(self, loaded: impl FnOnce()) {
        let mut loaded = Some(loaded);
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        while !self.shutdown.is_requested() {
            self.heartbeat.beat();
            let result = self.follow(|| {
                self.component.ready();
                if let Some(loaded) = loaded.take() {
                    loaded();
                }
            });
            if let Err(error) = result {
                tracing::warn!(error = format!("{error:#}"), "reading campaigns anew");
                if loaded.is_some() {
                    self.component.not_ready(&format!("{error:#}"));
                }
                self.shutdown.wait(backoff.next_delay());
            }
        }
    }

    fn follow(&self, mut loaded: impl FnMut()) -> anyhow::Result<()> {
        let topic = &self.settings.topic;
        let consumer: BaseConsumer<Logged> = self
            .settings
            .reader
            .create_with_context(Logged)
            .context("creating the consumer")?;
        self.check_partitions(&consumer)?;
        self.await_open_transactions(&consumer)?;
        let mut beginning = TopicPartitionList::new();
        beginning.add_partition_offset(topic, PARTITION, Offset::Beginning)?;
        consumer.assign(&beginning)?;

        let mut catalog = Catalog::new(self.settings.encoding);
        let mut next_offset = 0;
        let mut at_end = false;
        // What is read before the end is put in force all at once: half a catalog must never match.
        let mut pending = true;
        while !self.shutdown.is_requested() {
            self.heartbeat.beat();
            match consumer.poll(if pending { Duration::ZERO } else { IDLE }) {
                Some(Ok(message)) => {
                    self.apply(&mut catalog, &message);
                    next_offset = message.offset() + 1;
                    pending = true;
                    continue;
                }
                Some(Err(KafkaError::PartitionEOF(_))) => at_end = true,
                Some(Err(
                    error @ (KafkaError::MessageConsumptionFatal(_)
                    | KafkaError::MessageConsumption(
                        rdkafka::types::RDKafkaErrorCode::AutoOffsetReset
                        | rdkafka::types::RDKafkaErrorCode::OffsetOutOfRange,
                    )),
                )) => return Err(error).context("consuming"),
                Some(Err(error)) => tracing::warn!(%error, "consuming campaigns"),
                None => {}
            }
            if at_end && pending {
                self.rules.store(Arc::new(catalog.rule_set()));
                self.metrics.in_force(&catalog, next_offset);
                pending = false;
                loaded();
            } else if pending {
                // Still on the way to the end: wait for what is being fetched.
                self.shutdown.wait(Duration::from_millis(1));
            }
        }
        Ok(())
    }

    /// With more than one partition there would be no order between the versions of a campaign.
    fn check_partitions(&self, consumer: &BaseConsumer<Logged>) -> anyhow::Result<()> {
        let topic = &self.settings.topic;
        let metadata = consumer
            .fetch_metadata(Some(topic), ASK)
            .with_context(|| format!("asking for topic {topic}"))?;
        let partitions = metadata
            .topics()
            .iter()
            .find(|found| found.name() == topic)
            .map_or(0, |found| found.partitions().len());
        match partitions {
            1 => Ok(()),
            0 => anyhow::bail!("topic {topic} does not exist; create it: compacted, one partition"),
            n => anyhow::bail!("topic {topic} has {n} partitions; it must have one"),
        }
    }

    /// Waits until what was in an open transaction when we began is decided. Otherwise the end that a
    /// reader of committed records sees might lie before records that are acknowledged (KAFKA-10167).
    fn await_open_transactions(&self, consumer: &BaseConsumer<Logged>) -> anyhow::Result<()> {
        let topic = &self.settings.topic;
        let observer: BaseConsumer<Logged> = self
            .settings
            .observer
            .create_with_context(Logged)
            .context("creating the observer")?;
        let (_, end) = observer
            .fetch_watermarks(topic, PARTITION, ASK)
            .with_context(|| format!("asking for the end of {topic}"))?;
        while !self.shutdown.is_requested() {
            self.heartbeat.beat();
            let (_, stable) = consumer
                .fetch_watermarks(topic, PARTITION, ASK)
                .with_context(|| format!("asking for the stable end of {topic}"))?;
            if stable >= end {
                return Ok(());
            }
            self.shutdown.wait(IDLE);
        }
        Ok(())
    }

    fn apply(&self, catalog: &mut Catalog, message: &BorrowedMessage<'_>) {
        let record = CampaignRecord {
            key: message.key(),
            value: message.payload(),
            offset: message.offset(),
        };
        let offset = record.offset;
        match catalog.apply(record) {
            Ok(Applied::Deleted { id }) => {
                tracing::info!(campaign_id = id, offset, "campaign deleted");
            }
            Ok(Applied::Stored { id, unknown_fields }) if unknown_fields.is_empty() => {
                tracing::debug!(campaign_id = id, offset, "campaign stored");
            }
            Ok(Applied::Stored { id, unknown_fields }) => tracing::warn!(
                campaign_id = id,
                offset,
                ?unknown_fields,
                "campaign stored; no release knows some of its fields, are they misspelt?"
            ),
            Err(refused) => {
                self.metrics.refused(&refused);
                let campaign_id = record.key.map(String::from_utf8_lossy);
                tracing::warn!(
                    campaign_id = campaign_id.as_deref(),
                    offset,
                    error = %refused,
                    "campaign refused, its last good version stays in force"
                );
            }
        }
    }
}
