//! The campaigns: read from the compacted topic to its end before the first event, then followed.

mod armed;
mod budgets;
mod catalog;
mod counted;
mod follower;
mod merges;
mod metrics;
mod trips;

pub use self::armed::Armed;
pub use self::budgets::Budgets;
pub use self::catalog::{Applied, CampaignRecord, Catalog, Refused};
pub use self::counted::Counted;
pub use self::follower::{Follower, FollowerSettings};
pub use self::metrics::CampaignMetrics;
pub use self::trips::{Trip, TripFollower};
