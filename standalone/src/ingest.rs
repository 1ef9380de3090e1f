//! Takes events over HTTP, from everybody, as the campaigns' API does.

use std::net::SocketAddr;

use ingest::{Ingest, IngestSettings, Settings};
use service::program::Running;
use service::registry::Documents;
use service::settings::{ApiSettings, KafkaSettings};
use tokio::task::JoinHandle;

use crate::{Arguments, api};

/// The running door.
pub struct Served {
    task: JoinHandle<()>,
    /// Where it is.
    pub address: SocketAddr,
}

/// Opens it.
///
/// # Errors
/// Its address is taken, or one of its settings in the environment cannot be used.
pub async fn serve(
    arguments: &Arguments,
    kafka: &KafkaSettings,
    running: &Running,
    documents: &Documents,
) -> anyhow::Result<Served> {
    let settings = Settings {
        ingest: IngestSettings {
            // What is taken must be what the matcher reads.
            max_event_bytes: arguments.matcher.max_event_bytes,
            max_event_depth: arguments.matcher.max_event_depth,
            ..IngestSettings::from_environment()?
        },
        kafka: kafka.clone(),
        topics: arguments.topics.clone(),
        api: ApiSettings {
            http_addr: arguments.ingest_addr,
            ..arguments.api.clone()
        },
        auth: api::OPEN,
    };
    let ingest = Ingest::start(
        &settings,
        documents.clone(),
        &running.health,
        (&running.metrics, &running.tracer),
        &running.shutdown,
    )
    .await?;
    let address = ingest.address();
    Ok(Served {
        task: tokio::spawn(ingest.run()),
        address,
    })
}

impl Served {
    /// Waits until every request is answered and every event acknowledged, after a shutdown was
    /// requested.
    ///
    /// # Errors
    /// The server panicked.
    pub async fn end(self) -> anyhow::Result<()> {
        Ok(self.task.await?)
    }
}
