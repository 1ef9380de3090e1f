//! Starts the service's parts within a process.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use rdkafka::config::ClientConfig;
use schemas::{Encoding, Reader};
use service::auth::Auth;
use service::http::api;
use service::kafka::reader::TopicSource;
use service::settings::{ApiSettings, KafkaSettings, ScyllaSettings, TopicSettings};
use service::{Health, Metrics, Shutdown};

use crate::api::{Api, KINDS, routes};
use crate::archive::Archive;
use crate::catalog::{Catalog, Topic};
use crate::changes::{self, Output, Surroundings, Writer, WriterSettings};
use crate::database::Database;
use crate::follow::{Applier, CatchUp, Follower};
use crate::metrics::AdminMetrics;
use crate::settings::AdminSettings;

/// A writer that has not beaten for so long hangs: the longest calls to Kafka take 30 s each.
const WRITER_MAX_AGE: Duration = Duration::from_mins(2);
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
    /// Outside of a tokio runtime, which carries the sockets of the database.
    pub fn start(
        settings: &Settings,
        auth: &Auth,
        health: &Health,
        metrics: &Metrics,
        shutdown: &Shutdown,
    ) -> anyhow::Result<(Self, Router)> {
        let parts = Parts {
            settings,
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
        let writer = Writer::new(
            WriterSettings {
                producer: parts.producer(),
                output: parts.output(),
            },
            queue,
            CatchUp::new(
                (
                    parts.source(Topic::Campaigns),
                    parts.applier(Topic::Campaigns),
                ),
                (parts.source(Topic::Changes), parts.applier(Topic::Changes)),
            ),
            Surroundings {
                catalog: Arc::clone(&parts.catalog),
                metrics: parts.metrics.clone(),
                heartbeat: health.heartbeat("writer", WRITER_MAX_AGE),
                shutdown: shutdown.clone(),
            },
        );
        threads.push(spawn("writer", move || writer.run())?);

        let api = Api {
            archive: Archive::new(parts.source(Topic::Changes), documents),
            database: Database::start(&settings.scylla, parts.metrics.clone(), shutdown.clone()),
            catalog: parts.catalog,
            changes,
        };
        let around = api::Api::new("admin", metrics, settings.api.http_request_timeout);
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
            documents: documents(),
        }
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

    fn output(&self) -> Output {
        Output {
            campaigns: self.settings.topics.campaigns_topic.clone(),
            changes: self.settings.topics.campaign_changes_topic.clone(),
            campaign_encoding: Encoding::Json,
            change_encoding: Encoding::Json,
        }
    }
}

fn documents() -> Reader {
    Reader::json()
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> anyhow::Result<JoinHandle<()>> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .with_context(|| format!("starting thread {name}"))
}
