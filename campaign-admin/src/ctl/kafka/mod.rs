//! Topics straight from Kafka: read from a place on, shown, written to.

mod produce;
mod read;
mod record;
mod start;
mod value;

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::metadata::MetadataPartition;
use service::settings::{KafkaSettings, TopicSettings};

pub(crate) use produce::{Aborted, Outgoing, Producer};
pub(crate) use read::{Next, Range, Reader, interrupted};
pub(crate) use record::{Content, Record};
pub(crate) use start::{Since, Start};
pub(crate) use value::{Kind, Schemas, Values};

/// Where Kafka is and how its topics are called.
#[derive(Debug, Clone, Args)]
pub(crate) struct Cluster {
    /// Kafka.
    #[command(flatten)]
    pub(crate) kafka: KafkaSettings,
    /// Topics.
    #[command(flatten)]
    pub(crate) topics: TopicSettings,
}

/// How long the brokers may take to answer.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

impl Cluster {
    /// The partitions of a topic, in order.
    ///
    /// # Errors
    /// No broker answers, or there is no such topic.
    pub(crate) fn partitions(
        &self,
        consumer: &BaseConsumer<Quiet>,
        topic: &str,
    ) -> anyhow::Result<Vec<i32>> {
        let metadata = consumer
            .fetch_metadata(Some(topic), TIMEOUT)
            .with_context(|| self.away())?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let found = found.filter(|found| found.error().is_none() && !found.partitions().is_empty());
        let found = found.with_context(|| {
            format!(
                "Kafka at {} has no topic {topic:?}; `campaignctl doctor` says what is missing, \
                 `matcher create-topics` makes it",
                self.kafka.bootstrap_servers
            )
        })?;
        let mut partitions: Vec<_> = found
            .partitions()
            .iter()
            .map(MetadataPartition::id)
            .collect();
        partitions.sort_unstable();
        Ok(partitions)
    }

    /// What to say when no broker answers.
    pub(crate) fn away(&self) -> String {
        format!(
            "no broker of Kafka answers at {}; set --bootstrap-servers, KAFKA_BOOTSTRAP_SERVERS or the \
             context, and --kafka-config for TLS and SASL",
            self.kafka.bootstrap_servers
        )
    }
}

/// The context of the clients here: what librdkafka logs about connections is not printed between the
/// records; what matters comes back as an error. `RUST_LOG` and the like are not read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(target: "librdkafka", ?level, facility, "{message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", %error, "{reason}");
    }
}

impl ConsumerContext for Quiet {}
