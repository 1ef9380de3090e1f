//! Records written to a topic, every one acknowledged or told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{
    BaseProducer, BaseRecord, NoCustomPartitioner, Producer as _, ProducerContext,
};

use super::{Cluster, Quiet, TIMEOUT};

/// A record to be written; its partition follows from its key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outgoing<'a> {
    pub(crate) topic: &'a str,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: &'a [(String, Option<Vec<u8>>)],
}

/// The transaction was ended by the broker or the client; nothing of it is committed, and all of it may be
/// done again.
#[derive(Debug, thiserror::Error)]
#[error("the transaction was given up: {0}")]
pub(crate) struct Aborted(String);

/// An idempotent producer that counts what was acknowledged.
pub(crate) struct Producer {
    producer: BaseProducer<Counted>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    acknowledged: AtomicU64,
    failed: AtomicU64,
    first_error: Mutex<Option<KafkaError>>,
}

impl Producer {
    /// A producer; with a transactional id, one whose records come in transactions.
    ///
    /// # Errors
    /// The client cannot be made, or no broker answers.
    pub(crate) fn open(cluster: &Cluster, transactional_id: Option<&str>) -> anyhow::Result<Self> {
        let counts = Arc::new(Counts::default());
        let config = match transactional_id {
            Some(id) => cluster.kafka.transactional_producer(id),
            None => cluster.kafka.producer(),
        };
        let producer: BaseProducer<Counted> =
            config.create_with_context(Counted(Arc::clone(&counts)))?;
        if transactional_id.is_some() {
            producer
                .init_transactions(Duration::from_mins(1))
                .with_context(|| cluster.away())?;
        } else {
            // librdkafka would say nothing until its time is up.
            (producer.client().fetch_metadata(None, TIMEOUT)).with_context(|| cluster.away())?;
        }
        Ok(Self { producer, counts })
    }

    /// Hands a record over. Waits while the producer's queue is full.
    ///
    /// # Errors
    /// The record can never be written, as one that is too large.
    pub(crate) fn send(&self, outgoing: Outgoing<'_>) -> anyhow::Result<()> {
        let mut headers = OwnedHeaders::new_with_capacity(outgoing.headers.len());
        for (key, value) in outgoing.headers {
            headers = headers.insert(Header {
                key,
                value: value.as_deref(),
            });
        }
        let mut record = BaseRecord::<[u8], [u8]>::to(outgoing.topic);
        record.key = outgoing.key;
        record.payload = outgoing.value;
        if !outgoing.headers.is_empty() {
            record.headers = Some(headers);
        }
        loop {
            match self.producer.send(record) {
                Ok(()) => {
                    self.producer.poll(Duration::ZERO);
                    return Ok(());
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    self.producer.poll(Duration::from_millis(50));
                }
                // librdkafka takes no more records of a transaction that has failed.
                Err((error @ KafkaError::MessageProduction(RDKafkaErrorCode::State), _)) => {
                    return Err(Aborted(error.to_string()).into());
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
    }

    /// How many records have been acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.counts.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until everything is acknowledged.
    ///
    /// # Errors
    /// Something was not; the first reason is told.
    pub(crate) fn finish(&self) -> anyhow::Result<u64> {
        while self.producer.in_flight_count() > 0 {
            self.producer.poll(Duration::from_millis(50));
        }
        let failed = self.counts.failed.load(Ordering::Relaxed);
        let mut first = (self.counts.first_error.lock()).unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = first.take() {
            let acknowledged = self.acknowledged();
            bail!("{failed} records were not written, {acknowledged} were: {error}");
        }
        Ok(self.acknowledged())
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// Another producer took over the transactional id.
    pub(crate) fn begin(&self) -> anyhow::Result<()> {
        Ok(self.producer.begin_transaction()?)
    }

    /// Commits what was sent and these positions of a group together.
    ///
    /// # Errors
    /// Nothing of it is committed.
    pub(crate) fn commit(
        &self,
        positions: &TopicPartitionList,
        group: &ConsumerGroupMetadata,
    ) -> anyhow::Result<()> {
        // First, because the commit itself waits in steps of 100 ms for what is still open. If something
        // was not written, the commit says why.
        let finished = self.finish();
        let committed = self
            .producer
            .send_offsets_to_transaction(positions, group, TIMEOUT)
            .and_then(|()| self.producer.commit_transaction(TIMEOUT));
        match (finished, committed) {
            (Ok(_), Ok(())) => Ok(()),
            // Another one took over; to begin again would only fence it in turn.
            (_, Err(KafkaError::Transaction(error))) if is_fenced(&error) => {
                Err(KafkaError::Transaction(error).into())
            }
            (_, Err(KafkaError::Transaction(error))) => Err(Aborted(error.to_string()).into()),
            (Err(error), Err(why)) => Err(error.context(why)),
            (Err(error), Ok(())) => Err(error),
            (Ok(_), Err(error)) => Err(error.into()),
        }
    }

    /// Gives up what was sent in the transaction.
    pub(crate) fn abort(&self) {
        // What is not committed is never read; the next one under this name ends it, too.
        let _ = self.producer.abort_transaction(TIMEOUT);
    }
}

fn is_fenced(error: &RDKafkaError) -> bool {
    matches!(
        error.code(),
        RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced
    )
}

struct Counted(Arc<Counts>);

impl ClientContext for Counted {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        Quiet.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        Quiet.error(error, reason);
    }
}

impl ProducerContext<NoCustomPartitioner> for Counted {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => {
                self.0.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Err((error, _)) => {
                self.0.failed.fetch_add(1, Ordering::Relaxed);
                let mut first = (self.0.first_error.lock()).unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert_with(|| error.clone());
            }
        }
    }
}
