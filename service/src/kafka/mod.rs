//! Kafka: client configurations, topics, and librdkafka's log.

pub mod clients;
pub mod config;
pub mod topics;

use rdkafka::config::RDKafkaLogLevel;

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
