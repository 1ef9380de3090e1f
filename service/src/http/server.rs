//! The server of an API: HTTP/1.1 with bounds on what a stranger can hold.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Shutdown;
use crate::settings::ApiSettings;

/// Bounds of a server.
#[derive(Debug, Clone, Copy)]
pub struct ServerLimits {
    /// Most connections at a time; further ones wait to be accepted.
    pub connections: usize,
    /// Longest time for the headers of a request to arrive, and for a connection to be idle between
    /// two requests.
    pub header_timeout: Duration,
    /// Most bytes that a request's line and headers may have together.
    pub header_bytes: usize,
}

impl Default for ServerLimits {
    /// 4,096 connections, 75 s (more than the 60 s for which load balancers keep theirs, or they would
    /// send a request just when we close), and 32 KiB.
    fn default() -> Self {
        Self {
            connections: 4096,
            header_timeout: Duration::from_secs(75),
            header_bytes: 32 * 1024,
        }
    }
}

impl From<&ApiSettings> for ServerLimits {
    fn from(settings: &ApiSettings) -> Self {
        let connections = usize::try_from(settings.http_max_connections);
        Self {
            connections: connections.unwrap_or(usize::MAX),
            ..Self::default()
        }
    }
}

/// Listens on `HTTP_ADDR`, and says in the log where that is.
///
/// # Errors
/// The address is taken.
pub async fn listen(settings: &ApiSettings) -> anyhow::Result<TcpListener> {
    let address = settings.http_addr;
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("HTTP_ADDR {address} cannot be listened on"))?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "API");
    Ok(listener)
}

/// Serves routes until shutdown, and then until every request that has begun is answered.
pub async fn serve_api(
    listener: TcpListener,
    routes: Router,
    limits: ServerLimits,
    shutdown: Shutdown,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.header_bytes.max(8 * 1024));
    let places = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let requested = shutdown.requested();
    tokio::pin!(requested);
    loop {
        let (stream, place) = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = &mut requested => break,
        };
        // Answers are small and whole; waiting for more would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection closed at once");
            continue;
        }
        let service = TowerToHyperService::new(routes.clone());
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

/// The next connection, once there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, OwnedSemaphorePermit) {
    loop {
        let place = Arc::clone(places).acquire_owned().await;
        let place = place.expect("the semaphore is never closed");
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(error) => wait_after(&error).await,
        }
    }
}

/// A connection may be gone before it is accepted; that is no news. Anything else, such as no more
/// file descriptors, passes only with time.
async fn wait_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    ) {
        return;
    }
    tracing::warn!(%error, "connections cannot be accepted");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn a_request_that_has_begun_is_answered_after_a_shutdown() {
        let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let handler = {
            let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
            async move || {
                begun.notify_one();
                go_on.notified().await;
                "answered"
            }
        };
        let routes = Router::new().route("/", get(handler));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let limits = ServerLimits::default();
        let server = tokio::spawn(serve_api(listener, routes, limits, shutdown.clone()));

        let mut client = TcpStream::connect(address).await.unwrap();
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        begun.notified().await;
        shutdown.request("test");
        go_on.notify_one();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.ends_with("answered"), "{answer}");
        server.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn headers_that_do_not_come_end_the_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = ServerLimits {
            header_timeout: Duration::from_millis(20),
            ..ServerLimits::default()
        };
        tokio::spawn(serve_api(listener, Router::new(), limits, Shutdown::new()));
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHo").await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
    }
}
