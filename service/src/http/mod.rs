//! HTTP: the probes that every program has, and what the APIs share: problems, trace context, limits.

pub mod api;
pub mod client;
pub mod description;
pub mod extract;
pub mod problem;
pub mod server;
pub mod trace;

mod probes;

pub use axum::Router;

pub use self::api::Api;
pub use self::probes::{ask_ready, routes, serve};
pub use self::problem::Problem;
pub use self::server::{ServerLimits, listen, serve_api};
pub use self::trace::TraceContext;
