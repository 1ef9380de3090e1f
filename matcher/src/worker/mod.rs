//! One matcher thread: its own consumer, transactional producer and buffers.
//!
//! The files follow the data: [`crate::group`] consumes, [`restore`] brings back the [`customers`] of a partition before it
//! is read, [`state`] decodes, matches and remembers, [`emit`] writes, [`pace`] says when to commit and a
//! [`transaction`](service::kafka::transaction) commits matches, dead letters, what is remembered and consumed offsets together or
//! not at all (KIP-98, KIP-447).
//!
//! Nothing is shared between workers but the rule set, which is immutable, and counters.

mod clock;
mod customers;
mod disk;
mod emit;
mod metrics;
mod pace;
mod restore;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use rdkafka::Message;
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::TopicPartitionList;
use rules::RuleSet;
use rules::decide::Record;
use schemas::names::header;
use schemas::{Encoding, Limits, Reader, Unread};
use service::kafka::record;
use service::kafka::transaction::{Broken, Failure, Idle, Open};
use service::retry::Backoff;
use service::{Component, Heartbeat, Shutdown};
use state::{Arrival, Decided, Due, Engine, EventTimes, StateError, Undecided};

use self::clock::Clock;
use self::customers::Customers;
use self::emit::{Emitter, Outputs, Values};
use self::pace::{Load, Next, Supply};
use self::restore::{RestoreError, Restores};
use crate::campaigns::Counted;
use crate::group::{self, Change, Group, GroupError, GroupMetrics, Truncation, Waiting};
use crate::positions::Positions;

pub(crate) use self::disk::DiskMemory;
pub use self::metrics::WorkerMetrics;
pub use self::pace::Pace;
pub(crate) use self::restore::Memory;

/// How long an idle worker waits for an event before it looks after everything else.
const IDLE: Duration = Duration::from_millis(100);

/// Events between two looks at the clock, at rebalances and at a shutdown. The looks cost a tenth of
/// what an event costs; even at 1 ms an event a batch is committed only 32 ms late.
const STRIDE: usize = 32;

/// What an event that counts adds to the size of its batch: its customer's record of the changelog, about.
const STATE_BYTES: usize = 128;

/// So many rebuilds within [`REBUILD_WINDOW`] and the process had better exit and be restarted.
const MAX_REBUILDS: usize = 5;
const REBUILD_WINDOW: Duration = Duration::from_mins(10);

/// What a worker needs.
pub(crate) struct WorkerSettings {
    pub(crate) name: String,
    pub(crate) consumer: ClientConfig,
    pub(crate) producer: ClientConfig,
    pub(crate) events_topic: String,
    pub(crate) matches_topic: String,
    pub(crate) dead_letters_topic: String,
    /// What is remembered, and where.
    pub(crate) memory: Memory,
    pub(crate) times: EventTimes,
    /// How matches are written.
    pub(crate) encoding: Encoding,
    pub(crate) limits: Limits,
    pub(crate) pace: Pace,
}

/// What a worker shares with the rest of the process.
pub(crate) struct Surroundings {
    pub(crate) rules: Arc<ArcSwap<RuleSet>>,
    pub(crate) counted: Counted,
    pub(crate) metrics: WorkerMetrics,
    pub(crate) group_metrics: GroupMetrics,
    /// Ready while the worker has a consumer and a producer.
    pub(crate) component: Component,
    pub(crate) heartbeat: Heartbeat,
    pub(crate) shutdown: Shutdown,
}

/// Why a consumer and a producer have to be dropped and made anew.
#[derive(Debug, thiserror::Error)]
enum Rebuild {
    #[error("the transactional producer failed at {0}")]
    Producer(#[from] Broken),
    #[error(transparent)]
    Group(#[from] GroupError),
    #[error("the consumed offsets cannot be listed: {0}")]
    Offsets(KafkaError),
    #[error("a record cannot be produced: {0}")]
    Produce(KafkaError),
    #[error("customers cannot be brought back: {0}")]
    Restore(#[from] RestoreError),
    #[error("what is remembered of a customer cannot be read: {0}")]
    State(#[from] StateError),
}

/// A worker; see the module. Runs on a thread of its own and never on an async runtime.
pub(crate) struct Worker {
    settings: WorkerSettings,
    surroundings: Surroundings,
    engine: Engine,
    clock: Clock,
    emitter: Emitter,
    /// How dead letters carry their values in the next batch.
    values: Values,
    aborts: Backoff,
}

/// Events on their way from consumed to committed.
struct Batch {
    transaction: Open,
    rules: Arc<RuleSet>,
    positions: Positions,
    load: Load,
    tally: metrics::Tally,
}

/// Whether a batch is open.
enum State {
    Idle(Idle),
    Batch(Batch),
}

impl Worker {
    /// `reader` is for events.
    pub(crate) fn new(
        settings: WorkerSettings,
        reader: Reader,
        surroundings: Surroundings,
    ) -> Self {
        let outputs = Outputs {
            matches: settings.matches_topic.clone(),
            dead_letters: settings.dead_letters_topic.clone(),
            customer_state: settings.memory.changelog.topic.clone(),
            events: settings.events_topic.clone(),
        };
        Self {
            engine: Engine::new(reader, settings.limits, settings.times)
                .with_clock(|| jiff::Timestamp::now().as_millisecond()),
            clock: Clock::default(),
            emitter: Emitter::new(outputs, settings.encoding),
            values: Values::Whole,
            aborts: Backoff::new(Duration::from_millis(100), Duration::from_secs(5)),
            settings,
            surroundings,
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
            self.surroundings.metrics.rebuilt();
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
            &self.settings.events_topic,
            Truncation::Refuse,
            self.surroundings.group_metrics.clone(),
        )?;
        let restores = Restores::new(self.settings.memory.clone());
        let mut customers = Customers::new(restores, self.surroundings.metrics.clone());
        self.surroundings.component.ready();
        let mut state = State::Idle(idle);
        let mut supply = Supply::Dry;
        let mut last_commit = Instant::now();
        while !self.surroundings.shutdown.is_requested() {
            self.surroundings.heartbeat.beat();
            while let Some(change) = group.next_change() {
                state = self.rebalance(&mut group, &mut customers, state, change)?;
            }
            customers.bring_back(&group.settle()?)?;
            while let Some(partition) = customers.next_back()? {
                group.read(partition)?;
            }
            group.go_on(|schema| self.engine.has_answer(schema))?;
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
    fn batch(&self, state: State) -> Result<Batch, Rebuild> {
        let idle = match state {
            State::Batch(batch) => return Ok(batch),
            State::Idle(idle) => idle,
        };
        Ok(Batch {
            transaction: idle.begin()?,
            rules: self.surroundings.rules.load_full(),
            positions: Positions::default(),
            load: Load {
                begun: Instant::now(),
                events: 0,
                output_bytes: 0,
            },
            tally: metrics::Tally::default(),
        })
    }

    /// Processes one event within the batch, which begins with it if there is none. An event whose schema
    /// is not known yet leaves no trace.
    fn take(
        &mut self,
        customers: &mut Customers,
        state: State,
        message: &BorrowedMessage<'_>,
    ) -> Result<(Batch, Option<Waiting>), Rebuild> {
        let mut batch = self.batch(state)?;
        let arrival = Arrival {
            offset: message.offset(),
            time: self.clock.bound(message.timestamp().to_millis()),
        };
        let partition = customers.of(message.partition());
        // Only what has no value can be a control record, so that events need not be asked for it.
        let control = match message.payload() {
            None => record::header(message, header::CONTROL),
            Some(_) => None,
        };
        let record = Record {
            key: message.key(),
            value: message.payload(),
            schema_header: if self.engine.takes_headers() {
                record::header(message, header::VALUE_SCHEMA_ID)
            } else {
                None
            },
        };
        let mut winners = Vec::new();
        let engine = &mut self.engine;
        let decided = match control {
            Some(word) => engine.control(word, message.key(), arrival, partition),
            None => engine.decide(record, arrival, &batch.rules, partition, &mut winners),
        };
        match decided {
            Ok(Decided::New(event, decided_at)) => {
                for rule in winners {
                    batch.load.output_bytes += STATE_BYTES
                        + self
                            .emitter
                            .write_match(&batch.transaction, message, (&event, decided_at), rule)
                            .map_err(Rebuild::Produce)?;
                    batch.tally.matched(message.timestamp());
                }
            }
            Ok(Decided::Duplicate(event)) => batch.tally.repeated(event.event_type),
            Ok(Decided::Erased(customer)) => {
                batch.load.output_bytes += self
                    .emitter
                    .write_erased(&batch.transaction, message, customer)
                    .map_err(Rebuild::Produce)?;
                batch.tally.erased += 1;
            }
            Ok(Decided::TakenBefore) => batch.tally.came_again(),
            Err(Undecided::Unread(Unread::Waiting(schema))) => {
                let waiting = Waiting {
                    partition: message.partition(),
                    offset: message.offset(),
                    schema,
                };
                return Ok((batch, Some(waiting)));
            }
            Err(Undecided::Unread(Unread::Never(reason))) => {
                batch.load.output_bytes += self
                    .emitter
                    .write_dead_letter(&batch.transaction, message, &reason, self.values)
                    .map_err(Rebuild::Produce)?
                    .max(1);
                batch.tally.died(&reason);
            }
            Err(Undecided::State(error)) => return Err(error.into()),
        }
        for sequel in self.engine.take_sequels() {
            // The key of an event that was read is its customer.
            let customer = message.key().and_then(|key| std::str::from_utf8(key).ok());
            let whose = (message.partition(), customer.unwrap_or_default());
            batch.load.output_bytes += STATE_BYTES
                + self
                    .emitter
                    .write_sequel(&batch.transaction, whose, &sequel, Some(message))
                    .map_err(Rebuild::Produce)?;
            batch.tally.followed(&sequel);
        }
        batch.tally.undefined_rewards += self.engine.take_undefined_rewards();
        batch
            .positions
            .processed(message.partition(), message.offset());
        batch.load.events += 1;
        Ok((batch, None))
    }

    /// Writes what is due: matches of events whose time to wait is over, and matches that are confirmed.
    fn fire(&mut self, customers: &mut Customers, mut state: State) -> Result<State, Rebuild> {
        for (number, time) in customers.due() {
            let mut batch = self.batch(state)?;
            while let Some(partition) = customers.waiting_in(number)
                && !self.settings.pace.is_full(batch.load)
            {
                let due = self.engine.next_due(time, &batch.rules, partition)?;
                if due.is_empty() {
                    break;
                }
                for due in due {
                    let written = match &due {
                        Due::Match(won) => {
                            batch.tally.was_due(won.event.due);
                            self.emitter.write_due(&batch.transaction, number, won)
                        }
                        Due::Sequel {
                            customer_id,
                            sequel,
                        } => {
                            batch.tally.followed(sequel);
                            let whose = (number, &**customer_id);
                            (self.emitter).write_sequel(&batch.transaction, whose, sequel, None)
                        }
                    };
                    batch.load.output_bytes += written.map_err(Rebuild::Produce)?;
                }
            }
            // A transaction commits offsets; where no event came these are the ones that are committed.
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
        let batch = match state {
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
            return self.abandon(group, batch.transaction.abort()?);
        };
        let counted = &self.surroundings.counted;
        let is_known = |identity, oldest| counted.is_known(identity, oldest);
        let mut written = Vec::new();
        for (number, partition) in customers.changed(&self.engine, &is_known)? {
            let emitter = &self.emitter;
            let state = emitter.write_state(&batch.transaction, number, partition);
            written.push((number, state.map_err(Rebuild::Produce)?));
        }
        let offsets = batch
            .positions
            .to_list(&self.settings.events_topic)
            .map_err(Rebuild::Offsets)?;
        let begun = Instant::now();
        let metrics = &self.surroundings.metrics;
        let noted = batch.transaction.noted();
        match batch.transaction.commit_consumed(&offsets, &member) {
            Ok(idle) => {
                metrics.committed(&batch.tally, batch.load.events, begun.elapsed());
                self.values = Values::Whole;
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
                tracing::warn!(error = %why, too_large, "a batch was aborted and is read again");
                if too_large {
                    self.values = Values::SmallOnly;
                }
                self.abandon(group, idle)
            }
            Err(Failure::Broken(broken)) => {
                metrics.aborted(begun.elapsed());
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
                batch.transaction.abort()?
            }
            state => self.commit(group, customers, state)?,
        };
        for partition in revoked.elements() {
            customers.let_go(partition.partition());
        }
        group.release(&revoked)?;
        Ok(State::Idle(idle))
    }
}
