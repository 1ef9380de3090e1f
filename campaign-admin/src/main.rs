//! `campaign-admin`: the campaigns' API.

use std::process::ExitCode;
use std::sync::Arc;

use campaign_admin::backup::{Backup, Installation, Restore, backup, restore};
use campaign_admin::changes::Output;
use campaign_admin::keys::{self, KeyCommand};
use campaign_admin::register_schemas::{RegisterSchemas, register};
use campaign_admin::{Admin, AdminSettings, Settings};
use clap::{Parser, Subcommand};
use jiff::Timestamp;
use service::Metrics;
use service::auth::{Auth, AuthSettings};
use service::http::{Router, ServerLimits, serve_api};
use service::program::{self, Effective, ProgramSettings, Running};
use service::registry::{Documents, RegistrySettings};
use service::settings::{ApiSettings, KafkaSettings, ScyllaSettings, TopicSettings};
use tokio::runtime::Handle;

/// Serves the campaigns' API, with Kafka as its database
#[derive(Debug, Parser)]
#[command(name = "campaign-admin", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    kafka: KafkaSettings,
    #[command(flatten)]
    topics: TopicSettings,
    #[command(flatten)]
    admin: AdminSettings,
    #[command(flatten)]
    api: ApiSettings,
    #[command(flatten)]
    auth: AuthSettings,
    #[command(flatten)]
    registry: RegistrySettings,
    #[command(flatten)]
    scylla: ScyllaSettings,
    #[command(flatten)]
    program: ProgramSettings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API; the same as no command
    Serve,
    /// Write all campaigns and their history to a file
    Backup(Backup),
    /// Bring campaigns and their history back from the file of a backup; safe to repeat. Nothing is done if
    /// campaigns were changed here since, unless --overwrite is given
    Restore(Restore),
    /// API keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Register this release's schemas with their levels of compatibility; safe to repeat. Nothing is
    /// registered if any of them may not follow what is there
    RegisterSchemas(RegisterSchemas),
}

fn main() -> ExitCode {
    program::run(|arguments: &Arguments| &arguments.program, run)
}

async fn run(arguments: Arguments, effective: Effective) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Some(Command::Key(KeyCommand::Create(command))) => {
            let made = keys::create(command, Timestamp::now())?;
            // The key alone is the output, so that it can be kept as it comes.
            eprint!("{}", made.told);
            println!("{}", made.key);
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::RegisterSchemas(command)) => {
            print!(
                "{}",
                register(command, &arguments.registry, &arguments.topics).await?
            );
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Backup(command)) => {
            let command = command.clone();
            let counted = on_topics(arguments, move |from, _| backup(&command, from)).await?;
            let (changes, campaigns) = counted;
            tracing::info!(changes, campaigns, "backup written");
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Restore(command)) => {
            let command = command.clone();
            let restored = on_topics(arguments, move |to, output| restore(&command, to, output));
            let restored = restored.await?;
            print!("{}", restored.told);
            Ok(restored.code)
        }
        Some(Command::Serve) | None => {
            effective.log();
            serve(arguments).await
        }
    }
}

/// Does something with the two topics, on a thread that it may block.
async fn on_topics<T: Send + 'static>(
    arguments: Arguments,
    work: impl FnOnce(&Installation<'_>, Output) -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let metrics = Metrics::new("campaign-admin");
    let Arguments {
        kafka,
        topics,
        registry,
        ..
    } = arguments;
    let documents = Documents::new(&registry, Arc::default(), &metrics, Handle::current())?;
    let output = Output::of(&topics, &documents).await?;
    let work = move || {
        let installation = Installation {
            kafka: &kafka,
            topics: &topics,
            documents: &documents,
        };
        work(&installation, output)
    };
    tokio::task::spawn_blocking(work).await?
}

async fn serve(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let running = Running::begin("campaign-admin", &arguments.program, Router::new()).await?;
    let Running {
        health,
        metrics,
        tracer,
        shutdown,
        ..
    } = &running;
    let auth = Auth::start(&arguments.auth, "admin", metrics, shutdown).await?;
    let listener = service::http::listen(&arguments.api).await?;
    let limits = ServerLimits::from(&arguments.api);
    let settings = Settings {
        admin: arguments.admin,
        api: arguments.api,
        kafka: arguments.kafka,
        topics: arguments.topics,
        scylla: arguments.scylla,
        transactional_id_suffix: String::new(),
    };
    let documents = Documents::new(
        &arguments.registry,
        Arc::default(),
        metrics,
        Handle::current(),
    )?;
    let (admin, routes) = Admin::start(
        &settings,
        &documents,
        &auth,
        health,
        (metrics, tracer),
        shutdown,
    )?;
    serve_api(listener, routes, limits, shutdown.clone()).await;
    tokio::task::spawn_blocking(move || admin.join()).await?;
    running.end().await
}
