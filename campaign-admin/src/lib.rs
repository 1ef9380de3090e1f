//! The campaigns' API.
//!
//! Reads in the order of the data: [`follow`] brings the two topics into the [`catalog`], the [`api`] answers
//! from it, from the [`archive`] of past documents, from the [`audiences`] and from the [`database`] of matches and the [`changelog`]s of what is remembered, and [`changes`] are
//! written to the topics. [`Admin`] starts it all within a process. [`backup`] reads and writes the topics by itself.

pub mod catalog;
mod follow;

mod archive;
mod audiences;
mod changelog;
mod database;
pub mod difference;

mod breaker;
pub mod changes;

pub mod api;

pub mod backup;
pub mod keys;
mod metrics;
pub mod register_schemas;
pub mod settings;
mod start;

pub mod ctl;

pub use settings::AdminSettings;
pub use start::{Admin, Settings};
