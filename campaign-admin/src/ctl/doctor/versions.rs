//! Whether the brokers are new enough.
//!
//! A broker tells clients which requests it knows in which versions, but not its own version, and rdkafka
//! does not hand on what it was told. librdkafka logs it, though, with `debug=feature`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;

use super::Check;
use crate::ctl::kafka::{Cluster, TIMEOUT};

/// Requests that exactly-once needs, the version of each and why.
const NEEDED: [(&str, u16, &str); 2] = [
    (
        "InitProducerId",
        3,
        "a producer that was fenced can go on (KIP-360)",
    ),
    (
        "TxnOffsetCommit",
        3,
        "offsets of a member that was replaced are refused (KIP-447)",
    ),
];

/// The first release whose brokers know the needed requests.
const FIRST: &str = "Kafka 2.5";

/// How long the log may take.
const WAIT: Duration = Duration::from_secs(2);

/// Asks what the brokers know.
pub(super) fn look(cluster: &Cluster) -> anyhow::Result<Check> {
    let listener = Listener::default();
    let mut config = cluster.kafka.reader();
    config
        .set("debug", "feature")
        .set_log_level(RDKafkaLogLevel::Debug);
    let consumer: BaseConsumer<Listener> = config.create_with_context(listener.clone())?;
    consumer
        .fetch_metadata(None, TIMEOUT)
        .with_context(|| cluster.away())?;
    // Lines of the log wait for a poll; there are no records.
    let deadline = Instant::now() + WAIT;
    while Instant::now() < deadline && !listener.is_told() {
        consumer.poll(Duration::from_millis(50));
    }
    let known = listener.0.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(check(&known))
}

fn check(known: &BTreeMap<String, u16>) -> Check {
    let what = "version of the brokers";
    if known.is_empty() {
        return Check::skipped(what, "they did not say which requests they know");
    }
    for (request, version, why) in NEEDED {
        let found = known.get(request).copied();
        if found.is_none_or(|found| found < version) {
            let found = found.map_or_else(
                || "not".to_owned(),
                |found| format!("up to version {found}"),
            );
            return Check::bad(
                what,
                format!("{request} is known {found}, not {version}: {why}"),
            )
            .advice(format!("use {FIRST} or newer, or what is as it"));
        }
    }
    let fetch = known.get("Fetch").copied().unwrap_or_default();
    Check::good(
        what,
        format!("all that is needed is known ({FIRST} and newer); Fetch up to version {fetch}"),
    )
}

/// The highest version of each request, as librdkafka tells it.
#[derive(Debug, Clone, Default)]
struct Listener(Arc<Mutex<BTreeMap<String, u16>>>);

impl Listener {
    /// Whether all that is needed has been told. The lines come in the order of the requests' numbers.
    fn is_told(&self) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        NEEDED
            .iter()
            .all(|(request, ..)| known.contains_key(*request))
    }
}

impl ClientContext for Listener {
    fn log(&self, _: RDKafkaLogLevel, _: &str, message: &str) {
        if let Some((request, version)) = parse(message) {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(request.to_owned(), version);
        }
    }

    fn error(&self, _: KafkaError, _: &str) {}
}

impl ConsumerContext for Listener {}

/// A line such as `…:   ApiKey TxnOffsetCommit (28) Versions 0..3`.
fn parse(line: &str) -> Option<(&str, u16)> {
    let (_, rest) = line.split_once("ApiKey ")?;
    let (request, rest) = rest.split_once(" (")?;
    let (_, versions) = rest.split_once(") Versions ")?;
    let (_, highest) = versions.split_once("..")?;
    Some((request, highest.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn a_broker_must_know_what_exactly_once_needs() {
        let line = "[thrd:localhost:9092/bootstrap]: localhost:9092/bootstrap:   \
                    ApiKey TxnOffsetCommit (28) Versions 0..3";
        assert_eq!(parse(line), Some(("TxnOffsetCommit", 3)));
        assert_eq!(
            parse("Feature MsgVer2: Fetch (4..32767) supported by broker"),
            None
        );
        let known = |offsets| {
            let known = [
                ("InitProducerId", 4),
                ("TxnOffsetCommit", offsets),
                ("Fetch", 11),
            ];
            known
                .map(|(request, version)| (request.to_owned(), version))
                .into()
        };
        assert_eq!(check(&known(3)).level, Level::Good);
        assert_eq!(check(&known(2)).level, Level::Bad);
        assert_eq!(check(&BTreeMap::new()).level, Level::Skipped);
    }
}
