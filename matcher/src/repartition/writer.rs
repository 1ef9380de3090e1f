//! Writes records to given partitions of one topic, and knows whether all of them are there.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{
    BaseRecord, DeliveryResult, NoCustomPartitioner, Producer as _, ProducerContext,
    ThreadedProducer,
};
use service::kafka::{log_error, log_line};
use service::settings::KafkaSettings;

use super::RepartitionError;

/// How long the broker may take to acknowledge all that was sent.
const FLUSH: Duration = Duration::from_mins(5);

/// An idempotent producer of one topic. Its records stay in the order in which they were sent.
pub(super) struct Writer {
    topic: String,
    producer: ThreadedProducer<Failures>,
    failed: Arc<Mutex<Option<KafkaError>>>,
}

impl Writer {
    pub(super) fn open(kafka: &KafkaSettings, topic: &str) -> Result<Self, RepartitionError> {
        let failed = Arc::default();
        let producer = kafka
            .producer()
            .create_with_context(Failures(Arc::clone(&failed)))
            .map_err(|error| RepartitionError::Ask {
                what: "a client".to_owned(),
                error,
            })?;
        Ok(Self {
            topic: topic.to_owned(),
            producer,
            failed,
        })
    }

    /// Hands a record over. Waits while the queue is full.
    pub(super) fn send(
        &self,
        partition: i32,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), RepartitionError> {
        let mut record = BaseRecord::<[u8], [u8]>::to(&self.topic)
            .partition(partition)
            .key(key);
        record.payload = value;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err((error, _)) => return Err(self.error(error)),
            }
        }
    }

    /// All that was sent is acknowledged.
    pub(super) fn finish(&self) -> Result<(), RepartitionError> {
        let flushed = self.producer.flush(FLUSH);
        flushed.map_err(|error| self.error(error))?;
        let failed = (self.failed.lock()).unwrap_or_else(PoisonError::into_inner);
        match &*failed {
            Some(error) => Err(self.error(error.clone())),
            None => Ok(()),
        }
    }

    fn error(&self, error: KafkaError) -> RepartitionError {
        RepartitionError::Write {
            topic: self.topic.clone(),
            error,
        }
    }
}

/// Keeps the first failure.
struct Failures(Arc<Mutex<Option<KafkaError>>>);

impl ClientContext for Failures {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_error(&error, reason);
    }
}

impl ProducerContext<NoCustomPartitioner> for Failures {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert_with(|| error.clone());
        }
    }
}
