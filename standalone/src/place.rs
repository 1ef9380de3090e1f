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
    /// Settings of all topics that are made.
    bounds: Vec<(&'static str, String)>,
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
                bounds: Vec::new(),
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
        // Opening it reads all that is there, so there had better not be much: 1.8 GB took 0.8 s and as
        // much memory. With these it is at most 20 MiB a partition; old records go by whole segments.
        let bounds = [
            ("retention.bytes", 16 * 1024 * 1024),
            ("segment.bytes", 4 * 1024 * 1024),
        ];
        Ok(Self {
            bootstrap_servers: broker.bootstrap_servers(),
            // See `crate::broker` for why an id must not be used by two starts.
            transactional_id_suffix: format!("-{}", broker.boot_id()),
            // The data directory belongs to one process, so the name is stable. After a kill it takes its
            // partitions back at once instead of when the session of its predecessor is over.
            instance: Some("standalone".to_owned()),
            bounds: bounds.map(|(name, bytes)| (name, bytes.to_string())).into(),
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
        let mut plan = topics::plan(topics, partitions, REPLICATION);
        for topic in &mut plan {
            topic.config.extend(self.bounds.iter().cloned());
        }
        plan
    }
}
