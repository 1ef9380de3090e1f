//! What a service remembers by a key, read from its changelog, and the records that ask it for something.
//!
//! The changelog is not kept here: nobody asks often, and only the key's partition is read, the one that murmur2 gives.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::Message as _;
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::Offset;
use schemas::Control;
use schemas::names::header;
use service::kafka::reader::{Next, ReadError, TopicReader, TopicSource};
use state::{Customer, StateError};
use tokio::sync::{OnceCell, Semaphore};

/// Readings at a time: each is a client with a connection, and fills it.
const READINGS: usize = 2;

const IDLE: Duration = Duration::from_millis(100);

/// How long a producer waits for a place in its queue.
const QUEUE: Duration = Duration::from_secs(5);

/// A changelog, and the topic that its service reads. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Changelog(Arc<Inner>);

struct Inner {
    source: TopicSource,
    /// Longest time to read a partition.
    patience: Duration,
    readings: Semaphore,
    asked_topic: String,
    producer_config: ClientConfig,
    /// Made when the first record is written.
    producer: OnceCell<FutureProducer>,
}

/// What is remembered, as of now.
#[derive(Debug)]
pub(crate) struct Remembered {
    /// The partition that it is in.
    pub(crate) partition: i32,
    /// What was asked for, by its key.
    pub(crate) found: BTreeMap<String, Customer>,
}

/// A record that asks for something.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangelogError {
    /// The broker does not answer.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// There is too much to read.
    #[error(
        "partition {partition} of the changelog was not read within {} s; set HTTP_REQUEST_TIMEOUT_MS to \
         a longer time",
        .patience.as_secs()
    )]
    Late { partition: i32, patience: Duration },
    /// What is there cannot be read.
    #[error("what is remembered cannot be read: {0}")]
    State(#[from] StateError),
    /// The record was not acknowledged. It may be there all the same; asking again does no harm.
    #[error("the record that asks for it was not acknowledged: {0}")]
    Unacknowledged(KafkaError),
    /// The process ends.
    #[error("the service ends")]
    Ending,
}

impl Changelog {
    /// That changelog, of a service that reads `asked_topic`.
    pub(crate) fn new(
        source: TopicSource,
        patience: Duration,
        asked_topic: &str,
        producer: ClientConfig,
    ) -> Self {
        Self(Arc::new(Inner {
            source,
            patience,
            readings: Semaphore::new(READINGS),
            asked_topic: asked_topic.to_owned(),
            producer_config: producer,
            producer: OnceCell::new(),
        }))
    }

    /// What is remembered by the keys that are wanted, in the partition of `key`.
    ///
    /// # Errors
    /// [`ChangelogError`]: there is no answer.
    pub(crate) async fn remembered(
        &self,
        key: String,
        is_wanted: impl Fn(&str) -> bool + Send + 'static,
    ) -> Result<Remembered, ChangelogError> {
        // Never closed.
        let permit = self.0.readings.acquire().await;
        let this = self.clone();
        let reading = tokio::task::spawn_blocking(move || this.0.read(&key, is_wanted));
        let read = reading.await.map_err(|_| ChangelogError::Ending)?;
        drop(permit);
        read
    }

    /// Asks the service for something, behind all records of that key so far. Returns once the brokers have it.
    ///
    /// # Errors
    /// [`ChangelogError::Unacknowledged`].
    pub(crate) async fn ask(&self, key: &str, control: Control) -> Result<Asked, ChangelogError> {
        self.send(key, control, None).await
    }

    /// Asks the service for something that needs a value to be said; otherwise as [`Changelog::ask`].
    ///
    /// # Errors
    /// [`ChangelogError::Unacknowledged`].
    pub(crate) async fn send(
        &self,
        key: &str,
        control: Control,
        value: Option<&[u8]>,
    ) -> Result<Asked, ChangelogError> {
        let inner = &self.0;
        let producer = inner
            .producer
            .get_or_try_init(async || inner.producer_config.create())
            .await
            .map_err(ChangelogError::Unacknowledged)?;
        let headers = OwnedHeaders::new().insert(Header {
            key: header::CONTROL,
            value: Some(control.word()),
        });
        // By its key to the partition of the others, as the configuration of all our producers says.
        let mut record = FutureRecord::<str, [u8]>::to(&inner.asked_topic)
            .key(key)
            .headers(headers);
        record.payload = value;
        let sent = producer.send(record, QUEUE).await;
        let delivery = sent.map_err(|(error, _)| ChangelogError::Unacknowledged(error))?;
        Ok(Asked {
            partition: delivery.partition,
            offset: delivery.offset,
        })
    }
}

impl Inner {
    /// Reads the key's partition to its end. Of the records of a key the last counts.
    fn read(
        &self,
        key: &str,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<Remembered, ChangelogError> {
        let deadline = Instant::now() + self.patience;
        let reader = TopicReader::open_of_key(&self.source, key.as_bytes())?;
        let partition = reader.partition();
        reader.begin(Offset::Beginning, || Instant::now() < deadline)?;
        let mut last: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        loop {
            match reader.next(IDLE)? {
                Next::Record(message) => {
                    let key = message.key().and_then(|key| std::str::from_utf8(key).ok());
                    match (key.filter(|key| is_wanted(key)), message.payload()) {
                        (None, _) => {}
                        (Some(key), None) => drop(last.remove(key)),
                        (Some(key), Some(bytes)) => {
                            last.insert(key.to_owned(), bytes.to_vec());
                        }
                    }
                }
                Next::End => break,
                Next::Nothing => {}
            }
            if Instant::now() >= deadline {
                return Err(ChangelogError::Late {
                    partition,
                    patience: self.patience,
                });
            }
        }
        let found = last
            .into_iter()
            .map(|(key, bytes)| Ok((key, Customer::from_bytes(&bytes)?)));
        let found: Result<_, StateError> = found.collect();
        Ok(Remembered {
            partition,
            found: found?,
        })
    }
}
