//! Follows the compacted topic and keeps the rule set in force up to date.
//!
//! It always begins at offset 0: a kept snapshot older than the topic's `delete.retention.ms` would
//! miss deletions. It belongs to no consumer group, for every matcher needs every campaign.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use arc_swap::ArcSwap;
use rdkafka::Message as _;
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::Offset;
use rules::RuleSet;
use schemas::names::header;
use service::kafka::reader::{Next, ReadError, TopicReader, TopicSource};
use service::kafka::record;
use service::registry::Documents;
use service::retry::Backoff;
use service::{Component, Heartbeat, Shutdown};

use super::merges::Merges;
use super::trips::Trips;
use super::{Applied, Armed, Budgets, CampaignMetrics, CampaignRecord, Catalog, Counted, Trip};
use crate::audiences::Wanted;

const IDLE: Duration = Duration::from_millis(100);

/// How often trips are looked for while campaigns have breakers.
const TRIPS: Duration = Duration::from_millis(5);

/// How often a schema that is not known yet is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Where the campaigns are.
pub struct FollowerSettings {
    /// The compacted topic; one partition.
    pub source: TopicSource,
    /// How the documents are read.
    pub documents: Documents,
    /// Gives freed memory back to the system.
    pub give_back: fn(),
}

/// Keeps the rule set in force up to date. Runs on a thread of its own.
pub struct Follower {
    /// Where the campaigns are.
    pub settings: FollowerSettings,
    /// The rule set in force; workers load it once a batch.
    pub rules: Arc<ArcSwap<RuleSet>>,
    /// What the campaigns count.
    pub counted: Counted,
    /// The campaigns that have budgets.
    pub budgets: Budgets,
    /// The campaigns whose breaker has a share.
    pub armed: Armed,
    /// Breakers that have tripped, as [`TripFollower`](super::TripFollower) reads them.
    pub trips: Receiver<Trip>,
    /// Whether audiences are asked for.
    pub audiences: Wanted,
    /// What is told of the campaigns.
    pub metrics: CampaignMetrics,
    /// Ready once the topic was read to its end.
    pub component: Component,
    /// Beats while the follower lives.
    pub heartbeat: Heartbeat,
    /// Ends the follower.
    pub shutdown: Shutdown,
}

impl Follower {
    /// Follows the topic until shutdown. `loaded` is called once, when the topic was read to its end
    /// for the first time: until then no event may be matched.
    ///
    /// What fails is begun anew from offset 0, while the rule set in force stays in force.
    pub fn run(self, loaded: impl FnOnce()) {
        let mut loaded = Some(loaded);
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        let trips = Trips::default();
        while !self.shutdown.is_requested() {
            self.heartbeat.beat();
            let result = self.follow(&trips, || {
                self.component.ready();
                if let Some(loaded) = loaded.take() {
                    loaded();
                }
            });
            if let Err(error) = result
                && !self.shutdown.is_requested()
            {
                tracing::warn!(%error, "reading campaigns anew");
                if loaded.is_some() {
                    self.component.not_ready(&error.to_string());
                }
                self.shutdown.wait(backoff.next_delay());
            }
        }
    }

    fn follow(&self, trips: &Trips, mut loaded: impl FnMut()) -> Result<(), ReadError> {
        let reader = TopicReader::open(&self.settings.source)?;
        reader.begin(Offset::Beginning, || {
            self.heartbeat.beat();
            !self.shutdown.is_requested()
        })?;
        let mut catalog = Catalog::new(self.settings.documents.reader()).with_trips(trips.clone());
        let mut next_offset = 0;
        let mut at_end = false;
        // What is read before the end is put in force all at once: half a catalog must never match.
        let mut pending = true;
        let mut merges = Merges::new(self.settings.give_back);
        while !self.shutdown.is_requested() {
            self.heartbeat.beat();
            for trip in self.trips.try_iter() {
                pending |= hold_back(&mut catalog, &trip);
            }
            let wait = match () {
                () if pending => Duration::ZERO,
                () if catalog.has_breakers() => TRIPS,
                () => IDLE,
            };
            match reader.next(wait)? {
                Next::Record(message) => {
                    if !self.apply(&mut catalog, &message) {
                        return Ok(());
                    }
                    next_offset = message.offset() + 1;
                    pending = true;
                    continue;
                }
                Next::End => at_end = true,
                Next::Nothing => {}
            }
            pending |= at_end && merges.tend(&mut catalog);
            if at_end && pending {
                if catalog.asks_audiences() {
                    self.audiences.begin();
                }
                let known = (&self.counted, &self.budgets, &self.armed);
                catalog.put_in_force(known, next_offset, |rules| {
                    self.rules.store(Arc::new(rules));
                });
                self.metrics.in_force(&catalog, next_offset);
                pending = false;
                loaded();
            } else if pending {
                // Still on the way to the end: wait for what is being fetched.
                self.shutdown.wait(Duration::from_millis(1));
            }
        }
        Ok(())
    }

    /// Takes a record in, however long its schema has to be waited for. False: the process shuts down.
    fn apply(&self, catalog: &mut Catalog, message: &BorrowedMessage<'_>) -> bool {
        let record = CampaignRecord {
            key: message.key(),
            value: message.payload(),
            schema_header: record::header(message, header::VALUE_SCHEMA_ID),
            offset: message.offset(),
        };
        let offset = record.offset;
        let mut applied = catalog.apply(record);
        if let Ok(Applied::Waiting(schema)) = applied {
            tracing::warn!(offset, %schema, "a campaign waits for its schema");
        }
        while let Ok(Applied::Waiting(_)) = applied {
            if self.shutdown.is_requested() {
                return false;
            }
            self.heartbeat.beat();
            self.shutdown.wait(ASK_AGAIN);
            applied = catalog.apply(record);
        }
        match applied {
            Ok(Applied::Waiting(_)) => {}
            Ok(Applied::Deleted { id }) => {
                tracing::info!(campaign_id = id, offset, "campaign deleted");
            }
            Ok(Applied::Stored { id, unknown_fields }) if unknown_fields.is_empty() => {
                tracing::debug!(campaign_id = id, offset, "campaign stored");
            }
            Ok(Applied::Stored { id, unknown_fields }) => tracing::warn!(
                campaign_id = id,
                offset,
                ?unknown_fields,
                "campaign stored; no release knows some of its fields, are they misspelt?"
            ),
            Err(refused) => {
                self.metrics.refused(&refused);
                let campaign_id = record.key.map(String::from_utf8_lossy);
                tracing::warn!(
                    campaign_id = campaign_id.as_deref(),
                    offset,
                    error = %refused,
                    "campaign refused, its last good version stays in force"
                );
            }
        }
        true
    }
}

/// Holds a campaign back whose breaker has tripped. Says whether that has changed anything.
fn hold_back(catalog: &mut Catalog, trip: &Trip) -> bool {
    let is_held_back = catalog.trip(trip);
    if is_held_back {
        let Trip { campaign_id, .. } = trip;
        tracing::warn!(%campaign_id, "a breaker has tripped: the campaign is held back until it is resumed");
    }
    is_held_back
}
