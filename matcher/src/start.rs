//! Starts the matcher's parts within a process.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use disk::Disk;
use rdkafka::config::ClientConfig;
use rules::RuleSet;
use schemas::Encoding;
use schemas::names::topic;
use service::kafka::reader::TopicSource;
use service::registry::Documents;
use service::settings::{KafkaSettings, ScyllaSettings, TopicSettings};
use service::{Component, Health, Metrics, Shutdown, Tracer};

use crate::audiences::{AudienceMetrics, AudienceSource, Audiences, Wanted};
use crate::campaigns::{
    Armed, Budgets, CampaignMetrics, Counted, Follower, FollowerSettings, TripFollower,
};
use crate::group::{GroupMetrics, Orphans};
use crate::recorder::{self, Recorder, RecorderMetrics, RecorderSettings};
use crate::series::Series;
use crate::settings::MatcherSettings;
use crate::settler::{Campaigns, Settle, SettleSettings, SettlerMetrics, SettlerSettings};
use crate::worker::{
    Decide, DecideSettings, DiskMemory, Duty, KeptMetrics, Memory, Surroundings, Worker,
    WorkerMetrics, WorkerSettings,
};

/// A worker that has not beaten for so long hangs. The longest call to Kafka takes 30 s.
const WORKER_MAX_AGE: Duration = Duration::from_mins(2);
const FOLLOWER_MAX_AGE: Duration = Duration::from_mins(1);
/// The recorder tries a row three times, 2 s each, and connects for 5 s.
const RECORDER_MAX_AGE: Duration = Duration::from_mins(1);

/// What the matcher is set to.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The workers.
    pub matcher: MatcherSettings,
    /// The settlers.
    pub settler: SettlerSettings,
    /// The broker.
    pub kafka: KafkaSettings,
    /// The topics' names.
    pub topics: TopicSettings,
    /// The recorder.
    pub recorder: RecorderSettings,
    /// The database; without nodes there is no recorder.
    pub scylla: ScyllaSettings,
    /// Added to each transactional id. Empty but for `standalone`, whose embedded broker needs new
    /// ids at each start.
    pub transactional_id_suffix: String,
    /// Called on a thread that nobody waits for when much memory was freed, to give it back to the system there.
    pub give_back: fn(),
}

/// The running matcher: the campaigns' follower, the workers and the recorder.
pub struct Matcher {
    threads: Vec<JoinHandle<()>>,
}

impl Matcher {
    /// Starts the threads. Workers join their group once the campaigns are read to their end and the schema
    /// of matches is known.
    ///
    /// # Errors
    /// A thread cannot be started.
    ///
    /// # Panics
    /// Outside of a tokio runtime, which carries the sockets of the database and of the schema registry.
    pub fn start(
        settings: &Settings,
        documents: &Documents,
        health: &Health,
        (metrics, tracer): (&Metrics, &Tracer),
        shutdown: &Shutdown,
    ) -> anyhow::Result<Self> {
        let rules = Arc::new(ArcSwap::from_pointee(RuleSet::default()));
        let counted = Counted::default();
        let budgets = Budgets::default();
        let armed = Armed::default();
        let (tripped, trips) = mpsc::channel();
        let trip_follower = TripFollower {
            source: TopicSource::new(&settings.kafka, &settings.topics.campaign_events_topic),
            trips: tripped,
            heartbeat: health.heartbeat("campaign-events", FOLLOWER_MAX_AGE),
            shutdown: shutdown.clone(),
        };
        let audiences_wanted = Wanted::default();
        let (loaded, is_loaded) = mpsc::sync_channel::<()>(1);
        let follower = Follower {
            settings: FollowerSettings {
                source: TopicSource::new(&settings.kafka, &settings.topics.campaigns_topic),
                documents: documents.clone(),
                give_back: settings.give_back,
            },
            rules: Arc::clone(&rules),
            counted: counted.clone(),
            budgets: budgets.clone(),
            armed: armed.clone(),
            trips,
            audiences: audiences_wanted.clone(),
            metrics: CampaignMetrics::new(metrics),
            component: health.component("campaigns"),
            heartbeat: health.heartbeat("campaigns", FOLLOWER_MAX_AGE),
            shutdown: shutdown.clone(),
        };
        let mut threads = vec![spawn("campaigns", move || {
            follower.run(|| {
                // The receiver is gone only when the process shuts down.
                let _ = loaded.send(());
            });
        })?];
        threads.push(spawn("campaign-events", move || trip_follower.run())?);

        let group_metrics = GroupMetrics::new(metrics, "matcher");
        let matched = (&*settings.matcher.group, &*settings.topics.events_topic);
        threads.extend(look_after(settings, matched, &group_metrics, shutdown)?);
        let settler_metrics = GroupMetrics::new(metrics, "settler");
        let settled = (&*settings.settler.group, &*settings.topics.claims_topic);
        threads.extend(look_after(settings, settled, &settler_metrics, shutdown)?);
        let by_campaign = Series::of_campaigns(metrics);
        let pool = Pool {
            memory: memory(settings)?,
            settings: settings.clone(),
            documents: documents.clone(),
            schemas: health.component("schemas"),
            runtime: tokio::runtime::Handle::current(),
            armed,
            campaigns: Campaigns {
                rules,
                budgets,
                counted,
            },
            audiences: (audiences_wanted, AudienceMetrics::new(metrics)),
            matchers: Role {
                metrics: WorkerMetrics::new(metrics, by_campaign.clone()),
                kept: KeptMetrics::of_matchers(metrics),
                group: group_metrics,
            },
            settlers: Role {
                metrics: SettlerMetrics::new(metrics, by_campaign),
                kept: KeptMetrics::of_settlers(metrics),
                group: settler_metrics,
            },
            health: health.clone(),
            tracer: tracer.clone(),
            shutdown: shutdown.clone(),
        };
        threads.push(spawn("workers", move || pool.run(&is_loaded))?);
        if settings.scylla.nodes.is_empty() {
            tracing::info!("SCYLLA_NODES is not set: matches are not recorded in a database");
        } else {
            let group_metrics = GroupMetrics::new(metrics, "recorder");
            let written = (&*settings.recorder.group, &*settings.topics.matches_topic);
            threads.extend(look_after(settings, written, &group_metrics, shutdown)?);
            let surroundings = recorder::Surroundings {
                metrics: RecorderMetrics::new(metrics),
                group_metrics,
                tracer: tracer.clone(),
                component: health.component("recorder"),
                heartbeat: health.heartbeat("recorder", RECORDER_MAX_AGE),
                shutdown: shutdown.clone(),
                runtime: tokio::runtime::Handle::current(),
            };
            let setup = recorder_setup(settings);
            let recorder = Recorder::new(setup, documents.reader(), surroundings);
            threads.push(spawn("recorder", move || recorder.run())?);
        }
        Ok(Self { threads })
    }

    /// Waits until all threads have ended, which they do after a shutdown was requested.
    pub fn join(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the matcher panicked");
            }
        }
    }
}

/// The workers, before they run.
struct Pool {
    settings: Settings,
    memory: Memory,
    documents: Documents,
    /// Ready once it is known how matches are written.
    schemas: Component,
    runtime: tokio::runtime::Handle,
    armed: Armed,
    campaigns: Campaigns,
    audiences: (Wanted, AudienceMetrics),
    matchers: Role<WorkerMetrics>,
    settlers: Role<SettlerMetrics>,
    health: Health,
    tracer: Tracer,
    shutdown: Shutdown,
}

/// What workers of one role tell.
struct Role<M> {
    metrics: M,
    kept: KeptMetrics,
    group: GroupMetrics,
}

impl Pool {
    /// Runs the workers as soon as the campaigns and the schema of matches are known, until they have all
    /// ended.
    fn run(self, is_loaded: &mpsc::Receiver<()>) {
        let topics = [(topic::MATCHES, &*self.settings.topics.matches_topic)];
        let asked = (self.documents).encodings(topics, &self.schemas, &self.shutdown);
        let Some([encoding]) = self.runtime.block_on(asked) else {
            return;
        };
        // The sender is dropped when the follower ends before it has read the campaigns.
        if is_loaded.recv().is_err() {
            return;
        }
        thread::scope(|scope| {
            for number in 0..self.settings.matcher.workers() {
                let settings = worker_settings(&self.settings, number, self.memory.clone());
                let campaigns = &self.campaigns;
                let duty = Decide::new(
                    decide_settings(&self.settings, encoding),
                    self.documents.reader(),
                    (
                        Arc::clone(&campaigns.rules),
                        campaigns.counted.clone(),
                        self.armed.clone(),
                    ),
                    self.audiences(),
                    self.matchers.metrics.clone(),
                );
                self.begin(scope, settings, duty, &self.matchers);
            }
            for number in 0..usize::from(self.settings.settler.workers) {
                let settings = settler_settings(&self.settings, number);
                let duty = Settle::new(
                    settle_settings(&self.settings, encoding),
                    self.campaigns.clone(),
                    self.settlers.metrics.clone(),
                );
                self.begin(scope, settings, duty, &self.settlers);
            }
        });
    }

    /// The audiences of a worker.
    fn audiences(&self) -> Audiences {
        let source = AudienceSource {
            kafka: self.settings.kafka.clone(),
            topic: self.settings.topics.audience_members_topic.clone(),
        };
        let (wanted, metrics) = self.audiences.clone();
        Audiences::new(source, wanted, metrics)
    }

    /// Starts the thread of a worker.
    fn begin<'scope, M>(
        &self,
        scope: &'scope thread::Scope<'scope, '_>,
        settings: WorkerSettings,
        duty: impl Duty + Send + 'scope,
        role: &Role<M>,
    ) {
        let name = settings.name.clone();
        let surroundings = Surroundings {
            kept_metrics: role.kept.clone(),
            group_metrics: role.group.clone(),
            tracer: self.tracer.clone(),
            component: self.health.component(&name),
            heartbeat: self.health.heartbeat(&name, WORKER_MAX_AGE),
            shutdown: self.shutdown.clone(),
        };
        let worker = Worker::new(settings, duty, surroundings);
        let started = thread::Builder::new()
            .name(name)
            .spawn_scoped(scope, move || worker.run());
        if let Err(error) = started {
            self.shutdown
                .fail(&anyhow::Error::new(error).context("starting a worker's thread"));
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> anyhow::Result<JoinHandle<()>> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .with_context(|| format!("starting thread {name}"))
}

/// Looks after the partitions of a group whose members have stable names.
fn look_after(
    settings: &Settings,
    (group, topic): (&str, &str),
    metrics: &GroupMetrics,
    shutdown: &Shutdown,
) -> anyhow::Result<Option<JoinHandle<()>>> {
    if settings.matcher.instance.is_none() {
        return Ok(None);
    }
    let orphans = Orphans {
        member: settings.kafka.consumer(group),
        group: group.to_owned(),
        topic: topic.to_owned(),
        metrics: metrics.clone(),
        shutdown: shutdown.clone(),
    };
    spawn(&format!("{group}-orphans"), move || orphans.run()).map(Some)
}

/// Static membership (KIP-345) only where the name is known to be stable: after a kill the same name
/// takes its partitions back without a rebalance, and its predecessor is fenced.
fn member(settings: &Settings, group: &str, slot: &str) -> ClientConfig {
    let mut consumer = settings.kafka.consumer(group);
    if settings.matcher.instance.is_some() {
        consumer.set("group.instance.id", slot);
    }
    consumer
}

fn recorder_setup(settings: &Settings) -> recorder::Setup {
    let slot = format!("{}-recorder", settings.matcher.instance());
    recorder::Setup {
        settings: settings.recorder.clone(),
        scylla: settings.scylla.clone(),
        consumer: member(settings, &settings.recorder.group, &slot),
        producer: settings.kafka.producer(),
        matches_topic: settings.topics.matches_topic.clone(),
        dead_letters_topic: settings.topics.dead_letters_topic.clone(),
    }
}

/// Where customers are remembered. Opens the folder, if there is one.
fn memory(settings: &Settings) -> anyhow::Result<Memory> {
    let changelog = &settings.topics.customer_state_topic;
    let matcher = &settings.matcher;
    let disk = match &matcher.state_dir {
        None => None,
        Some(folder) => {
            let disk = Disk::open(folder, matcher.state_memory).context("STATE_DIR")?;
            Some(DiskMemory::new(disk, settings.kafka.clone(), changelog))
        }
    };
    Ok(Memory {
        changelog: TopicSource::new(&settings.kafka, changelog),
        disk,
    })
}

fn worker_settings(settings: &Settings, number: usize, memory: Memory) -> WorkerSettings {
    let matcher = &settings.matcher;
    let slot = format!("{}-{number}", matcher.instance());
    let transactional_id = format!(
        "{}-{slot}{}",
        matcher.group, settings.transactional_id_suffix
    );
    let mut consumer = member(settings, &matcher.group, &slot);
    // Whether what waits is due is a question of the clock only where all records are read.
    consumer.set("enable.partition.eof", "true");
    let mut producer = settings.kafka.transactional_producer(&transactional_id);
    if memory.disk.is_none() {
        report_failures_alone(&mut producer);
    }
    WorkerSettings {
        memory,
        name: format!("worker-{number}"),
        consumer,
        producer,
        topic: settings.topics.events_topic.clone(),
        pace: matcher.pace(),
    }
}

fn decide_settings(settings: &Settings, encoding: Encoding) -> DecideSettings {
    let (matcher, topics) = (&settings.matcher, &settings.topics);
    DecideSettings {
        events_topic: topics.events_topic.clone(),
        matches_topic: topics.matches_topic.clone(),
        claims_topic: topics.claims_topic.clone(),
        refusals_topic: topics.refusals_topic.clone(),
        dead_letters_topic: topics.dead_letters_topic.clone(),
        times: matcher.times(),
        encoding,
        limits: matcher.limits(),
    }
}

/// Budgets are few, and kept in memory.
fn settler_settings(settings: &Settings, number: usize) -> WorkerSettings {
    let group = &settings.settler.group;
    let slot = format!("{}-settler-{number}", settings.matcher.instance());
    let transactional_id = format!("{group}-{slot}{}", settings.transactional_id_suffix);
    let mut producer = settings.kafka.transactional_producer(&transactional_id);
    report_failures_alone(&mut producer);
    WorkerSettings {
        memory: Memory {
            changelog: TopicSource::new(&settings.kafka, &settings.topics.budget_state_topic),
            disk: None,
        },
        name: format!("settler-{number}"),
        consumer: member(settings, group, &slot),
        producer,
        topic: settings.topics.claims_topic.clone(),
        pace: settings.matcher.pace(),
    }
}

/// Offsets of what was written are asked for only where customers are on disk (`Open::noted`): without them nobody needs the
/// report of each record that was delivered, and another thread is spared waking for them.
fn report_failures_alone(producer: &mut ClientConfig) {
    producer.set("delivery.report.only.error", "true");
}

fn settle_settings(settings: &Settings, encoding: Encoding) -> SettleSettings {
    let topics = &settings.topics;
    SettleSettings {
        matches_topic: topics.matches_topic.clone(),
        refusals_topic: topics.refusals_topic.clone(),
        events_topic: topics.events_topic.clone(),
        campaign_events_topic: topics.campaign_events_topic.clone(),
        dead_letters_topic: topics.dead_letters_topic.clone(),
        encoding,
    }
}
