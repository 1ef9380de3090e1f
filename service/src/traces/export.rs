//! Sends spans to a collector, as the protobuf messages of OTLP over HTTP. Nobody waits for it: spans come through a bounded queue, and a
//! collector that is away costs spans, a line in the log, and at the end of the process a moment.

use std::time::Duration;

use anyhow::Context as _;
use axum::http::StatusCode;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use prometheus::{IntCounter, IntCounterVec};
use prost::Message as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::keys;
use super::settings::{Headers, TraceSettings};
use super::span::{Span, pair};
use crate::Metrics;
use crate::retry::Backoff;

/// Most spans of a request.
const MAX_BATCH: usize = 512;

/// Requests with the same spans, if the collector may take them later.
const ATTEMPTS: u32 = 5;

/// Largest answer that is read, in bytes.
const MAX_ANSWER: u64 = 64 * 1024;

/// What is told of spans.
#[derive(Clone)]
pub(super) struct ExportMetrics {
    exported: IntCounter,
    dropped: IntCounterVec,
}

impl ExportMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            exported: metrics.counter(
                "traces_spans_exported_total",
                "Spans that the collector has taken.",
            ),
            dropped: metrics.counter_vec(
                "traces_spans_dropped_total",
                "Spans that nobody will see: the queue was full, the collector was away, or it refused them.",
                &["reason"],
            ),
        }
    }

    pub(super) fn dropped(&self, reason: &str, spans: usize) {
        let spans = u64::try_from(spans).unwrap_or(u64::MAX);
        self.dropped.with_label_values(&[reason]).inc_by(spans);
    }
}

/// The task that sends spans.
pub struct Exporter(Option<Running>);

struct Running {
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl Exporter {
    /// Of a tracer that is off.
    pub(super) const fn none() -> Self {
        Self(None)
    }

    pub(super) fn start(
        settings: &TraceSettings,
        endpoint: &str,
        program: &str,
        (spans, metrics): (mpsc::Receiver<Span>, ExportMetrics),
    ) -> anyhow::Result<Self> {
        let client = crate::http::client::client(settings.timeout);
        let (stop, stopped) = watch::channel(false);
        let collector = Collector {
            client: client.context("OTEL_EXPORTER_OTLP_ENDPOINT")?,
            endpoint: endpoint.to_owned(),
            headers: settings.headers.clone().unwrap_or_default(),
            resource: resource(settings, program),
        };
        let sending = Sending {
            spans,
            collector,
            delay: settings.schedule_delay,
            stopped,
            metrics,
            is_away: false,
        };
        tracing::info!(endpoint, "traces are exported");
        let task = tokio::spawn(sending.run());
        Ok(Self(Some(Running { task, stop })))
    }

    /// Sends what waits, for at most that time. Spans that end later are dropped.
    pub async fn end(self, within: Duration) {
        let Some(Running { task, stop }) = self.0 else {
            return;
        };
        // The task may have ended already, which is an end as well.
        let _ = stop.send(true);
        match tokio::time::timeout(within, task).await {
            Ok(Ok(())) => {}
            Ok(Err(panic)) => tracing::error!(%panic, "the exporter of traces panicked"),
            Err(_) => tracing::warn!(
                ?within,
                "the last spans are not exported: the collector is slow"
            ),
        }
    }
}

/// What is said of this process.
fn resource(settings: &TraceSettings, program: &str) -> Resource {
    let given = &settings.resource.0;
    let is_given = |key: &str| given.iter().any(|(found, _)| found == key);
    let name = settings.service_name.as_deref().filter(|it| !it.is_empty());
    let mut attributes = Vec::with_capacity(given.len() + 2);
    if name.is_some() || !is_given(keys::SERVICE_NAME) {
        attributes.push(pair(keys::SERVICE_NAME, name.unwrap_or(program)));
    }
    if !is_given(keys::SERVICE_VERSION) {
        attributes.push(pair(keys::SERVICE_VERSION, env!("CARGO_PKG_VERSION")));
    }
    for (key, value) in given {
        if key != keys::SERVICE_NAME || name.is_none() {
            attributes.push(pair(key, &**value));
        }
    }
    Resource {
        attributes,
        ..Resource::default()
    }
}

/// The running task.
struct Sending {
    spans: mpsc::Receiver<Span>,
    collector: Collector,
    delay: Duration,
    /// Turns to true once, when the process ends.
    stopped: watch::Receiver<bool>,
    metrics: ExportMetrics,
    /// Whether the last request failed, so that an outage is a line of the log, not one a request.
    is_away: bool,
}

impl Sending {
    async fn run(mut self) {
        while let Some(batch) = self.gather().await {
            self.send(batch).await;
        }
    }

    /// The spans of the next request; none when all are sent and no more may come.
    async fn gather(&mut self) -> Option<Vec<Span>> {
        let mut batch = Vec::new();
        let mut ends = None;
        while batch.len() < MAX_BATCH {
            let is_stopped = *self.stopped.borrow();
            if is_stopped {
                // What is in it stays there.
                self.spans.close();
            }
            let ended = async {
                match ends {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let room = MAX_BATCH - batch.len();
            tokio::select! {
                // In this order, so that what is there is taken before the time is looked at.
                biased;
                got = self.spans.recv_many(&mut batch, room) => {
                    if got == 0 {
                        break;
                    }
                    ends = ends.or(Some(Instant::now() + self.delay));
                }
                _ = self.stopped.changed(), if !is_stopped => {}
                () = ended => break,
            }
        }
        (!batch.is_empty()).then_some(batch)
    }

    async fn send(&mut self, batch: Vec<Span>) {
        let count = batch.len();
        let body = self.collector.request(batch).encode_to_vec();
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));
        for attempt in 1.. {
            match self.collector.ask(body.clone()).await {
                Ok(refused) => {
                    let refused = refused.min(count);
                    let taken = u64::try_from(count - refused).unwrap_or(u64::MAX);
                    self.metrics.exported.inc_by(taken);
                    self.metrics.dropped("refused", refused);
                    self.is_back();
                    return;
                }
                Err(Failure {
                    why,
                    may_be_repeated,
                }) => {
                    self.is_gone(&why);
                    let is_last = attempt == ATTEMPTS || *self.stopped.borrow();
                    if is_last || !may_be_repeated {
                        let reason = if may_be_repeated {
                            "unreachable"
                        } else {
                            "refused"
                        };
                        self.metrics.dropped(reason, count);
                        return;
                    }
                }
            }
            // The end of the process cuts the waiting short; then there is one more attempt.
            let wait = tokio::time::sleep(backoff.next_delay());
            tokio::select! {
                () = wait => {}
                _ = self.stopped.wait_for(|stopped| *stopped) => {}
            }
        }
    }

    fn is_gone(&mut self, why: &str) {
        if !std::mem::replace(&mut self.is_away, true) {
            let endpoint = &self.collector.endpoint;
            tracing::warn!(
                endpoint,
                error = why,
                "the collector takes no spans; they are dropped until it does, and nothing else suffers"
            );
        }
    }

    fn is_back(&mut self) {
        if std::mem::take(&mut self.is_away) {
            tracing::info!("the collector takes spans again");
        }
    }
}

/// Where spans go.
struct Collector {
    client: reqwest::Client,
    endpoint: String,
    headers: Headers,
    resource: Resource,
}

/// Why spans were not taken.
struct Failure {
    why: String,
    /// Whether the same request may be taken later (OTLP, section "Failures").
    may_be_repeated: bool,
}

impl Collector {
    fn request(&self, spans: Vec<Span>) -> ExportTraceServiceRequest {
        let scope = InstrumentationScope {
            name: "campaign-manager".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let scope_spans = ScopeSpans {
            scope: Some(scope),
            spans: spans.into_iter().map(Span::into_otlp).collect(),
            schema_url: keys::SCHEMA_URL.to_owned(),
        };
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(self.resource.clone()),
                scope_spans: vec![scope_spans],
                schema_url: keys::SCHEMA_URL.to_owned(),
            }],
        }
    }

    /// Sends a request. Returns how many of its spans are refused for good.
    async fn ask(&self, body: Vec<u8>) -> Result<usize, Failure> {
        let mut request = self
            .client
            .post(&self.endpoint)
            .header("content-type", "application/x-protobuf")
            .body(body);
        for (name, value) in &self.headers.0 {
            request = request.header(name, value);
        }
        let answer = request.send().await.map_err(|error| Failure {
            why: format!("{:#}", anyhow::Error::new(error)),
            may_be_repeated: true,
        })?;
        let status = answer.status();
        if !status.is_success() {
            return Err(Failure {
                why: format!("it answers {status}"),
                may_be_repeated: matches!(
                    status,
                    StatusCode::TOO_MANY_REQUESTS
                        | StatusCode::BAD_GATEWAY
                        | StatusCode::SERVICE_UNAVAILABLE
                        | StatusCode::GATEWAY_TIMEOUT
                ),
            });
        }
        if answer
            .content_length()
            .is_none_or(|length| length > MAX_ANSWER)
        {
            return Ok(0);
        }
        // Whatever it says beside the status, the spans are there.
        let answer = answer.bytes().await.unwrap_or_default();
        let answer = ExportTraceServiceResponse::decode(answer).unwrap_or_default();
        let refused = answer.partial_success.map(|it| it.rejected_spans);
        Ok(refused.and_then(|it| usize::try_from(it).ok()).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::body::Bytes;
    use axum::extract::State;
    use axum::response::IntoResponse as _;
    use axum::routing::post;
    use clap::{Args as _, Command, FromArgMatches as _};
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;
    use tokio::net::TcpListener;

    use super::super::{Kind, Tracer};
    use super::*;
    use crate::http::TraceContext;

    /// Answers in turn; the last one again and again. None never answers.
    type Script = Arc<Mutex<Vec<Option<u16>>>>;

    async fn answer(State(script): State<Script>, body: Bytes) -> axum::response::Response {
        let next = {
            let mut script = script.lock().unwrap();
            if script.len() > 1 {
                script.remove(0)
            } else {
                script[0]
            }
        };
        let Some(status) = next else {
            return std::future::pending().await;
        };
        let request = ExportTraceServiceRequest::decode(body).unwrap();
        let spans = &request.resource_spans[0].scope_spans[0].spans;
        // One of many is refused.
        let rejected = i64::from(spans.len() > 1);
        let answer = ExportTraceServiceResponse {
            partial_success: Some(ExportTracePartialSuccess {
                rejected_spans: rejected,
                error_message: String::new(),
            }),
        };
        let status = StatusCode::from_u16(status).unwrap();
        (status, answer.encode_to_vec()).into_response()
    }

    /// Exports so many spans to a collector that answers so. Returns the metrics, and how long the end took.
    async fn export(script: &[Option<u16>], spans: usize) -> (String, Duration) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let script: Script = Arc::new(Mutex::new(script.to_vec()));
        let routes = Router::new()
            .route("/v1/traces", post(answer))
            .with_state(script);
        let shutdown = crate::Shutdown::new();
        tokio::spawn(crate::http::serve(listener, routes, shutdown));
        let command = TraceSettings::augment_args(Command::new("test"));
        let arguments = ["test", "--otlp-endpoint", &endpoint];
        let matches = command.get_matches_from(arguments);
        let settings = TraceSettings::from_arg_matches(&matches).unwrap();
        let metrics = Metrics::new("test");
        let (tracer, exporter) = Tracer::start(&settings, "test", &metrics).unwrap();
        for _ in 0..spans {
            let span = tracer.begin(TraceContext::begin(), None, Kind::Server, String::new);
            tracer.end(span.unwrap());
        }
        let begun = std::time::Instant::now();
        exporter.end(Duration::from_millis(700)).await;
        (metrics.render().unwrap(), begun.elapsed())
    }

    #[tokio::test]
    async fn what_waits_is_sent_at_the_end_and_what_is_refused_is_counted() {
        let (metrics, _) = export(&[Some(200)], 3).await;
        assert!(
            metrics.contains("traces_spans_exported_total 2"),
            "{metrics}"
        );
        let refused = "traces_spans_dropped_total{reason=\"refused\"} 1";
        assert!(metrics.contains(refused), "{metrics}");
        let (metrics, _) = export(&[Some(400)], 3).await;
        let refused = "traces_spans_dropped_total{reason=\"refused\"} 3";
        assert!(metrics.contains(refused), "{metrics}");
    }

    #[tokio::test]
    async fn at_the_end_nobody_waits_for_a_collector_that_is_busy_or_hangs() {
        let (metrics, _) = export(&[Some(503)], 2).await;
        let dropped = "traces_spans_dropped_total{reason=\"unreachable\"} 2";
        assert!(metrics.contains(dropped), "{metrics}");
        let (metrics, took) = export(&[None], 1).await;
        assert!(
            metrics.contains("traces_spans_exported_total 0"),
            "{metrics}"
        );
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
}
