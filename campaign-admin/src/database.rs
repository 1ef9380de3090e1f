//! The database of the matches, connected in the background: campaigns do not need it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use service::Shutdown;
use service::retry::Backoff;
use service::settings::ScyllaSettings;
use store::{MatchReader, StoreError};

use crate::metrics::AdminMetrics;

/// Where matches are read. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Database {
    reader: Option<Arc<OnceLock<MatchReader>>>,
    metrics: AdminMetrics,
}

/// Why there are no matches to be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoMatches {
    /// The installation has no database.
    #[error("SCYLLA_NODES is not set")]
    NotRecorded,
    /// It was not reached since the start.
    #[error("the database has not been reached yet")]
    NotReached,
    /// It does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Database {
    /// Connects, for as long as it takes. Without nodes there is no database.
    pub(crate) fn start(
        settings: &ScyllaSettings,
        metrics: AdminMetrics,
        shutdown: Shutdown,
    ) -> Self {
        if settings.nodes.is_empty() {
            return Self {
                reader: None,
                metrics,
            };
        }
        let reader = Arc::new(OnceLock::new());
        let connecting = connect(
            settings.clone(),
            Arc::clone(&reader),
            metrics.clone(),
            shutdown,
        );
        tokio::spawn(connecting);
        Self {
            reader: Some(reader),
            metrics,
        }
    }

    /// Whom to ask. [`Database::answered`] wants to know what came of it.
    ///
    /// # Errors
    /// [`NoMatches`]: there is nobody.
    pub(crate) fn reader(&self) -> Result<&MatchReader, NoMatches> {
        let reader = self.reader.as_ref().ok_or(NoMatches::NotRecorded)?;
        reader.get().ok_or(NoMatches::NotReached)
    }

    /// Notes whether the database answered.
    ///
    /// # Errors
    /// It did not.
    pub(crate) fn answered<T>(&self, answer: Result<T, StoreError>) -> Result<T, NoMatches> {
        self.metrics.database_up(answer.is_ok());
        Ok(answer?)
    }
}

async fn connect(
    settings: ScyllaSettings,
    reader: Arc<OnceLock<MatchReader>>,
    metrics: AdminMetrics,
    shutdown: Shutdown,
) {
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));
    loop {
        match MatchReader::connect(&settings).await {
            Ok(connected) => {
                // Nobody else sets it.
                let _ = reader.set(connected);
                metrics.database_up(true);
                return;
            }
            Err(error) => tracing::warn!(%error, "matches cannot be read yet"),
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next_delay()) => {}
            () = shutdown.requested() => return,
        }
    }
}
