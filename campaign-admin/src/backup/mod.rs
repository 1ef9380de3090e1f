//! Campaigns and their history in a file, and back: `campaign-admin backup` and `campaign-admin restore`.
//!
//! Nothing is locked for a backup, and replicas go on to serve. A restore takes the transactional id of all
//! replicas, as a change does, so that it cannot overlook one, and writes history and documents of a
//! campaign in one transaction.

mod file;
mod plan;
mod restore;
mod take;

pub use self::restore::{Restore, Restored, restore};
pub use self::take::{Backup, backup};

use std::sync::Arc;

use service::Metrics;
use service::kafka::reader::TopicSource;
use service::registry::Documents;
use service::settings::{KafkaSettings, TopicSettings};

use crate::catalog::{Catalog, Topic};
use crate::follow::{Applier, CatchUp};
use crate::metrics::AdminMetrics;

/// The two topics of an installation, and how their documents are written.
pub struct Installation<'s> {
    /// The broker.
    pub kafka: &'s KafkaSettings,
    /// The topics' names.
    pub topics: &'s TopicSettings,
    /// Avro or JSON.
    pub documents: &'s Documents,
}

impl Installation<'_> {
    fn source(&self, topic: Topic) -> TopicSource {
        TopicSource::new(self.kafka, self.name(topic))
    }

    fn name(&self, topic: Topic) -> &str {
        match topic {
            Topic::Campaigns => &self.topics.campaigns_topic,
            Topic::Changes => &self.topics.campaign_changes_topic,
        }
    }

    /// What the topics say, as far as the reader beside it is asked to read.
    fn catalog(&self) -> (Arc<Catalog>, CatchUp) {
        let catalog = Arc::new(Catalog::new());
        let metrics = AdminMetrics::new(&Metrics::new("campaign-admin"));
        let part = |topic| {
            let applier = Applier {
                topic,
                catalog: Arc::clone(&catalog),
                metrics: metrics.clone(),
                documents: self.documents.reader(),
            };
            (self.source(topic), applier)
        };
        let catch_up = CatchUp::new(part(Topic::Campaigns), part(Topic::Changes));
        (catalog, catch_up)
    }
}
