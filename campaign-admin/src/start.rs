//! Starts the service's parts within a process.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use rdkafka::config::ClientConfig;
use schemas::names::topic;
use service::auth::Auth;
use service::http::api;
use service::kafka::reader::TopicSource;
use service::registry::Documents;
use service::settings::{ApiSettings, KafkaSettings, ScyllaSettings, TopicSettings};
use service::{Component, Health, Metrics, Shutdown, Tracer};
use tokio::runtime::Handle;

use crate::api::{Api, KINDS, routes};
use crate::archive::Archive;
use crate::audiences::{self, Audiences};
use crate::breaker::Breakers;
use crate::catalog::{Catalog, Topic};
use crate::changelog::Changelog;
use crate::changes::{self, Output, Queue, Surroundings, Writer, WriterSettings};
use crate::database::Database;
use crate::follow::{Applier, CatchUp, Follower};
use crate::metrics::AdminMetrics;
use crate::settings::AdminSettings;

/// A writer that has not beaten for so long hangs: the longest calls to Kafka take 30 s each.
const WRITER_MAX_AGE: Duration = Duration::from_mins(2);
/// A change may wait for as long as a request.
const BREAKERS_MAX_AGE: Duration = Duration::from_mins(5);
const FOLLOWER_MAX_AGE: Duration = Duration::from_mins(1);

/// What the service is set to.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Changes.
    pub admin: AdminSettings,
    /// Requests.
    pub api: ApiSettings,
    /// The broker.
    pub kafka: KafkaSettings,
    /// The topics' names.
    pub topics: TopicSettings,
    /// The database; without nodes there are no matches to be read.
    pub scylla: ScyllaSettings,
    /// Added to the transactional id. Empty but for `standalone`, whose embedded broker needs new ids at
    /// each start.
    pub transactional_id_suffix: String,
}

/// The running service: the followers of both topics and the writer.
pub struct Admin {
    threads: Vec<JoinHandle<()>>,
}

impl Admin {
    /// Starts the threads and returns the routes of the API. Once nobody holds the routes any more, the
    /// writer ends.
    ///
    /// # Errors
    /// A thread cannot be started.
    ///
    /// # Panics
    /// Outside of a tokio runtime, which carries the sockets of the database and of the schema registry.
    pub fn start(
        settings: &Settings,
        documents: &Documents,
        auth: &Auth,
        health: &Health,
        (metrics, tracer): (&Metrics, &Tracer),
        shutdown: &Shutdown,
    ) -> anyhow::Result<(Self, Router)> {
        let parts = Parts {
            settings,
            documents,
            catalog: Arc::new(Catalog::new()),
            metrics: AdminMetrics::new(metrics),
        };
        let mut threads = Vec::new();
        for (topic, name) in [
            (Topic::Campaigns, "campaigns"),
            (Topic::Changes, "campaign-changes"),
        ] {
            let follower = Follower {
                source: parts.source(topic),
                applier: parts.applier(topic),
                component: health.component(name),
                heartbeat: health.heartbeat(name, FOLLOWER_MAX_AGE),
                shutdown: shutdown.clone(),
            };
            threads.push(spawn(name, move || follower.run())?);
        }

        let (changes, queue) = changes::queue(settings.admin.change_timeout);
        let catch_up = CatchUp::new(
            (
                parts.source(Topic::Campaigns),
                parts.applier(Topic::Campaigns),
            ),
            (parts.source(Topic::Changes), parts.applier(Topic::Changes)),
        );
        let waiting = WaitingWriter {
            producer: parts.producer(),
            topics: settings.topics.clone(),
            documents: documents.clone(),
            schemas: health.component("schemas"),
            health: health.clone(),
            runtime: Handle::current(),
            catalog: Arc::clone(&parts.catalog),
            metrics: parts.metrics.clone(),
            shutdown: shutdown.clone(),
        };
        threads.push(spawn("writer", move || {
            // Without it the queue is dropped, and whoever asks for a change is told at once.
            if let Some(writer) = waiting.begin(queue, catch_up) {
                writer.run();
            }
        })?);

        let topics = &settings.topics;
        let breakers = Breakers {
            source: TopicSource::new(&settings.kafka, &topics.campaign_events_topic),
            catalog: Arc::clone(&parts.catalog),
            changes: changes.clone(),
            runtime: Handle::current(),
            heartbeat: health.heartbeat("breakers", BREAKERS_MAX_AGE),
            shutdown: shutdown.clone(),
        };
        threads.push(spawn("breakers", move || breakers.run())?);
        let audiences = Audiences::new(&topics.audience_members_topic, settings.kafka.producer());
        let follower = audiences::Follower {
            audiences: audiences.clone(),
            kafka: settings.kafka.clone(),
            events_topic: topics.events_topic.clone(),
            heartbeat: health.heartbeat("audiences", FOLLOWER_MAX_AGE),
            shutdown: shutdown.clone(),
        };
        threads.push(spawn("audiences", move || follower.run())?);
        let api = Api {
            archive: {
                let documents = documents.clone();
                Archive::new(parts.source(Topic::Changes), move || documents.reader())
            },
            database: Database::start(&settings.scylla, parts.metrics.clone(), shutdown.clone()),
            customers: parts.changelog(&topics.customer_state_topic, &topics.events_topic),
            budgets: parts.changelog(&topics.budget_state_topic, &topics.claims_topic),
            audiences,
            catalog: parts.catalog,
            changes,
        };
        let timeout = settings.api.http_request_timeout;
        let around = api::Api::new("admin", metrics, timeout, tracer.clone());
        Ok((Self { threads }, around.wrap(routes(api, auth), &KINDS)))
    }

    /// Waits until all threads have ended, which they do after a shutdown was requested and the routes
    /// were dropped.
    pub fn join(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread of campaign-admin panicked");
            }
        }
    }
}

/// What the parts are made of.
struct Parts<'s> {
    settings: &'s Settings,
    documents: &'s Documents,
    catalog: Arc<Catalog>,
    metrics: AdminMetrics,
}

impl Parts<'_> {
    fn source(&self, topic: Topic) -> TopicSource {
        let topics = &self.settings.topics;
        let name = match topic {
            Topic::Campaigns => &topics.campaigns_topic,
            Topic::Changes => &topics.campaign_changes_topic,
        };
        TopicSource::new(&self.settings.kafka, name)
    }

    fn applier(&self, topic: Topic) -> Applier {
        Applier {
            topic,
            catalog: Arc::clone(&self.catalog),
            metrics: self.metrics.clone(),
            documents: self.documents.reader(),
        }
    }

    /// The changelog on that topic, of a service that reads another.
    fn changelog(&self, topic: &str, asked_topic: &str) -> Changelog {
        let Settings { kafka, api, .. } = self.settings;
        Changelog::new(
            TopicSource::new(kafka, topic),
            // Less than the request has, so that the answer says why it takes too long.
            api.http_request_timeout.mul_f32(0.9),
            asked_topic,
            kafka.producer(),
        )
    }

    /// Whoever writes to the same topic must fence, and be fenced by, all others that do. So the id is the
    /// topic's, and nothing that could be set differently.
    fn producer(&self) -> ClientConfig {
        let id = format!(
            "campaign-admin-{}{}",
            self.settings.topics.campaigns_topic, self.settings.transactional_id_suffix
        );
        self.settings.kafka.transactional_producer(&id)
    }
}

/// The writer, before it is known how changes are written.
struct WaitingWriter {
    producer: ClientConfig,
    topics: TopicSettings,
    documents: Documents,
    /// Ready once it is known.
    schemas: Component,
    health: Health,
    runtime: Handle,
    catalog: Arc<Catalog>,
    metrics: AdminMetrics,
    shutdown: Shutdown,
}

impl WaitingWriter {
    /// Waits for the schema registry, if there is one. None: the process shuts down.
    fn begin(self, queue: Queue, catch_up: CatchUp) -> Option<Writer> {
        let topics = &self.topics;
        let written = [
            (topic::CAMPAIGNS, &*topics.campaigns_topic),
            (topic::CAMPAIGN_CHANGES, &*topics.campaign_changes_topic),
        ];
        let asked = (self.documents).encodings(written, &self.schemas, &self.shutdown);
        let [campaign_encoding, change_encoding] = self.runtime.block_on(asked)?;
        let settings = WriterSettings {
            producer: self.producer,
            output: Output {
                campaigns: self.topics.campaigns_topic,
                changes: self.topics.campaign_changes_topic,
                campaign_encoding,
                change_encoding,
            },
        };
        let surroundings = Surroundings {
            catalog: self.catalog,
            metrics: self.metrics,
            heartbeat: self.health.heartbeat("writer", WRITER_MAX_AGE),
            shutdown: self.shutdown,
        };
        Some(Writer::new(settings, queue, catch_up, surroundings))
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> anyhow::Result<JoinHandle<()>> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .with_context(|| format!("starting thread {name}"))
}
