//! Starts ingest within a process.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::routing::post;
use schemas::names::topic;
use service::auth::Auth;
use service::http::problem::COMMON;
use service::http::{Api, ServerLimits, listen, serve_api};
use service::registry::Documents;
use service::retry::Backoff;
use service::{Component, Health, Metrics, Shutdown, Tracer};
use tokio::net::TcpListener;

use crate::body::{BodyLimits, Budget};
use crate::event_schemas::EventSchemas;
use crate::handler::{Door, post_events};
use crate::metrics::IngestMetrics;
use crate::openapi;
use crate::outage::Outage;
use crate::producer::{Deliveries, Producer};
use crate::settings::Settings;

/// Longest time to ask the broker for the topic once.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// The running service: its door and its server's address.
pub struct Ingest {
    door: Arc<Door>,
    address: SocketAddr,
    listener: TcpListener,
    routes: Router,
    limits: ServerLimits,
    start: Start,
    shutdown: Shutdown,
}

impl Ingest {
    /// Reads keys and schemas and listens. Requests are taken once [`Ingest::run`] runs.
    ///
    /// # Errors
    /// A setting cannot be used: a broken schema, no keys, an address that is taken.
    pub async fn start(
        settings: &Settings,
        documents: Documents,
        health: &Health,
        (metrics, tracer): (&Metrics, &Tracer),
        shutdown: &Shutdown,
    ) -> anyhow::Result<Self> {
        let start = Start {
            documents,
            topic: settings.topics.events_topic.clone(),
            schemas: health.component("schemas"),
            component: health.component("ingest"),
        };
        let schemas = match &settings.ingest.event_schemas_dir {
            Some(folder) => EventSchemas::read(folder)?,
            None => EventSchemas::default(),
        };
        if schemas.len() > 0 {
            tracing::info!(types = schemas.len(), "schemas of events");
        }
        let auth = Auth::start(&settings.auth, "ingest", metrics, shutdown).await?;
        let outage = Outage::new();
        let ingest_metrics = IngestMetrics::new(metrics);
        let deliveries = Deliveries {
            outage: Arc::clone(&outage),
            metrics: ingest_metrics.clone(),
            shutdown: shutdown.clone(),
        };
        let door = Arc::new(Door {
            auth,
            body_limits: BodyLimits {
                max_bytes: usize::try_from(settings.ingest.max_body_bytes)?,
                timeout: settings.ingest.body_timeout,
            },
            max_events: usize::try_from(settings.ingest.max_body_events)?,
            event_limits: settings.ingest.event_limits(),
            schemas,
            budget: Budget::new(settings.ingest.max_buffered_bytes),
            outage,
            encoding: OnceLock::new(),
            producer: producer(settings, deliveries)?,
            tracer: tracer.clone(),
            metrics: ingest_metrics,
        });
        let routes = Router::new()
            .route("/v1/events", post(post_events))
            .with_state(Arc::clone(&door))
            .merge(openapi::routes());
        let timeout = settings.api.http_request_timeout;
        let api = Api::new("ingest", metrics, timeout, tracer.clone());
        let listener = listen(&settings.api).await?;
        Ok(Self {
            door,
            address: listener.local_addr()?,
            listener,
            routes: api.wrap(routes, COMMON),
            limits: ServerLimits::from(&settings.api),
            start,
            shutdown: shutdown.clone(),
        })
    }

    /// Where it is.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until shutdown, and then until every request that has begun is answered and every event
    /// acknowledged. Ready once it is known how events are written, and the topic is there.
    pub async fn run(self) {
        let shutdown = self.shutdown.clone();
        let server = serve_api(self.listener, self.routes, self.limits, shutdown.clone());
        let watch = self.start.watch(Arc::clone(&self.door), shutdown);
        tokio::join!(server, watch);
        let door = self.door;
        // Requests are answered when their events are; what is left was given up by its client.
        let flush = tokio::task::spawn_blocking(move || door.producer.flush(LOOK_TIMEOUT));
        if flush.await.is_err() {
            tracing::error!("the producer's end panicked");
        }
    }
}

fn producer(settings: &Settings, deliveries: Deliveries) -> anyhow::Result<Producer> {
    let mut config = settings.kafka.producer();
    let timeout = settings.ingest.delivery_timeout.as_millis();
    config
        .set("message.timeout.ms", timeout.to_string())
        .set("linger.ms", settings.ingest.linger.as_millis().to_string());
    let topic = settings.topics.events_topic.clone();
    Producer::new(&config, topic, deliveries).context("the producer cannot be made")
}

/// What is waited for before requests are let in.
struct Start {
    documents: Documents,
    topic: String,
    /// Ready once it is known how events are written.
    schemas: Component,
    component: Component,
}

impl Start {
    /// Lets requests in once all is there; says so, and says when the end has come.
    async fn watch(self, door: Arc<Door>, shutdown: Shutdown) {
        let topics = [(topic::EVENTS, &*self.topic)];
        let asked = (self.documents).encodings(topics, &self.schemas, &shutdown);
        let Some([encoding]) = asked.await else {
            return;
        };
        door.encoding.get_or_init(|| encoding);
        watch_topic(door, self.component, shutdown).await;
    }
}

async fn watch_topic(door: Arc<Door>, component: Component, shutdown: Shutdown) {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    loop {
        let looking = Arc::clone(&door);
        let look = move || looking.producer.look_for_topic(LOOK_TIMEOUT);
        let found = tokio::select! {
            found = tokio::task::spawn_blocking(look) => found,
            () = shutdown.requested() => return,
        };
        match found.unwrap_or_else(|panic| Err(panic.to_string())) {
            Ok(()) => break,
            Err(error) => {
                tracing::warn!(error, "waiting for the topic of the events");
                component.not_ready(&error);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next_delay()) => {}
            () = shutdown.requested() => return,
        }
    }
    door.outage.began();
    component.ready();
    shutdown.requested().await;
    component.not_ready("shutting down");
}
