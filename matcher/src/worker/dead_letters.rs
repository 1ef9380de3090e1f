//! Writes records that can never be processed.

use rdkafka::Message;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::producer::BaseRecord;
use schemas::DeadLetterReason;
use service::kafka::transaction::Open;

use super::Rebuild;
use super::duty::Batch;
use crate::dead_letter;

/// Above this size a dead letter goes without its value once the broker has refused one as too large.
/// Kafka's own default takes records of about 1 MB; what remains is left to key and headers.
const SURELY_TAKEN: usize = 512 * 1024;

/// How dead letters carry their value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Values {
    /// Byte for byte.
    Whole,
    /// Byte for byte up to [`SURELY_TAKEN`]; larger ones stay in the source topic, named by header.
    SmallOnly,
}

/// Dead letters of one worker, each in the partition of its record.
pub(crate) struct DeadLetters {
    topic: String,
    /// How they carry their values in the next batch.
    values: Values,
}

impl DeadLetters {
    pub(crate) fn new(topic: String) -> Self {
        Self {
            topic,
            values: Values::Whole,
        }
    }

    /// The batch was committed.
    pub(crate) fn committed(&mut self) {
        self.values = Values::Whole;
    }

    /// A record of the batch was too large.
    pub(crate) fn too_large(&mut self) {
        self.values = Values::SmallOnly;
    }

    /// Adds a record that can never be processed to the batch: key, value, headers and timestamp as they were, and the reason
    /// in headers of ours.
    pub(crate) fn write(
        &self,
        batch: &mut Batch,
        message: &BorrowedMessage<'_>,
        reason: &DeadLetterReason,
    ) -> Result<(), Rebuild> {
        let written = self.write_to(&batch.transaction, message, reason);
        // Not even one without key and value leaves the batch as it was.
        batch.load.output_bytes += written.map_err(Rebuild::Produce)?.max(1);
        Ok(())
    }

    /// Returns the size in bytes.
    fn write_to(
        &self,
        transaction: &Open,
        message: &BorrowedMessage<'_>,
        reason: &DeadLetterReason,
    ) -> Result<usize, KafkaError> {
        let size = message.payload_len();
        if self.values == Values::SmallOnly && size > SURELY_TAKEN {
            return self.send(transaction, message, reason, None);
        }
        match self.send(transaction, message, reason, message.payload()) {
            Err(error) if is_too_large(&error) => self.send(transaction, message, reason, None),
            result => result,
        }
    }

    fn send(
        &self,
        transaction: &Open,
        message: &BorrowedMessage<'_>,
        reason: &DeadLetterReason,
        value: Option<&[u8]>,
    ) -> Result<usize, KafkaError> {
        let mut record = BaseRecord::<[u8], [u8]>::to(&self.topic)
            .partition(message.partition())
            .headers(dead_letter::headers(message, reason, value));
        record.key = message.key();
        record.payload = value;
        record.timestamp = message.timestamp().to_millis();
        transaction.send(record)?;
        Ok(message.key_len() + value.map_or(0, <[u8]>::len))
    }
}

fn is_too_large(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge)
}
