//! The campaigns: read from the compacted topic to its end before the first event, then followed.

mod budgets;
mod catalog;
mod counted;
mod follower;
mod merges;
mod metrics;

pub use self::budgets::Budgets;
pub use self::catalog::{Applied, CampaignRecord, Catalog, Refused};
pub use self::counted::Counted;
pub use self::follower::{Follower, FollowerSettings};
pub use self::metrics::CampaignMetrics;
