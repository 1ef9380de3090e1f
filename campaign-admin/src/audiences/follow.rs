//! Reads all partitions of the audiences' topic, and follows them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::Message as _;
use schemas::AudienceRecord;
use service::kafka::partitions::{News, PartitionsReader};
use service::kafka::reader::ReadError;
use service::retry::Backoff;
use service::settings::KafkaSettings;
use service::{Heartbeat, Shutdown};

use super::{Audiences, Known, Partition};

const IDLE: Duration = Duration::from_millis(100);

/// Why the audiences are not followed.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(
        "topic {topic} has {found} partitions and topic {events} has {expected}; they must have as many, so that audiences are where the \
         events of their customers are. Make {topic} anew with {expected} partitions, and load the audiences again"
    )]
    Partitions {
        topic: String,
        events: String,
        found: usize,
        expected: usize,
    },
}

/// Follows the topic. Runs on a thread of its own.
pub(crate) struct Follower {
    pub(crate) audiences: Audiences,
    pub(crate) kafka: KafkaSettings,
    pub(crate) events_topic: String,
    pub(crate) heartbeat: Heartbeat,
    pub(crate) shutdown: Shutdown,
}

impl Follower {
    /// Follows the topic until shutdown. What fails is begun anew, from the oldest record on.
    pub(crate) fn run(self) {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        while !self.shutdown.is_requested() {
            let begun = Instant::now();
            let Err(error) = self.follow() else { return };
            if self.shutdown.is_requested() {
                return;
            }
            // Whoever has no audiences need not have the topic.
            let is_absent = matches!(&error, FollowError::Read(ReadError::Missing { .. }));
            if is_absent {
                tracing::debug!(%error, "there are no audiences");
            } else {
                tracing::warn!(%error, "reading the audiences anew");
            }
            self.audiences.write(|known| {
                *known = Known {
                    is_absent,
                    why: Some(error.to_string()),
                    ..Known::default()
                };
            });
            if begun.elapsed() > Duration::from_mins(1) {
                backoff.reset();
            }
            self.heartbeat.beat();
            self.shutdown.wait(backoff.next_delay());
        }
    }

    fn follow(&self) -> Result<(), FollowError> {
        self.heartbeat.beat();
        let topic = &self.audiences.0.topic;
        let mut reader = PartitionsReader::open(&self.kafka, topic)?;
        let count = reader.partitions();
        let expected = PartitionsReader::open(&self.kafka, &self.events_topic)?.partitions();
        if count != expected {
            return Err(FollowError::Partitions {
                topic: topic.clone(),
                events: self.events_topic.clone(),
                found: count,
                expected,
            });
        }
        let mut missing = BTreeSet::new();
        let mut partitions: BTreeMap<i32, Partition> = BTreeMap::new();
        for partition in 0..i32::try_from(count).unwrap_or(i32::MAX) {
            self.heartbeat.beat();
            reader.begin(partition)?;
            missing.insert(partition);
            partitions.insert(partition, Partition::default());
        }
        // What is known before the end is nobody's business: half an audience is none.
        let mut before = Some(partitions);
        while !self.shutdown.is_requested() {
            self.heartbeat.beat();
            match reader.next(IDLE)? {
                News::Record(message) => {
                    let (partition, next) = (message.partition(), message.offset() + 1);
                    let record = AudienceRecord::read(message.key(), message.payload());
                    if let Err(error) = &record {
                        tracing::warn!(topic, partition, offset = message.offset(), %error, "passed over");
                    }
                    let take = |partitions: &mut BTreeMap<i32, Partition>| {
                        if let Some(known) = partitions.get_mut(&partition) {
                            known
                                .members
                                .apply(record.unwrap_or(AudienceRecord::Nothing));
                            known.next = next;
                        }
                    };
                    match &mut before {
                        Some(partitions) => take(partitions),
                        None => self.audiences.write(|known| take(&mut known.partitions)),
                    }
                }
                News::Back(partition, _) => {
                    missing.remove(&partition);
                    if missing.is_empty()
                        && let Some(partitions) = before.take()
                    {
                        self.audiences.write(|known| {
                            *known = Known {
                                partitions,
                                count,
                                is_read: true,
                                ..Known::default()
                            };
                        });
                    }
                }
                News::Fresh(_) | News::Nothing => {}
            }
        }
        Ok(())
    }
}
