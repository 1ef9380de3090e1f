//! Events in over HTTP: each is checked, written to the topic of the events, as Avro with a schema registry, and
//! acknowledged when the broker has it on all replicas in sync.
//!
//! The files in the order in which an event passes them: [`settings`] says what is let in, `form` what
//! a body holds, `body` reads it within bounds, `cloud_events` turns CloudEvents into ours, `check`
//! holds each event to the contract and to its own schema, `producer` writes it, `sends` traces that, `answer` says what
//! became of each.

pub mod settings;

mod body;
mod form;
mod items;

mod check;
mod cloud_events;
mod event_schemas;
mod refusal;

mod outage;
mod pending;
mod producer;
mod sends;

mod answer;
mod handler;
mod metrics;
pub mod openapi;
mod start;

pub use self::settings::{IngestSettings, Settings};
pub use self::start::Ingest;
