//! The settings of the recorder.

use std::time::Duration;

use clap::Args;

/// Settings of the recorder, which works when a database is set.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Recorder")]
pub struct RecorderSettings {
    /// Consumer group of the recorders
    #[arg(
        id = "recorder_group",
        long = "recorder-group",
        env = "RECORDER_GROUP",
        default_value = "recorder"
    )]
    pub group: String,

    /// Matches written at the same time
    #[arg(
        long = "recorder-concurrency",
        env = "RECORDER_CONCURRENCY",
        default_value = "256",
        value_parser = concurrency
    )]
    pub concurrency: usize,

    /// How far back matches are written again after the database was away, and after a start, in
    /// milliseconds; must be longer than the database keeps acknowledged rows in memory only
    #[arg(
        long = "recorder-replay-ms",
        env = "RECORDER_REPLAY_MS",
        default_value = "60000",
        value_parser = service::settings::millis(0..=3_600_000)
    )]
    pub replay: Duration,
}

fn concurrency(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=4096) => Ok(number),
        _ => Err("use 1 to 4096".to_owned()),
    }
}
