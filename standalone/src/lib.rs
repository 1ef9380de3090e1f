//! Everything in one process, to try it out: an embedded broker, the topics, sample campaigns, a stream
//! of sample events, the matcher, the campaigns' API, the door for events, and the matches in memory instead of in a database.
//! For development only.
//!
//! Reads in the order of the start: [`settings`] are read, a broker is found or started ([`place`]),
//! [`campaigns`] and [`events`] write the [`samples`], [`api`] takes changes and [`mod@ingest`] events, [`matches`] shows what comes
//! of it all; [`run()`] puts it together.

pub mod settings;

#[cfg(feature = "embedded-broker")]
pub mod broker;
pub mod place;

pub mod campaigns;
pub mod events;
pub mod samples;

pub mod api;
pub mod ingest;

pub mod matches;
pub mod topic;

mod run;

pub use run::run;
pub use settings::Arguments;
