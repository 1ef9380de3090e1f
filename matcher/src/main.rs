//! `matcher`: events to matches, and committed matches to the database.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use matcher::recorder::RecorderSettings;
use matcher::repartition::{self, Groups, Repartition};
use matcher::settler::SettlerSettings;
use matcher::{Matcher, MatcherSettings, Settings};
use service::http::Router;
use service::program::{self, Effective, ProgramSettings, Running};
use service::registry::{Documents, RegistrySettings};
use service::settings::{KafkaSettings, ScyllaSettings, TopicSettings};

/// Customers come to life and go with each batch, on as many threads as there are workers: a fifth of a worker's time with
/// glibc's allocator, which also keeps most of what a restore has used (docs/performance.md).
#[global_allocator]
static ALLOCATOR: allocator::MiMalloc = allocator::MiMalloc;

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
    settler: SettlerSettings,
    #[command(flatten)]
    registry: RegistrySettings,
    #[command(flatten)]
    recorder: RecorderSettings,
    #[command(flatten)]
    scylla: ScyllaSettings,
    #[command(flatten)]
    program: ProgramSettings,
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
    /// Carry what is remembered of customers, and who is in which audience, over to topics with another number of partitions.
    /// Give it the names of the new topics as settings, and run it while no matcher runs; safe to repeat until one has begun
    /// on the new topics
    Repartition(Repartition),
}

fn main() -> ExitCode {
    program::run(|arguments: &Arguments| &arguments.program, run)
}

async fn run(arguments: Arguments, effective: Effective) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Some(Command::CreateTopics {
            partitions,
            replication_factor,
        }) => {
            let topics = &arguments.topics;
            let plan = service::kafka::topics::plan(
                topics,
                (*partitions, *partitions),
                *replication_factor,
            );
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
            store::migrate(scylla, *replication_factor, *wait_ms).await?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Repartition(from)) => {
            let from = from.clone();
            let carry = move || {
                let groups = Groups {
                    matcher: &arguments.matcher.group,
                    settler: &arguments.settler.group,
                };
                repartition::repartition(&from, &arguments.kafka, &arguments.topics, groups)
            };
            let carried = tokio::task::spawn_blocking(carry).await??;
            println!(
                "carried over: {} records of customers, {} of members of audiences",
                carried.customers, carried.members
            );
            Ok(ExitCode::SUCCESS)
        }
        None => {
            effective.log();
            serve(arguments).await
        }
    }
}

async fn serve(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let running = Running::begin("matcher", &arguments.program, Router::new()).await?;
    let documents = Documents::new(
        &arguments.registry,
        arguments.matcher.event_mapping(),
        &running.metrics,
        tokio::runtime::Handle::current(),
    )?;
    let settings = Settings {
        matcher: arguments.matcher,
        settler: arguments.settler,
        kafka: arguments.kafka,
        topics: arguments.topics,
        recorder: arguments.recorder,
        scylla: arguments.scylla,
        transactional_id_suffix: String::new(),
        give_back: allocator::give_back,
    };
    let matcher = Matcher::start(
        &settings,
        &documents,
        &running.health,
        (&running.metrics, &running.tracer),
        &running.shutdown,
    )?;
    tokio::task::spawn_blocking(move || matcher.join()).await?;
    running.end().await
}
