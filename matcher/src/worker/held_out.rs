//! Writes what was kept from a customer who is in a campaign's holdout: a refusal, in the transaction of the event, so that who was
//! held out is as exact as who has won. It is no match, and no claim: nothing pays it and no budget counts it.

use std::borrow::Cow;

use jiff::Timestamp;
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::producer::BaseRecord;
use rules::Rule;
use schemas::{Claim, Event, Refusal, RefusalReason, Source};
use serde_json::value::RawValue;
use service::kafka::transaction::Open;
use state::DueMatch;

use super::emit::{Emitter, Outputs, now_in_millis};
use crate::trace::carried;

/// What would have been a match.
pub(super) struct HeldOut<'a> {
    event_id: &'a str,
    customer_id: &'a str,
    event_type: &'a str,
    occurred_at: Timestamp,
    campaign: (&'a str, u64, i64),
    reward: Cow<'a, RawValue>,
    variant: Option<&'a str>,
    source: Source<'a>,
}

impl<'a> HeldOut<'a> {
    /// Of an event of that partition and offset.
    pub(super) fn of_event(
        rule: &'a Rule,
        event: &Event<'a>,
        (partition, offset): (i32, i64),
        outputs: &'a Outputs,
    ) -> Self {
        Self {
            event_id: event.event_id,
            customer_id: event.customer_id,
            event_type: event.event_type,
            occurred_at: event.occurred_at,
            campaign: (rule.id().as_str(), rule.version(), rule.offset()),
            reward: rule
                .reward(event)
                .expect("the engine holds nothing out without a reward"),
            variant: rule
                .variant(event.customer_id)
                .map(schemas::VariantName::as_str),
            source: Source {
                topic: Cow::Borrowed(&outputs.events),
                partition,
                offset,
            },
        }
    }

    /// Of an event of that partition whose time to wait is over.
    pub(super) fn of_due(due: &'a DueMatch<'_>, partition: i32, outputs: &'a Outputs) -> Self {
        let (rule, event) = (due.rule, &due.event);
        Self {
            event_id: &event.event_id,
            customer_id: &due.customer_id,
            event_type: &event.event_type,
            occurred_at: event.occurred_at,
            campaign: (rule.id().as_str(), rule.version(), rule.offset()),
            reward: Cow::Borrowed(&*due.reward),
            // What waits has no variants.
            variant: None,
            source: Source {
                topic: Cow::Borrowed(&outputs.events),
                partition,
                offset: event.offset,
            },
        }
    }

    /// Of what an event would win because another campaign refused it.
    pub(super) fn of_claim(claim: &'a Claim<'_>) -> Self {
        let (prize, source) = (&claim.prize, &claim.source);
        Self {
            event_id: &claim.event_id,
            customer_id: &claim.customer_id,
            event_type: &claim.event_type,
            occurred_at: claim.occurred_at,
            campaign: (
                &prize.campaign_id,
                prize.campaign_version,
                prize.campaigns_offset,
            ),
            reward: Cow::Borrowed(&*prize.reward),
            variant: prize.variant.as_deref(),
            source: Source {
                topic: Cow::Borrowed(&*source.topic),
                partition: source.partition,
                offset: source.offset,
            },
        }
    }
}

impl Emitter {
    /// Writes what was kept from a customer, in the partition of the event. Returns its size in bytes.
    pub(super) fn write_held_out(
        &self,
        transaction: &Open,
        message: Option<&BorrowedMessage<'_>>,
        kept: &HeldOut<'_>,
    ) -> Result<usize, KafkaError> {
        let decided_at = now_in_millis();
        let (campaign_id, campaign_version, campaigns_offset) = kept.campaign;
        let refusal = Refusal {
            match_id: format!("{}:{campaign_id}", kept.event_id).into(),
            event_id: Cow::Borrowed(kept.event_id),
            campaign_id: Cow::Borrowed(campaign_id),
            campaign_version,
            campaigns_offset,
            customer_id: Cow::Borrowed(kept.customer_id),
            event_type: Cow::Borrowed(kept.event_type),
            occurred_at: kept.occurred_at,
            refused_at: decided_at,
            reason: RefusalReason::HeldOut,
            limit: None,
            reward: Cow::Borrowed(&*kept.reward),
            variant: kept.variant.map(Cow::Borrowed),
            source: kept.source.clone(),
        };
        let refusal = serde_json::to_vec(&refusal).expect("it is written to memory without fail");
        let mut record = BaseRecord::to(&self.outputs.refusals)
            .partition(kept.source.partition)
            .key(kept.event_id.as_bytes())
            .payload(&*refusal)
            .timestamp(decided_at.as_millisecond());
        record.headers = message.and_then(carried);
        transaction.send(record)?;
        Ok(refusal.len())
    }
}
