//! Committed matches to the database: the log is the truth, the database follows it.
//!
//! The files follow the data: [`crate::group`] consumes, [`store`] writes rows, [`ledger`] says
//! which of them are old enough for their offsets to be committed, [`refuse`] keeps what is no match.
//!
//! The database acknowledges a row before it is safe on disk, up to 10 s before at the defaults of
//! ScyllaDB and Cassandra. So an offset is committed when its row was acknowledged *a minute ago*: after
//! the database was away, and after a start or a takeover, the last minute is simply read and written
//! again. A row written twice is the same row.
//!
//! A customer who is erased is a record among the matches: what stands before it is written first, then deleted.
//!
//! While the database is away nothing is read, the matcher goes on, and the lag of this group grows.

mod erasure;
mod ledger;
mod metrics;
mod outage;
mod refuse;
mod settings;

use std::time::{Duration, Instant};

use futures::stream::{self, TryStreamExt as _};
use rdkafka::Message;
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use schemas::names::header;
use schemas::{DeadLetterReason, Reader, Unread};
use service::http::TraceContext;
use service::kafka::record;
use service::retry::Backoff;
use service::settings::ScyllaSettings;
use service::traces::{Kind, Span, keys};
use service::{Component, Heartbeat, Shutdown, Tracer};
use store::{Erasure, MatchRow, MatchWriter, Recorded, StoreError};
use tokio::runtime::Handle;

use self::ledger::Ledger;
use self::refuse::Refuser;
use crate::group::{self, Change, Group, GroupError, GroupMetrics, Truncation, Until, Waiting};
use crate::positions::Positions;
use crate::trace;

pub(crate) use self::metrics::RecorderMetrics;
pub use self::settings::RecorderSettings;

/// How long an idle recorder waits for a match before it looks after everything else.
const IDLE: Duration = Duration::from_millis(100);

/// Bounds of what is read before it is written.
const MAX_BATCH: usize = 1_000;
const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// A single write that fails is tried again so often before the database counts as away: each outage
/// costs a replay.
const ATTEMPTS: u32 = 3;

/// What spans say of the write of a match: its three rows are one, named after the table that has one for each match.
const TABLE: &str = "matches";
const INSERT: &str = "INSERT";

const COMMIT_EVERY: Duration = Duration::from_secs(1);
const PROBE_EVERY: Duration = Duration::from_secs(2);

/// What the recorder needs.
pub(crate) struct Setup {
    pub(crate) settings: RecorderSettings,
    pub(crate) scylla: ScyllaSettings,
    pub(crate) consumer: ClientConfig,
    pub(crate) producer: ClientConfig,
    pub(crate) matches_topic: String,
    pub(crate) dead_letters_topic: String,
}

/// What the recorder shares with the rest of the process.
pub(crate) struct Surroundings {
    pub(crate) metrics: RecorderMetrics,
    pub(crate) group_metrics: GroupMetrics,
    pub(crate) tracer: Tracer,
    /// Ready once the database was reached; an outage later is told by a metric.
    pub(crate) component: Component,
    pub(crate) heartbeat: Heartbeat,
    pub(crate) shutdown: Shutdown,
    /// Carries the database's sockets.
    pub(crate) runtime: Handle,
}

/// Why the consumer is dropped and made anew. Nothing is lost by that.
#[derive(Debug, thiserror::Error)]
enum Rebuild {
    #[error(transparent)]
    Group(#[from] GroupError),
    #[error("the recorded offsets cannot be listed: {0}")]
    Offsets(KafkaError),
    #[error("a record that is no match cannot be kept as a dead letter: {0}")]
    Refuse(KafkaError),
}

/// See the module. Runs on a thread of its own, for rebalances run inside `poll`.
pub(crate) struct Recorder {
    setup: Setup,
    surroundings: Surroundings,
    reader: Reader,
    refuser: Refuser,
}

/// Matches on their way from consumed to acknowledged.
#[derive(Default)]
struct Batch {
    rows: Vec<MatchRow>,
    bytes: usize,
    positions: Positions,
    /// A customer to be forgotten, behind these rows; the batch ended there.
    erasure: Option<Erasure>,
    /// The one that could not be read yet, at which the batch ended.
    waiting: Option<Waiting>,
}

/// Whether what was asked of the database could be waited for.
enum Written {
    Yes,
    /// The process shuts down; the rows will be written after the next start.
    Interrupted,
}

impl Recorder {
    /// `reader` is for matches.
    pub(crate) fn new(setup: Setup, reader: Reader, surroundings: Surroundings) -> Self {
        let refuser = Refuser::new(setup.producer.clone(), setup.dead_letters_topic.clone());
        Self {
            setup,
            surroundings,
            reader,
            refuser,
        }
    }

    /// Records until the process shuts down. Whatever fails is begun anew: a recorder that cannot work
    /// must not stop the matching beside it.
    pub(crate) fn run(mut self) {
        let Some(writer) = self.connect() else { return };
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        while !self.surroundings.shutdown.is_requested() {
            let begun = Instant::now();
            if let Err(why) = self.session(&writer) {
                tracing::warn!(error = %why, "rebuilding the recorder's consumer");
                self.surroundings.metrics.rebuilt();
                if begun.elapsed() > Duration::from_mins(1) {
                    backoff.reset();
                }
                self.surroundings.heartbeat.beat();
                self.surroundings.shutdown.wait(backoff.next_delay());
            }
        }
    }

    /// Waits for the database, however long it takes.
    fn connect(&self) -> Option<MatchWriter> {
        let Surroundings {
            component,
            heartbeat,
            shutdown,
            runtime,
            metrics,
            ..
        } = &self.surroundings;
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
        while !shutdown.is_requested() {
            heartbeat.beat();
            match runtime.block_on(MatchWriter::connect(&self.setup.scylla)) {
                Ok(writer) => {
                    component.ready();
                    metrics.database_up(true);
                    return Some(writer);
                }
                Err(error) => {
                    tracing::warn!(%error, "the database cannot be used yet");
                    component.not_ready(&error.to_string());
                    metrics.database_up(false);
                    shutdown.wait(backoff.next_delay());
                }
            }
        }
        None
    }

    /// Records with one consumer until shutdown.
    fn session(&mut self, writer: &MatchWriter) -> Result<(), Rebuild> {
        let mut group = Group::join(
            &self.setup.consumer,
            &self.setup.matches_topic,
            Truncation::BeginAnew,
            self.surroundings.group_metrics.clone(),
        )?;
        let mut ledger = Ledger::new(self.setup.settings.replay);
        let mut next_commit = Instant::now();
        let mut next_probe = Instant::now() + PROBE_EVERY;
        while !self.surroundings.shutdown.is_requested() {
            self.look_after(&mut group, &mut ledger)?;
            group.go_on(|until| match until {
                Until::Schema(schema) => self.reader.has_answer(schema),
                Until::Campaigns(_) | Until::Audiences(_) => true,
            })?;
            let batch = self.read(&group)?;
            if let Some(record) = batch.waiting {
                group.hold(record)?;
            }
            let mut written = Ok(Written::Yes);
            if !batch.rows.is_empty() {
                written = self.write(writer, &batch.rows);
            }
            if let (Ok(Written::Yes), Some(erasure)) = (&written, &batch.erasure) {
                written = self.erase(writer, erasure);
            } else if batch.rows.is_empty() && Instant::now() >= next_probe {
                written = self.probe(writer);
            }
            match written {
                Ok(Written::Yes) => {}
                Ok(Written::Interrupted) => return Ok(()),
                Err(error) => {
                    self.sit_out(
                        writer,
                        &mut group,
                        &mut ledger,
                        (&error, batch.rows.first()),
                    )?;
                    continue;
                }
            }
            let now = Instant::now();
            if !batch.positions.is_empty() {
                ledger.written(&batch.positions, now);
                next_probe = now + PROBE_EVERY;
            }
            if now >= next_commit {
                self.commit(&group, &mut ledger, now)?;
                next_commit = now + COMMIT_EVERY;
            }
        }
        Ok(())
    }

    /// Carries out rebalances.
    fn look_after(&self, group: &mut Group, ledger: &mut Ledger) -> Result<(), Rebuild> {
        self.surroundings.heartbeat.beat();
        while let Some(change) = group.next_change() {
            match change {
                Change::Assigned(partitions) => group.admit(&partitions),
                Change::Revoked(partitions) => {
                    // Whoever gets them reads the last minute again.
                    self.commit(group, ledger, Instant::now())?;
                    for partition in partitions.elements() {
                        ledger.forget(partition.partition());
                    }
                    group.release(&partitions)?;
                }
            }
        }
        for partition in group.settle()? {
            group.read(partition)?;
        }
        Ok(())
    }

    /// What waits to be recorded, up to the bounds of a batch.
    fn read(&mut self, group: &Group) -> Result<Batch, Rebuild> {
        let mut batch = Batch::default();
        let mut wait = if group.is_holding() { IDLE / 10 } else { IDLE };
        while batch.rows.len() < MAX_BATCH && batch.bytes < MAX_BATCH_BYTES {
            let message = match group.poll(wait) {
                None => break,
                Some(Err(error)) => {
                    group::tolerate(error)?;
                    break;
                }
                Some(Ok(message)) => message,
            };
            let read = match erasure::read(&message) {
                Some(asked) => asked
                    .map(|asked| batch.erasure = Some(asked))
                    .map_err(Unread::Never),
                None => self
                    .reader
                    .read_match(record::encoded(&message))
                    .map(|won| batch.rows.push(MatchRow::new(won, recorded(&message)))),
            };
            match read {
                Ok(()) => {}
                Err(Unread::Never(reason)) => self.refuse(&message, &reason)?,
                Err(Unread::Waiting(schema)) => {
                    batch.waiting = Some(Waiting {
                        partition: message.partition(),
                        offset: message.offset(),
                        until: Until::Schema(schema),
                    });
                    break;
                }
            }
            batch.bytes += message.payload_len();
            batch
                .positions
                .processed(message.partition(), message.offset());
            if batch.erasure.is_some() {
                break;
            }
            wait = Duration::ZERO;
        }
        Ok(batch)
    }

    fn refuse(
        &mut self,
        message: &BorrowedMessage<'_>,
        reason: &DeadLetterReason,
    ) -> Result<(), Rebuild> {
        let (partition, offset) = (message.partition(), message.offset());
        tracing::error!(partition, offset, error = %reason, "this record becomes a dead letter");
        self.surroundings
            .runtime
            .block_on(self.refuser.keep(message, reason))
            .map_err(Rebuild::Refuse)?;
        self.surroundings.metrics.refused(reason);
        Ok(())
    }

    /// Writes rows, many at a time. Returns when all are acknowledged, or one cannot be written.
    fn write(&self, writer: &MatchWriter, rows: &[MatchRow]) -> Result<Written, StoreError> {
        let begun = Instant::now();
        let all = stream::iter(rows.iter().map(Ok)).try_for_each_concurrent(
            self.setup.settings.concurrency,
            async |row| {
                let span = self.span(row);
                let written = patiently(|| writer.write(row)).await;
                if let Some(mut span) = span {
                    if let Err(error) = &written {
                        span.fail(error.kind());
                    }
                    self.surroundings.tracer.end(span);
                }
                written?;
                // The fields are made only when somebody listens.
                tracing::debug!(
                    trace_id = row.traceparent().and_then(trace::id),
                    match_id = row.match_id(),
                    "match recorded"
                );
                Ok(())
            },
        );
        let written = self.wait_for(all)?;
        if matches!(written, Written::Yes) {
            self.surroundings.metrics.recorded(rows, begun.elapsed());
        }
        Ok(written)
    }

    /// The span of writing a row, beneath what its match carries; none if that is not sampled. A row that is written again has
    /// one again.
    fn span(&self, row: &MatchRow) -> Option<Span> {
        let tracer = &self.surroundings.tracer;
        if !tracer.is_on() {
            return None;
        }
        let parent = TraceContext::read(row.traceparent()?.as_bytes())?;
        let context = tracer.child(&parent)?;
        let name = || format!("{INSERT} {TABLE}");
        let mut span = tracer.begin(context, Some(&parent), Kind::Client, name)?;
        span.set(keys::DB_SYSTEM, keys::CASSANDRA);
        span.set(keys::DB_NAMESPACE, &*self.setup.scylla.keyspace);
        span.set(keys::DB_COLLECTION, TABLE);
        span.set(keys::DB_OPERATION, INSERT);
        span.set(keys::MATCH_ID, row.match_id());
        Some(span)
    }

    /// Deletes what a customer has won so far. The rows of their matches are all there, for these are in the same
    /// partition, before the record that asks for it.
    fn erase(&self, writer: &MatchWriter, erasure: &Erasure) -> Result<Written, StoreError> {
        self.wait_for(async {
            let rows = patiently(|| writer.erase(erasure)).await?;
            tracing::info!(source = ?erasure.source, rows, "a customer's matches are deleted");
            self.surroundings.metrics.erased();
            Ok(())
        })
    }

    /// Notices that the database is away although there is nothing to write: what it had
    /// acknowledged before may be lost.
    fn probe(&self, writer: &MatchWriter) -> Result<Written, StoreError> {
        self.wait_for(writer.probe())
    }

    fn wait_for(
        &self,
        answer: impl Future<Output = Result<(), StoreError>>,
    ) -> Result<Written, StoreError> {
        self.surroundings.runtime.block_on(async {
            tokio::select! {
                answer = answer => answer.map(|()| Written::Yes),
                () = self.surroundings.shutdown.requested() => Ok(Written::Interrupted),
            }
        })
    }

    fn commit(&self, group: &Group, ledger: &mut Ledger, now: Instant) -> Result<(), Rebuild> {
        let settled = ledger.settled(now);
        if !settled.is_empty() {
            let offsets = settled
                .to_list(&self.setup.matches_topic)
                .map_err(Rebuild::Offsets)?;
            group.commit(&offsets);
        }
        Ok(())
    }
}

async fn patiently<T, A>(mut ask: impl FnMut() -> A) -> Result<T, StoreError>
where
    A: Future<Output = Result<T, StoreError>>,
{
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
    let mut attempt = 1;
    loop {
        match ask().await {
            Err(error) if attempt < ATTEMPTS => {
                tracing::debug!(%error, attempt, "asking the database again");
                tokio::time::sleep(backoff.next_delay()).await;
                attempt += 1;
            }
            answer => return answer,
        }
    }
}

/// What the record of a match says beyond its document.
fn recorded(message: &BorrowedMessage<'_>) -> Recorded {
    Recorded {
        timestamp: message.timestamp().to_millis(),
        traceparent: text(message, header::TRACEPARENT),
        correlation_id: text(message, header::CORRELATION_ID),
    }
}

fn text(message: &BorrowedMessage<'_>, name: &str) -> Option<String> {
    let value = record::header(message, name)?;
    Some(String::from_utf8_lossy(value).into_owned())
}
