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

use super::disk::{self, DiskMemory, Distrust};

/// How often progress is logged.
const REPORT: Duration = Duration::from_secs(5);

/// Longest wait for the next record before the thread looks whether it is still wanted.
const IDLE: Duration = Duration::from_millis(100);

/// Why customers cannot be brought back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestoreError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("{topic}, partition {partition}, offset {offset}: {error}")]
    State {
        topic: String,
        partition: i32,
        offset: i64,
        error: StateError,
    },
    #[error("customers of partition {partition}: {error}")]
    Unkept { partition: i32, error: StateError },
    #[error("what is on disk of partition {partition} is of another changelog")]
    Distrusted { partition: i32, why: Distrust },
    #[error("a thread cannot be started: {0}")]
    Thread(std::io::Error),
}

/// What is remembered, and where.
#[derive(Clone)]
pub(crate) struct Memory {
    /// All of it; the partition is set for each restore.
    pub(crate) changelog: TopicSource,
    /// A copy of it; otherwise customers are in memory.
    pub(crate) disk: Option<DiskMemory>,
}

/// What became of a restore.
pub(super) struct Restored {
    /// Which of several of the same partition.
    pub(super) ticket: u64,
    pub(super) partition: i32,
    pub(super) outcome: Result<Partition, RestoreError>,
    pub(super) course: Course,
    pub(super) took: Duration,
}

/// How a restore went.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// Records read.
    pub(super) records: u64,
    /// Customers that were on disk before.
    pub(super) from_disk: usize,
    /// Why what was on disk was thrown away.
    pub(super) distrusted: Vec<Distrust>,
}

/// Restores of one worker.
pub(super) struct Restores {
    memory: Memory,
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
    /// Of what is remembered there.
    pub(super) fn new(memory: Memory) -> Self {
        let (tell, done) = channel();
        Self {
            memory,
            under_way: Vec::new(),
            next_ticket: 0,
            done,
            tell,
        }
    }

    /// Where customers are on disk, if they are.
    pub(super) fn disk(&self) -> Option<&DiskMemory> {
        self.memory.disk.as_ref()
    }

    /// Begins to bring back a partition's customers.
    pub(super) fn begin(&mut self, partition: i32) -> Result<(), RestoreError> {
        self.cancel(partition);
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let wanted = Arc::new(AtomicBool::new(true));
        let mut memory = self.memory.clone();
        memory.changelog.partition = Some(partition);
        let (tell, still) = (self.tell.clone(), Arc::clone(&wanted));
        std::thread::Builder::new()
            .name(format!("restore-{partition}"))
            .spawn(move || {
                let begun = Instant::now();
                let mut course = Course::default();
                let outcome = restore(&memory, partition, &still, &mut course);
                // Nobody may be there any more.
                let _ = tell.send(Restored {
                    ticket,
                    partition,
                    outcome,
                    course,
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
    memory: &Memory,
    partition: i32,
    wanted: &AtomicBool,
    course: &mut Course,
) -> Result<Partition, RestoreError> {
    let topic = &memory.changelog.topic;
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    let mut distrust = None;
    loop {
        match once(memory, partition, distrust.take(), wanted, course) {
            Err(RestoreError::Read(error)) if error.passes() && wanted.load(Ordering::Relaxed) => {
                tracing::warn!(topic, partition, %error, "bringing customers back again");
                std::thread::sleep(backoff.next_delay());
            }
            // It ends with this: what is then on disk is of this changelog.
            Err(RestoreError::Distrusted { why, .. }) => distrust = Some(why),
            outcome => return outcome,
        }
    }
}

fn once(
    memory: &Memory,
    partition: i32,
    distrust: Option<Distrust>,
    wanted: &AtomicBool,
    course: &mut Course,
) -> Result<Partition, RestoreError> {
    let source = &memory.changelog;
    let is_wanted = || wanted.load(Ordering::Relaxed);
    let given_up = || ReadError::GivenUp {
        topic: source.topic.clone(),
    };
    let reader = TopicReader::open(source)?;
    let found = match &memory.disk {
        None => None,
        Some(disk) => disk.take(partition, &reader, distrust, &is_wanted)?,
    };
    if !is_wanted() {
        return Err(given_up().into());
    }
    let is_on_disk = found.is_some();
    let lineage = found.as_ref().and_then(|it| it.lineage);
    let mut position = None;
    let (mut state, from, _permit) = match found {
        None => (Partition::default(), Offset::Beginning, None),
        Some(found) => {
            if let Some(why) = found.distrusted {
                tracing::warn!(partition, ?why, "what was on disk is read anew");
                course.distrusted.push(why);
            }
            course.from_disk = found.state.len();
            (found.state, found.from, found.permit)
        }
    };
    reader.begin(from, is_wanted)?;
    let mut report = Instant::now() + REPORT;
    course.records = 0;
    let distrusted = RestoreError::Distrusted {
        partition,
        why: Distrust::Lineage,
    };
    loop {
        match reader.next(IDLE)? {
            Next::Record(message) => {
                let key = message.key().unwrap_or_default();
                let restored = state.restore(key, message.payload());
                restored.map_err(|error| RestoreError::State {
                    topic: source.topic.clone(),
                    partition,
                    offset: message.offset(),
                    error,
                })?;
                if state::is_progress(key) {
                    if lineage.is_some() && state.lineage() != lineage {
                        return Err(distrusted);
                    }
                    position = Some(message.offset());
                }
                course.records += 1;
            }
            Next::End => break,
            Next::Nothing if !is_wanted() => return Err(given_up().into()),
            Next::Nothing => {}
        }
        if Instant::now() >= report {
            let (records, customers) = (course.records, state.len());
            tracing::info!(partition, records, customers, "bringing customers back");
            report += REPORT;
        }
    }
    if lineage.is_some() && position.is_none() {
        return Err(distrusted);
    }
    (state.restored(position)).map_err(|error| RestoreError::Unkept { partition, error })?;
    if is_on_disk {
        state.begin_lineage(disk::new_lineage());
    }
    Ok(state)
}
