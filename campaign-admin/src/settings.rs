//! The settings of the service that only it has.

use std::time::Duration;

use clap::Args;

/// Settings of the campaigns' API.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Campaigns")]
pub struct AdminSettings {
    /// Longest time that a request waits for its change to be made, in milliseconds
    #[arg(
        id = "change_timeout",
        long = "change-timeout-ms",
        env = "CHANGE_TIMEOUT_MS",
        default_value = "10000",
        value_parser = service::settings::millis(100..=60_000)
    )]
    pub change_timeout: Duration,
}
