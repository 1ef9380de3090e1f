//! The probes and the metrics.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

use tokio::net::TcpListener;

use crate::health::Report;
use crate::{Health, Metrics, Shutdown};

/// `/healthz` (is it alive), `/readyz` (does it do its work) and `/metrics`.
pub fn routes(health: &Health, metrics: &Metrics) -> Router {
    Router::new()
        .route("/healthz", get(live))
        .route("/readyz", get(ready))
        .with_state(health.clone())
        .merge(
            Router::new()
                .route("/metrics", get(render))
                .with_state(metrics.clone()),
        )
}

/// Serves routes until shutdown.
///
/// # Errors
/// The listener fails.
pub async fn serve(
    listener: TcpListener,
    routes: Router,
    shutdown: Shutdown,
) -> std::io::Result<()> {
    axum::serve(listener, routes)
        .with_graceful_shutdown(async move { shutdown.requested().await })
        .await
}

/// How long an answer to [`ask_ready`] may take; probes read a few locks.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks the process that serves these routes on this machine whether it is ready. `address` is where it
/// listens; `0.0.0.0` is asked on loopback.
///
/// # Errors
/// Nobody listens there, or answers within 5 s, or the answer is no report.
pub fn ask_ready(address: SocketAddr) -> io::Result<Report> {
    let host = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        // What listens on all addresses of IPv6 takes IPv4 as well, unless the system says otherwise.
        _ => IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let mut stream = TcpStream::connect_timeout(&(host, address.port()).into(), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    serde_json::from_str(body).map_err(io::Error::other)
}

async fn live(State(health): State<Health>) -> Response {
    answer(health.live())
}

async fn ready(State(health): State<Health>) -> Response {
    answer(health.ready())
}

fn answer(report: Report) -> Response {
    let status = if report.ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(report)).into_response()
}

async fn render(State(metrics): State<Metrics>) -> Response {
    match metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    async fn get(address: std::net::SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn probes_answer_over_http_until_shutdown() {
        let (health, shutdown) = (Health::new(), Shutdown::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = routes(&health, &Metrics::new("test"));
        let server = tokio::spawn(serve(listener, routes, shutdown.clone()));

        let part = health.component("campaigns");
        let answer = get(address, "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains("campaigns: starting"), "{answer}");
        let any = (Ipv4Addr::UNSPECIFIED, address.port()).into();
        let asked = tokio::task::spawn_blocking(move || ask_ready(any));
        let report = asked.await.unwrap().unwrap();
        assert_eq!(report.problems, ["campaigns: starting"]);
        part.ready();
        assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200"));
        assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        assert!(get(address, "/metrics").await.contains("build_info"));
        let asked = tokio::task::spawn_blocking(move || ask_ready(address));
        assert!(asked.await.unwrap().unwrap().ok);
        assert!(get(address, "/other").await.starts_with("HTTP/1.1 404"));

        shutdown.request("test");
        server.await.unwrap().unwrap();
        let asked = tokio::task::spawn_blocking(move || ask_ready(address));
        assert!(asked.await.unwrap().is_err());
    }
}
