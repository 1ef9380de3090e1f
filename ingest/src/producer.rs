//! Writes events to their topic.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{DeliveryResult, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use service::Shutdown;
use service::kafka::{log_error, log_line};

use crate::metrics::IngestMetrics;
use crate::outage::Outage;
use crate::pending::Ticket;

/// An idempotent producer for the topic of the events. Shared by all requests, which never wait for it:
/// what does not fit its queue is refused. (`FutureProducer`, which is made for async callers, tries a
/// full queue again every 100 ms.)
///
/// One thread of its own hears of deliveries.
pub(crate) struct Producer {
    kafka: ThreadedProducer<Deliveries>,
    topic: String,
}

/// Hears of deliveries, on the producer's thread.
pub(crate) struct Deliveries {
    pub(crate) outage: Arc<Outage>,
    pub(crate) metrics: IngestMetrics,
    pub(crate) shutdown: Shutdown,
}

impl Producer {
    pub(crate) fn new(
        config: &ClientConfig,
        topic: String,
        deliveries: Deliveries,
    ) -> KafkaResult<Self> {
        let kafka = ThreadedProducer::from_config_and_context(config, deliveries)?;
        Ok(Self { kafka, topic })
    }

    /// Where events go.
    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    /// Hands an event over. The ticket comes back with the broker's answer; if the event cannot be
    /// handed over, at once.
    pub(crate) fn send(
        &self,
        customer_id: &str,
        value: &[u8],
        headers: OwnedHeaders,
        ticket: Ticket,
    ) {
        let record = BaseRecord::with_opaque_to(&self.topic, Box::new(ticket))
            .key(customer_id)
            .payload(value)
            .headers(headers);
        match self.kafka.send(record) {
            Ok(()) => self.kafka.context().metrics.in_flight(1),
            Err((error, record)) => record.delivery_opaque.failed(code(&error)),
        }
    }

    /// Whether the topic is there. Asks the broker, and blocks for at most that time.
    pub(crate) fn look_for_topic(&self, timeout: Duration) -> Result<(), String> {
        let metadata = self
            .kafka
            .client()
            .fetch_metadata(Some(&self.topic), timeout);
        let metadata = metadata.map_err(|error| error.to_string())?;
        let topic = metadata.topics().first();
        let is_there = topic.is_some_and(|topic| !topic.partitions().is_empty());
        is_there
            .then_some(())
            .ok_or_else(|| format!("there is no topic {}", self.topic))
    }

    /// Waits until every event is acknowledged or given up; blocks for at most that time.
    pub(crate) fn flush(&self, timeout: Duration) {
        if let Err(error) = self.kafka.flush(timeout) {
            tracing::warn!(%error, "some events are not acknowledged");
        }
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_error(&error, reason);
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            // The producer will take nothing any more: only a new one has a new producer id.
            self.shutdown
                .fail(&anyhow::anyhow!("the producer cannot go on: {reason}"));
        }
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Ticket>;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Box<Ticket>) {
        self.metrics.in_flight(-1);
        match result {
            Ok(_) => self.outage.acknowledged(),
            Err((error, _)) => {
                let code = code(error);
                if code == RDKafkaErrorCode::MessageTimedOut {
                    self.outage.timed_out();
                }
                ticket.failed(code);
            }
        }
    }
}

fn code(error: &KafkaError) -> RDKafkaErrorCode {
    error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail)
}
