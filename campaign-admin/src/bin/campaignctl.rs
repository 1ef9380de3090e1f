//! `campaignctl`: campaigns as files, and a look at what runs.

use std::process::ExitCode;

fn main() -> ExitCode {
    campaign_admin::ctl::run()
}
