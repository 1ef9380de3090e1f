//! Events to matches, exactly once.
//!
//! Reads in the order of the data: [`campaigns`] keeps the rule set, [`audiences`] who is in which, [`worker`] consumes, decides
//! ([`rules::decide`]), writes and commits, [`settler`] decides what is claimed of budgets, [`recorder`] follows the committed matches and writes
//! them to the database. [`Matcher`] starts it all within a process. [`repartition`] carries what is remembered over to other topics.

pub mod audiences;
pub mod campaigns;
pub mod recorder;
pub mod repartition;
pub mod settings;
pub mod settler;
pub mod worker;

mod dead_letter;
mod group;
mod positions;
mod series;
mod start;
mod trace;

pub use series::Series;
pub use settings::MatcherSettings;
pub use start::{Matcher, Settings};
