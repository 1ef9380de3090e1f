//! The audiences: followed from their topic, in the compact form that the matcher has, and changed by records on it.
//!
//! A change is a record a customer, in the partition of their events, written without a transaction: each says all that it changes, so
//! nothing is to be done together, and matchers wait for nothing to see it.

mod follow;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, FutureRecord};
use schemas::audience::IN;
use schemas::{AudienceName, AudienceRecord, CustomerId};
use service::kafka::partitioner::partition_of;
use state::Members;
use tokio::sync::OnceCell;

pub(crate) use self::follow::Follower;

/// How long a producer waits for a place in its queue.
const QUEUE: Duration = Duration::from_secs(5);

/// How long a change waits until it is seen here, too, so that whoever asks next is told of it.
const SEEN: Duration = Duration::from_secs(1);

const LOOK: Duration = Duration::from_millis(5);

/// Most audiences that there may be. Each is a word in the memory of all who follow them.
const MAX_NAMES: usize = 10_000;

/// The audiences. Cheap to clone; the lock is held for moments.
#[derive(Clone)]
pub(crate) struct Audiences(Arc<Inner>);

struct Inner {
    known: RwLock<Known>,
    topic: String,
    producer_config: ClientConfig,
    /// Made when the first record is written.
    producer: OnceCell<FutureProducer>,
}

/// What was read of the topic.
#[derive(Default)]
struct Known {
    /// None until all of it was read.
    partitions: BTreeMap<i32, Partition>,
    /// How many there are; 0 until that is known.
    count: usize,
    is_read: bool,
    /// Whether there is no such topic.
    is_absent: bool,
    /// Why it cannot be read.
    why: Option<String>,
}

#[derive(Default)]
struct Partition {
    members: Members,
    /// Offset after the last record.
    next: i64,
}

/// What is to become of customers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// They are put in.
    In,
    /// They are taken out.
    Out,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AudienceError {
    /// The topic was not read yet.
    #[error("the audiences are still being read{}", .0.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    NotRead(Option<String>),
    /// There is no topic of them.
    #[error("there is no topic of audiences; `matcher create-topics` makes it")]
    Absent,
    /// There are too many.
    #[error("there are {MAX_NAMES} audiences, and no more are allowed; use one that is there")]
    TooMany,
    /// A record was not acknowledged. It may be there all the same; asking again does no harm.
    #[error("a record of the change was not acknowledged: {0}")]
    Unacknowledged(KafkaError),
}

impl Audiences {
    /// Those on that topic.
    pub(crate) fn new(topic: &str, producer: ClientConfig) -> Self {
        Self(Arc::new(Inner {
            known: RwLock::default(),
            topic: topic.to_owned(),
            producer_config: producer,
            producer: OnceCell::new(),
        }))
    }

    fn read<T>(&self, ask: impl FnOnce(&Known) -> T) -> Result<T, AudienceError> {
        let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
        if known.is_read {
            Ok(ask(&known))
        } else if known.is_absent {
            Err(AudienceError::Absent)
        } else {
            Err(AudienceError::NotRead(known.why.clone()))
        }
    }

    fn write<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        let known = self.0.known.write();
        change(&mut known.unwrap_or_else(PoisonError::into_inner))
    }

    /// All audiences that have members, with how many, in the order of their names.
    ///
    /// # Errors
    /// [`AudienceError::NotRead`].
    pub(crate) fn list(&self) -> Result<BTreeMap<String, u64>, AudienceError> {
        self.read(|known| {
            let mut all = BTreeMap::new();
            for partition in known.partitions.values() {
                for (name, members) in partition.members.counts().filter(|(_, count)| *count > 0) {
                    // A name is made a text once, and not once a partition.
                    match all.get_mut(name) {
                        Some(count) => *count += members,
                        None => drop(all.insert(name.to_owned(), members)),
                    }
                }
            }
            all
        })
    }

    /// How many customers are in an audience.
    ///
    /// # Errors
    /// [`AudienceError::NotRead`].
    pub(crate) fn members(&self, audience: &AudienceName) -> Result<u64, AudienceError> {
        let of = |partition: &Partition| {
            let mut counts = partition.members.counts();
            let found = counts.find(|(name, _)| *name == audience.as_str());
            found.map_or(0, |(_, count)| count)
        };
        self.read(|known| known.partitions.values().map(of).sum())
    }

    /// The audiences of a customer, in the order of their names.
    ///
    /// # Errors
    /// [`AudienceError::NotRead`].
    pub(crate) fn of(&self, customer: &CustomerId) -> Result<Vec<String>, AudienceError> {
        self.read(|known| {
            let found = known.of(customer);
            let names = found.map(|it| it.members.of(customer.as_str()).names());
            let mut names: Vec<_> = names.into_iter().flatten().map(str::to_owned).collect();
            names.sort();
            names
        })
    }

    /// Puts customers in an audience, or takes them out. Returns once the brokers have it.
    ///
    /// # Errors
    /// [`AudienceError`].
    pub(crate) async fn turn(
        &self,
        audience: &AudienceName,
        customers: &[CustomerId],
        turn: Turn,
    ) -> Result<(), AudienceError> {
        let (partitions, names, is_new) = self.read(|known| {
            let mut all = known.partitions.values();
            let mut of = all.clone().flat_map(|it| it.members.counts());
            let is_new = !of.any(|(name, _)| name == audience.as_str());
            let names = all.next().map_or(0, |it| it.members.counts().len());
            (known.count, names, is_new)
        })?;
        if turn == Turn::In && is_new && names >= MAX_NAMES {
            return Err(AudienceError::TooMany);
        }
        let value = (turn == Turn::In).then_some(IN);
        let records = customers.iter().map(|customer| Outgoing {
            key: AudienceRecord::key(audience, Some(customer)),
            partition: partition_of(customer.as_str().as_bytes(), partitions),
            value,
        });
        self.send(records).await
    }

    /// Takes everybody out of an audience. Returns once the brokers have it.
    ///
    /// # Errors
    /// [`AudienceError`].
    pub(crate) async fn drop_audience(&self, audience: &AudienceName) -> Result<(), AudienceError> {
        let count = self.read(|known| known.count)?;
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        let records = (0..count).map(|partition| Outgoing {
            key: AudienceRecord::key(audience, None),
            partition,
            value: Some(IN),
        });
        self.send(records).await
    }

    /// Takes a customer out of all audiences, also of those that were dropped, whose records may still be there.
    ///
    /// # Errors
    /// [`AudienceError`].
    pub(crate) async fn forget(&self, customer: &CustomerId) -> Result<(), AudienceError> {
        let records = self.read(|known| {
            let partition = partition_of(customer.as_str().as_bytes(), known.count);
            let names = known.of(customer).map(|it| it.members.counts());
            let names = names.into_iter().flatten();
            let names = names.filter_map(|(name, _)| AudienceName::new(name).ok());
            let records = names.map(|name| Outgoing {
                key: AudienceRecord::key(&name, Some(customer)),
                partition,
                value: None,
            });
            records.collect::<Vec<_>>()
        })?;
        self.send(records.into_iter()).await
    }

    /// Writes records, and waits until all are acknowledged and, for a moment, until they are seen here.
    async fn send(&self, records: impl Iterator<Item = Outgoing>) -> Result<(), AudienceError> {
        let inner = &self.0;
        let producer = inner
            .producer
            .get_or_try_init(async || inner.producer_config.create::<FutureProducer>())
            .await
            .map_err(AudienceError::Unacknowledged)?;
        let mut on_the_way = Vec::new();
        for outgoing in records {
            let mut record = FutureRecord::<str, [u8]>::to(&inner.topic)
                .key(&outgoing.key)
                .partition(outgoing.partition);
            record.payload = outgoing.value;
            let deadline = Instant::now() + QUEUE;
            loop {
                match producer.send_result(record) {
                    Ok(delivery) => break on_the_way.push(delivery),
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again))
                        if Instant::now() < deadline =>
                    {
                        record = again;
                        tokio::time::sleep(LOOK).await;
                    }
                    Err((error, _)) => return Err(AudienceError::Unacknowledged(error)),
                }
            }
        }
        let mut ends: BTreeMap<i32, i64> = BTreeMap::new();
        for delivery in on_the_way {
            let ended = RDKafkaErrorCode::PurgeQueue;
            let delivery = delivery.await;
            let delivery = delivery
                .map_err(|_| AudienceError::Unacknowledged(KafkaError::MessageProduction(ended)))?;
            let delivery = delivery.map_err(|(error, _)| AudienceError::Unacknowledged(error))?;
            let end = ends.entry(delivery.partition).or_default();
            *end = delivery.offset.max(*end);
        }
        let deadline = Instant::now() + SEEN;
        while Instant::now() < deadline && !self.read(|known| known.has_read(&ends))? {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }
}

/// A record to be written.
struct Outgoing {
    key: String,
    partition: i32,
    value: Option<&'static [u8]>,
}

impl Known {
    /// The partition of a customer.
    fn of(&self, customer: &CustomerId) -> Option<&Partition> {
        let number = partition_of(customer.as_str().as_bytes(), self.count.max(1));
        self.partitions.get(&number)
    }

    /// Whether the records at these offsets were read.
    fn has_read(&self, offsets: &BTreeMap<i32, i64>) -> bool {
        offsets.iter().all(|(partition, offset)| {
            let found = self.partitions.get(partition);
            found.is_some_and(|found| found.next > *offset)
        })
    }
}
