//! Configurations of Kafka clients: what the guarantees need, and what was measured to be quick.
//!
//! Every key that is not librdkafka's default has its reason here.

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};

use crate::settings::KafkaSettings;

/// The broker aborts a transaction that is open for longer. Long enough for a broker that is slow to
/// answer, short because whoever takes over waits for it (Kafka Streams uses 10 s).
pub const TRANSACTION_TIMEOUT_MS: u32 = 15_000;

/// Largest record that we produce: a dead letter is as large as its event and a little more. Matches
/// the `max.message.bytes` of the topics that we make for dead letters.
pub const MAX_MESSAGE_BYTES: u32 = 16 * 1024 * 1024;

/// Memory that a consumer may fill with records that wait to be processed, in KiB.
pub const CONSUMER_QUEUE_KBYTES: u32 = 16 * 1024;

/// Memory that a producer may fill with records that wait to be sent, in KiB.
pub const PRODUCER_QUEUE_KBYTES: u32 = 64 * 1024;

impl KafkaSettings {
    /// A member of a consumer group.
    ///
    /// Reads committed records only; the same key makes the broker hold back offsets on which a
    /// transaction is still open (KIP-447). Commits nothing by itself. `auto.offset.reset=error`: who
    /// has no position, or one that no longer exists, must decide what to do.
    pub fn consumer(&self, group: &str) -> ClientConfig {
        let mut config = self.reading();
        config
            .set("group.id", group)
            .set("isolation.level", "read_committed")
            .set("auto.offset.reset", "error")
            // The classic protocol: with the new one a killed member's static name is refused for 45 s.
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", "10000")
            .set("heartbeat.interval.ms", "2000")
            .set("max.poll.interval.ms", "60000");
        self.apply(config)
    }

    /// A reader of committed records that belongs to no group and is told of the end of a partition.
    pub fn reader(&self) -> ClientConfig {
        let mut config = self.reading();
        config
            // rdkafka wants a name before it lets a consumer poll; nothing is ever committed to it.
            .set("group.id", "campaign-manager-reader")
            .set("isolation.level", "read_committed")
            .set("auto.offset.reset", "error")
            .set("enable.partition.eof", "true");
        self.apply(config)
    }

    /// Sees uncommitted records too: for the true end of a partition.
    pub fn observer(&self) -> ClientConfig {
        let mut config = self.reader();
        config.set("isolation.level", "read_uncommitted");
        config
    }

    /// A transactional producer (KIP-98). At most one lives of each `transactional_id`: a new one
    /// fences the older.
    pub fn transactional_producer(&self, transactional_id: &str) -> ClientConfig {
        let mut config = self.producing();
        config
            .set("transactional.id", transactional_id)
            .set("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS.to_string())
            // librdkafka demands that a record does not outlive its transaction.
            .set("message.timeout.ms", TRANSACTION_TIMEOUT_MS.to_string())
            // How long it waits when the broker is still busy with the transaction before, at each
            // transaction: with the default of 100 ms a small one takes 205 ms, with 2 ms it takes 5.
            .set("retry.backoff.ms", "2")
            .set("retry.backoff.max.ms", "1000")
            // Without any, its thread wakes for each record and sends it alone: a third of its time
            // under load. These 2 ms pass while the offsets are sent (docs/performance.md).
            .set("linger.ms", "2");
        self.apply(config)
    }

    /// An idempotent producer.
    pub fn producer(&self) -> ClientConfig {
        let mut config = self.producing();
        config
            .set("linger.ms", "1")
            // A broker works on one request of a connection at a time, and librdkafka makes one for each
            // partition: one is worked on, one is on its way. With the default of 5 (at most, for an
            // idempotent producer) three more wait in the broker as they are, which could still grow.
            .set("max.in.flight.requests.per.connection", "2");
        self.apply(config)
    }

    /// A client for administration.
    pub fn admin(&self) -> ClientConfig {
        self.apply(self.client())
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("client.id", "campaign-manager")
            // Brokers close idle connections; that is no news.
            .set("log.connection.close", "false")
            .set("enable.metrics.push", "false")
            .set("socket.keepalive.enable", "true")
            // The default lets a client that lost all brokers wait up to 10 s after they are back.
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set_log_level(RDKafkaLogLevel::Info);
        config
    }

    fn reading(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("check.crcs", "true")
            .set("fetch.wait.max.ms", "50")
            // When the queue is full librdkafka looks again after this long; the default of 1 s makes
            // small queues stutter.
            .set("fetch.queue.backoff.ms", "20")
            .set("queued.min.messages", "20000")
            .set(
                "queued.max.messages.kbytes",
                CONSUMER_QUEUE_KBYTES.to_string(),
            )
            .set("statistics.interval.ms", "5000");
        config
    }

    fn producing(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            // Java's default for keyed records; librdkafka's own would part a customer's events.
            .set("partitioner", "murmur2_random")
            .set("compression.type", "lz4")
            .set("batch.num.messages", "10000")
            .set("message.max.bytes", MAX_MESSAGE_BYTES.to_string())
            .set("queue.buffering.max.messages", "500000")
            .set(
                "queue.buffering.max.kbytes",
                PRODUCER_QUEUE_KBYTES.to_string(),
            );
        config
    }

    /// The user's own pairs, which win over ours.
    fn apply(&self, mut config: ClientConfig) -> ClientConfig {
        for (key, value) in self.config.iter() {
            config.set(key, value);
        }
        config
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::consumer::BaseConsumer;
    use rdkafka::producer::DefaultProducerContext;
    use rdkafka::producer::ThreadedProducer;

    use super::*;

    fn settings(config: &str) -> KafkaSettings {
        KafkaSettings {
            bootstrap_servers: "127.0.0.1:1".to_owned(),
            config: config.parse().unwrap(),
        }
    }

    #[test]
    fn librdkafka_accepts_each_configuration() {
        // It checks names, values and how they fit together when a client is made.
        let kafka = settings("socket.timeout.ms=10000");
        for config in [kafka.consumer("group"), kafka.reader(), kafka.observer()] {
            config.create::<BaseConsumer>().unwrap();
        }
        for config in [kafka.producer(), kafka.transactional_producer("id")] {
            let _: ThreadedProducer<DefaultProducerContext> = config.create().unwrap();
        }
        kafka
            .admin()
            .create::<rdkafka::admin::AdminClient<_>>()
            .unwrap();
    }

    #[test]
    fn the_users_pairs_reach_every_client() {
        let kafka = settings("socket.timeout.ms=1234");
        for config in [
            kafka.consumer("group"),
            kafka.reader(),
            kafka.observer(),
            kafka.producer(),
            kafka.transactional_producer("id"),
            kafka.admin(),
        ] {
            assert_eq!(config.get("socket.timeout.ms"), Some("1234"));
        }
    }

    #[test]
    fn the_users_pairs_win_over_ours_by_either_name() {
        let key = "max.in.flight.requests.per.connection";
        for pair in ["max.in.flight=1", &format!("{key}=1")] {
            assert_eq!(settings(pair).producer().get(key), Some("1"), "{pair}");
            assert_eq!(settings(pair).producer().get("max.in.flight"), None);
        }
    }
}
