//! What every API does around its handlers: the trace, the clock, the counters, and problems in place
//! of whatever else an error may be.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use futures::FutureExt as _;
use prometheus::{HistogramVec, IntCounterVec};

use super::problem::{INTERNAL, Kind, Problem, UNAVAILABLE};
use super::trace::TraceContext;
use crate::Metrics;
use crate::traces::{Kind as SpanKind, Span, Tracer, keys};

/// Seconds from a millisecond to half a minute.
const SECONDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];

/// Longest text of a framework's error that is taken over as the detail of a problem, in bytes.
const MAX_DETAIL_BYTES: usize = 4096;

/// Wraps the routes of an API. Shared by all its connections; takes no lock but those of the metrics.
#[derive(Clone)]
pub struct Api {
    timeout: Duration,
    requests: IntCounterVec,
    durations: HistogramVec,
    tracer: Tracer,
}

impl Api {
    /// For the API of `service`, whose metrics begin with that word. A request that is not answered
    /// within `timeout` is answered with a problem, and its handler is dropped. Each is a span where its trace is sampled.
    pub fn new(service: &str, metrics: &Metrics, timeout: Duration, tracer: Tracer) -> Self {
        Self {
            timeout,
            requests: metrics.counter_vec(
                &format!("{service}_http_requests_total"),
                "Requests answered.",
                &["route", "method", "status"],
            ),
            durations: metrics.histogram_vec(
                &format!("{service}_http_request_duration_seconds"),
                "Time from a request's headers to its answer.",
                &["route"],
                &SECONDS,
            ),
            tracer,
        }
    }

    /// The routes with all that around them; handlers find the [`TraceContext`] among the extensions.
    /// Each of `kinds` is explained at its address.
    pub fn wrap(self, routes: Router, kinds: &'static [&'static Kind]) -> Router {
        routes
            .merge(super::problem::pages(kinds))
            .layer(middleware::from_fn_with_state(self, around))
    }
}

async fn around(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let caller = TraceContext::incoming(request.headers());
    let trace = api.tracer.context(caller.as_ref());
    request.extensions_mut().insert(trace);
    let method = known(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let span = (api.tracer).begin(trace, caller.as_ref(), SpanKind::Server, || match &route {
        Some(route) => format!("{method} {}", route.as_str()),
        None => method.to_owned(),
    });
    let path = request.uri().path().to_owned();

    let work = AssertUnwindSafe(next.run(request)).catch_unwind();
    let mut response = match tokio::time::timeout(api.timeout, work).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            // The panic hook has told where and why.
            tracing::error!(
                trace_id = trace.trace_id(),
                method,
                path,
                "a handler panicked"
            );
            Problem::new(&INTERNAL, "").render(None, None)
        }
        Err(_) => Problem::new(&UNAVAILABLE, "no answer was found in time")
            .retry_after(Duration::from_secs(1))
            .render(None, None),
    };
    if response.status().as_u16() >= 400 {
        response = as_problem(response, &path, &trace.trace_id()).await;
    }

    let route = route.as_ref().map_or("other", MatchedPath::as_str);
    let status = response.status();
    let took = begun.elapsed();
    if let Some(span) = span {
        end_span(&api.tracer, span, (method, route), status);
    }
    let labels = [route, method, status.as_str()];
    api.requests.with_label_values(&labels).inc();
    let duration = api.durations.with_label_values(&[route]);
    duration.observe(took.as_secs_f64());
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(trace_id = trace.trace_id(), method, path, "request failed");
    } else {
        tracing::debug!(
            trace_id = trace.trace_id(),
            method,
            path,
            status = status.as_u16(),
            micros = took.as_micros(),
            "request"
        );
    }
    response
}

fn end_span(tracer: &Tracer, mut span: Span, (method, route): (&str, &str), status: StatusCode) {
    span.set(keys::HTTP_METHOD, method);
    span.set(keys::HTTP_ROUTE, route);
    span.set(keys::HTTP_STATUS, i64::from(status.as_u16()));
    span.set(keys::URL_SCHEME, "http");
    // A client's mistake is no failure of a server.
    if status.is_server_error() {
        span.fail(status.as_str());
    }
    tracer.end(span);
}

/// Methods as a label of bounded kind.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Every error as a problem that names the path and the trace: those that are problems already, and
/// those that axum or hyper wrote as text, which becomes the detail.
async fn as_problem(response: Response, path: &str, trace_id: &str) -> Response {
    let (mut parts, body) = response.into_parts();
    let problem = match parts.extensions.remove::<Problem>() {
        Some(problem) => problem,
        None => Problem::of_status(parts.status, text_of(body).await),
    };
    let mut answer = problem.render(Some(path), Some(trace_id));
    *answer.status_mut() = parts.status;
    for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH] {
        parts.headers.remove(name);
    }
    for (name, value) in &parts.headers {
        answer.headers_mut().insert(name, value.clone());
    }
    answer
}

async fn text_of(body: Body) -> String {
    let bytes = axum::body::to_bytes(body, MAX_DETAIL_BYTES).await;
    let text = bytes
        .ok()
        .and_then(|bytes| String::from_utf8(bytes.into()).ok());
    text.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use axum::routing::{get, post};
    use serde_json::Value;
    use tower::ServiceExt as _;

    use super::super::extract::Json;
    use super::super::problem::COMMON;
    use super::*;

    fn api() -> Router {
        let routes = Router::new()
            .route("/v1/things", post(async |Json(_): Json<Vec<u8>>| "made"))
            .route(
                "/v1/panic",
                get(async || -> &'static str { panic!("on purpose") }),
            )
            .route("/v1/never", get(std::future::pending::<&'static str>));
        let timeout = Duration::from_millis(50);
        let metrics = Metrics::new("test");
        Api::new("test", &metrics, timeout, Tracer::off()).wrap(routes, COMMON)
    }

    async fn ask(method: &str, path: &str, body: &'static str) -> (Response<()>, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .header(
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            )
            .body(Body::from(body))
            .unwrap();
        let (parts, body) = api().oneshot(request).await.unwrap().into_parts();
        let body = axum::body::to_bytes(body, 1 << 16).await.unwrap();
        let json = serde_json::from_slice(&body).unwrap_or_default();
        (Response::from_parts(parts, ()), json)
    }

    #[tokio::test]
    async fn every_error_is_a_problem_with_the_trace_also_those_of_the_framework() {
        let cases = [
            ("GET", "/nowhere", "", 404, "/problems/not-found"),
            ("GET", "/v1/things", "", 405, "/problems/method-not-allowed"),
            ("POST", "/v1/things", "[", 400, "/problems/bad-request"),
            ("POST", "/v1/things", "{}", 422, "/problems/invalid"),
            ("GET", "/v1/panic", "", 500, "/problems/internal"),
            ("GET", "/v1/never", "", 503, "/problems/unavailable"),
        ];
        for (method, path, body, status, address) in cases {
            let (response, json) = ask(method, path, body).await;
            assert_eq!(response.status(), status, "{method} {path}");
            let headers = response.headers();
            assert_eq!(headers["content-type"], "application/problem+json");
            assert_eq!(json["type"], address);
            assert_eq!(json["status"], status);
            assert_eq!(json["instance"], path);
            assert_eq!(json["trace_id"], "0af7651916cd43dd8448eb211c80319c");
        }
        let (response, _) = ask("GET", "/v1/things", "").await;
        assert_eq!(response.headers()["allow"], "POST");
    }

    #[tokio::test]
    async fn what_works_is_left_as_it_is_and_problems_have_pages() {
        let (response, _) = ask("POST", "/v1/things", "[1]").await;
        assert_eq!(response.status(), 200);
        let (response, _) = ask("GET", "/problems/too-large", "").await;
        assert_eq!(response.status(), 200);
        assert_eq!(ask("GET", "/problems/other", "").await.0.status(), 404);
    }
}
