//! Clients of the broker that is checked.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication, TopicResult};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, DeliveryResult, Message as _};
use rdkafka::producer::{
    BaseRecord, NoCustomPartitioner, Producer as _, ProducerContext, ThreadedProducer,
};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use service::settings::KafkaSettings;

/// Longest time that anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Makes clients of one broker, and topics that no other check uses.
pub(crate) struct Clients {
    bootstrap: String,
}

impl Clients {
    pub(crate) fn new(bootstrap: &str) -> Self {
        Self {
            bootstrap: bootstrap.to_owned(),
        }
    }

    /// The settings of the product's clients.
    pub(crate) fn settings(&self) -> KafkaSettings {
        KafkaSettings {
            bootstrap_servers: self.bootstrap.clone(),
            config: "".parse().expect("no pairs are pairs"),
        }
    }

    /// A name that nothing else has.
    pub(crate) fn name(what: &str) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        format!("{what}-{}-{number}", std::process::id())
    }

    /// A client's settings, with a few more.
    pub(crate) fn config(&self, further: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        for (name, value) in further {
            config.set(*name, *value);
        }
        config
    }

    /// Makes a topic and returns its name.
    pub(crate) fn topic(&self, partitions: i32, config: &[(&str, &str)]) -> String {
        let name = Self::name("check");
        let result = self.create(&name, partitions, config);
        assert_eq!(result, Ok(name.clone()), "making a topic");
        name
    }

    /// Asks for a topic of that name.
    pub(crate) fn create(
        &self,
        name: &str,
        partitions: i32,
        config: &[(&str, &str)],
    ) -> TopicResult {
        let admin: AdminClient<_> = self.config(&[]).create().expect("an admin client");
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let topic = config
            .iter()
            .fold(topic, |topic, (key, value)| topic.set(key, value));
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let mut results = runtime
            .block_on(admin.create_topics([&topic], &options))
            .expect("the broker answers");
        results.pop().expect("a result for each topic")
    }

    /// An idempotent producer.
    pub(crate) fn producer(&self) -> Producer {
        Producer::new(&self.config(&[("enable.idempotence", "true")]))
    }

    /// A transactional producer that has taken over its id.
    pub(crate) fn transactional(&self, id: &str) -> Producer {
        let producer = self.transactional_with(id, &[]);
        producer.init().expect("the id can be taken over");
        producer
    }

    /// A transactional producer before that, with a few more settings.
    pub(crate) fn transactional_with(&self, id: &str, further: &[(&str, &str)]) -> Producer {
        let mut config = self.config(further);
        config
            .set("transactional.id", id)
            // As the product: otherwise each of its transactions would take 0.2 s.
            .set("retry.backoff.ms", "2");
        Producer::new(&config)
    }

    /// A consumer of that group, which is not in it yet.
    pub(crate) fn consumer(&self, group: &str, further: &[(&str, &str)]) -> BaseConsumer {
        self.member_config(group, further)
            .create()
            .expect("a consumer")
    }

    /// The settings of a member of that group, as the product sets them.
    pub(crate) fn member_config(&self, group: &str, further: &[(&str, &str)]) -> ClientConfig {
        let ours = [
            ("group.id", group),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "earliest"),
            ("isolation.level", "read_committed"),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("session.timeout.ms", "10000"),
            ("heartbeat.interval.ms", "300"),
            ("fetch.wait.max.ms", "20"),
        ];
        self.config(&[&ours, further].concat())
    }

    /// The values of all committed records of a partition, as they stand now.
    pub(crate) fn committed(&self, topic: &str, partition: i32) -> Vec<String> {
        self.values(topic, partition, "read_committed")
    }

    /// The values of all records of a partition, whatever becomes of their transactions.
    pub(crate) fn uncommitted(&self, topic: &str, partition: i32) -> Vec<String> {
        self.values(topic, partition, "read_uncommitted")
    }

    fn values(&self, topic: &str, partition: i32, isolation: &str) -> Vec<String> {
        let mut values = Vec::new();
        self.each(topic, partition, isolation, |message| {
            let value = message.payload().unwrap_or_default();
            values.push(String::from_utf8_lossy(value).into_owned());
        });
        values
    }

    /// Reads a partition from its beginning to its end.
    pub(crate) fn each(
        &self,
        topic: &str,
        partition: i32,
        isolation: &str,
        mut each: impl FnMut(&BorrowedMessage<'_>),
    ) {
        let consumer: BaseConsumer = self
            .config(&[
                ("group.id", "reader"),
                ("enable.auto.commit", "false"),
                ("isolation.level", isolation),
                ("enable.partition.eof", "true"),
                ("fetch.wait.max.ms", "20"),
            ])
            .create()
            .expect("a consumer");
        let mut whole = TopicPartitionList::new();
        whole
            .add_partition_offset(topic, partition, Offset::Beginning)
            .expect("a partition once");
        consumer.assign(&whole).expect("it can be assigned");
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            match consumer.poll(PATIENCE) {
                Some(Ok(message)) => each(&message),
                Some(Err(KafkaError::PartitionEOF(_))) => return,
                Some(Err(error)) => panic!("reading {topic}: {error}"),
                None => {}
            }
        }
        panic!("{topic} was not read to its end");
    }
}

/// What became of a record: its offset, or why it was refused.
pub(crate) type Report = Result<i64, RDKafkaErrorCode>;

#[derive(Clone, Default)]
struct Reports(Arc<Mutex<Vec<Report>>>);

impl ClientContext for Reports {
    // What goes wrong on purpose needs no log.
    fn error(&self, _: KafkaError, _: &str) {}
}

impl ProducerContext<NoCustomPartitioner> for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let report = match result {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail)),
        };
        self.0.lock().expect("nobody panics here").push(report);
    }
}

/// A producer that remembers what became of its records.
pub(crate) struct Producer {
    inner: ThreadedProducer<Reports>,
    reports: Reports,
}

impl Producer {
    fn new(config: &ClientConfig) -> Self {
        let reports = Reports::default();
        Self {
            inner: config
                .create_with_context(reports.clone())
                .expect("a producer"),
            reports,
        }
    }

    /// Takes over the transactional id.
    pub(crate) fn init(&self) -> KafkaResult<()> {
        self.inner.init_transactions(PATIENCE)
    }

    /// Begins a transaction.
    pub(crate) fn begin(&self) {
        self.inner
            .begin_transaction()
            .expect("a transaction begins");
    }

    /// Sends a value and waits for what becomes of it.
    pub(crate) fn send(&self, topic: &str, partition: i32, value: &str) -> Report {
        self.send_record(
            BaseRecord::<str, str>::to(topic)
                .partition(partition)
                .payload(value),
        )
    }

    /// Sends a record and waits for what becomes of it.
    pub(crate) fn send_record<K, V>(&self, record: BaseRecord<'_, K, V>) -> Report
    where
        K: rdkafka::message::ToBytes + ?Sized,
        V: rdkafka::message::ToBytes + ?Sized,
    {
        self.enqueue(record);
        *self.reports().last().expect("a report for each record")
    }

    /// Sends a record without waiting.
    pub(crate) fn enqueue<K, V>(&self, record: BaseRecord<'_, K, V>)
    where
        K: rdkafka::message::ToBytes + ?Sized,
        V: rdkafka::message::ToBytes + ?Sized,
    {
        let sent = self.inner.send(record).map_err(|(error, _)| error);
        sent.expect("there is room for a few records");
    }

    /// What became of all records, in the order in which the broker told.
    pub(crate) fn reports(&self) -> Vec<Report> {
        self.inner.flush(PATIENCE).expect("the broker answers");
        self.reports.0.lock().expect("nobody panics here").clone()
    }

    /// Adds consumed offsets to the transaction: of one partition of a topic, for one group member.
    pub(crate) fn send_offset(
        &self,
        topic: &str,
        offset: i64,
        consumer: &rdkafka::consumer::ConsumerGroupMetadata,
    ) -> KafkaResult<()> {
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(topic, 0, Offset::Offset(offset))?;
        self.inner
            .send_offsets_to_transaction(&offsets, consumer, PATIENCE)
    }

    /// Commits the transaction.
    pub(crate) fn commit(&self) -> KafkaResult<()> {
        self.inner.commit_transaction(PATIENCE)
    }

    /// Aborts the transaction.
    pub(crate) fn abort(&self) -> KafkaResult<()> {
        self.inner.abort_transaction(PATIENCE)
    }
}
