//! `campaignctl`: campaigns as files, and a look at what runs.
//!
//! [`run`] reads the arguments, the context and the environment, and hands over to a command. Commands
//! come in two kinds: those that speak with the campaigns' API ([`api`]) and those that read and write
//! Kafka themselves ([`kafka`]), so that they still work when our services do not.
//!
//! What is printed to the output is the answer; all else goes to the error stream. The exit codes are
//! those of `docs/campaignctl.md`.

mod exit;
mod output;
mod results;

mod context;
mod documents;

mod api;
mod campaign;

mod apply;
mod check;
mod diff;
mod examples;
mod get;
mod history;
mod test;
mod turn;

mod backtest;
mod events;
mod try_out;

mod audience;
mod budget;
mod coupons;
mod customer;

mod filter;
mod kafka;

mod dead_letters;
mod send;
mod tail;

mod doctor;

mod config;
mod start;

pub use start::run;
