//! What is used of budgets, read from the settler's changelog, and the record that makes it reset them.
//!
//! As with [`customers`](crate::customers) nothing is kept here, and only the campaign's partition is read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::Message as _;
use rdkafka::config::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::Offset;
use rules::Rule;
use schemas::names::header;
use schemas::{CampaignId, Control};
use service::kafka::reader::{Next, TopicReader, TopicSource};
use state::Customer;
use state::settle::{Spent, is_account_of, spent};
use tokio::sync::{OnceCell, Semaphore};

use crate::customers::{Asked, CustomersError};

/// Readings at a time: each is a client with a connection, and fills it.
const READINGS: usize = 2;

const IDLE: Duration = Duration::from_millis(100);

/// How long a producer waits for a place in its queue.
const QUEUE: Duration = Duration::from_secs(5);

/// Asks for budgets. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Budgets(Arc<Inner>);

struct Inner {
    changelog: TopicSource,
    /// Longest time to read a partition.
    patience: Duration,
    readings: Semaphore,
    claims_topic: String,
    producer_config: ClientConfig,
    /// Made when the first budget is reset.
    producer: OnceCell<FutureProducer>,
}

/// What is used of the budgets of a campaign, as of now.
pub(crate) struct Accounts(BTreeMap<String, Customer>);

impl Accounts {
    /// What is used of each budget of the campaign, as its document is now.
    pub(crate) fn spent<'r>(&self, rule: &'r Rule) -> Vec<Spent<'r>> {
        let accounts = self.0.iter();
        accounts
            .flat_map(|(id, account)| spent(rule, id, account))
            .collect()
    }
}

impl Budgets {
    /// Budgets of that changelog, whose claims are on that topic.
    pub(crate) fn new(
        changelog: TopicSource,
        patience: Duration,
        claims_topic: &str,
        producer: ClientConfig,
    ) -> Self {
        Self(Arc::new(Inner {
            changelog,
            patience,
            readings: Semaphore::new(READINGS),
            claims_topic: claims_topic.to_owned(),
            producer_config: producer,
            producer: OnceCell::new(),
        }))
    }

    /// The accounts of a campaign.
    ///
    /// # Errors
    /// [`CustomersError`]: there is no answer.
    pub(crate) async fn accounts(&self, id: CampaignId) -> Result<Accounts, CustomersError> {
        // Never closed.
        let permit = self.0.readings.acquire().await;
        let this = self.clone();
        let reading = tokio::task::spawn_blocking(move || this.0.read(&id));
        let read = reading.await.map_err(|_| CustomersError::Ending)?;
        drop(permit);
        read
    }

    /// Asks the settler to reset the budgets of a campaign, behind all of its claims so far. Returns once the brokers have it.
    ///
    /// # Errors
    /// [`CustomersError::Unacknowledged`].
    pub(crate) async fn reset(&self, id: &CampaignId) -> Result<Asked, CustomersError> {
        let inner = &self.0;
        let producer = inner
            .producer
            .get_or_try_init(async || inner.producer_config.create())
            .await
            .map_err(CustomersError::Unacknowledged)?;
        let headers = OwnedHeaders::new().insert(Header {
            key: header::CONTROL,
            value: Some(Control::ResetBudget.word()),
        });
        // By its key to the partition of the campaign's claims, as the configuration of all our producers says.
        let record = FutureRecord::<str, [u8]>::to(&inner.claims_topic)
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
    /// Reads the campaign's partition to its end. Of the records of an account the last counts.
    fn read(&self, id: &CampaignId) -> Result<Accounts, CustomersError> {
        let deadline = Instant::now() + self.patience;
        let reader = TopicReader::open_of_key(&self.changelog, id.as_str().as_bytes())?;
        let partition = reader.partition();
        reader.begin(Offset::Beginning, || Instant::now() < deadline)?;
        let mut found: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        loop {
            match reader.next(IDLE)? {
                Next::Record(message) => {
                    let key = message.key().and_then(|key| std::str::from_utf8(key).ok());
                    match key.filter(|key| is_account_of(key, id)) {
                        None => {}
                        Some(key) => match message.payload() {
                            None => drop(found.remove(key)),
                            Some(bytes) => drop(found.insert(key.to_owned(), bytes.to_vec())),
                        },
                    }
                }
                Next::End => break,
                Next::Nothing => {}
            }
            if Instant::now() >= deadline {
                return Err(CustomersError::Late {
                    partition,
                    patience: self.patience,
                });
            }
        }
        let read = found
            .into_iter()
            .map(|(id, bytes)| Ok((id, Customer::from_bytes(&bytes)?)));
        let read: Result<_, state::StateError> = read.collect();
        Ok(Accounts(read?))
    }
}
