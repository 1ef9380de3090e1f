//! Where everything runs: on the embedded broker or on one that was named, and what follows from that.

use service::kafka::topics::{self, TopicSpec};
use service::settings::TopicSettings;

use crate::Arguments;
#[cfg(feature = "embedded-broker")]
use crate::broker::{Broker, BrokerSettings};

/// Copies of each partition: as many as the broker makes by itself.
const REPLICATION: i32 = -1;

/// The broker that everything runs on. Dropping it stops the embedded one.
pub struct Place {
    /// Its address.
    pub bootstrap_servers: String,
    /// To be added to transactional ids.
    pub transactional_id_suffix: String,
    /// A name for this process in its consumer groups, if one is known to be stable.
    pub instance: Option<String>,
    /// Whether topics must be kept small.
    is_embedded: bool,
    #[cfg(feature = "embedded-broker")]
    _broker: Option<Broker>,
}

impl Place {
    /// Takes the broker that was named, or starts ours.
    ///
    /// # Errors
    /// Ours cannot be started, or there is none in this build.
    pub fn find(arguments: &Arguments) -> anyhow::Result<Self> {
        match &arguments.kafka {
            Some(address) => Ok(Self {
                bootstrap_servers: address.clone(),
                transactional_id_suffix: String::new(),
                instance: None,
                is_embedded: false,
                #[cfg(feature = "embedded-broker")]
                _broker: None,
            }),
            None => Self::embedded(arguments),
        }
    }

    #[cfg(feature = "embedded-broker")]
    fn embedded(arguments: &Arguments) -> anyhow::Result<Self> {
        tracing::warn!(
            data_dir = %arguments.data_dir.display(),
            "starting the embedded broker, which is for development only"
        );
        let broker = Broker::start(&BrokerSettings {
            port: arguments.broker_port,
            data_dir: Some(arguments.data_dir.clone()),
            ..BrokerSettings::default()
        })?;
        Ok(Self {
            bootstrap_servers: broker.bootstrap_servers(),
            // See `crate::broker` for why an id must not be used by two starts.
            transactional_id_suffix: format!("-{}", broker.boot_id()),
            // The data directory belongs to one process, so the name is stable. After a kill it takes its
            // partitions back at once instead of when the session of its predecessor is over.
            instance: Some("standalone".to_owned()),
            is_embedded: true,
            _broker: Some(broker),
        })
    }

    #[cfg(not(feature = "embedded-broker"))]
    fn embedded(_: &Arguments) -> anyhow::Result<Self> {
        anyhow::bail!(
            "this program was built without the embedded broker; name one with --kafka HOST:PORT"
        )
    }

    /// The topics as they should be made here.
    pub fn plan(&self, topics: &TopicSettings, partitions: i32) -> Vec<TopicSpec> {
        let mut plan = topics::plan(topics, (partitions, partitions), REPLICATION);
        if self.is_embedded {
            plan.iter_mut().for_each(bound);
        }
        plan
    }
}

/// Opening the embedded broker reads all that is there, so there had better not be much: 1.8 GB took
/// 0.8 s and as much memory. With these a partition came to 24 MB of files at most; old records go by
/// whole segments.
const RETENTION_BYTES: u32 = 16 * 1024 * 1024;
const SEGMENT_BYTES: u32 = 4 * 1024 * 1024;

/// Bounds a topic of the embedded broker, but not one that is kept for ever or compacted. The latter
/// would lose what is old, if it did not say so.
fn bound(topic: &mut TopicSpec) {
    let is = |name, value| topic.config.iter().any(|(n, v)| *n == name && v == value);
    let (for_ever, compacted) = (is("retention.ms", "-1"), is("cleanup.policy", "compact"));
    let mut set = |name, value: String| topic.config.push((name, value));
    set("segment.bytes", SEGMENT_BYTES.to_string());
    if compacted {
        set("retention.ms", "-1".to_owned());
    } else if !for_ever {
        set("retention.bytes", RETENTION_BYTES.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_bounded_on_the_embedded_broker_but_not_those_that_must_be_kept() {
        let config = |given: &[(&'static str, &str)]| {
            let config = given.iter().map(|&(name, value)| (name, value.to_owned()));
            let mut topic = TopicSpec {
                name: "topic".to_owned(),
                partitions: 1,
                replication: 1,
                config: config.collect(),
            };
            bound(&mut topic);
            let added = topic.config.split_off(given.len());
            let names = added.iter().map(|(name, value)| format!("{name}={value}"));
            names.collect::<Vec<_>>()
        };
        let segment = "segment.bytes=4194304";
        assert_eq!(config(&[]), [segment, "retention.bytes=16777216"]);
        assert_eq!(config(&[("retention.ms", "-1")]), [segment]);
        let compacted = config(&[("cleanup.policy", "compact")]);
        assert_eq!(compacted, [segment, "retention.ms=-1"]);
    }
}
