//! The settings of the matcher.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use schemas::avro::EventMapping;
use schemas::{Limits, Span};
use service::registry::MappingFile;
use state::EventTimes;

use crate::worker::Pace;

/// Settings of the workers.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Matcher")]
pub struct MatcherSettings {
    /// Consumer group of the workers
    #[arg(
        long = "matcher-group",
        env = "MATCHER_GROUP",
        default_value = "matcher"
    )]
    pub group: String,

    /// Number of workers, each a thread with its own consumer and transactional producer; more than
    /// the topic has partitions stand idle; with 0 this process decides no events [default: one a core]
    #[arg(long = "matcher-workers", env = "MATCHER_WORKERS", value_parser = clap::value_parser!(u16).range(0..=1024))]
    pub workers: Option<u16>,

    /// Name of this process, stable over restarts and used by no other process of the group: a
    /// restart takes over at once what its predecessor left open [default: the host's name]
    #[arg(long = "matcher-instance", env = "MATCHER_INSTANCE", value_parser = instance)]
    pub instance: Option<String>,

    /// Longest time an event waits for the commit of its batch, in milliseconds
    #[arg(
        long,
        env = "COMMIT_INTERVAL_MS",
        default_value = "100",
        value_parser = service::settings::millis(1..=5_000)
    )]
    pub commit_interval_ms: Duration,

    /// Shortest time between two transactions of a worker when events trickle, in milliseconds; each
    /// transaction costs the broker some requests, whatever is in it
    #[arg(
        long,
        env = "MIN_COMMIT_INTERVAL_MS",
        default_value = "10",
        value_parser = service::settings::millis(0..=5_000)
    )]
    pub min_commit_interval_ms: Duration,

    /// Most events in a batch
    #[arg(long, env = "MAX_BATCH_EVENTS", default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_batch_events: u32,

    /// Largest event, in bytes; larger ones are dead letters
    #[arg(long, env = "MAX_EVENT_BYTES", default_value_t = Limits::default().max_bytes, value_parser = clap::value_parser!(u32).range(256..=64 * 1024 * 1024))]
    pub max_event_bytes: u32,

    /// Deepest nesting of an event; deeper ones are dead letters
    #[arg(long, env = "MAX_EVENT_DEPTH", default_value_t = Limits::default().max_depth, value_parser = clap::value_parser!(u32).range(2..=schemas::document::MAX_DEPTH as i64))]
    pub max_event_depth: u32,

    /// How long an event is remembered so that it counts once: one that is older than that, against the time of
    /// its partition, is a dead letter; as 7d or 12h
    #[arg(long, env = "DEDUP_WINDOW", default_value = "7d", value_parser = Span::parse)]
    pub dedup_window: Span,

    /// How far an event's time may be ahead of its record; one beyond is a dead letter
    #[arg(long, env = "MAX_EVENT_AHEAD", default_value = "1d", value_parser = Span::parse)]
    pub max_event_ahead: Span,

    /// Folder of this process alone for what is remembered of customers, which then need not fit in memory; a start reads
    /// from the changelog only what came after [default: all is in memory]
    #[arg(long, env = "STATE_DIR", value_name = "FOLDER")]
    pub state_dir: Option<PathBuf>,

    /// Memory for blocks of the state's folder that are at hand, in bytes; the process takes up to twice as much for them, and 8 MiB
    /// a partition
    #[arg(long, env = "STATE_MEMORY", default_value_t = 128 * 1024 * 1024, value_parser = clap::value_parser!(u64).range(8 * 1024 * 1024..))]
    pub state_memory: u64,

    /// File that says where upstream's own Avro records have an event's id, customer, type and time; see
    /// docs/schemas.md
    #[arg(long, env = "EVENT_MAPPING", value_name = "FILE")]
    pub event_mapping: Option<MappingFile>,
}

/// Matches and dead letters that a batch may hold in memory before it is committed.
const MAX_OUTPUT_BYTES: usize = 8 * 1024 * 1024;

impl MatcherSettings {
    /// Number of workers: as set, or one a core.
    pub fn workers(&self) -> usize {
        self.workers.map_or_else(
            || std::thread::available_parallelism().map_or(1, usize::from),
            usize::from,
        )
    }

    /// Where upstream's own records have what an event has: as set, or nowhere.
    pub fn event_mapping(&self) -> Arc<EventMapping> {
        let file = self.event_mapping.as_ref();
        file.map(MappingFile::mapping).unwrap_or_default()
    }

    /// Name of this process: as set, or the host's, which containers are told as `HOSTNAME`.
    pub fn instance(&self) -> String {
        self.instance.clone().unwrap_or_else(|| {
            std::env::var("HOSTNAME")
                .or_else(|_| std::fs::read_to_string("/proc/sys/kernel/hostname"))
                .ok()
                .and_then(|name| instance(name.trim()).ok())
                .unwrap_or_else(|| "matcher".to_owned())
        })
    }

    pub(crate) fn pace(&self) -> Pace {
        Pace {
            commit_interval: self.commit_interval_ms,
            min_commit_interval: self.min_commit_interval_ms,
            max_events: self.max_batch_events as usize,
            max_output_bytes: MAX_OUTPUT_BYTES,
        }
    }

    pub(crate) const fn times(&self) -> EventTimes {
        EventTimes {
            dedup_window: self.dedup_window,
            max_ahead: self.max_event_ahead,
        }
    }

    pub(crate) const fn limits(&self) -> Limits {
        Limits {
            max_bytes: self.max_event_bytes,
            max_depth: self.max_event_depth,
        }
    }
}

fn instance(name: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 128 || !name.chars().all(allowed) {
        return Err("use 1 to 128 letters, digits, '-', '_' and '.'".to_owned());
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        matcher: MatcherSettings,
    }

    fn parse(arguments: &[&str]) -> Result<MatcherSettings, String> {
        Command::try_parse_from([&["matcher"], arguments].concat())
            .map(|command| command.matcher)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn settings_are_typed_and_bounded() {
        let settings = parse(&["--commit-interval-ms", "250", "--matcher-workers", "3"]).unwrap();
        assert_eq!(settings.pace().commit_interval, Duration::from_millis(250));
        assert_eq!(settings.workers(), 3);
        let broken = [
            ["--commit-interval-ms", "0"],
            ["--matcher-workers", "1025"],
            ["--matcher-instance", "a b"],
            ["--max-event-depth", "1000"],
        ];
        for arguments in broken {
            let error = parse(&arguments).unwrap_err();
            assert!(error.contains(arguments[0]), "{error}");
        }
    }
}
