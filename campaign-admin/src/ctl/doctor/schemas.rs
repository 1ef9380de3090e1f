//! Whether the schema registry has what this release writes, and lets nobody break it.

use schemas::avro::compatibility::Incompatibility;
use service::registry::register::{Step, look as look_at};
use service::registry::{Client, RegistrySettings};
use service::settings::TopicSettings;

use super::Check;

/// Looks at the registry and at every subject of ours.
pub(super) async fn look(
    settings: &RegistrySettings,
    topics: &TopicSettings,
) -> anyhow::Result<Vec<Check>> {
    if settings.urls.is_empty() {
        let check = Check::skipped("schema registry", "no address is set: documents are JSON");
        return Ok(vec![check.advice(
            "set --schema-registry-url, SCHEMA_REGISTRY_URL or the context if there is one",
        )]);
    }
    let what = format!("schema registry at {}", settings.urls.join(", "));
    let client = Client::new(settings)?;
    Ok(match look_at(&client, topics).await {
        Err(error) => vec![Check::bad(what, error.to_string()).advice(
            "services that start now are not ready before it answers, and values with a schema that they \
             have not met wait",
        )],
        Ok(subjects) => {
            let answers = Check::good(what, "answers");
            std::iter::once(answers)
                .chain(subjects.iter().map(subject))
                .collect()
        }
    })
}

/// Looks at one subject.
fn subject(step: &Step) -> Check {
    let what = format!("subject {}", step.subject);
    let run = "run `campaign-admin register-schemas`";
    if let Some(first) = step.incompatible.first() {
        let more = match step.incompatible.len() {
            1 => String::new(),
            all => format!(" (and {} more)", all - 1),
        };
        let (found, advice) = match (step.id, first) {
            (_, Incompatibility::Broken(_)) => (
                "a version is no Avro schema",
                "nobody reads what was written with it; delete that version",
            ),
            (Some(_), _) => (
                "this release's schema is there, and one beside it that does not fit",
                "find out who registered it; what it wrote becomes dead letters or is misread, so \
                 delete that version, and set the level again",
            ),
            (None, _) => (
                "this release's schema is missing and may not follow those that are there",
                "somebody else has written them, or a newer release has; services of this release are \
                 not ready",
            ),
        };
        return Check::bad(what, format!("{found}: {first}{more}")).advice(advice);
    }
    let Some(id) = step.id else {
        let found = match step.versions {
            0 => "not registered".to_owned(),
            versions => format!("{versions} versions, and not this release's"),
        };
        let advice = format!("{run}; until then services of this release are not ready");
        return Check::bad(what, found).advice(advice);
    };
    let found = format!("this release's schema is there (id {id})");
    match step.level_before.as_deref() {
        Some(level) if level == step.level => Check::good(what, format!("{found}, {level}")),
        level => {
            let level = level.unwrap_or("the registry's own level");
            let wanted = step.level;
            Check::warning(what, format!("{found}, {level} instead of {wanted}"))
                .advice(format!("{run}; it sets the level"))
        }
    }
}
