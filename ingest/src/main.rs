//! `ingest`: events in over HTTP.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use ingest::{Ingest, IngestSettings, Settings};
use service::auth::AuthSettings;
use service::http::Router;
use service::program::{self, Effective, ProgramSettings, Running};
use service::registry::{Documents, RegistrySettings};
use service::settings::{ApiSettings, KafkaSettings, TopicSettings};

/// Takes events over HTTP and acknowledges them when the broker has them
#[derive(Debug, Parser)]
#[command(name = "ingest", version)]
struct Arguments {
    #[command(flatten)]
    kafka: KafkaSettings,
    #[command(flatten)]
    topics: TopicSettings,
    #[command(flatten)]
    registry: RegistrySettings,
    #[command(flatten)]
    ingest: IngestSettings,
    #[command(flatten)]
    auth: AuthSettings,
    #[command(flatten)]
    api: ApiSettings,
    #[command(flatten)]
    program: ProgramSettings,
}

fn main() -> ExitCode {
    program::run(|arguments: &Arguments| &arguments.program, run)
}

async fn run(arguments: Arguments, effective: Effective) -> anyhow::Result<ExitCode> {
    effective.log();
    let running = Running::begin("ingest", &arguments.program, Router::new()).await?;
    let documents = Documents::new(
        &arguments.registry,
        Arc::default(),
        &running.metrics,
        tokio::runtime::Handle::current(),
    )?;
    let settings = Settings {
        ingest: arguments.ingest,
        kafka: arguments.kafka,
        topics: arguments.topics,
        api: arguments.api,
        auth: arguments.auth,
    };
    let ingest = Ingest::start(
        &settings,
        documents,
        &running.health,
        (&running.metrics, &running.tracer),
        &running.shutdown,
    );
    ingest.await?.run().await;
    running.end().await
}
