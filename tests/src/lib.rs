//! The system from outside, on a real Kafka and a real CQL database: what its tests and benches need.

#![allow(
    clippy::missing_panics_doc,
    reason = "a test fails by panicking, and everything here is part of a test"
)]

pub mod markers;
pub mod servers;
pub mod wait;

pub mod collector;
pub mod contracts;
pub mod http;
pub mod observer;
pub mod page;
pub mod process;
pub mod rows;
pub mod shell;
pub mod standalone;
pub mod topics;

pub mod audit;
pub mod books;
pub mod check;
pub mod ledger;
pub mod people;
pub mod sales;

pub mod oracle;

pub mod world;
