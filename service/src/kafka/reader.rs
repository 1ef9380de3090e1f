//! Reads a partition to its true end, and on. Of topics that have one, such as the campaigns', the order of its records is
//! all that there is.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::contact::Watched;
use super::partitioner::partition_of;
use super::topics;
use crate::settings::KafkaSettings;

/// How long the broker may take to answer a question.
const ASK: Duration = Duration::from_secs(5);

/// How often the end of open transactions is looked for. They last for milliseconds, or until the
/// broker ends them.
const LOOK: Duration = Duration::from_millis(20);

/// A partition to be read, and the clients that it takes.
#[derive(Debug, Clone)]
pub struct TopicSource {
    /// Name of the topic.
    pub topic: String,
    /// The partition; none if the topic must have no other but the one that is read.
    pub partition: Option<i32>,
    /// Reads committed records, without a group, and tells of the end of the partition.
    pub reader: ClientConfig,
    /// Sees uncommitted records: whoever wants to be sure to miss nothing asks how far they go.
    pub observer: ClientConfig,
}

impl TopicSource {
    /// That topic of that broker, which must have one partition.
    pub fn new(kafka: &KafkaSettings, topic: &str) -> Self {
        Self {
            topic: topic.to_owned(),
            partition: None,
            reader: kafka.reader(),
            observer: kafka.observer(),
        }
    }
}

/// Why a topic cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A client cannot be made: its configuration is wrong.
    #[error("making a client to read topic {topic}: {error}")]
    Client {
        /// Name of the topic.
        topic: String,
        /// Why.
        error: KafkaError,
    },
    /// The broker did not answer. Ask again.
    #[error("asking for {what} of topic {topic}: {error}")]
    Ask {
        /// Name of the topic.
        topic: String,
        /// What was asked for.
        what: &'static str,
        /// Why.
        error: KafkaError,
    },
    /// There is no such topic yet.
    #[error("topic {topic} does not exist; create it with one partition")]
    Missing {
        /// Name of the topic.
        topic: String,
    },
    /// The topic has fewer partitions.
    #[error(
        "topic {topic} has {partitions} partitions and no partition {partition}; it must have as many as the events"
    )]
    NoPartition {
        /// Name of the topic.
        topic: String,
        /// The partition that was to be read.
        partition: i32,
        /// How many there are.
        partitions: usize,
    },
    /// With more than one partition there would be no order between the versions of a campaign.
    #[error("topic {topic} has {partitions} partitions; it must have one")]
    Partitions {
        /// Name of the topic.
        topic: String,
        /// How many it has.
        partitions: usize,
    },
    /// The position is gone, or the consumer is of no further use. Begin with the oldest record.
    #[error("reading topic {topic}: {error}")]
    Lost {
        /// Name of the topic.
        topic: String,
        /// Why.
        error: KafkaError,
    },
    /// The consumer has forgotten all brokers (see [`super::contact`]). Open a new one.
    #[error("reading topic {topic}: librdkafka knows no broker any more")]
    NoBroker {
        /// Name of the topic.
        topic: String,
    },
    /// Whoever asked no longer wants to know.
    #[error("reading topic {topic} was given up")]
    GivenUp {
        /// Name of the topic.
        topic: String,
    },
}

impl ReadError {
    /// Whether asking again helps: the broker did not answer, or forgot what it was asked.
    pub const fn passes(&self) -> bool {
        matches!(
            self,
            Self::Ask { .. } | Self::Lost { .. } | Self::NoBroker { .. } | Self::Missing { .. }
        )
    }

    /// Whether what was read before may differ from what the topic says now, so that it must be read
    /// anew from its oldest record.
    pub const fn is_lost(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }
}

/// What came next.
pub enum Next<'a> {
    /// A record.
    Record(BorrowedMessage<'a>),
    /// Everything that the topic had when it was begun to be read has been handed out, and everything
    /// that it has now, as far as it is decided.
    End,
    /// Nothing within the time.
    Nothing,
}

/// A reader of committed records. Blocks, and belongs to one thread.
pub struct TopicReader {
    source: TopicSource,
    consumer: BaseConsumer<Watched>,
    observer: BaseConsumer<Watched>,
}

impl TopicReader {
    /// Connects. Nothing is read yet.
    ///
    /// # Errors
    /// [`ReadError`]: the broker does not answer, or the topic has not one partition.
    pub fn open(source: &TopicSource) -> Result<Self, ReadError> {
        let reader = Self::connect(source)?;
        reader.check_partitions()?;
        Ok(reader)
    }

    /// Connects to the partition that the records of a key are in. Nothing is read yet.
    ///
    /// # Errors
    /// [`ReadError`]: the broker does not answer, or there is no such topic.
    pub fn open_of_key(source: &TopicSource, key: &[u8]) -> Result<Self, ReadError> {
        let mut reader = Self::connect(source)?;
        let partitions = reader.partitions()?;
        reader.source.partition = Some(partition_of(key, partitions));
        Ok(reader)
    }

    fn connect(source: &TopicSource) -> Result<Self, ReadError> {
        let make = |config: &ClientConfig| {
            let made: Result<BaseConsumer<Watched>, _> =
                config.create_with_context(Watched::default());
            made.map_err(|error| ReadError::Client {
                topic: source.topic.clone(),
                error,
            })
        };
        Ok(Self {
            consumer: make(&source.reader)?,
            observer: make(&source.observer)?,
            source: source.clone(),
        })
    }

    /// Begins to read at an offset, as soon as everything that the topic has now is decided: otherwise
    /// the end that a reader of committed records sees might lie before records that are acknowledged
    /// (KAFKA-10167). So the first [`Next::End`] is the true end as of now.
    ///
    /// # Errors
    /// [`ReadError`]: the broker does not answer, or `wanted` said no while a transaction was open.
    pub fn begin(&self, offset: Offset, mut wanted: impl FnMut() -> bool) -> Result<(), ReadError> {
        let end = self.end(&self.observer, "the end")?;
        while self.end(&self.consumer, "the stable end")? < end {
            if !wanted() {
                return Err(ReadError::GivenUp {
                    topic: self.source.topic.clone(),
                });
            }
            std::thread::sleep(LOOK);
        }
        self.jump(offset)
    }

    /// Whether the partition has that offset.
    ///
    /// # Errors
    /// [`ReadError`]: the broker does not answer.
    pub fn has(&self, offset: i64) -> Result<bool, ReadError> {
        let topic = &self.source.topic;
        let watermarks = (self.observer).fetch_watermarks(topic, self.partition(), ASK);
        let (begin, end) = watermarks.map_err(|error| self.unanswered("the span", error))?;
        Ok((begin..end).contains(&offset))
    }

    /// Begins to read at an offset, whatever is open behind it.
    ///
    /// # Errors
    /// [`ReadError::Lost`].
    pub fn jump(&self, offset: Offset) -> Result<(), ReadError> {
        let mut position = TopicPartitionList::new();
        position
            .add_partition_offset(&self.source.topic, self.partition(), offset)
            .and_then(|()| self.consumer.assign(&position))
            .map_err(|error| self.lost(error))
    }

    /// Waits for what comes next. Errors that pass by themselves are logged.
    ///
    /// # Errors
    /// [`ReadError::Lost`], [`ReadError::NoBroker`]: nothing will come any more.
    pub fn next(&self, timeout: Duration) -> Result<Next<'_>, ReadError> {
        match self.consumer.poll(timeout) {
            None if self.consumer.context().contact.is_lost() => Err(ReadError::NoBroker {
                topic: self.source.topic.clone(),
            }),
            None => Ok(Next::Nothing),
            Some(Ok(message)) => Ok(Next::Record(message)),
            Some(Err(KafkaError::PartitionEOF(_))) => Ok(Next::End),
            Some(Err(
                error @ (KafkaError::MessageConsumptionFatal(_)
                | KafkaError::MessageConsumption(
                    RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange,
                )),
            )) => Err(self.lost(error)),
            Some(Err(error)) => {
                tracing::warn!(topic = self.source.topic, %error, "reading");
                Ok(Next::Nothing)
            }
        }
    }

    /// Reads no further until it is begun again.
    ///
    /// # Errors
    /// [`ReadError::Lost`].
    pub fn rest(&self) -> Result<(), ReadError> {
        self.consumer.unassign().map_err(|error| self.lost(error))
    }

    /// How many partitions the topic has.
    fn partitions(&self) -> Result<usize, ReadError> {
        let topic = &self.source.topic;
        let count = topics::partitions(&self.consumer, topic, ASK);
        match count.map_err(|error| self.unanswered("the partitions", error))? {
            0 => Err(ReadError::Missing {
                topic: topic.clone(),
            }),
            partitions => Ok(partitions),
        }
    }

    fn check_partitions(&self) -> Result<(), ReadError> {
        let partitions = self.partitions()?;
        let topic = self.source.topic.clone();
        match self.source.partition {
            None if partitions > 1 => Err(ReadError::Partitions { topic, partitions }),
            Some(partition) if usize::try_from(partition).is_ok_and(|it| it >= partitions) => {
                Err(ReadError::NoPartition {
                    topic,
                    partition,
                    partitions,
                })
            }
            _ => Ok(()),
        }
    }

    /// The partition that is read.
    pub fn partition(&self) -> i32 {
        self.source.partition.unwrap_or(0)
    }

    fn end(&self, of: &BaseConsumer<Watched>, what: &'static str) -> Result<i64, ReadError> {
        let watermarks = of.fetch_watermarks(&self.source.topic, self.partition(), ASK);
        let (_, end) = watermarks.map_err(|error| self.unanswered(what, error))?;
        Ok(end)
    }

    fn unanswered(&self, what: &'static str, error: KafkaError) -> ReadError {
        ReadError::Ask {
            topic: self.source.topic.clone(),
            what,
            error,
        }
    }

    fn lost(&self, error: KafkaError) -> ReadError {
        ReadError::Lost {
            topic: self.source.topic.clone(),
            error,
        }
    }
}
