//! What the value of a record says: JSON as it stands, Avro by the schemas of a registry.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use clap::Args;
use schemas::avro::SchemaId;
use schemas::names::header;
use schemas::{Document, Encoded, Limits, Node, Unread, Value};
use serde_json::Value as Json;
use service::Metrics;
use service::registry::{Documents, MappingFile, RegistrySettings};
use tokio::runtime::Handle;

use super::Record;
use super::record::Content;

/// Where schemas are, and how upstream's own records are events.
#[derive(Debug, Clone, Args)]
pub(crate) struct Schemas {
    #[command(flatten)]
    registry: RegistrySettings,

    /// File that says where upstream's own Avro records have what an event has
    #[arg(
        long,
        env = "EVENT_MAPPING",
        value_name = "FILE",
        help_heading = "Schema registry"
    )]
    event_mapping: Option<MappingFile>,
}

/// What a topic carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Events, ours or upstream's own, or what was meant to be some.
    Events,
    /// Matches, which only we write.
    Matches,
    /// Campaigns, as the matcher reads them.
    Campaigns,
}

/// How long a registry may take to say what a schema is.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bounds of what is shown: those of Kafka's records that we make.
const LIMITS: Limits = Limits {
    max_bytes: 16 * 1024 * 1024,
    max_depth: 64,
};

/// Reads values. Asks for a schema when it meets the first value of it, and waits for the answer.
pub(crate) struct Values {
    kind: Kind,
    reader: schemas::Reader,
    document: Document,
    /// Schemas that were waited for in vain: the next value of one is not held up again.
    given_up: HashSet<SchemaId>,
}

impl From<&RegistrySettings> for Schemas {
    /// Of documents that only we write.
    fn from(registry: &RegistrySettings) -> Self {
        Self {
            registry: registry.clone(),
            event_mapping: None,
        }
    }
}

impl Schemas {
    /// A reader of values. Within a runtime, on which the registry is asked.
    ///
    /// # Errors
    /// A setting cannot be used.
    pub(crate) fn values(&self, kind: Kind) -> anyhow::Result<Values> {
        let mapping = self.event_mapping.as_ref();
        let mapping = mapping.map(MappingFile::mapping).unwrap_or_default();
        let metrics = Metrics::new("campaignctl");
        let documents = Documents::new(&self.registry, mapping, &metrics, Handle::current())?;
        Ok(Values {
            kind,
            reader: documents.reader(),
            document: Document::new(),
            given_up: HashSet::new(),
        })
    }
}

impl Values {
    /// A record with what its value says. What cannot be read says why.
    pub(crate) fn read(&mut self, record: impl Into<Record>) -> Record {
        let mut record = record.into();
        record.content = self.content(&record);
        record
    }

    fn content(&mut self, record: &Record) -> Content {
        let Some(value) = record.value.as_deref() else {
            return Content::Plain;
        };
        let encoded = Encoded {
            value,
            schema_header: record
                .header_bytes(header::VALUE_SCHEMA_ID)
                .filter(|_| self.reader.takes_headers()),
        };
        let schema = match encoded.schema() {
            Ok(None) => return Content::Plain,
            Ok(Some(schema)) => Some(schema),
            Err(_) => None,
        };
        match self.waited(encoded, schema) {
            Ok(says) => Content::Read { schema, says },
            Err((why, is_passing)) => Content::Unread {
                schema,
                why,
                is_passing,
            },
        }
    }

    /// Reads, and waits for the schema if nobody has waited for it in vain.
    fn waited(
        &mut self,
        encoded: Encoded<'_>,
        schema: Option<SchemaId>,
    ) -> Result<Json, (String, bool)> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.decode(encoded) {
                Ok(says) => return Ok(says),
                Err(Unread::Never(why)) => return Err((why, false)),
                Err(waiting @ Unread::Waiting(id)) => {
                    if self.given_up.contains(&id) || Instant::now() >= deadline {
                        self.given_up.extend(schema);
                        return Err((waiting.to_string(), true));
                    }
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        }
    }

    fn decode(&mut self, encoded: Encoded<'_>) -> Result<Json, Unread<String>> {
        match self.kind {
            Kind::Events => match self.reader.read_event(encoded, LIMITS, &mut self.document) {
                Ok(()) => Ok(json(self.document.root())),
                Err(Unread::Waiting(id)) => Err(Unread::Waiting(id)),
                Err(Unread::Never(reason)) => Err(Unread::Never(reason.message())),
            },
            Kind::Matches => match self.reader.read_match(encoded) {
                Ok(won) => {
                    serde_json::to_value(won).map_err(|error| Unread::Never(error.to_string()))
                }
                Err(Unread::Waiting(id)) => Err(Unread::Waiting(id)),
                Err(Unread::Never(reason)) => Err(Unread::Never(reason.message())),
            },
            Kind::Campaigns => match self.reader.read_campaign(encoded) {
                Ok(campaign) => {
                    serde_json::to_value(campaign).map_err(|error| Unread::Never(error.to_string()))
                }
                Err(Unread::Waiting(id)) => Err(Unread::Waiting(id)),
                Err(Unread::Never(error)) => Err(Unread::Never(error.to_string())),
            },
        }
    }
}

fn json(node: Node<'_>) -> Json {
    match node.value() {
        Value::Null => Json::Null,
        Value::Bool(value) => value.into(),
        // Every number of a document is one of JSON.
        Value::Number(value) => serde_json::from_str(&value.to_string()).unwrap_or_default(),
        Value::String(value) => value.into(),
        Value::Array(elements) => elements.map(json).collect(),
        Value::Object(fields) => fields
            .map(|(name, value)| (name.to_owned(), json(value)))
            .collect(),
    }
}
