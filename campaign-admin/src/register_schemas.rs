//! Registers this release's schemas: `campaign-admin register-schemas`.

use std::fmt::Write as _;

use clap::Args;
use service::registry::register::{carry_out, plan};
use service::registry::{Client, RegistrySettings};
use service::settings::TopicSettings;

/// How schemas are registered.
#[derive(Debug, Clone, Args)]
pub struct RegisterSchemas {
    /// Only print what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Registers what is missing and tells what was done, a line for each subject.
///
/// # Errors
/// There is no registry, it does not answer, or a schema may not follow those that are registered; then
/// nothing was done.
pub async fn register(
    command: &RegisterSchemas,
    registry: &RegistrySettings,
    topics: &TopicSettings,
) -> anyhow::Result<String> {
    let client = Client::new(registry)?;
    let steps = plan(&client, topics).await?;
    if !command.dry_run {
        carry_out(&client, &steps).await?;
    }
    let mut told = String::new();
    for step in &steps {
        writeln!(told, "{step}")?;
    }
    Ok(told)
}
