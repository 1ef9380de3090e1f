//! Kafka: client configurations, topics, and librdkafka's log.

pub mod clients;
pub mod config;
pub mod contact;
pub mod partitioner;
pub mod partitions;
pub mod reader;
pub mod record;
pub mod topics;
pub mod transaction;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;

/// Writes an error of a client to our log; for `ClientContext::error`.
pub fn log_error(error: &KafkaError, reason: &str) {
    // The end of a partition comes this way too, besides to whoever polls.
    if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
        tracing::warn!(target: "librdkafka", %error, "{reason}");
    }
}

/// Writes a line of librdkafka's log to ours; for `ClientContext::log`.
pub fn log_line(level: RDKafkaLogLevel, facility: &str, message: &str) {
    use RDKafkaLogLevel::{Alert, Critical, Debug, Emerg, Error, Info, Notice, Warning};
    match level {
        Emerg | Alert | Critical | Error => {
            tracing::error!(target: "librdkafka", facility, "{message}");
        }
        Warning => tracing::warn!(target: "librdkafka", facility, "{message}"),
        // Its notices and infos are about connections that come and go.
        Notice | Info => tracing::debug!(target: "librdkafka", facility, "{message}"),
        Debug => tracing::trace!(target: "librdkafka", facility, "{message}"),
    }
}

/// The context of a client that has nothing to tell but to the log.
#[derive(Debug, Clone, Copy, Default)]
pub struct Logged;

impl ClientContext for Logged {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_error(&error, reason);
    }

    fn stats(&self, _: Statistics) {}
}

impl ConsumerContext for Logged {}
