//! Whether the topics exist as the design wants them.

use std::collections::BTreeMap;

use anyhow::Context as _;
use rdkafka::admin::{AdminClient, AdminOptions, OwnedResourceSpecifier, ResourceSpecifier};
use rdkafka::metadata::Metadata;
use service::kafka::topics::{TopicSpec, plan};

use super::Check;
use crate::ctl::kafka::{Cluster, Quiet, TIMEOUT};

/// What came of looking at the topics.
pub(super) struct Found {
    pub(super) checks: Vec<Check>,
    /// None if there are no events.
    pub(super) partitions_of_events: Option<i32>,
}

/// Looks at every topic.
pub(super) async fn look(cluster: &Cluster, metadata: &Metadata) -> anyhow::Result<Found> {
    let topics: BTreeMap<&str, _> = (metadata.topics().iter())
        .filter(|topic| topic.error().is_none())
        .map(|topic| (topic.name(), topic.partitions()))
        .collect();
    let count = |name: &str| {
        let partitions = topics.get(name)?;
        i32::try_from(partitions.len()).ok()
    };
    let events = count(&cluster.topics.events_topic);
    // The number of events' partitions is the user's choice; all else follows from it.
    let wanted = events.unwrap_or(1);
    // Claims stay where they are when the events get more partitions, and the state of budgets with them.
    let of_claims = count(&cluster.topics.claims_topic).unwrap_or(wanted);
    let planned = plan(&cluster.topics, (wanted, of_claims), 1);
    let names: Vec<&str> = planned.iter().map(|topic| &*topic.name).collect();
    let settings = describe(cluster, &names).await?;
    let mut checks = Vec::new();
    for topic in &planned {
        let what = format!("topic {}", topic.name);
        let Some(partitions) = count(&topic.name) else {
            let advice = "make it with `matcher create-topics`";
            checks.push(Check::bad(what, "it does not exist").advice(advice));
            continue;
        };
        let replicas = topics.get(&*topic.name).into_iter().copied().flatten();
        let replicas = replicas.map(|one| one.replicas().len()).min().unwrap_or(0);
        checks.push(one(
            what,
            topic,
            partitions,
            replicas,
            settings.get(&topic.name),
        ));
    }
    Ok(Found {
        checks,
        partitions_of_events: events,
    })
}

/// Looks at one topic.
fn one(
    what: String,
    wanted: &TopicSpec,
    partitions: i32,
    replicas: usize,
    settings: Option<&BTreeMap<String, String>>,
) -> Check {
    if partitions != wanted.partitions {
        let why = if wanted.partitions == 1 {
            "with several there is no order between versions; make it anew"
        } else {
            "it must have as many as the events (budget-state: as the claims), or customers are parted from what belongs to them; \
             make it anew, before the first event if it can be"
        };
        return Check::bad(
            what,
            format!("{partitions} partitions, not {}", wanted.partitions),
        )
        .advice(why);
    }
    let Some(settings) = settings else {
        return Check::warning(
            what,
            format!("{partitions} partitions; its settings may not be read"),
        )
        .advice("allow DescribeConfigs on it to have them checked");
    };
    for (name, wanted) in &wanted.config {
        let found = settings.get(*name).map_or("", String::as_str);
        if !suffices(name, wanted, found) {
            return Check::bad(what, format!("{name} is {found:?}"))
                .advice(format!("set it to {wanted}"));
        }
    }
    let isr: usize = (settings.get("min.insync.replicas"))
        .and_then(|isr| isr.parse().ok())
        .unwrap_or(1);
    let found = format!("{partitions} partitions, {replicas} replicas, {isr} in sync to write");
    if replicas < 2 {
        return Check::warning(what, found)
            .advice("when its broker's disk dies, it is gone; use 3");
    }
    if isr < 2 {
        let advice = "an acknowledged record may be on one disk only; set min.insync.replicas to 2";
        return Check::warning(what, found).advice(advice);
    }
    if isr >= replicas {
        let advice = "no broker may be away, or nothing can be written; use more replicas";
        return Check::warning(what, found).advice(advice);
    }
    Check::good(what, found)
}

/// Whether a setting is as wanted, or keeps more.
fn suffices(name: &str, wanted: &str, found: &str) -> bool {
    match name {
        "cleanup.policy" => wanted == found,
        // -1 is for ever.
        _ => match (wanted.parse::<i64>(), found.parse::<i64>()) {
            (Ok(wanted), Ok(found)) => found == -1 || (wanted != -1 && found >= wanted),
            _ => wanted == found,
        },
    }
}

type Settings = BTreeMap<String, BTreeMap<String, String>>;

/// The settings of topics; those that may not be read are missing.
async fn describe(cluster: &Cluster, topics: &[&str]) -> anyhow::Result<Settings> {
    let admin: AdminClient<Quiet> = cluster.kafka.admin().create_with_context(Quiet)?;
    let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
    let resources: Vec<_> = (topics.iter())
        .map(|name| ResourceSpecifier::Topic(name))
        .collect();
    let answer = admin.describe_configs(&resources, &options).await;
    let found = answer
        .with_context(|| cluster.away())?
        .into_iter()
        .flatten();
    let settings = found.filter_map(|resource| {
        let OwnedResourceSpecifier::Topic(name) = resource.specifier else {
            return None;
        };
        let entries = resource.entries.into_iter();
        let entries = entries.filter_map(|entry| Some((entry.name, entry.value?)));
        Some((name, entries.collect()))
    });
    Ok(settings.collect())
}

/// How many brokers there are.
pub(super) fn brokers(metadata: &Metadata) -> Check {
    let brokers = metadata.brokers();
    let names: Vec<_> = (brokers.iter())
        .map(|broker| format!("{}:{}", broker.host(), broker.port()))
        .collect();
    Check::good(
        "brokers",
        format!("{}: {}", brokers.len(), names.join(", ")),
    )
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    fn check(
        config: &[(&'static str, &str)],
        found: &[(&str, &str)],
        partitions: i32,
        replicas: usize,
    ) -> Check {
        let wanted = TopicSpec {
            name: "t".to_owned(),
            partitions: 4,
            replication: 1,
            config: config
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect(),
        };
        let found = found
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        one(
            "topic t".to_owned(),
            &wanted,
            partitions,
            replicas,
            Some(&found.collect()),
        )
    }

    #[test]
    fn what_keeps_more_than_wanted_suffices() {
        let cases = [
            ("cleanup.policy", "compact", "compact", true),
            ("cleanup.policy", "compact", "compact,delete", false),
            ("retention.ms", "1000", "1000", true),
            ("retention.ms", "1000", "2000", true),
            ("retention.ms", "1000", "-1", true),
            ("retention.ms", "1000", "999", false),
            ("retention.ms", "-1", "1000000", false),
            ("max.message.bytes", "16", "", false),
        ];
        for (name, wanted, found, expected) in cases {
            assert_eq!(
                suffices(name, wanted, found),
                expected,
                "{name} {wanted} {found}"
            );
        }
    }

    #[test]
    fn a_topic_is_good_bad_or_in_danger() {
        let safe = [("cleanup.policy", "compact"), ("min.insync.replicas", "2")];
        let compact = [("cleanup.policy", "compact")];
        let cases = [
            (4, 3, &safe[..], Level::Good),
            (3, 3, &safe, Level::Bad),
            (4, 1, &safe, Level::Warning),
            (4, 2, &safe, Level::Warning),
            (4, 3, &compact, Level::Warning),
            (4, 3, &[("cleanup.policy", "delete")], Level::Bad),
        ];
        for (partitions, replicas, found, expected) in cases {
            let check = check(&compact, found, partitions, replicas);
            assert_eq!(check.level, expected, "{check:?}");
            assert_eq!(check.advice.is_none(), expected == Level::Good);
        }
    }
}
