//! The campaigns' API, so that campaigns can be changed while events flow. It asks for no keys: it is
//! for one person on one machine.

use std::net::SocketAddr;

use campaign_admin::{Admin, Settings};
use service::auth::{Auth, AuthMode, AuthSettings};
use service::http::{ServerLimits, serve_api};
use service::program::Running;
use service::registry::Documents;
use service::settings::KafkaSettings;
use tokio::task::JoinHandle;

use crate::Arguments;
use crate::place::Place;

/// Everybody may do everything.
pub(crate) const OPEN: AuthSettings = AuthSettings {
    mode: AuthMode::None,
    api_keys_file: None,
    oidc_issuer: None,
    oidc_audience: None,
    rate_limit_per_second: None,
    rate_limit_burst: None,
};

/// The running API.
pub struct Served {
    admin: Admin,
    server: JoinHandle<()>,
    /// Where it is.
    pub address: SocketAddr,
}

/// Starts it.
///
/// # Errors
/// Its address is taken, or a thread cannot be started.
pub async fn serve(
    arguments: &Arguments,
    kafka: &KafkaSettings,
    place: &Place,
    running: &Running,
    documents: &Documents,
) -> anyhow::Result<Served> {
    let (metrics, shutdown) = (&running.metrics, &running.shutdown);
    let auth = Auth::start(&OPEN, "admin", metrics, shutdown).await?;
    let listener = service::http::listen(&arguments.api).await?;
    let address = listener.local_addr()?;
    let settings = Settings {
        admin: arguments.admin.clone(),
        api: arguments.api.clone(),
        kafka: kafka.clone(),
        topics: arguments.topics.clone(),
        scylla: arguments.scylla.clone(),
        transactional_id_suffix: place.transactional_id_suffix.clone(),
    };
    let (admin, routes) = Admin::start(
        &settings,
        documents,
        &auth,
        &running.health,
        (metrics, &running.tracer),
        shutdown,
    )?;
    let limits = ServerLimits::from(&arguments.api);
    let server = tokio::spawn(serve_api(listener, routes, limits, shutdown.clone()));
    Ok(Served {
        admin,
        server,
        address,
    })
}

impl Served {
    /// Waits until every request is answered and the threads have ended, after a shutdown was requested.
    ///
    /// # Errors
    /// The server panicked.
    pub async fn end(self) -> anyhow::Result<()> {
        self.server.await?;
        tokio::task::spawn_blocking(move || self.admin.join()).await?;
        Ok(())
    }
}
