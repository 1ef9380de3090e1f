//! The settings of ingest.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Command, FromArgMatches as _};
use schemas::Limits;
use service::auth::AuthSettings;
use service::settings::{ApiSettings, KafkaSettings, TopicSettings};

/// What ingest is set to.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What is let in.
    pub ingest: IngestSettings,
    /// The broker.
    pub kafka: KafkaSettings,
    /// The topics' names; only that of the events counts.
    pub topics: TopicSettings,
    /// The address.
    pub api: ApiSettings,
    /// Who may send.
    pub auth: AuthSettings,
}

/// Settings of what is let in.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Ingest")]
pub struct IngestSettings {
    /// Folder of JSON Schemas for events, a file TYPE.json each; events of other types are held
    /// to the common contract only
    #[arg(long, env = "EVENT_SCHEMAS_DIR")]
    pub event_schemas_dir: Option<PathBuf>,

    /// Largest body, in bytes, before and after decompression
    #[arg(long, env = "MAX_BODY_BYTES", default_value_t = 4 * 1024 * 1024, value_parser = clap::value_parser!(u32).range(1024..=64 * 1024 * 1024))]
    pub max_body_bytes: u32,

    /// Most events in a body
    #[arg(long, env = "MAX_BODY_EVENTS", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_body_events: u32,

    /// Largest event, in bytes; not more than the matcher takes
    #[arg(long, env = "MAX_EVENT_BYTES", default_value_t = Limits::default().max_bytes, value_parser = clap::value_parser!(u32).range(256..=64 * 1024 * 1024))]
    pub max_event_bytes: u32,

    /// Deepest nesting of an event; not more than the matcher takes
    #[arg(long, env = "MAX_EVENT_DEPTH", default_value_t = Limits::default().max_depth, value_parser = clap::value_parser!(u32).range(2..=i64::from(schemas::document::MAX_DEPTH)))]
    pub max_event_depth: u32,

    /// Memory for bodies and answers of all requests together, in bytes; beyond it requests are refused
    /// with 503
    #[arg(long, env = "MAX_BUFFERED_BYTES", default_value_t = 64 * 1024 * 1024, value_parser = clap::value_parser!(u32).range(1024 * 1024..))]
    pub max_buffered_bytes: u32,

    /// Longest time for a body to arrive, in milliseconds
    #[arg(
        id = "body_timeout",
        long = "body-timeout-ms",
        env = "BODY_TIMEOUT_MS",
        default_value = "10000",
        value_parser = service::settings::millis(10..=600_000)
    )]
    pub body_timeout: Duration,

    /// Longest time for the broker to acknowledge an event, in milliseconds; then it is refused with
    /// 503, and may or may not be there
    #[arg(
        id = "delivery_timeout",
        long = "delivery-timeout-ms",
        env = "DELIVERY_TIMEOUT_MS",
        default_value = "10000",
        value_parser = service::settings::millis(100..=600_000)
    )]
    pub delivery_timeout: Duration,

    /// How long an event waits for others to be sent along with, in milliseconds
    #[arg(
        id = "linger",
        long = "linger-ms",
        env = "LINGER_MS",
        default_value = "2",
        value_parser = service::settings::millis(0..=1_000)
    )]
    pub linger: Duration,
}

impl IngestSettings {
    /// What the environment and the defaults say, for programs whose flags are others.
    ///
    /// # Errors
    /// One of them is wrong; the error says which and what is allowed.
    pub fn from_environment() -> Result<Self, clap::Error> {
        let command = Self::augment_args(Command::new("ingest"));
        Self::from_arg_matches(&command.try_get_matches_from(["ingest"])?)
    }

    /// Bounds of one event.
    pub(crate) fn event_limits(&self) -> Limits {
        Limits {
            max_bytes: self.max_event_bytes,
            max_depth: self.max_event_depth,
        }
    }
}
