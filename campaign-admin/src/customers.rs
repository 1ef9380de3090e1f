//! What the matcher remembers of a customer, read from its changelog, and the record that makes it forget them.
//!
//! The changelog is not kept here: nobody asks often, and only the customer's partition is read, the one that murmur2 gives,
//! where their events are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::Message as _;
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::Offset;
use schemas::names::header;
use schemas::{Control, CustomerId};
use service::kafka::reader::{Next, ReadError, TopicReader, TopicSource};
use state::{Customer, StateError};
use tokio::sync::{OnceCell, Semaphore};

/// Readings at a time: each is a client with a connection, and fills it.
const READINGS: usize = 2;

const IDLE: Duration = Duration::from_millis(100);

/// How long a producer waits for a place in its queue.
const QUEUE: Duration = Duration::from_secs(5);

/// Asks for customers. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Customers(Arc<Inner>);

struct Inner {
    changelog: TopicSource,
    /// Longest time to read a partition.
    patience: Duration,
    readings: Semaphore,
    events_topic: String,
    producer_config: ClientConfig,
    /// Made when the first customer is erased.
    producer: OnceCell<FutureProducer>,
}

/// What is remembered of a customer, as of now.
#[derive(Debug)]
pub(crate) struct Remembered {
    /// The partition that their events and what is remembered are in.
    pub(crate) partition: i32,
    /// It; none if it is nothing.
    pub(crate) customer: Option<Customer>,
}

/// The record that asks to forget a customer.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CustomersError {
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

impl Customers {
    /// Customers of that changelog, whose events are on that topic.
    pub(crate) fn new(
        changelog: TopicSource,
        patience: Duration,
        events_topic: &str,
        producer: ClientConfig,
    ) -> Self {
        Self(Arc::new(Inner {
            changelog,
            patience,
            readings: Semaphore::new(READINGS),
            events_topic: events_topic.to_owned(),
            producer_config: producer,
            producer: OnceCell::new(),
        }))
    }

    /// What is remembered of a customer.
    ///
    /// # Errors
    /// [`CustomersError`]: there is no answer.
    pub(crate) async fn remembered(&self, id: CustomerId) -> Result<Remembered, CustomersError> {
        // Never closed.
        let permit = self.0.readings.acquire().await;
        let this = self.clone();
        let reading = tokio::task::spawn_blocking(move || this.0.read(&id));
        let read = reading.await.map_err(|_| CustomersError::Ending)?;
        drop(permit);
        read
    }

    /// Asks the matcher to forget a customer, behind all of their events so far. Returns once the brokers have it.
    ///
    /// # Errors
    /// [`CustomersError::Unacknowledged`].
    pub(crate) async fn erase(&self, id: &CustomerId) -> Result<Asked, CustomersError> {
        let inner = &self.0;
        let producer = inner
            .producer
            .get_or_try_init(async || inner.producer_config.create())
            .await
            .map_err(CustomersError::Unacknowledged)?;
        let headers = OwnedHeaders::new().insert(Header {
            key: header::CONTROL,
            value: Some(Control::Erase.word()),
        });
        // By its key to the partition of the customer's events, as the configuration of all our producers says.
        let record = FutureRecord::<str, [u8]>::to(&inner.events_topic)
            .key(id.as_str())
            .headers(headers);
        let sent = producer.send(record, QUEUE).await;
        let delivery = sent.map_err(|(error, _)| CustomersError::Unacknowledged(error))?;
        Ok(Asked {
            partition: delivery.partition,
            offset: delivery.offset,
        })
    }
}

impl Inner {
    /// Reads the customer's partition to its end. Of their records the last counts.
    fn read(&self, id: &CustomerId) -> Result<Remembered, CustomersError> {
        let deadline = Instant::now() + self.patience;
        let key = id.as_str().as_bytes();
        let reader = TopicReader::open_of_key(&self.changelog, key)?;
        let partition = reader.partition();
        reader.begin(Offset::Beginning, || Instant::now() < deadline)?;
        let mut last = None;
        loop {
            let next = reader.next(IDLE)?;
            match &next {
                Next::Record(message) if message.key() == Some(key) => {
                    last = message.payload().map(<[u8]>::to_vec);
                }
                Next::End => break,
                Next::Record(_) | Next::Nothing => {}
            }
            if Instant::now() >= deadline {
                return Err(CustomersError::Late {
                    partition,
                    patience: self.patience,
                });
            }
        }
        let customer = last.map(|bytes| Customer::from_bytes(&bytes)).transpose()?;
        Ok(Remembered {
            partition,
            customer,
        })
    }
}
