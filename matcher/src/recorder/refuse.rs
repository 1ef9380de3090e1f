//! Records of `matches` that are none, kept as dead letters.

use std::time::Duration;

use rdkafka::Message as _;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::producer::{FutureProducer, FutureRecord};
use schemas::DeadLetterReason;

use crate::dead_letter;

/// How long a full queue is waited for.
const QUEUE: Duration = Duration::from_secs(5);

/// Writes dead letters and waits for the broker. Only matchers write matches, so its producer is made
/// when the first is needed.
pub(super) struct Refuser {
    config: ClientConfig,
    topic: String,
    producer: Option<FutureProducer>,
}

impl Refuser {
    pub(super) fn new(config: ClientConfig, topic: String) -> Self {
        Self {
            config,
            topic,
            producer: None,
        }
    }

    /// Keeps a record byte for byte, with the reason. Once this has returned, the broker has it. After a
    /// crash it may be there twice.
    pub(super) async fn keep(
        &mut self,
        message: &BorrowedMessage<'_>,
        reason: &DeadLetterReason,
    ) -> Result<(), KafkaError> {
        match self.send(message, reason, message.payload()).await {
            Err(error) if is_too_large(&error) => self.send(message, reason, None).await,
            result => result,
        }
    }

    async fn send(
        &mut self,
        message: &BorrowedMessage<'_>,
        reason: &DeadLetterReason,
        value: Option<&[u8]>,
    ) -> Result<(), KafkaError> {
        let producer = match &mut self.producer {
            Some(producer) => producer,
            empty => empty.insert(self.config.create()?),
        };
        let mut record = FutureRecord::<[u8], [u8]>::to(&self.topic)
            .partition(message.partition())
            .headers(dead_letter::headers(message, reason, value));
        record.key = message.key();
        record.payload = value;
        record.timestamp = message.timestamp().to_millis();
        producer
            .send(record, QUEUE)
            .await
            .map(|_| ())
            .map_err(|(error, _)| error)
    }
}

fn is_too_large(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge)
}
