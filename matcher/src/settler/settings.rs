//! The settings of the settler.

use clap::Args;

/// Settings of the settlers, which decide the claims of campaigns with budgets.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Settler")]
pub struct SettlerSettings {
    /// Consumer group of the settlers
    #[arg(
        id = "settler_group",
        long = "settler-group",
        env = "SETTLER_GROUP",
        default_value = "settler"
    )]
    pub group: String,

    /// Number of settlers, each a thread with its own consumer and transactional producer; all claims of a campaign are
    /// settled by one of them; with 0 this process settles none
    #[arg(
        id = "settler_workers",
        long = "settler-workers",
        env = "SETTLER_WORKERS",
        default_value_t = 1,
        value_parser = clap::value_parser!(u16).range(0..=1024)
    )]
    pub workers: u16,
}
