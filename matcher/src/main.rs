//! `matcher`: events to matches, and committed matches to the database.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use matcher::recorder::RecorderSettings;
use matcher::{Matcher, MatcherSettings, Settings};
use service::settings::{
    HttpSettings, KafkaSettings, LogSettings, ScyllaSettings, ShutdownSettings, TopicSettings,
};
use service::{Health, Metrics, Shutdown};

/// Turns events into matches, exactly once, and records them
#[derive(Debug, Parser)]
#[command(name = "matcher", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    kafka: KafkaSettings,
    #[command(flatten)]
    topics: TopicSettings,
    #[command(flatten)]
    matcher: MatcherSettings,
    #[command(flatten)]
    recorder: RecorderSettings,
    #[command(flatten)]
    scylla: ScyllaSettings,
    #[command(flatten)]
    log: LogSettings,
    #[command(flatten)]
    http: HttpSettings,
    #[command(flatten)]
    shutdown: ShutdownSettings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the topics that are missing; safe to repeat
    CreateTopics {
        /// Partitions of the events and of everything that is partitioned as they are; cannot be
        /// changed later
        #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(i32).range(1..=10_000))]
        partitions: i32,
        /// Copies of each partition
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(i32).range(1..=9))]
        replication_factor: i32,
    },
    /// Make the keyspace and the tables of matches, or bring them up to date; safe to repeat
    Migrate {
        /// Copies of each row in each data centre, for a keyspace that is new
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=9))]
        replication_factor: u8,
        /// How long to wait for the database, in milliseconds
        #[arg(long, default_value = "60000", value_parser = service::settings::millis(0..=3_600_000))]
        wait_ms: Duration,
    },
}

fn main() -> ExitCode {
    let command = Arguments::command();
    let matches = command.clone().get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    if let Err(error) = service::log::start(&arguments.log) {
        eprintln!("matcher: {error:#}");
        return ExitCode::FAILURE;
    }
    let effective = service::settings::effective(&command, &matches);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(run(arguments, &effective)),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(
    arguments: Arguments,
    effective: &[service::settings::Effective],
) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Some(Command::CreateTopics {
            partitions,
            replication_factor,
        }) => {
            let topics = &arguments.topics;
            let plan = service::kafka::topics::plan(topics, *partitions, *replication_factor);
            service::kafka::topics::create_missing(&arguments.kafka, &plan).await?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Migrate {
            replication_factor,
            wait_ms,
        }) => {
            let scylla = &arguments.scylla;
            anyhow::ensure!(
                !scylla.nodes.is_empty(),
                "SCYLLA_NODES is not set; give the nodes of ScyllaDB or Cassandra, as host:port"
            );
            matcher::store::migrate(scylla, *replication_factor, *wait_ms).await?;
            Ok(ExitCode::SUCCESS)
        }
        None => {
            service::settings::log_effective(effective);
            serve(arguments).await
        }
    }
}

async fn serve(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let health = Health::new();
    let metrics = Metrics::new("matcher");
    let shutdown = Shutdown::new();
    shutdown.listen_for_signals()?;
    shutdown.enforce_deadline(arguments.shutdown.deadline)?;

    let address = arguments.http.metrics_addr;
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| format!("METRICS_ADDR {address} cannot be listened on"))?;
    tracing::info!(address = %listener.local_addr()?, "health and metrics");
    let http = tokio::spawn(service::http::serve(
        listener,
        service::http::routes(&health, &metrics),
        shutdown.clone(),
    ));

    let settings = Settings {
        matcher: arguments.matcher,
        kafka: arguments.kafka,
        topics: arguments.topics,
        recorder: arguments.recorder,
        scylla: arguments.scylla,
        transactional_id_suffix: String::new(),
    };
    let matcher = Matcher::start(&settings, &health, &metrics, &shutdown)?;
    tokio::task::spawn_blocking(move || matcher.join()).await?;
    http.await??;
    Ok(shutdown.exit_code())
}
