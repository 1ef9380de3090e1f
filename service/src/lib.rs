//! What every service shares: settings, logs, metrics, traces, health, shutdown, Kafka clients, retries.
//!
//! Nothing here is global but the log: registries, health and shutdown are values that are passed to
//! the parts, so that several services can live in one process.
//!
//! ```
//! use service::{Health, Shutdown};
//!
//! let (health, shutdown) = (Health::new(), Shutdown::new());
//! let part = health.component("campaigns");
//! assert!(!health.ready().ok);
//! part.ready();
//! assert!(health.ready().ok);
//! shutdown.request("the example is over");
//! assert!(shutdown.is_requested());
//! ```

pub mod reference;
pub mod settings;

pub mod log;
pub mod metrics;
pub mod traces;

pub mod health;
pub mod http;

pub mod auth;

pub mod program;
pub mod shutdown;

mod hex;

pub mod breaker;
pub mod retry;

pub mod kafka;
pub mod registry;

pub use health::{Component, Health, Heartbeat};
pub use metrics::Metrics;
pub use shutdown::Shutdown;
pub use traces::Tracer;
