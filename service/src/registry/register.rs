//! Registers this release's schemas: what `campaign-admin register-schemas` does.
//!
//! First everything is looked at, and only if all of it may be done anything is. What is compatible is
//! decided here, by the rules of [`schemas::avro::compatibility`], and by the registry: both must agree.

use std::fmt;

use schemas::avro::CONTRACTS;
use schemas::avro::Contract;
use schemas::avro::compatibility::{self, Incompatibility};
use schemas::names::topic;

use super::{Client, RegistryError};
use crate::settings::TopicSettings;

/// What is to be done to a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The subject.
    pub subject: String,
    /// The level of compatibility that it gets.
    pub level: &'static str,
    /// The level that it has, if it has one of its own.
    pub level_before: Option<String>,
    /// Versions that it has.
    pub versions: usize,
    /// The id of this release's schema, if it is registered already.
    pub id: Option<u32>,
    /// Why this release's schema and those versions do not fit.
    pub incompatible: Vec<Incompatibility>,
    schema: &'static str,
}

/// Why nothing was registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The registry did not help.
    #[error("{subject}: {error}")]
    Registry {
        /// The subject.
        subject: String,
        /// What happened.
        error: RegistryError,
    },
    /// Some schemas may not follow those that are registered.
    #[error("nothing was registered, for schemas are not compatible:{}", lines(.0))]
    Incompatible(Vec<(String, Incompatibility)>),
    /// The registry takes a schema for incompatible that our rules let pass.
    #[error("nothing was registered: the registry finds the schema of {subject} not compatible")]
    RegistryDisagrees {
        /// The subject.
        subject: String,
    },
}

fn lines(found: &[(String, Incompatibility)]) -> String {
    let line = |(subject, why): &(String, Incompatibility)| format!("\n  {subject}: {why}");
    found.iter().map(line).collect()
}

/// What has to be done that the registry has this release's schemas. Asks only.
///
/// # Errors
/// [`RegisterError`]: the registry is away, or something may not be registered.
pub async fn plan(client: &Client, topics: &TopicSettings) -> Result<Vec<Step>, RegisterError> {
    let steps = look(client, topics).await?;
    let missing = steps.iter().filter(|step| step.id.is_none());
    let incompatible: Vec<_> = missing
        .flat_map(|step| {
            let reasons = step.incompatible.iter();
            reasons.map(|why| (step.subject.clone(), why.clone()))
        })
        .collect();
    if incompatible.is_empty() {
        Ok(steps)
    } else {
        Err(RegisterError::Incompatible(incompatible))
    }
}

/// How each subject stands, and what [`carry_out`] would do to it. Asks only.
///
/// # Errors
/// [`RegisterError::Registry`]: the registry is away.
pub async fn look(client: &Client, topics: &TopicSettings) -> Result<Vec<Step>, RegisterError> {
    let mut steps = Vec::new();
    for contract in CONTRACTS {
        let subject = Contract::subject(name(topics, contract.topic));
        let at = |error| RegisterError::Registry {
            subject: subject.clone(),
            error,
        };
        let id = client.id_of(&subject, contract.schema).await.map_err(at)?;
        let versions = client.versions(&subject).await.map_err(at)?;
        let level_before = client.level(&subject).await.map_err(at)?;
        let known: Vec<(u32, &str)> = versions
            .iter()
            .map(|(version, schema)| (*version, &**schema))
            .collect();
        let incompatible = compatibility::check(contract.schema, &known, contract.level);
        steps.push(Step {
            subject,
            level: contract.level.as_str(),
            level_before,
            versions: versions.len(),
            id,
            incompatible,
            schema: contract.schema,
        });
    }
    Ok(steps)
}

/// Does what [`plan`] found. Safe to repeat, and safe when two do it at once.
///
/// # Errors
/// [`RegisterError`]: the registry is away or refuses; steps before may be done.
pub async fn carry_out(client: &Client, steps: &[Step]) -> Result<(), RegisterError> {
    for step in steps {
        let subject = &step.subject;
        let at = |error| RegisterError::Registry {
            subject: subject.clone(),
            error,
        };
        // The level first: the registry holds the schema against it.
        if step.level_before.as_deref() != Some(step.level) {
            client.set_level(subject, step.level).await.map_err(at)?;
        }
        if step.id.is_some() {
            continue;
        }
        let is_first = step.versions == 0;
        if !is_first && !client.accepts(subject, step.schema).await.map_err(at)? {
            return Err(RegisterError::RegistryDisagrees {
                subject: subject.clone(),
            });
        }
        let id = client.register(subject, step.schema).await.map_err(at)?;
        tracing::info!(subject, id, "schema registered");
    }
    Ok(())
}

/// What a topic is called here.
fn name<'a>(topics: &'a TopicSettings, default: &str) -> &'a str {
    match default {
        topic::EVENTS => &topics.events_topic,
        topic::CAMPAIGNS => &topics.campaigns_topic,
        topic::CAMPAIGN_CHANGES => &topics.campaign_changes_topic,
        topic::MATCHES => &topics.matches_topic,
        other => unreachable!("{other} is not registered"),
    }
}

impl Step {
    /// Whether there is nothing to do.
    pub fn is_done(&self) -> bool {
        self.id.is_some() && self.level_before.as_deref() == Some(self.level)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.subject)?;
        match self.id {
            Some(id) => write!(f, "schema is there (id {id})")?,
            None => write!(f, "register version {}", self.versions + 1)?,
        }
        match self.level_before.as_deref() {
            Some(before) if before == self.level => write!(f, ", {before}"),
            Some(before) => write!(f, ", set {} instead of {before}", self.level),
            None => write!(f, ", set {}", self.level),
        }
    }
}
