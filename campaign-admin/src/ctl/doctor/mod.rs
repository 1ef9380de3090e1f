//! `doctor`: whether everything is set up as it must be, and what to do where it is not.
//!
//! Only looks: nothing is made, written or committed.

mod budgets;
mod database;
mod groups;
mod partitioner;
mod schemas;
mod server;
mod topics;
mod versions;

use clap::Args;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use serde::Serialize;
use service::registry::RegistrySettings;
use service::settings::ScyllaSettings;

use super::api::Api;
use super::exit::Exit;
use super::kafka::{Cluster, Quiet, TIMEOUT};
use super::output::{BAD, DIM, Form, GOOD, Table, WARN, styled};

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Consumer group of the matchers
    #[arg(
        long,
        env = "MATCHER_GROUP",
        default_value = "matcher",
        help_heading = "Kafka"
    )]
    matcher_group: String,

    /// Consumer group of the recorders
    #[arg(
        long,
        env = "RECORDER_GROUP",
        default_value = "recorder",
        help_heading = "Kafka"
    )]
    recorder_group: String,

    /// Consumer group of the settlers
    #[arg(
        long,
        env = "SETTLER_GROUP",
        default_value = "settler",
        help_heading = "Kafka"
    )]
    settler_group: String,

    /// Look at so many of the newest events of each partition, whether their keys lie where they must
    #[arg(long, value_name = "NUMBER", default_value_t = 2_000)]
    sample: u32,

    #[command(flatten)]
    cluster: Cluster,

    #[command(flatten)]
    registry: RegistrySettings,

    #[command(flatten)]
    database: ScyllaSettings,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// As it must be.
    Good,
    /// Not looked at, as it is not set.
    Skipped,
    /// It works, and may not go well.
    Warning,
    /// Something promised does not hold, or does not work at all.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    pub(super) level: Level,
    /// What was looked at.
    pub(super) what: String,
    /// What was found.
    pub(super) found: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) advice: Option<String>,
}

impl Check {
    pub(super) fn good(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(Level::Good, what, found)
    }

    pub(super) fn skipped(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(Level::Skipped, what, found)
    }

    pub(super) fn warning(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(Level::Warning, what, found)
    }

    pub(super) fn bad(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(Level::Bad, what, found)
    }

    fn new(level: Level, what: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            level,
            what: what.into(),
            found: found.into(),
            advice: None,
        }
    }

    pub(super) fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

impl Doctor {
    pub(crate) async fn run(&self, form: Form, api: &Api) -> anyhow::Result<Exit> {
        let mut checks = Vec::new();
        let kafka: BaseConsumer<Quiet> = self.cluster.kafka.reader().create_with_context(Quiet)?;
        match kafka.fetch_metadata(None, TIMEOUT) {
            Err(error) => checks.push(
                Check::bad("brokers", format!("no answer: {error}")).advice(self.cluster.away()),
            ),
            Ok(metadata) => {
                checks.push(topics::brokers(&metadata));
                checks.push(versions::look(&self.cluster)?);
                let found = topics::look(&self.cluster, &metadata).await?;
                let events = found.partitions_of_events;
                checks.extend(found.checks);
                if events.is_some() {
                    checks.extend(partitioner::look(&self.cluster, self.sample)?);
                    let groups = [
                        groups::matchers(&self.matcher_group, &self.cluster),
                        groups::recorders(&self.recorder_group, &self.cluster),
                    ];
                    for group in groups {
                        checks.push(group.look(&self.cluster)?);
                    }
                    checks.push(self.settlers()?);
                }
            }
        }
        checks.extend(schemas::look(&self.registry, &self.cluster.topics).await?);
        checks.push(database::look(&self.database).await);
        checks.push(server::look(api).await);

        form.print(&serde_json::json!({"checks": checks}), || table(&checks))?;
        let worst = checks.iter().map(|check| check.level).max();
        Ok(Exit::yes_or_no(worst != Some(Level::Bad)))
    }
}

impl Doctor {
    /// Looks at the settlers, and whether there must be any.
    fn settlers(&self) -> anyhow::Result<Check> {
        match budgets::look(&self.cluster, &self.registry) {
            Ok(with_budgets) => groups::settlers(&self.settler_group, &self.cluster, &with_budgets)
                .look(&self.cluster),
            Err(error) => {
                let what = format!("settlers (group {})", self.settler_group);
                Ok(Check::warning(what, format!("{error:#}"))
                    .advice("allow Read on the campaigns to have them checked"))
            }
        }
    }
}

fn table(checks: &[Check]) -> String {
    let mut table = Table::new(&["", "CHECK", "FOUND"]);
    for check in checks {
        let level = match check.level {
            Level::Good => styled(GOOD, "ok"),
            Level::Skipped => styled(DIM, "skipped"),
            Level::Warning => styled(WARN, "warning"),
            Level::Bad => styled(BAD, "WRONG"),
        };
        let advice = check.advice.as_ref();
        let advice = advice.map_or_else(String::new, |advice| format!("; {advice}"));
        table.row([
            level,
            check.what.clone(),
            format!("{}{advice}", check.found),
        ]);
    }
    table.to_string()
}
