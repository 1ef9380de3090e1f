//! The thread that reads `audience-members` for a worker.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::Message as _;
use rdkafka::message::BorrowedMessage;
use schemas::AudienceRecord;
use service::kafka::partitions::{self, PartitionsReader};
use service::kafka::reader::ReadError;
use service::retry::Backoff;
use state::Members;

use super::{AudienceMetrics, AudienceSource};

/// Longest wait for a record before the thread looks what else there is.
const IDLE: Duration = Duration::from_millis(50);

/// How often progress is logged.
const REPORT: Duration = Duration::from_secs(5);

/// Changes that are handed over at once.
const LOT: usize = 512;

/// Lots that may wait for the worker, who otherwise is waited for.
const LOTS: usize = 64;

/// What the thread tells its worker, in the order of the log.
pub(super) enum News {
    /// All is known of a partition that was there at that moment.
    Back {
        partition: i32,
        ticket: u64,
        members: Box<Members>,
        at: Instant,
    },
    /// What came after that.
    Changes {
        partition: i32,
        changes: Vec<Change>,
    },
    /// They cannot be read; it is tried again.
    Away,
    /// All is known of these that was there at that moment.
    Fresh {
        at: Instant,
        partitions: Vec<(i32, u64)>,
    },
}

/// A record of the topic.
pub(super) struct Change {
    pub(super) key: Box<[u8]>,
    has_value: bool,
}

impl Change {
    pub(super) fn of(key: &[u8], has_value: bool) -> Self {
        Self {
            key: key.into(),
            has_value,
        }
    }

    /// What stands for the value, which says nothing but that it is there.
    pub(super) fn value(&self) -> Option<&[u8]> {
        self.has_value.then_some(&[][..])
    }
}

enum Command {
    Begin(i32, u64),
    LetGo(i32),
}

/// The thread as its worker has it. Dropped, it ends.
pub(super) struct Follower {
    commands: Sender<Command>,
    news: Receiver<News>,
}

impl Follower {
    /// Starts the thread.
    pub(super) fn start(
        source: &AudienceSource,
        metrics: &AudienceMetrics,
    ) -> std::io::Result<Self> {
        let (commands, asked) = mpsc::channel();
        let (tell, news) = mpsc::sync_channel(LOTS);
        let following = Following {
            source: source.clone(),
            metrics: metrics.clone(),
            asked,
            tell,
            partitions: BTreeMap::new(),
        };
        thread::Builder::new()
            .name("audiences".to_owned())
            .spawn(move || following.run())?;
        Ok(Self { commands, news })
    }

    /// Begins to follow a partition.
    pub(super) fn begin(&self, partition: i32, ticket: u64) {
        // The thread ends only with its worker.
        let _ = self.commands.send(Command::Begin(partition, ticket));
    }

    /// Follows a partition no further.
    pub(super) fn let_go(&self, partition: i32) {
        let _ = self.commands.send(Command::LetGo(partition));
    }

    /// What there is to be told.
    pub(super) fn next(&self) -> Option<News> {
        self.news.try_recv().ok()
    }
}

/// Nobody is there any more who wants to know.
struct Alone;

/// Why reading ends.
enum End {
    Alone,
    Failed(ReadError),
}

impl From<Alone> for End {
    fn from(_: Alone) -> Self {
        Self::Alone
    }
}

impl From<ReadError> for End {
    fn from(error: ReadError) -> Self {
        Self::Failed(error)
    }
}

struct Following {
    source: AudienceSource,
    metrics: AudienceMetrics,
    asked: Receiver<Command>,
    tell: SyncSender<News>,
    /// Those that the worker has, with their tickets.
    partitions: BTreeMap<i32, u64>,
}

/// How far a partition is.
enum Course {
    /// It is brought back.
    Restoring {
        members: Box<Members>,
        begun: Instant,
        records: u64,
    },
    /// It is known; these changes were not told yet.
    Known(Vec<Change>),
}

impl Course {
    fn begin() -> Self {
        Self::Restoring {
            members: Box::default(),
            begun: Instant::now(),
            records: 0,
        }
    }
}

impl Following {
    /// Reads until the worker is gone. What fails is read anew; the worker keeps what it knows until then, and does not take it for
    /// fresh.
    fn run(mut self) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            let begun = Instant::now();
            match self.read() {
                End::Alone => return,
                End::Failed(error) => {
                    tracing::warn!(%error, "reading audiences anew");
                    if self.tell(News::Away).is_err() {
                        return;
                    }
                }
            }
            if begun.elapsed() > Duration::from_mins(1) {
                backoff.reset();
            }
            thread::sleep(backoff.next_delay());
            if self.note_commands(None, &mut BTreeMap::new()).is_err() {
                return;
            }
        }
    }

    fn read(&mut self) -> End {
        match self.read_on() {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    fn read_on(&mut self) -> Result<std::convert::Infallible, End> {
        let mut reader = PartitionsReader::open(&self.source.kafka, &self.source.topic)?;
        let mut courses = BTreeMap::new();
        for partition in self.partitions.keys() {
            reader.begin(*partition)?;
            courses.insert(*partition, Course::begin());
        }
        let mut report = Instant::now() + REPORT;
        loop {
            self.note_commands(Some(&mut reader), &mut courses)?;
            match reader.next(IDLE)? {
                partitions::News::Record(message) => self.take(&message, &mut courses)?,
                partitions::News::Back(partition, at) => self.back(partition, at, &mut courses)?,
                partitions::News::Fresh(at) => {
                    self.tell_changes(&mut courses)?;
                    let known = |it: &i32| matches!(courses.get(it), Some(Course::Known(_)));
                    let fresh = self.partitions.iter().filter(|(it, _)| known(it));
                    let partitions = fresh.map(|(it, ticket)| (*it, *ticket)).collect();
                    self.tell(News::Fresh { at, partitions })?;
                }
                partitions::News::Nothing => self.tell_changes(&mut courses)?,
            }
            if Instant::now() >= report {
                report += REPORT;
                tell_progress(&courses);
            }
        }
    }

    /// Does what the worker has asked for since it was last looked.
    fn note_commands(
        &mut self,
        mut reader: Option<&mut PartitionsReader>,
        courses: &mut BTreeMap<i32, Course>,
    ) -> Result<(), End> {
        loop {
            match self.asked.try_recv() {
                Ok(Command::Begin(partition, ticket)) => {
                    self.partitions.insert(partition, ticket);
                    courses.insert(partition, Course::begin());
                    if let Some(reader) = &mut reader {
                        reader.let_go(partition)?;
                        reader.begin(partition)?;
                    }
                }
                Ok(Command::LetGo(partition)) => {
                    self.partitions.remove(&partition);
                    courses.remove(&partition);
                    if let Some(reader) = &mut reader {
                        reader.let_go(partition)?;
                    }
                }
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => return Err(End::Alone),
            }
        }
    }

    /// Takes a record in: into what is brought back, or for the worker.
    fn take(
        &self,
        message: &BorrowedMessage<'_>,
        courses: &mut BTreeMap<i32, Course>,
    ) -> Result<(), Alone> {
        let partition = message.partition();
        let record = match AudienceRecord::read(message.key(), message.payload()) {
            Ok(record) => record,
            Err(error) => {
                let (topic, offset) = (message.topic(), message.offset());
                tracing::warn!(topic, partition, offset, %error, "a record that says nothing is passed over");
                self.metrics.refused();
                return Ok(());
            }
        };
        let key = message.key().unwrap_or_default();
        let is_full = match courses.get_mut(&partition) {
            None => false,
            Some(Course::Restoring {
                members, records, ..
            }) => {
                members.apply(record);
                *records += 1;
                false
            }
            Some(Course::Known(changes)) => {
                changes.push(Change::of(key, message.payload().is_some()));
                changes.len() >= LOT
            }
        };
        if is_full {
            self.tell_changes(courses)?;
        }
        Ok(())
    }

    /// A partition is known.
    fn back(
        &self,
        partition: i32,
        at: Instant,
        courses: &mut BTreeMap<i32, Course>,
    ) -> Result<(), Alone> {
        let Some(ticket) = self.partitions.get(&partition).copied() else {
            return Ok(());
        };
        let course = courses.insert(partition, Course::Known(Vec::new()));
        if let Some(Course::Restoring {
            members,
            begun,
            records,
        }) = course
        {
            let (customers, took) = (members.customers(), begun.elapsed());
            tracing::info!(
                partition,
                customers,
                records,
                took_ms = took.as_millis(),
                "audiences are back"
            );
            self.metrics.restored(records, took);
            self.tell(News::Back {
                partition,
                ticket,
                members,
                at,
            })?;
        }
        Ok(())
    }

    /// Tells of all changes.
    fn tell_changes(&self, courses: &mut BTreeMap<i32, Course>) -> Result<(), Alone> {
        for (partition, course) in courses {
            if let Course::Known(changes) = course
                && !changes.is_empty()
            {
                let (partition, changes) = (*partition, std::mem::take(changes));
                self.metrics.changed(changes.len());
                self.tell(News::Changes { partition, changes })?;
            }
        }
        Ok(())
    }

    fn tell(&self, news: News) -> Result<(), Alone> {
        self.tell.send(news).map_err(|_| Alone)
    }
}

/// Logs how far those are that are brought back.
fn tell_progress(courses: &BTreeMap<i32, Course>) {
    for (partition, course) in courses {
        if let Course::Restoring {
            members, records, ..
        } = course
        {
            let customers = members.customers();
            tracing::info!(partition, records, customers, "bringing audiences back");
        }
    }
}
