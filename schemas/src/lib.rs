//! The contracts of Campaign Manager: what its topics carry.
//!
//! Identifiers, documents, their JSON and Avro forms, and the names of topics and headers. There are
//! no services here and no clocks.

pub mod ids;

pub use ids::{CampaignId, CustomerId, EventId, IdError, MatchId};
