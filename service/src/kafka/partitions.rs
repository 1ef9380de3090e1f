//! Follows several partitions of a compacted topic, each from its oldest record to its end and on, and says up to when all
//! of it is known.
//!
//! Sees uncommitted records: the topics that are read so are written without transactions, and nobody waits for those of others.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use rdkafka::Message as _;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::contact::Watched;
use super::reader::ReadError;
use super::topics;
use crate::settings::KafkaSettings;

/// How long the broker may take to answer a question.
const ASK: Duration = Duration::from_secs(5);

/// How often the ends of the partitions are asked for, when all that was before has been read.
const LOOK: Duration = Duration::from_millis(100);

/// A partition whose last offsets have no record that comes here is looked at again after so long.
const DOUBT: Duration = Duration::from_secs(2);

/// What came next.
pub enum News<'a> {
    /// A record.
    Record(BorrowedMessage<'a>),
    /// Of that partition everything has been handed out that it had at that moment, when it was begun.
    Back(i32, Instant),
    /// The same of all partitions that are back, and a later moment.
    Fresh(Instant),
    /// Nothing within the time.
    Nothing,
}

/// A reader of some partitions. Blocks, and belongs to one thread.
pub struct PartitionsReader {
    topic: String,
    consumer: BaseConsumer<Watched>,
    count: usize,
    partitions: BTreeMap<i32, Place>,
    back: VecDeque<(i32, Instant)>,
    next_look: Instant,
    look: Option<Look>,
}

/// How far a partition was read.
struct Place {
    /// Offset of the next record.
    next: i64,
    begun: Instant,
    /// Where it ended then.
    end: i64,
    is_back: bool,
    /// Nothing came after the last record, so far.
    at_end: bool,
    /// Begun again only to see that nothing comes before that offset.
    doubted: Option<i64>,
}

impl Place {
    /// Whether it is back now, and was not before. An end that was asked for before does not cover it.
    fn has_come_back(&mut self) -> bool {
        let has_come = !self.is_back && self.next >= self.end;
        self.is_back |= has_come;
        has_come
    }
}

/// The ends of partitions at a moment.
struct Look {
    at: Instant,
    ends: BTreeMap<i32, i64>,
}

impl PartitionsReader {
    /// Connects. Nothing is read yet.
    ///
    /// # Errors
    /// [`ReadError`]: the broker does not answer, or there is no such topic.
    pub fn open(kafka: &KafkaSettings, topic: &str) -> Result<Self, ReadError> {
        let config: ClientConfig = kafka.observer();
        let made: KafkaResult<BaseConsumer<Watched>> =
            config.create_with_context(Watched::default());
        let consumer = made.map_err(|error| ReadError::Client {
            topic: topic.to_owned(),
            error,
        })?;
        let mut reader = Self {
            topic: topic.to_owned(),
            consumer,
            count: 0,
            partitions: BTreeMap::new(),
            back: VecDeque::new(),
            next_look: Instant::now(),
            look: None,
        };
        let count = topics::partitions(&reader.consumer, topic, ASK);
        reader.count = count.map_err(|error| reader.unanswered("the partitions", error))?;
        if reader.count == 0 {
            let topic = reader.topic;
            return Err(ReadError::Missing { topic });
        }
        Ok(reader)
    }

    /// How many partitions the topic has.
    pub fn partitions(&self) -> usize {
        self.count
    }

    /// Begins to read a partition from its oldest record, beside the others.
    ///
    /// # Errors
    /// [`ReadError`]: the broker does not answer, or there is no such partition.
    pub fn begin(&mut self, partition: i32) -> Result<(), ReadError> {
        if usize::try_from(partition).is_ok_and(|it| it >= self.count) {
            return Err(ReadError::NoPartition {
                topic: self.topic.clone(),
                partition,
                partitions: self.count,
            });
        }
        let begun = Instant::now();
        let span = self.consumer.fetch_watermarks(&self.topic, partition, ASK);
        let (oldest, end) = span.map_err(|error| self.unanswered("the span", error))?;
        self.assign(partition, Offset::Offset(oldest))?;
        let place = Place {
            next: oldest,
            begun,
            end,
            is_back: false,
            at_end: false,
            doubted: None,
        };
        let place = self.partitions.entry(partition).insert_entry(place);
        if place.into_mut().has_come_back() {
            self.back.push_back((partition, begun));
            self.look = None;
        }
        Ok(())
    }

    /// Reads a partition no further.
    ///
    /// # Errors
    /// [`ReadError::Lost`].
    pub fn let_go(&mut self, partition: i32) -> Result<(), ReadError> {
        if self.partitions.remove(&partition).is_none() {
            return Ok(());
        }
        self.back.retain(|(it, _)| *it != partition);
        self.look = None;
        self.unassign(partition)
    }

    /// Waits for what comes next. Errors that pass by themselves are logged.
    ///
    /// # Errors
    /// [`ReadError::Lost`], [`ReadError::NoBroker`]: nothing will come any more; begin anew with another reader.
    pub fn next(&mut self, timeout: Duration) -> Result<News<'_>, ReadError> {
        if let Some((partition, at)) = self.back.pop_front() {
            return Ok(News::Back(partition, at));
        }
        if let Some(at) = self.fresh()? {
            return Ok(News::Fresh(at));
        }
        let topic = || self.topic.clone();
        match self.consumer.poll(timeout) {
            None if self.consumer.context().contact.is_lost() => {
                Err(ReadError::NoBroker { topic: topic() })
            }
            None => Ok(News::Nothing),
            Some(Ok(message)) => {
                if let Some(place) = self.partitions.get_mut(&message.partition()) {
                    place.next = message.offset() + 1;
                    place.at_end = false;
                    if place.has_come_back() {
                        self.back.push_back((message.partition(), place.begun));
                        self.look = None;
                    }
                }
                Ok(News::Record(message))
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                if let Some(place) = self.partitions.get_mut(&partition) {
                    place.at_end = true;
                    // It was asked for the end before it was begun, so that this one is not before it.
                    let least = if place.is_back {
                        place.doubted.take().unwrap_or(place.next)
                    } else {
                        place.end
                    };
                    place.next = place.next.max(least);
                    if place.has_come_back() {
                        self.back.push_back((partition, place.begun));
                        self.look = None;
                    }
                }
                Ok(News::Nothing)
            }
            Some(Err(
                error @ (KafkaError::MessageConsumptionFatal(_)
                | KafkaError::MessageConsumption(
                    RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange,
                )),
            )) => Err(ReadError::Lost {
                topic: topic(),
                error,
            }),
            Some(Err(error)) => {
                tracing::warn!(topic = self.topic, %error, "reading");
                Ok(News::Nothing)
            }
        }
    }

    /// The moment up to which all is known of the partitions that are back, if that is news. Asks for their ends now and then.
    fn fresh(&mut self) -> Result<Option<Instant>, ReadError> {
        let Some(look) = &self.look else {
            if Instant::now() >= self.next_look {
                self.look()?;
            }
            return Ok(None);
        };
        let mut behind = look.ends.iter().filter(|(partition, end)| {
            let place = self.partitions.get(partition);
            place.is_some_and(|place| place.next < **end)
        });
        let Some((&partition, &end)) = behind.next() else {
            let at = look.at;
            self.look = None;
            return Ok(Some(at));
        };
        // What is there but comes to nobody, such as the marker of a transaction: nothing would ever come of it.
        if look.at.elapsed() > DOUBT
            && let Some(place) = self.partitions.get_mut(&partition)
            && place.at_end
        {
            (place.at_end, place.doubted) = (false, Some(end));
            let next = Offset::Offset(place.next);
            self.unassign(partition)?;
            self.assign(partition, next)?;
        }
        Ok(None)
    }

    /// Asks for the ends of the partitions that are back.
    fn look(&mut self) -> Result<(), ReadError> {
        let at = Instant::now();
        self.next_look = at + LOOK;
        let mut asked = TopicPartitionList::new();
        for (partition, _) in self.partitions.iter().filter(|(_, place)| place.is_back) {
            let added = asked.add_partition_offset(&self.topic, *partition, Offset::End);
            added.map_err(|error| self.lost(error))?;
        }
        if asked.count() == 0 {
            return Ok(());
        }
        // Times as the protocol has them: the last one stands for the end.
        let ends = match self.consumer.offsets_for_times(asked, ASK) {
            Ok(ends) => ends,
            Err(error) => {
                tracing::warn!(topic = self.topic, %error, "asking for the ends of partitions");
                return Ok(());
            }
        };
        let mut known = BTreeMap::new();
        for end in ends.elements() {
            match (end.error(), end.offset()) {
                (Ok(()), Offset::Offset(offset)) => {
                    known.insert(end.partition(), offset);
                }
                (outcome, _) => {
                    let partition = end.partition();
                    tracing::warn!(
                        topic = self.topic,
                        partition,
                        ?outcome,
                        "asking for its end"
                    );
                    return Ok(());
                }
            }
        }
        self.look = Some(Look { at, ends: known });
        Ok(())
    }

    fn assign(&self, partition: i32, offset: Offset) -> Result<(), ReadError> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, partition, offset)
            .and_then(|()| self.consumer.incremental_assign(&list))
            .map_err(|error| self.lost(error))
    }

    fn unassign(&self, partition: i32) -> Result<(), ReadError> {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, partition);
        let left = self.consumer.incremental_unassign(&list);
        left.map_err(|error| self.lost(error))
    }

    fn unanswered(&self, what: &'static str, error: KafkaError) -> ReadError {
        ReadError::Ask {
            topic: self.topic.clone(),
            what,
            error,
        }
    }

    fn lost(&self, error: KafkaError) -> ReadError {
        ReadError::Lost {
            topic: self.topic.clone(),
            error,
        }
    }
}
