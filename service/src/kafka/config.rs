//! Further settings of librdkafka that a user brings, such as TLS and SASL.

use std::fmt;
use std::str::FromStr;

/// `key=value` pairs for librdkafka. Values of secret keys are never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KafkaConfig(Vec<(String, String)>);

/// Why a text is not a list of settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KafkaConfigError {
    /// A part without an equals sign.
    #[error("{0:?} is not key=value")]
    NotAPair(String),
    /// A key that this program sets itself.
    #[error("{key} may not be set: {reason}")]
    Reserved {
        /// The key.
        key: String,
        /// Why.
        reason: &'static str,
    },
}

/// Keys that guarantees rest on, or that have a setting of their own.
const RESERVED: [(&str, &str); 15] = [
    (
        "acks",
        "an acknowledged record must be on all replicas in sync",
    ),
    (
        "enable.idempotence",
        "without it a retry writes a record twice",
    ),
    (
        "isolation.level",
        "uncommitted records must not be read, and offsets must be stable",
    ),
    (
        "enable.auto.commit",
        "offsets are committed with what they produced",
    ),
    (
        "enable.auto.offset.store",
        "offsets are committed with what they produced",
    ),
    (
        "auto.offset.reset",
        "a reset loses or repeats events unseen",
    ),
    (
        "transactional.id",
        "it follows from MATCHER_GROUP and MATCHER_INSTANCE",
    ),
    (
        "transaction.timeout.ms",
        "the time-outs are set in relation to each other",
    ),
    (
        "message.timeout.ms",
        "the time-outs are set in relation to each other",
    ),
    (
        "partitioner",
        "all clients must put a customer in the same partition",
    ),
    (
        "group.id",
        "use the setting of the service, such as MATCHER_GROUP",
    ),
    ("group.instance.id", "it follows from MATCHER_INSTANCE"),
    (
        "group.protocol",
        "with the consumer protocol a killed member's name is refused for 45 s",
    ),
    (
        "partition.assignment.strategy",
        "rebalances are handled as cooperative ones",
    ),
    ("bootstrap.servers", "use KAFKA_BOOTSTRAP_SERVERS"),
];

/// Keys of librdkafka that have a second name, and the one of the two that this program sets. It takes
/// settings in no order, so of two names for the same thing either could win.
const SECOND_NAMES: [(&str, &str); 7] = [
    ("metadata.broker.list", "bootstrap.servers"),
    ("max.in.flight", "max.in.flight.requests.per.connection"),
    ("queue.buffering.max.ms", "linger.ms"),
    ("compression.codec", "compression.type"),
    ("request.required.acks", "acks"),
    ("delivery.timeout.ms", "message.timeout.ms"),
    ("auto.commit.enable", "enable.auto.commit"),
];

const SECRET: [&str; 6] = [
    "password",
    "secret",
    "key",
    "token",
    "jaas",
    "oauthbearer.config",
];

impl KafkaConfig {
    /// The pairs, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }
}

impl FromStr for KafkaConfig {
    type Err = KafkaConfigError;

    /// Reads pairs separated by commas. A part that does not begin with a key of librdkafka and an
    /// equals sign belongs to the value before, so that values may have commas.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            match part.split_once('=') {
                Some((key, value)) if is_key(key.trim()) => {
                    pairs.push((key.trim().to_owned(), value.trim().to_owned()));
                }
                _ => match pairs.last_mut() {
                    Some((_, value)) => {
                        value.push(',');
                        value.push_str(part);
                    }
                    None => return Err(KafkaConfigError::NotAPair(part.to_owned())),
                },
            }
        }
        for (key, _) in &mut pairs {
            if let Some((_, name)) = SECOND_NAMES.iter().find(|(second, _)| second == key) {
                (*name).clone_into(key);
            }
            if let Some((_, reason)) = RESERVED.iter().find(|(reserved, _)| reserved == key) {
                let key = key.clone();
                return Err(KafkaConfigError::Reserved { key, reason });
            }
        }
        Ok(Self(pairs))
    }
}

/// Keys of librdkafka are lower-case words joined by dots or underscores; all but a few have a dot.
fn is_key(text: &str) -> bool {
    let allowed =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    !text.is_empty()
        && text.chars().all(allowed)
        && (text.contains('.') || matches!(text, "acks" | "debug" | "retries" | "partitioner"))
}

impl fmt::Display for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (key, value)) in self.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let hidden = SECRET.iter().any(|secret| key.contains(secret));
            write!(f, "{comma}{key}={}", if hidden { "***" } else { value })?;
        }
        Ok(())
    }
}

impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_and_values_may_have_commas() {
        let config: KafkaConfig = "security.protocol=sasl_ssl, ssl.cipher.suites=A,B,debug=cgrp"
            .parse()
            .unwrap();
        let pairs: Vec<_> = config.iter().collect();
        assert_eq!(
            pairs,
            [
                ("security.protocol", "sasl_ssl"),
                ("ssl.cipher.suites", "A,B"),
                ("debug", "cgrp"),
            ]
        );
        assert_eq!("".parse(), Ok(KafkaConfig::default()));
    }

    #[test]
    fn what_guarantees_rest_on_may_not_be_set() {
        for (key, _) in RESERVED {
            let error = format!("{key}=x").parse::<KafkaConfig>().unwrap_err();
            assert!(matches!(error, KafkaConfigError::Reserved { .. }), "{key}");
        }
        assert!(matches!(
            "nonsense".parse::<KafkaConfig>(),
            Err(KafkaConfigError::NotAPair(_))
        ));
    }

    #[test]
    fn secrets_are_not_printed() {
        let config: KafkaConfig = "sasl.username=ada,sasl.password=x,ssl.key.pem=y"
            .parse()
            .unwrap();
        assert_eq!(
            format!("{config:?}"),
            "sasl.username=ada,sasl.password=***,ssl.key.pem=***"
        );
    }
}
