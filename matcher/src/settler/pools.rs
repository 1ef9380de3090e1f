//! Pools of coupon codes: filling and dropping them.

use std::borrow::Cow;

use rdkafka::Message;
use rdkafka::message::BorrowedMessage;
use schemas::pool::{self, Stock};
use schemas::{Claim, DeadLetterReason};
use serde_json::value::RawValue;
use state::pool::PoolCode;
use state::{Arrival, Partition};

use super::Settle;
use crate::worker::{Batch, Rebuild};

impl Settle {
    /// Adds the codes of a record to a pool.
    pub(super) fn stock(
        &mut self,
        batch: &mut Batch,
        (partition, arrival): (&mut Partition, Arrival),
        message: &BorrowedMessage<'_>,
    ) -> Result<(), Rebuild> {
        let value = message.payload().unwrap_or_default();
        let stock = serde_json::from_slice::<Stock<'_>>(value).ok();
        let Some(stock) = stock.filter(|stock| stock.check().is_ok()) else {
            let reason = DeadLetterReason::InvalidControl { what: "value" };
            return self.die(batch, (partition, arrival), message, &reason);
        };
        // Elsewhere no claim would find them.
        if message.key().and_then(pool::of_key) != Some(&*stock.pool) {
            let reason = DeadLetterReason::InvalidControl { what: "key" };
            return self.die(batch, (partition, arrival), message, &reason);
        }
        match state::pool::stock(&stock, arrival, partition)? {
            None => self.tally.came_again(),
            Some(level) => {
                let left = level.left();
                tracing::debug!(pool = &*stock.pool, left, "codes added");
                self.tally.left(&stock.pool, left);
            }
        }
        batch.load.output_bytes += value.len();
        Ok(())
    }

    /// Forgets the pool that the key names.
    pub(super) fn drop_pool(
        &mut self,
        batch: &mut Batch,
        (partition, arrival): (&mut Partition, Arrival),
        message: &BorrowedMessage<'_>,
    ) -> Result<(), Rebuild> {
        let Some(pool) = message.key().and_then(pool::of_key) else {
            let reason = DeadLetterReason::InvalidControl { what: "key" };
            return self.die(batch, (partition, arrival), message, &reason);
        };
        state::pool::drop_pool(pool, arrival, partition)?;
        tracing::info!(pool, "pool dropped");
        self.tally.left(pool, 0);
        Ok(())
    }

    /// The claim with the code that it is given in its reward.
    pub(super) fn give<'c>(&mut self, claim: &Claim<'c>, given: &PoolCode) -> Claim<'c> {
        if let Some(pool) = &claim.prize.pool {
            self.tally.left(pool, given.left);
        }
        with_code(claim, &given.code)
    }
}

fn with_code<'c>(claim: &Claim<'c>, code: &str) -> Claim<'c> {
    let mut claim = claim.clone();
    let reward = claim.prize.reward.get().trim_end();
    // A reward is an object, and its kind is in it.
    let fields = reward.strip_suffix('}').unwrap_or(reward);
    let code = serde_json::Value::from(code);
    let json = format!("{fields},\"code\":{code}}}");
    match RawValue::from_string(json) {
        Ok(reward) => claim.prize.reward = Cow::Owned(reward),
        Err(error) => tracing::error!(%error, "a reward is no object"),
    }
    claim
}
