//! Pauses campaigns that are past their breaker: the settler says on `campaign-events` which, matchers hold them back at once, and here it
//! is written in their documents, as a change like any other.
//!
//! The topic is read from its beginning at each start, and by all replicas. What counts is the version: a campaign is paused if the version
//! that has tripped is the one that is there, so that it happens once, and never to a campaign that was changed or resumed since.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::Message as _;
use rdkafka::topic_partition_list::Offset;
use schemas::breaker::Tripped;
use schemas::{CampaignEvent, CampaignId, Happening, Status};
use service::kafka::reader::{Next, ReadError, TopicReader, TopicSource};
use service::retry::Backoff;
use service::{Heartbeat, Shutdown};
use tokio::runtime::Handle;

use crate::catalog::{Catalog, Topic};
use crate::changes::{Change, Changes, Operation, Precondition, Unmade};

const IDLE: Duration = Duration::from_millis(100);

/// How often it is looked whether a version of a campaign has been read.
const LOOK: Duration = Duration::from_millis(5);

/// Who pauses the campaign, in its history.
const ACTOR: &str = "breaker";

/// Follows `campaign-events`. Runs on a thread of its own.
pub(crate) struct Breakers {
    pub(crate) source: TopicSource,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) changes: Changes,
    pub(crate) runtime: Handle,
    pub(crate) heartbeat: Heartbeat,
    pub(crate) shutdown: Shutdown,
}

/// A version of a campaign that has tripped, by its offset in `campaigns`.
struct Trip {
    id: CampaignId,
    offset: i64,
    tripped: Tripped,
}

impl Breakers {
    /// Follows the topic until shutdown. What fails is begun anew.
    pub(crate) fn run(self) {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        while !self.shutdown.is_requested() {
            self.heartbeat.beat();
            let begun = Instant::now();
            let Err(error) = self.follow() else { return };
            if self.shutdown.is_requested() {
                return;
            }
            tracing::warn!(%error, "reading what happens to campaigns anew; breakers that trip do not pause meanwhile");
            if begun.elapsed() > Duration::from_mins(1) {
                backoff.reset();
            }
            self.shutdown.wait(backoff.next_delay());
        }
    }

    fn follow(&self) -> Result<(), ReadError> {
        let reader = TopicReader::open(&self.source)?;
        reader.jump(Offset::Beginning)?;
        while !self.shutdown.is_requested() {
            self.heartbeat.beat();
            if let Next::Record(message) = reader.next(IDLE)?
                && let Some(trip) = message.payload().and_then(read)
            {
                self.pause(&trip);
            }
        }
        Ok(())
    }

    /// Pauses the campaign, unless it is another by now. Tries again until it is so, or the process shuts down.
    fn pause(&self, trip: &Trip) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
        while !self.shutdown.is_requested() {
            self.heartbeat.beat();
            if self.catalog.next_offset(Topic::Campaigns) <= trip.offset {
                self.shutdown.wait(LOOK);
                continue;
            }
            let current = self.catalog.standing(&trip.id).current;
            let is_it = |it: &Arc<crate::catalog::Current>| {
                it.offset == trip.offset && it.campaign.status == Status::Active
            };
            let Some(current) = current.filter(is_it) else {
                return;
            };
            let change = Change {
                campaign: trip.id.clone(),
                operation: Operation::Trip(Box::new(trip.tripped.clone())),
                precondition: Precondition::Tags(vec![current.tag()]),
                actor: ACTOR.into(),
                reason: Some(trip.tripped.to_string().into()),
                traceparent: None,
            };
            match self.runtime.block_on(self.changes.make(change)) {
                Ok(_) => {
                    let tripped = &trip.tripped;
                    tracing::warn!(campaign_id = %trip.id, "paused by its breaker: {tripped}");
                    return;
                }
                // It is another by now; the catalog will say so.
                Err(Unmade::Refused(_)) => {}
                Err(Unmade::Busy | Unmade::Unknown) => {
                    tracing::warn!(campaign_id = %trip.id, "pausing it waits, trying again");
                }
            }
            self.shutdown.wait(backoff.next_delay());
        }
    }
}

/// What a record says, if it is of a breaker that has tripped.
fn read(value: &[u8]) -> Option<Trip> {
    let event: CampaignEvent = serde_json::from_slice(value).ok()?;
    match event.what {
        Happening::BreakerTripped {
            campaigns_offset,
            tripped,
        } => Some(Trip {
            id: event.campaign_id,
            offset: campaigns_offset,
            tripped,
        }),
        _ => None,
    }
}
