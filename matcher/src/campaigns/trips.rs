//! Breakers that have tripped, by what the settler says on `campaign-events`: the campaign is held back here at once, before it is paused
//! in its document, and also when campaign-admin, which does that, is away.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use rdkafka::Message as _;
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::Offset;
use schemas::{CampaignEvent, CampaignId, Happening};
use service::kafka::reader::{Next, ReadError, TopicReader, TopicSource};
use service::retry::Backoff;
use service::{Heartbeat, Shutdown};

const IDLE: Duration = Duration::from_millis(100);

/// A breaker of the version of a campaign at that offset of `campaigns` has tripped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trip {
    pub(super) campaign_id: CampaignId,
    pub(super) campaigns_offset: i64,
}

/// The last version of each campaign whose breaker has tripped. Clones share it: it outlives the catalog, which is read anew after an
/// error. Belongs to the follower's thread.
#[derive(Debug, Clone, Default)]
pub(super) struct Trips(Rc<RefCell<HashMap<CampaignId, i64>>>);

impl Trips {
    /// Takes note of one.
    pub(super) fn add(&self, trip: &Trip) {
        let mut known = self.0.borrow_mut();
        let known = known.entry(trip.campaign_id.clone()).or_insert(-1);
        *known = trip.campaigns_offset.max(*known);
    }

    /// Whether the version of the campaign at that offset has tripped.
    pub(super) fn has(&self, id: &CampaignId, offset: i64) -> bool {
        self.0.borrow().get(id) == Some(&offset)
    }
}

/// Follows `campaign-events`. Runs on a thread of its own.
pub struct TripFollower {
    /// Where the events of campaigns are.
    pub source: TopicSource,
    /// Where trips go.
    pub trips: Sender<Trip>,
    /// Beats while the follower lives.
    pub heartbeat: Heartbeat,
    /// Ends the follower.
    pub shutdown: Shutdown,
}

impl TripFollower {
    /// Follows the topic until shutdown. What fails is begun anew from its oldest record: to know a trip twice does nothing.
    pub fn run(self) {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        while !self.shutdown.is_requested() {
            self.heartbeat.beat();
            if let Err(error) = self.follow(&mut backoff)
                && !self.shutdown.is_requested()
            {
                tracing::warn!(
                    %error,
                    "reading what happens to campaigns anew; until then a campaign whose breaker trips goes on until it is paused"
                );
                self.shutdown.wait(backoff.next_delay());
            }
        }
    }

    fn follow(&self, backoff: &mut Backoff) -> Result<(), ReadError> {
        let reader = TopicReader::open(&self.source)?;
        reader.jump(Offset::Beginning)?;
        while !self.shutdown.is_requested() {
            self.heartbeat.beat();
            match reader.next(IDLE)? {
                Next::Record(message) => {
                    if let Some(trip) = read(&message)
                        && self.trips.send(trip).is_err()
                    {
                        return Ok(());
                    }
                }
                Next::End => backoff.reset(),
                Next::Nothing => {}
            }
        }
        Ok(())
    }
}

/// What the record says, if it is of a breaker that has tripped.
fn read(message: &BorrowedMessage<'_>) -> Option<Trip> {
    let event: CampaignEvent = serde_json::from_slice(message.payload()?).ok()?;
    match event.what {
        Happening::BreakerTripped {
            campaigns_offset, ..
        } => Some(Trip {
            campaign_id: event.campaign_id,
            campaigns_offset,
        }),
        _ => None,
    }
}
