//! The one thread of a process that writes changes: see [`crate::changes`] for why none is lost.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use schemas::CampaignId;
use service::http::TraceContext;
use service::kafka::reader::ReadError;
use service::kafka::transaction::{Broken, Failure, Idle};
use service::retry::Backoff;
use service::{Heartbeat, Shutdown};

use super::decide::{Decision, Plan, decide};
use super::queue::{Command, Queue};
use super::record::Output;
use super::request::{Outcome, Refusal};
use crate::catalog::{Catalog, Current, Standing};
use crate::follow::CatchUp;
use crate::metrics::AdminMetrics;

/// How long an idle writer waits for a change before it looks after everything else.
const IDLE: Duration = Duration::from_millis(100);

/// Most changes of one transaction.
const MAX_BATCH: usize = 100;

/// How long to wait for the records of a transaction to come back through the topics. They do within
/// milliseconds, unless somebody else holds a transaction open on them.
const READ_BACK: Duration = Duration::from_secs(5);

/// Taking over takes some 30 ms, so who was just fenced waits for at least as long: whoever did it has
/// then made his change. The longest pause leaves several attempts within the patience of a request.
const FIRST_PAUSE: Duration = Duration::from_millis(80);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What the writer needs.
pub(crate) struct WriterSettings {
    /// The transactional producer; its id is shared by all replicas.
    pub(crate) producer: ClientConfig,
    pub(crate) output: Output,
}

/// What it shares with the rest of the process.
pub(crate) struct Surroundings {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) metrics: AdminMetrics,
    pub(crate) heartbeat: Heartbeat,
    pub(crate) shutdown: Shutdown,
}

/// Why an attempt came to nothing. The next one begins from what is known then.
#[derive(Debug, thiserror::Error)]
enum Stumble {
    #[error("the transactional producer failed at {0}")]
    Producer(#[from] Broken),
    #[error("the transaction was aborted: {0}")]
    Aborted(KafkaError),
    #[error("a record cannot be produced: {0}")]
    Produce(KafkaError),
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// See the module. Runs on a thread of its own.
pub(crate) struct Writer {
    settings: WriterSettings,
    surroundings: Surroundings,
    queue: Queue,
    catch_up: CatchUp,
    /// None: it was fenced or is broken.
    producer: Option<Idle>,
    /// Whether everything that was written before the producer began has been read.
    is_current: bool,
    /// One, after the broker found something too large: to know what.
    batch: usize,
}

/// What is to come of some changes, in their order, each on top of those before.
#[derive(Default)]
struct Draft {
    standings: HashMap<CampaignId, Standing>,
    /// For each change.
    made: Vec<Result<Outcome, Refusal>>,
    /// What is to be written, by the place of its change.
    plans: Vec<(usize, Plan)>,
}

impl Draft {
    fn new(catalog: &Catalog, commands: &[Command], now: Timestamp) -> Self {
        let mut draft = Self::default();
        for command in commands {
            let id = &command.change.campaign;
            let standing = draft
                .standings
                .entry(id.clone())
                .or_insert_with(|| catalog.standing(id));
            let made = match decide(&command.change, standing, now) {
                Err(refusal) => Err(refusal),
                Ok(Decision::Unchanged(current)) => Ok(stored(&current, false)),
                Ok(Decision::Write(plan)) => {
                    let outcome = advance(standing, command, &plan);
                    draft.plans.push((draft.made.len(), *plan));
                    Ok(outcome)
                }
            };
            draft.made.push(made);
        }
        draft
    }

    /// Whether some change comes to nothing by what is there.
    fn depends_on_the_present(&self) -> bool {
        self.plans.len() < self.made.len()
    }
}

/// Puts the campaign to what it will be.
fn advance(standing: &mut Standing, command: &Command, plan: &Plan) -> Outcome {
    let created = standing.current.is_none();
    standing.changed_at = Some(plan.changed_at);
    let Some(after) = &plan.after else {
        standing.current = None;
        return Outcome::Deleted;
    };
    standing.highest = after.version;
    let current = Arc::new(Current {
        campaign: after.clone(),
        offset: -1,
        written_at: plan.changed_at,
        change: Some(command.id),
    });
    let outcome = stored(&current, created);
    standing.current = Some(current);
    outcome
}

fn stored(current: &Arc<Current>, created: bool) -> Outcome {
    Outcome::Stored {
        tag: current.tag(),
        written_at: current.written_at,
        created,
        campaign: Arc::new(current.campaign.clone()),
    }
}

impl Writer {
    pub(crate) fn new(
        settings: WriterSettings,
        queue: Queue,
        catch_up: CatchUp,
        surroundings: Surroundings,
    ) -> Self {
        Self {
            settings,
            surroundings,
            queue,
            catch_up,
            producer: None,
            is_current: false,
            batch: MAX_BATCH,
        }
    }

    /// Writes changes until nobody is left to ask for them: a process that shuts down still makes those
    /// that it was asked for before.
    pub(crate) fn run(mut self) {
        loop {
            self.surroundings.heartbeat.beat();
            match self.queue.wait(MAX_BATCH, IDLE) {
                None => return,
                Some(commands) if commands.is_empty() => {}
                Some(commands) => self.serve(commands),
            }
        }
    }

    /// Makes these changes and those that come meanwhile, until none is left or they were given up.
    fn serve(&mut self, mut commands: Vec<Command>) {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            self.surroundings.heartbeat.beat();
            match self.attempt(&mut commands) {
                Ok(()) => backoff.reset(),
                Err(stumble) => {
                    self.stumbled(&stumble);
                    if self.surroundings.shutdown.is_requested() {
                        return;
                    }
                    self.surroundings.shutdown.wait(backoff.next_delay());
                }
            }
            if commands.is_empty() {
                return;
            }
            self.queue.fill(&mut commands, MAX_BATCH);
        }
    }

    fn stumbled(&self, stumble: &Stumble) {
        if let Stumble::Producer(broken) = stumble
            && broken.is_fenced()
        {
            tracing::debug!("another replica wrote a change; reading it and trying again");
            self.surroundings.metrics.repeated("fenced");
        } else {
            tracing::warn!(error = %stumble, "changes wait, trying again");
            self.surroundings.metrics.repeated("failed");
        }
    }

    /// Tries to make as many of the changes as one transaction takes. Those that are answered leave the
    /// list.
    fn attempt(&mut self, commands: &mut Vec<Command>) -> Result<(), Stumble> {
        let caught_up = self.become_current()?;
        self.settle_doubts(commands);
        let mut rest = commands.split_off(commands.len().min(self.batch));
        // Those that were given up are gone; the others cannot be given up from here on.
        commands.retain(|command| command.claim.begin());
        let result = self.make(commands, caught_up);
        for command in &*commands {
            if command.in_doubt.is_none() {
                command.claim.release();
            }
        }
        commands.append(&mut rest);
        result
    }

    /// Makes sure of a producer that fences all others, and that everything before it has been read.
    /// Returns whether that was read just now.
    fn become_current(&mut self) -> Result<bool, Stumble> {
        if self.producer.is_none() {
            self.is_current = false;
            self.producer = Some(Idle::connect(&self.settings.producer)?);
            self.surroundings.metrics.took_over();
        }
        if self.is_current {
            return Ok(false);
        }
        self.catch_up.read_to_end()?;
        self.is_current = true;
        Ok(true)
    }

    /// Answers those changes whose commit was not answered, but was done. The others were not made, and
    /// never will be: their producer is fenced.
    fn settle_doubts(&self, commands: &mut Vec<Command>) {
        let catalog = &self.surroundings.catalog;
        for at in (0..commands.len()).rev() {
            let command = &mut commands[at];
            let Some(outcome) = command.in_doubt.take() else {
                continue;
            };
            if catalog.has_change(&command.change.campaign, command.id) {
                commands.remove(at).answer(Ok(outcome));
            } else {
                command.claim.release();
            }
        }
    }

    /// Makes the changes of `batch`, which it empties if it succeeds.
    fn make(&mut self, batch: &mut Vec<Command>, caught_up: bool) -> Result<(), Stumble> {
        let catalog = Arc::clone(&self.surroundings.catalog);
        let mut draft = Draft::new(&catalog, batch, now());
        if draft.depends_on_the_present() && !caught_up {
            // Another replica may have made a change that was acknowledged before these were asked for.
            self.catch_up.read_to_end()?;
            draft = Draft::new(&catalog, batch, now());
        }
        if !draft.plans.is_empty() {
            self.commit(batch, &mut draft)?;
        }
        for (command, made) in batch.drain(..).zip(draft.made) {
            command.answer(made);
        }
        Ok(())
    }

    fn commit(&mut self, batch: &mut [Command], draft: &mut Draft) -> Result<(), Stumble> {
        let Surroundings {
            catalog, metrics, ..
        } = &self.surroundings;
        let idle = self.producer.take();
        let idle = idle.expect("the writer has become current, and so has a producer");
        let begun = Instant::now();
        let transaction = idle.begin()?;
        for (at, plan) in &draft.plans {
            self.settings
                .output
                .write(&transaction, &batch[*at], plan)
                .map_err(Stumble::Produce)?;
        }
        if let Some((last, _)) = draft.plans.last() {
            catalog.expect(batch[*last].id);
        }
        let idle = match transaction.commit() {
            Ok(idle) => idle,
            Err(Failure::Aborted {
                idle,
                why,
                too_large,
            }) => {
                self.is_current &= !idle.is_new();
                self.producer = Some(idle);
                return self.aborted(draft, why, too_large);
            }
            Err(Failure::Broken(broken)) => {
                for (at, _) in &draft.plans {
                    batch[*at].in_doubt = draft.made[*at].clone().ok();
                }
                return Err(broken.into());
            }
        };
        self.batch = MAX_BATCH;
        self.is_current &= !idle.is_new();
        self.producer = Some(idle);
        metrics.committed(begun.elapsed());
        for (at, plan) in &draft.plans {
            metrics.changed(plan.action);
            log(&batch[*at], plan);
        }
        if !catalog.wait(Instant::now() + READ_BACK) {
            tracing::warn!(
                "changes are committed, but not read yet; is a transaction of others open?"
            );
            self.is_current = false;
        }
        Ok(())
    }

    /// Nothing of the transaction is visible. A change that is too large for the broker is refused, once
    /// it is known which it is.
    fn aborted(
        &mut self,
        draft: &mut Draft,
        why: KafkaError,
        too_large: bool,
    ) -> Result<(), Stumble> {
        if !too_large {
            return Err(Stumble::Aborted(why));
        }
        if let [(at, _)] = draft.plans[..] {
            draft.made[at] = Err(Refusal::TooLarge);
            self.batch = MAX_BATCH;
            return Ok(());
        }
        self.batch = 1;
        Err(Stumble::Aborted(why))
    }
}

fn log(command: &Command, plan: &Plan) {
    let trace = command.change.traceparent.as_deref().map(str::as_bytes);
    let trace_id = trace
        .and_then(TraceContext::read)
        .map(|trace| trace.trace_id());
    tracing::info!(
        campaign_id = %command.change.campaign,
        version = plan.after.as_ref().map(|after| after.version),
        action = ?plan.action,
        actor = &*command.change.actor,
        trace_id,
        "campaign changed"
    );
}

/// In the precision that records and readers of JSON keep.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}
