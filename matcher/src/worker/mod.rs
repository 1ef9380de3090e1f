//! One thread with its own consumer, transactional producer and buffers, and the [`Duty`] that it has: to [`decide`] events, or
//! to [settle](crate::settler) claims.
//!
//! The files follow the data: [`crate::group`] consumes, [`restore`] brings back the [`customers`] of a partition before it
//! is read, the duty decodes, decides and remembers with [`state`], [`emit`] writes, [`pace`] says when to commit and a
//! [`transaction`](service::kafka::transaction) commits what was written, what is remembered and consumed offsets together or
//! not at all (KIP-98, KIP-447).
//!
//! Nothing is shared between workers but the campaigns and counters.

mod breakers;
mod clock;
mod customers;
mod dead_letters;
mod decide;
mod disk;
mod duty;
mod emit;
mod held_out;
mod kept;
mod matches;
mod metrics;
mod pace;
mod restore;

use std::time::{Duration, Instant};

use rdkafka::Message;
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::producer::BaseRecord;
use rdkafka::topic_partition_list::TopicPartitionList;
use service::kafka::transaction::{Broken, Failure, Idle, Open};
use service::retry::Backoff;
use service::{Component, Heartbeat, Shutdown, Tracer};
use state::{Partition, StateError, Written};

use self::customers::Customers;
use self::pace::{Load, Next, Supply};
use self::restore::{RestoreError, Restores};
use crate::group::{self, Change, Group, GroupError, GroupMetrics, Truncation, Waiting};
use crate::positions::Positions;
use crate::trace::BatchTrace;

pub(crate) use self::clock::Clock;
pub(crate) use self::dead_letters::DeadLetters;
pub(crate) use self::decide::{Decide, DecideSettings};
pub(crate) use self::disk::DiskMemory;
pub(crate) use self::duty::{Batch, Duty};
pub(crate) use self::emit::now_in_millis;
pub(crate) use self::kept::KeptMetrics;
pub(crate) use self::matches::{Kept, MatchRecords, Won};
pub(crate) use self::metrics::SECONDS;
pub use self::metrics::WorkerMetrics;
pub use self::pace::Pace;
pub(crate) use self::restore::Memory;

/// How long an idle worker waits for an event before it looks after everything else.
const IDLE: Duration = Duration::from_millis(100);

/// Events between two looks at the clock, at rebalances and at a shutdown. The looks cost a tenth of
/// what an event costs; even at 1 ms an event a batch is committed only 32 ms late.
const STRIDE: usize = 32;

/// So many rebuilds within [`REBUILD_WINDOW`] and the process had better exit and be restarted.
const MAX_REBUILDS: usize = 5;
const REBUILD_WINDOW: Duration = Duration::from_mins(10);

/// What a worker needs.
pub(crate) struct WorkerSettings {
    pub(crate) name: String,
    pub(crate) consumer: ClientConfig,
    pub(crate) producer: ClientConfig,
    /// What it consumes.
    pub(crate) topic: String,
    /// What is remembered, and where.
    pub(crate) memory: Memory,
    pub(crate) pace: Pace,
}

/// What a worker shares with the rest of the process.
pub(crate) struct Surroundings {
    pub(crate) kept_metrics: KeptMetrics,
    pub(crate) group_metrics: GroupMetrics,
    pub(crate) tracer: Tracer,
    /// Ready while the worker has a consumer and a producer.
    pub(crate) component: Component,
    pub(crate) heartbeat: Heartbeat,
    pub(crate) shutdown: Shutdown,
}

/// Why a consumer and a producer have to be dropped and made anew.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Rebuild {
    #[error("the transactional producer failed at {0}")]
    Producer(#[from] Broken),
    #[error(transparent)]
    Group(#[from] GroupError),
    #[error("the consumed offsets cannot be listed: {0}")]
    Offsets(KafkaError),
    #[error("a record cannot be produced: {0}")]
    Produce(KafkaError),
    #[error("what is remembered cannot be brought back: {0}")]
    Restore(#[from] RestoreError),
    #[error("what is remembered cannot be read: {0}")]
    State(#[from] StateError),
}

/// A worker; see the module. Runs on a thread of its own and never on an async runtime.
pub(crate) struct Worker<D> {
    settings: WorkerSettings,
    surroundings: Surroundings,
    duty: D,
    aborts: Backoff,
}

/// Whether a batch is open.
enum State {
    Idle(Idle),
    Batch(Batch),
}

impl<D: Duty> Worker<D> {
    /// A worker with that duty.
    pub(crate) fn new(settings: WorkerSettings, duty: D, surroundings: Surroundings) -> Self {
        Self {
            aborts: Backoff::new(Duration::from_millis(100), Duration::from_secs(5)),
            settings,
            surroundings,
            duty,
        }
    }

    /// Works until the process shuts down. What fails for good is dropped and made anew; if that does
    /// not help, the process is asked to exit, so that whoever runs it starts it afresh.
    pub(crate) fn run(mut self) {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        let mut rebuilds: Vec<Instant> = Vec::new();
        while !self.surroundings.shutdown.is_requested() {
            let begun = Instant::now();
            let Err(why) = self.session() else { return };
            self.surroundings.kept_metrics.rebuilt();
            self.surroundings.component.not_ready(&why.to_string());
            let worker = &self.settings.name;
            if let Rebuild::Producer(broken) = &why
                && broken.is_fenced()
            {
                tracing::warn!(
                    worker,
                    "another producer uses this worker's transactional id, or its transaction timed \
                     out; if this repeats, give each process its own MATCHER_INSTANCE"
                );
            }
            tracing::warn!(worker, error = %why, "rebuilding the worker's consumer and producer");
            rebuilds.retain(|at| at.elapsed() < REBUILD_WINDOW);
            // A broker that is away comes back; a process that exits meanwhile only comes back later.
            let is_away = match &why {
                Rebuild::Producer(broken) => broken.is_unanswered(),
                Rebuild::Group(error) => matches!(error, GroupError::NoBroker),
                _ => false,
            };
            if !is_away {
                rebuilds.push(Instant::now());
            }
            let hopeless = matches!(&why, Rebuild::Group(GroupError::Truncated { .. }));
            if hopeless || rebuilds.len() > MAX_REBUILDS {
                self.surroundings
                    .shutdown
                    .fail(&anyhow::anyhow!("worker {worker} cannot go on: {why}"));
                return;
            }
            if begun.elapsed() > Duration::from_mins(1) {
                backoff.reset();
            }
            self.surroundings.shutdown.wait(backoff.next_delay());
        }
    }

    /// Works with one consumer and one producer until shutdown.
    fn session(&mut self) -> Result<(), Rebuild> {
        self.surroundings.heartbeat.beat();
        let idle = Idle::connect(&self.settings.producer)?;
        let mut group = Group::join(
            &self.settings.consumer,
            &self.settings.topic,
            Truncation::Refuse,
            self.surroundings.group_metrics.clone(),
        )?;
        let restores = Restores::new(self.settings.memory.clone());
        let mut customers = Customers::new(restores, self.surroundings.kept_metrics.clone());
        self.duty.joined();
        self.surroundings.component.ready();
        let mut state = State::Idle(idle);
        let mut supply = Supply::Dry;
        let mut last_commit = Instant::now();
        while !self.surroundings.shutdown.is_requested() {
            self.surroundings.heartbeat.beat();
            while let Some(change) = group.next_change() {
                state = self.rebalance(&mut group, &mut customers, state, change)?;
            }
            let arrived = group.settle()?;
            customers.bring_back(&arrived)?;
            self.duty.bring_back(&arrived);
            self.duty.tend();
            while let Some(partition) = customers.next_back(|it| self.duty.is_back(it))? {
                group.read(partition)?;
            }
            group.go_on(|until| self.duty.has_answer(until))?;
            if supply == Supply::Dry {
                state = self.fire(&mut customers, state)?;
            }
            let wait = match &state {
                State::Idle(_) => IDLE,
                State::Batch(batch) => {
                    let now = Instant::now();
                    match self
                        .settings
                        .pace
                        .next(batch.load, supply, last_commit, now)
                    {
                        Next::Poll(wait) => wait.min(IDLE),
                        Next::Commit => {
                            state = State::Idle(self.commit(&mut group, &mut customers, state)?);
                            last_commit = Instant::now();
                            continue;
                        }
                    }
                }
            };
            let wait = if group.is_settled() && !group.is_holding() {
                wait
            } else {
                wait.min(IDLE / 10)
            };
            let waiting;
            (state, supply, waiting) = self.draw(&group, &mut customers, state, wait)?;
            if let Some(record) = waiting {
                group.hold(record)?;
            }
        }
        // Finished work is kept; if it cannot be, it is done again by whoever comes next.
        let idle = self.commit(&mut group, &mut customers, state)?;
        drop(group);
        drop(idle);
        Ok(())
    }

    /// Takes events, for the first of which it waits: up to [`STRIDE`] of them, or until the batch is
    /// full, there is none, a rebalance was noted, or the schema of one is not known yet.
    fn draw(
        &mut self,
        group: &Group,
        customers: &mut Customers,
        mut state: State,
        mut wait: Duration,
    ) -> Result<(State, Supply, Option<Waiting>), Rebuild> {
        for _ in 0..STRIDE {
            match group.poll(wait) {
                None => return Ok((state, Supply::Dry, None)),
                Some(Ok(message)) => {
                    let (batch, waiting) = self.take(customers, state, &message)?;
                    if waiting.is_some() {
                        // A batch that began with this event has nothing to commit.
                        state = if batch.positions.is_empty() {
                            State::Idle(batch.transaction.abort()?)
                        } else {
                            State::Batch(batch)
                        };
                        return Ok((state, Supply::Flowing, waiting));
                    }
                    let is_full = self.settings.pace.is_full(batch.load);
                    state = State::Batch(batch);
                    if is_full {
                        break;
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => customers.reached_end(partition),
                Some(Err(error)) => {
                    group::tolerate(error)?;
                    return Ok((state, Supply::Dry, None));
                }
            }
            wait = Duration::ZERO;
        }
        Ok((state, Supply::Flowing, None))
    }

    /// The open batch, which begins now if there is none.
    fn batch(&mut self, state: State) -> Result<Batch, Rebuild> {
        let idle = match state {
            State::Batch(batch) => return Ok(batch),
            State::Idle(idle) => idle,
        };
        self.duty.begin();
        Ok(Batch {
            transaction: idle.begin()?,
            positions: Positions::default(),
            load: Load {
                begun: Instant::now(),
                events: 0,
                output_bytes: 0,
            },
            trace: BatchTrace::begin(
                &self.surroundings.tracer,
                &self.settings.topic,
                self.settings.consumer.get("group.id"),
            ),
        })
    }

    /// Processes one record within the batch, which begins with it if there is none. One that has to wait leaves no trace.
    fn take(
        &mut self,
        customers: &mut Customers,
        state: State,
        message: &BorrowedMessage<'_>,
    ) -> Result<(Batch, Option<Waiting>), Rebuild> {
        let mut batch = self.batch(state)?;
        let partition = customers.of(message.partition());
        if let Some(until) = self.duty.take(&mut batch, partition, message)? {
            let waiting = Waiting {
                partition: message.partition(),
                offset: message.offset(),
                until,
            };
            return Ok((batch, Some(waiting)));
        }
        batch
            .positions
            .processed(message.partition(), message.offset());
        batch.load.events += 1;
        batch.trace.took(message);
        Ok((batch, None))
    }

    /// Does what waited for a time that has come.
    fn fire(&mut self, customers: &mut Customers, mut state: State) -> Result<State, Rebuild> {
        for (number, time) in customers.due() {
            let mut batch = self.batch(state)?;
            while let Some(partition) = customers.waiting_in(number)
                && !self.settings.pace.is_full(batch.load)
            {
                if !self.duty.fire(&mut batch, partition, (number, time))? {
                    break;
                }
            }
            // A transaction commits offsets; where no record came these are the ones that are committed.
            if let Some(partition) = customers.waiting_in(number)
                && partition.is_changed()
            {
                batch.positions.processed(number, partition.offset());
            }
            state = State::Batch(batch);
        }
        Ok(state)
    }

    /// Ends the batch, if there is one: commits it, or sets everything back to what is committed.
    fn commit(
        &mut self,
        group: &mut Group,
        customers: &mut Customers,
        state: State,
    ) -> Result<Idle, Rebuild> {
        let mut batch = match state {
            State::Idle(idle) => return Ok(idle),
            State::Batch(batch) => batch,
        };
        if batch.positions.is_empty() {
            // What was due has come to nothing.
            customers.roll_back();
            return Ok(batch.transaction.abort()?);
        }
        let Some(member) = group.metadata() else {
            customers.roll_back();
            batch
                .trace
                .aborted(batch.load.events, batch.positions.partitions());
            return self.abandon(group, batch.transaction.abort()?);
        };
        self.duty.end(&mut batch)?;
        let mut written = Vec::new();
        for (number, partition) in customers.changed(&|it| self.duty.sweep(it))? {
            let changelog = &self.settings.memory.changelog.topic;
            let state = write_state(&batch.transaction, changelog, number, partition);
            written.push((number, state.map_err(Rebuild::Produce)?));
        }
        let offsets = batch
            .positions
            .to_list(&self.settings.topic)
            .map_err(Rebuild::Offsets)?;
        let begun = Instant::now();
        let metrics = &self.surroundings.kept_metrics;
        let noted = batch.transaction.noted();
        let (records, partitions) = (batch.load.events, batch.positions.partitions());
        match batch.transaction.commit_consumed(&offsets, &member) {
            Ok(idle) => {
                metrics.committed(begun.elapsed());
                batch.trace.committed(records, partitions);
                self.duty.committed(records);
                self.aborts.reset();
                for (number, state) in written {
                    // Or the partition must be brought back.
                    state.commit(noted.offset(number))?;
                }
                customers.count();
                Ok(idle)
            }
            Err(Failure::Aborted {
                idle,
                why,
                too_large,
            }) => {
                drop(written);
                customers.roll_back();
                metrics.aborted(begun.elapsed());
                batch.trace.aborted(records, partitions);
                tracing::warn!(error = %why, too_large, "a batch was aborted and is read again");
                if too_large {
                    self.duty.too_large();
                }
                self.abandon(group, idle)
            }
            Err(Failure::Broken(broken)) => {
                metrics.aborted(begun.elapsed());
                batch.trace.aborted(records, partitions);
                Err(broken.into())
            }
        }
    }

    /// After an abort: back to the committed offsets, a little slower each time.
    fn abandon(&mut self, group: &mut Group, idle: Idle) -> Result<Idle, Rebuild> {
        self.surroundings.shutdown.wait(self.aborts.next_delay());
        // A partition that was taken from us meanwhile is not ours to set back.
        if !group.assignment_lost() {
            group.rewind()?;
        }
        Ok(idle)
    }

    /// Carries out a rebalance. Any revocation ends the batch, for its transaction spans all
    /// partitions of the worker.
    fn rebalance(
        &mut self,
        group: &mut Group,
        customers: &mut Customers,
        state: State,
        change: Change,
    ) -> Result<State, Rebuild> {
        let revoked: TopicPartitionList = match change {
            Change::Assigned(partitions) => {
                group.admit(&partitions);
                return Ok(state);
            }
            Change::Revoked(partitions) => partitions,
        };
        let idle = match state {
            State::Batch(batch) if group.assignment_lost() => {
                customers.roll_back();
                batch
                    .trace
                    .aborted(batch.load.events, batch.positions.partitions());
                batch.transaction.abort()?
            }
            state => self.commit(group, customers, state)?,
        };
        for partition in revoked.elements() {
            customers.let_go(partition.partition());
            self.duty.let_go(partition.partition());
        }
        group.release(&revoked)?;
        Ok(State::Idle(idle))
    }
}

/// Writes what the batch has changed of a partition's customers to the changelog: once each, however many of their
/// records there were.
fn write_state<'p>(
    transaction: &Open,
    changelog: &str,
    number: i32,
    partition: &'p mut Partition,
) -> Result<Written<'p>, KafkaError> {
    let mut sent = Ok(());
    let written = partition.changes(|change| {
        if sent.is_err() {
            return;
        }
        let mut record = BaseRecord::<[u8], [u8]>::to(changelog)
            .partition(number)
            .key(change.key);
        record.payload = change.value;
        // The last of them says how far the changelog is then.
        sent = if change.is_progress() {
            transaction.send_noted(record)
        } else {
            transaction.send(record)
        };
    });
    sent.map(|()| written)
}
