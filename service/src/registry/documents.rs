//! How this installation reads and writes documents: Avro with a registry, JSON without.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use schemas::avro::{CONTRACTS, Contract, EventMapping};
use schemas::reader::SchemaSource;
use schemas::{Encoding, Reader};
use tokio::runtime::Handle;

use super::metrics::RegistryMetrics;
use super::{Cache, Client, Lookup, RegistryError, RegistrySettings, Source};
use crate::retry::Backoff;
use crate::{Component, Metrics, Shutdown};

/// How documents are read and written. Cheap to clone; all clones share what they know of schemas.
#[derive(Clone, Default)]
pub struct Documents {
    avro: Option<Avro>,
}

#[derive(Clone)]
struct Avro {
    source: Source,
    mapping: Arc<EventMapping>,
}

impl Documents {
    /// Documents with the registry of the settings, or plain JSON if they name none. Nothing is asked yet.
    ///
    /// Questions are asked on that runtime.
    ///
    /// # Errors
    /// The client cannot be made, or there is a mapping and no registry.
    pub fn new(
        settings: &RegistrySettings,
        mapping: Arc<EventMapping>,
        metrics: &Metrics,
        runtime: Handle,
    ) -> anyhow::Result<Self> {
        if settings.urls.is_empty() {
            anyhow::ensure!(
                mapping.is_empty(),
                "EVENT_MAPPING is for Avro and needs SCHEMA_REGISTRY_URL"
            );
            return Ok(Self::default());
        }
        let lookup = Lookup {
            client: Client::new(settings).context("making a client of the schema registry")?,
            with_subjects: mapping.names_subjects(),
            runtime,
            cache: Mutex::new(Cache::new(Instant::now())),
            metrics: RegistryMetrics::new(metrics),
        };
        let avro = Avro {
            source: Source(Arc::new(lookup)),
            mapping,
        };
        Ok(Self { avro: Some(avro) })
    }

    /// A reader for one thread. It reads JSON in any case, and Avro if there is a registry.
    pub fn reader(&self) -> Reader {
        match &self.avro {
            None => Reader::json(),
            Some(avro) => {
                let source: Arc<dyn SchemaSource> = Arc::new(avro.source.clone());
                Reader::new(source, Arc::clone(&avro.mapping))
            }
        }
    }

    /// How the documents of a topic are to be written. `topic` is its default name, one of
    /// [`schemas::names::topic`]; `name` is what it is called here.
    ///
    /// # Errors
    /// [`NoEncoding`]: the registry is away or does not have this release's schema.
    ///
    /// # Panics
    /// If the documents of that topic are not registered: a mistake in the program.
    pub async fn encoding(&self, topic: &str, name: &str) -> Result<Encoding, NoEncoding> {
        let Some(avro) = &self.avro else {
            return Ok(Encoding::Json);
        };
        let contract = CONTRACTS.iter().find(|contract| contract.topic == topic);
        let contract = contract.expect("a topic whose documents are registered");
        let subject = Contract::subject(name);
        let lookup = &avro.source.0;
        let found = lookup.client.id_of(&subject, contract.schema).await;
        lookup.metrics.up(found.is_ok());
        match found? {
            Some(schema) => Ok(Encoding::Avro { schema }),
            None => Err(NoEncoding::NotRegistered { subject }),
        }
    }

    /// Asks for the encodings of topics until all are known: each as [`Documents::encoding`] has it. What
    /// is waited for is told to `component`, which is ready afterwards. Gives nothing if the process shuts
    /// down meanwhile.
    pub async fn encodings<const N: usize>(
        &self,
        topics: [(&str, &str); N],
        component: &Component,
        shutdown: &Shutdown,
    ) -> Option<[Encoding; N]> {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
        loop {
            match self.all(topics).await {
                Ok(encodings) => {
                    component.ready();
                    return Some(encodings);
                }
                Err(error) => {
                    tracing::warn!(%error, "documents cannot be written yet");
                    component.not_ready(&error.to_string());
                }
            }
            tokio::select! {
                () = shutdown.requested() => return None,
                () = tokio::time::sleep(backoff.next_delay()) => {}
            }
        }
    }

    async fn all<const N: usize>(
        &self,
        topics: [(&str, &str); N],
    ) -> Result<[Encoding; N], NoEncoding> {
        let mut encodings = [Encoding::Json; N];
        for ((topic, name), encoding) in topics.into_iter().zip(&mut encodings) {
            *encoding = self.encoding(topic, name).await?;
        }
        Ok(encodings)
    }
}

/// Why documents cannot be written yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoEncoding {
    /// The registry did not help.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The subject does not have this release's schema.
    #[error(
        "subject {subject} does not have this release's schema; run campaign-admin register-schemas"
    )]
    NotRegistered {
        /// The subject.
        subject: String,
    },
}
