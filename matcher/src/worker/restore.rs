//! Brings back the customers of partitions that were assigned, on a thread of their own, while the worker goes on with its
//! other partitions and stays a member of its group.
//!
//! The order is what makes it exact: the committed offsets are stable before it begins (`group` has asked for them), then the
//! end of the changelog is taken with uncommitted records seen, waited for until it is decided, and read up to
//! ([`TopicReader::begin`]; KAFKA-10167). A producer of the owner before that is still alive either holds up the first
//! step, or has its records below that end and can only abort.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use rdkafka::Message as _;
use rdkafka::topic_partition_list::Offset;
use service::kafka::reader::{Next, ReadError, TopicReader, TopicSource};
use service::retry::Backoff;
use state::{Partition, StateError};

/// How often progress is logged.
const REPORT: Duration = Duration::from_secs(5);

/// Longest wait for the next record before the thread looks whether it is still wanted.
const IDLE: Duration = Duration::from_millis(100);

/// Why customers cannot be brought back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestoreError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("customer-state, partition {partition}, offset {offset}: {error}")]
    State {
        partition: i32,
        offset: i64,
        error: StateError,
    },
    #[error("a thread cannot be started: {0}")]
    Thread(std::io::Error),
}

/// What became of a restore.
pub(super) struct Restored {
    /// Which of several of the same partition.
    pub(super) ticket: u64,
    pub(super) partition: i32,
    pub(super) outcome: Result<Partition, RestoreError>,
    pub(super) records: u64,
    pub(super) took: Duration,
}

/// Restores of one worker.
pub(super) struct Restores {
    source: TopicSource,
    under_way: Vec<UnderWay>,
    next_ticket: u64,
    done: Receiver<Restored>,
    tell: Sender<Restored>,
}

struct UnderWay {
    ticket: u64,
    partition: i32,
    wanted: Arc<AtomicBool>,
}

impl Restores {
    /// `source` is the changelog; its partition is set for each restore.
    pub(super) fn new(source: TopicSource) -> Self {
        let (tell, done) = channel();
        Self {
            source,
            under_way: Vec::new(),
            next_ticket: 0,
            done,
            tell,
        }
    }

    /// Begins to bring back a partition's customers.
    pub(super) fn begin(&mut self, partition: i32) -> Result<(), RestoreError> {
        self.cancel(partition);
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let wanted = Arc::new(AtomicBool::new(true));
        let source = TopicSource {
            partition: Some(partition),
            ..self.source.clone()
        };
        let (tell, still) = (self.tell.clone(), Arc::clone(&wanted));
        std::thread::Builder::new()
            .name(format!("restore-{partition}"))
            .spawn(move || {
                let begun = Instant::now();
                let mut records = 0;
                let outcome = restore(&source, partition, &still, &mut records);
                // Nobody may be there any more.
                let _ = tell.send(Restored {
                    ticket,
                    partition,
                    outcome,
                    records,
                    took: begun.elapsed(),
                });
            })
            .map_err(RestoreError::Thread)?;
        self.under_way.push(UnderWay {
            ticket,
            partition,
            wanted,
        });
        Ok(())
    }

    /// The partition went elsewhere.
    pub(super) fn cancel(&mut self, partition: i32) {
        self.under_way.retain(|it| {
            let stays = it.partition != partition;
            if !stays {
                it.wanted.store(false, Ordering::Relaxed);
            }
            stays
        });
    }

    /// A restore that has ended and is still wanted.
    pub(super) fn next(&mut self) -> Option<Restored> {
        while let Ok(restored) = self.done.try_recv() {
            let place = self
                .under_way
                .iter()
                .position(|it| it.ticket == restored.ticket);
            if let Some(place) = place {
                self.under_way.swap_remove(place);
                return Some(restored);
            }
        }
        None
    }
}

impl Drop for Restores {
    fn drop(&mut self) {
        for it in &self.under_way {
            it.wanted.store(false, Ordering::Relaxed);
        }
    }
}

/// Reads the changelog of a partition to its end; what passes is tried again for as long as it is wanted.
fn restore(
    source: &TopicSource,
    partition: i32,
    wanted: &AtomicBool,
    records: &mut u64,
) -> Result<Partition, RestoreError> {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    loop {
        match once(source, partition, wanted, records) {
            Err(RestoreError::Read(error)) if error.passes() && wanted.load(Ordering::Relaxed) => {
                tracing::warn!(topic = source.topic, partition, %error, "bringing customers back again");
                std::thread::sleep(backoff.next_delay());
            }
            outcome => return outcome,
        }
    }
}

fn once(
    source: &TopicSource,
    partition: i32,
    wanted: &AtomicBool,
    records: &mut u64,
) -> Result<Partition, RestoreError> {
    let reader = TopicReader::open(source)?;
    reader.begin(Offset::Beginning, || wanted.load(Ordering::Relaxed))?;
    let mut state = Partition::default();
    let mut report = Instant::now() + REPORT;
    *records = 0;
    loop {
        match reader.next(IDLE)? {
            Next::Record(message) => {
                let key = message.key().unwrap_or_default();
                let restored = state.restore(key, message.payload());
                restored.map_err(|error| RestoreError::State {
                    partition,
                    offset: message.offset(),
                    error,
                })?;
                *records += 1;
            }
            Next::End => return Ok(state),
            Next::Nothing if !wanted.load(Ordering::Relaxed) => {
                return Err(ReadError::GivenUp {
                    topic: source.topic.clone(),
                }
                .into());
            }
            Next::Nothing => {}
        }
        if Instant::now() >= report {
            let customers = state.len();
            tracing::info!(
                partition,
                records = *records,
                customers,
                "bringing customers back"
            );
            report += REPORT;
        }
    }
}
