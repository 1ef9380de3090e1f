//! A transactional producer, as a type whose transaction ends in a commit or an abort (KIP-98).
//!
//! The calls block, so they belong to a thread of their own and never to an async runtime. Outcomes are told apart by the flags of
//! librdkafka's errors, never by their codes, which differ between brokers' versions.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{
    BaseRecord, DeliveryResult, NoCustomPartitioner, Producer, ProducerContext, ThreadedProducer,
};
use rdkafka::topic_partition_list::TopicPartitionList;

/// A commit that takes longer may have been repeated by librdkafka, and a repeated request that comes
/// late can end the *next* transaction of the same producer epoch (KAFKA-17754; librdkafka speaks the
/// protocol without KIP-890's bump of the epoch, librdkafka issue 5423). A new producer has a new
/// epoch, which fences it.
const SLOW_COMMIT: Duration = Duration::from_secs(1);

/// How long to wait for the answer of one transactional call before it is repeated.
const CALL: Duration = Duration::from_secs(10);

/// How long a call is repeated. Beyond `transaction.timeout.ms` the broker has aborted in any case.
const PATIENCE: Duration = Duration::from_secs(30);

/// The producer is of no further use: drop it, and whatever was in its transaction, and begin anew.
#[derive(Debug, thiserror::Error)]
#[error("{step}: {error}")]
pub struct Broken {
    step: &'static str,
    error: KafkaError,
}

impl Broken {
    fn at(step: &'static str) -> impl FnOnce(KafkaError) -> Self {
        move |error| Self { step, error }
    }

    /// Whether another producer took over this transactional id.
    pub fn is_fenced(&self) -> bool {
        use RDKafkaErrorCode::{Fenced, InvalidProducerEpoch, ProducerFenced};
        matches!(
            self.error.rdkafka_error_code(),
            Some(Fenced | InvalidProducerEpoch | ProducerFenced)
        )
    }

    /// Whether the broker did not answer a producer that was only beginning.
    pub fn is_unanswered(&self) -> bool {
        let fatal = match &self.error {
            KafkaError::Transaction(error) => error.is_fatal(),
            _ => true,
        };
        self.step == INIT && !fatal
    }
}

const INIT: &str = "init_transactions";

/// How the end of a transaction failed.
#[derive(Debug)]
pub enum Failure {
    /// The transaction was aborted; nothing of it is visible. The producer can be used again.
    Aborted {
        /// The producer.
        idle: Idle,
        /// What failed.
        why: KafkaError,
        /// A record was too large for its topic.
        too_large: bool,
    },
    /// See [`Broken`]. The transaction may have been committed or not; the broker knows.
    Broken(Broken),
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

/// Watches the producer from librdkafka's side.
#[derive(Default)]
struct Watch {
    /// The connection was troubled since the transaction began.
    troubled: AtomicBool,
    too_large: AtomicBool,
    /// Where the records of which it was asked are, by partition.
    noted: Mutex<BTreeMap<i32, i64>>,
}

impl Watch {
    fn begin(&self) {
        self.troubled.store(false, Ordering::Relaxed);
        self.too_large.store(false, Ordering::Relaxed);
        self.noted().clear();
    }

    fn noted(&self) -> std::sync::MutexGuard<'_, BTreeMap<i32, i64>> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where records of a transaction are that were sent with [`Open::send_noted`]. Known once it is committed.
pub struct Noted(Arc<Watch>);

impl Noted {
    /// Offset of the last such record of that partition; none if there was none or the broker did not say.
    pub fn offset(&self, partition: i32) -> Option<i64> {
        self.0.noted().get(&partition).copied()
    }
}

/// Whether the offset of a record is asked for.
const NOTED: usize = 1;
const NOT_NOTED: usize = 0;

struct Context(Arc<Watch>);

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        super::log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "transactional producer");
        self.0.troubled.store(true, Ordering::Relaxed);
    }
}

impl ProducerContext<NoCustomPartitioner> for Context {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, noted: usize) {
        let error = match result {
            Ok(record) => {
                // Of a record that was sent twice, for the first answer was lost, the broker may not know it.
                if noted == NOTED && record.offset() >= 0 {
                    let mut offsets = self.0.noted();
                    let offset = offsets.entry(record.partition()).or_default();
                    *offset = record.offset().max(*offset);
                }
                return;
            }
            Err((error, _)) => error,
        };
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge) {
            self.0.too_large.store(true, Ordering::Relaxed);
        }
    }
}

/// The producer, and what it is made of again when it may not be used further.
///
/// A `ThreadedProducer`, because the abort of librdkafka waits for delivery reports that a bare
/// `BaseProducer` would have to collect meanwhile.
///
/// Boxed where it is kept, for it is moved with each batch.
struct Connection {
    config: ClientConfig,
    producer: ThreadedProducer<Context>,
    watch: Arc<Watch>,
    /// Whether a transaction was begun on it.
    used: bool,
}

/// A producer without a transaction.
pub struct Idle(Box<Connection>);

/// A producer with an open transaction. Its only ends are [`Open::commit`] and [`Open::abort`];
/// dropping it leaves the transaction to the next producer of the same id, which aborts it.
pub struct Open {
    connection: Box<Connection>,
}

impl std::fmt::Debug for Idle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Idle")
    }
}

impl Idle {
    /// Connects a producer, fences every older one of the same transactional id and aborts or
    /// completes what it left open. Blocks for at most 30 s.
    ///
    /// # Errors
    /// The broker did not answer, or the configuration is wrong.
    pub fn connect(config: &ClientConfig) -> Result<Self, Broken> {
        let watch = Arc::new(Watch::default());
        let producer: ThreadedProducer<Context> = config
            .create_with_context(Context(Arc::clone(&watch)))
            .map_err(Broken::at("creating the producer"))?;
        repeat(|| producer.init_transactions(CALL)).map_err(Broken::at(INIT))?;
        Ok(Self(Box::new(Connection {
            config: config.clone(),
            producer,
            watch,
            used: false,
        })))
    }

    /// Whether it was connected after its last transaction had begun. Then another producer of the same
    /// transactional id may have committed something in between.
    pub fn is_new(&self) -> bool {
        !self.0.used
    }

    /// Begins a transaction. Local: the broker hears of it with the first record.
    ///
    /// # Errors
    /// The producer is of no further use.
    pub fn begin(self) -> Result<Open, Broken> {
        let Self(mut connection) = self;
        connection.used = true;
        connection.watch.begin();
        connection
            .producer
            .begin_transaction()
            .map_err(Broken::at("begin_transaction"))?;
        Ok(Open { connection })
    }
}

impl Open {
    /// Adds a record.
    ///
    /// # Errors
    /// The record cannot be produced, such as one that is too large. The transaction stays open.
    pub fn send(&self, record: BaseRecord<'_, [u8], [u8]>) -> Result<(), KafkaError> {
        self.queue(record, NOT_NOTED)
    }

    /// Adds a record whose offset is asked for later, of [`Open::noted`]. For records of one topic.
    ///
    /// # Errors
    /// As [`Open::send`].
    pub fn send_noted(&self, record: BaseRecord<'_, [u8], [u8]>) -> Result<(), KafkaError> {
        self.queue(record, NOTED)
    }

    /// Where those records are, once the transaction is committed and until the next is begun.
    pub fn noted(&self) -> Noted {
        Noted(Arc::clone(&self.connection.watch))
    }

    fn queue(&self, record: BaseRecord<'_, [u8], [u8]>, noted: usize) -> Result<(), KafkaError> {
        let mut record = BaseRecord {
            topic: record.topic,
            partition: record.partition,
            payload: record.payload,
            key: record.key,
            timestamp: record.timestamp,
            headers: record.headers,
            delivery_opaque: noted,
        };
        loop {
            match self.connection.producer.send(record) {
                Ok(()) => return Ok(()),
                // The queue empties as records are delivered or time out, so this ends.
                Err((error, returned)) if is_queue_full(&error) => {
                    record = returned;
                    self.connection.producer.poll(Duration::from_millis(1));
                }
                Err((error, _)) => return Err(error),
            }
        }
    }

    /// Commits the records together with the consumed offsets, which must not be empty.
    ///
    /// # Errors
    /// [`Failure`] says whether anything can have become visible.
    pub fn commit_consumed(
        self,
        offsets: &TopicPartitionList,
        member: &ConsumerGroupMetadata,
    ) -> Result<Idle, Failure> {
        debug_assert!(
            offsets.count() > 0,
            "librdkafka ignores a commit without offsets"
        );
        let producer = &self.connection.producer;
        if let Err(error) = repeat(|| producer.send_offsets_to_transaction(offsets, member, CALL)) {
            return Err(self.fail("send_offsets_to_transaction", error));
        }
        self.commit()
    }

    /// Commits the records, of which there must be one at least.
    ///
    /// # Errors
    /// [`Failure`] says whether anything can have become visible.
    pub fn commit(self) -> Result<Idle, Failure> {
        self.await_deliveries();
        let producer = &self.connection.producer;
        let begun = Instant::now();
        // A repeated commit resumes the first one; a negative time-out means all that is left of the
        // transaction's.
        if let Err(error) = repeat(|| producer.commit_transaction(None)) {
            return Err(self.fail("commit_transaction", error));
        }
        let unclear = self.connection.watch.troubled.load(Ordering::Relaxed);
        if unclear || begun.elapsed() > SLOW_COMMIT {
            tracing::warn!(
                elapsed_ms = begun.elapsed().as_millis(),
                "the commit was slow or the connection troubled; going on with a new producer"
            );
            let config = self.connection.config.clone();
            drop(self);
            return Ok(Idle::connect(&config)?);
        }
        Ok(Idle(self.connection))
    }

    /// Gives up everything in the transaction.
    ///
    /// # Errors
    /// The producer is of no further use. Nothing becomes visible either way.
    pub fn abort(self) -> Result<Idle, Broken> {
        let producer = &self.connection.producer;
        repeat(|| producer.abort_transaction(CALL)).map_err(Broken::at("abort_transaction"))?;
        if self.connection.watch.troubled.load(Ordering::Relaxed) {
            let config = self.connection.config.clone();
            drop(self);
            return Idle::connect(&config);
        }
        Ok(Idle(self.connection))
    }

    /// Waits until every record is delivered or has failed.
    ///
    /// `commit_transaction` flushes too, but in steps of 100 ms: rdkafka's `flush` polls for that
    /// long whenever something is in flight. These steps cost a fraction of a millisecond.
    fn await_deliveries(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.connection.producer.in_flight_count() > 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    fn fail(self, step: &'static str, error: KafkaError) -> Failure {
        let needs_abort = match &error {
            KafkaError::Transaction(error) => error.txn_requires_abort() && !error.is_fatal(),
            // The flush before a commit ran out of time: the commit was not sent.
            KafkaError::Flush(_) => true,
            _ => false,
        };
        if !needs_abort {
            return Failure::Broken(Broken { step, error });
        }
        let too_large = self.connection.watch.too_large.load(Ordering::Relaxed);
        match self.abort() {
            Ok(idle) => Failure::Aborted {
                idle,
                why: error,
                too_large,
            },
            Err(broken) => Failure::Broken(broken),
        }
    }
}

fn is_queue_full(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull)
}

/// Calls again, with the same arguments, while librdkafka says that this is right.
fn repeat(mut call: impl FnMut() -> Result<(), KafkaError>) -> Result<(), KafkaError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match call() {
            Err(KafkaError::Transaction(error))
                if error.is_retriable() && Instant::now() < deadline =>
            {
                tracing::info!(%error, "repeating a transactional call");
            }
            result => return result,
        }
    }
}
