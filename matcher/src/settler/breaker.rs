//! Breakers: takes the workers' counts in, and tells once of a campaign that is past its breaker.

use rdkafka::Message as _;
use rdkafka::message::BorrowedMessage;
use schemas::breaker::BreakerCount;
use schemas::names::header;
use schemas::{CampaignId, DeadLetterReason, Happening};
use service::kafka::record;
use state::breaker::{self, Counted};
use state::{Arrival, Partition};

use super::{STATE_BYTES, Settle};
use crate::group::Until;
use crate::worker::{Batch, Rebuild, now_in_millis};

impl Settle {
    /// Takes a count in. Says what has to be waited for; then it has left no trace.
    pub(super) fn take_count(
        &mut self,
        batch: &mut Batch,
        (partition, arrival): (&mut Partition, Arrival),
        message: &BorrowedMessage<'_>,
    ) -> Result<Option<Until>, Rebuild> {
        let key = message.key().and_then(|key| std::str::from_utf8(key).ok());
        let id = key.and_then(|key| CampaignId::new(key).ok());
        let count = record::header(message, header::CONTROL_COUNT);
        let count = count.and_then(|json| serde_json::from_slice::<BreakerCount>(json).ok());
        let (Some(id), Some(count)) = (id, count) else {
            let reason = DeadLetterReason::InvalidControl { what: "count" };
            self.die(batch, (partition, arrival), message, &reason)?;
            return Ok(None);
        };
        // No count is judged by an older document than the matcher's.
        if !self.campaigns.budgets.has_read(count.campaigns_offset) {
            return Ok(Some(Until::Campaigns(count.campaigns_offset)));
        }
        let rules = self.campaigns.rules.load_full();
        let rule = rules.rule(&id);
        let at = (arrival, now_in_millis());
        batch.load.output_bytes += STATE_BYTES;
        match breaker::count(id.as_str(), &count, at, rule, partition)? {
            Counted::Within => {}
            Counted::TakenBefore => self.tally.came_again(),
            Counted::Tripped(tripped) => {
                tracing::warn!(
                    campaign_id = id.as_str(),
                    "the breaker has tripped: {tripped}"
                );
                self.tally.tripped();
                let version = rule.map_or(1, rules::Rule::version);
                let what = Happening::BreakerTripped {
                    campaigns_offset: count.campaigns_offset,
                    tripped,
                };
                let written = (self.emitter).write_happening(&batch.transaction, id, version, what);
                batch.load.output_bytes += written.map_err(Rebuild::Produce)?;
            }
        }
        Ok(None)
    }
}
