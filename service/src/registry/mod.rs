//! The schema registry: how schemas are found, and how documents are read and written here.
//!
//! [`Documents`] is what services use. Whoever reads asks a [`schemas::Reader`], which finds schemas here
//! by [`SchemaSource`]: a known one is there at once, an unknown one is asked for on the runtime and
//! waited for meanwhile, however long the registry is away. Only its own word makes an id unknown.
//!
//! Services only look schemas up. [`register`] registers them; `campaign-admin register-schemas` does so.

mod cache;
mod client;
mod documents;
mod metrics;
pub mod register;
mod settings;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use schemas::avro::SchemaId;
use schemas::reader::{Found, SchemaSource};
use tokio::runtime::Handle;

pub use self::client::{Client, RegistryError};
pub use self::documents::{Documents, NoEncoding};
pub use self::settings::{MappingFile, RegistrySettings};

use self::cache::{Cache, Next};
use self::metrics::RegistryMetrics;

/// Finds schemas. Shared by all threads of a process; asks each id once.
///
/// [`SchemaSource::find`] takes a lock for a moment and never waits for the registry. Readers keep what
/// they have found, so that they come here once a schema.
struct Lookup {
    client: Client,
    /// Whether the mapping of events names subjects, which costs a second question.
    with_subjects: bool,
    runtime: Handle,
    cache: Mutex<Cache>,
    metrics: RegistryMetrics,
}

/// A [`Lookup`] that answers can be brought to.
#[derive(Clone)]
struct Source(Arc<Lookup>);

impl SchemaSource for Source {
    fn find(&self, id: SchemaId) -> Found {
        match self.cache().find(id, Instant::now()) {
            Next::Tell(found) => found,
            Next::Ask => {
                let source = self.clone();
                self.0.runtime.spawn(async move { source.ask(id).await });
                Found::Waiting
            }
        }
    }
}

impl Source {
    async fn ask(&self, id: SchemaId) {
        let Lookup {
            client,
            with_subjects,
            metrics,
            ..
        } = &*self.0;
        let answer = client.known(id, *with_subjects).await;
        metrics.answered(&answer);
        match &answer {
            Ok(_) => tracing::info!(%id, "schema found"),
            Err(error @ RegistryError::Away(_)) => {
                tracing::warn!(%id, %error, "a schema is waited for");
            }
            Err(error) => tracing::warn!(%id, %error, "values with this schema cannot be read"),
        }
        self.cache().answered(id, answer, Instant::now());
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.0.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
