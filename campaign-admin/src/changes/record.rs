//! The two records of a change.

use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use schemas::names::header;
use schemas::{CampaignChange, Encoding};
use service::kafka::transaction::Open;

use super::decide::Plan;
use super::queue::Command;

/// Where changes are written, and how.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    pub(crate) campaigns: String,
    pub(crate) changes: String,
    pub(crate) campaign_encoding: Encoding,
    pub(crate) change_encoding: Encoding,
}

impl Output {
    /// Adds the records of a change to the transaction.
    pub(super) fn write(
        &self,
        transaction: &Open,
        command: &Command,
        plan: &Plan,
    ) -> Result<(), KafkaError> {
        let change = CampaignChange {
            campaign_id: command.change.campaign.clone(),
            action: plan.action,
            actor: command.change.actor.to_string(),
            changed_at: plan.changed_at,
            reason: command.change.reason.as_deref().map(str::to_owned),
            before: (plan.before.as_ref()).map(|before| Box::new(before.campaign.clone())),
            after: plan.after.clone().map(Box::new),
        };
        let key = command.change.campaign.as_str().as_bytes();
        let timestamp = plan.changed_at.as_millisecond();
        let send = |topic: &str, value: Option<&[u8]>| {
            let mut record = BaseRecord::<[u8], [u8]>::to(topic)
                .key(key)
                .partition(0)
                .timestamp(timestamp)
                .headers(headers(command));
            record.payload = value;
            transaction.send(record)
        };
        let mut value = Vec::new();
        if let Some(after) = &plan.after {
            self.campaign_encoding.write_campaign(after, &mut value);
        }
        send(&self.campaigns, plan.after.as_ref().map(|_| &*value))?;
        value.clear();
        self.change_encoding.write_change(&change, &mut value);
        send(&self.changes, Some(&value))
    }
}

fn headers(command: &Command) -> OwnedHeaders {
    let id = command.id.to_string();
    let headers = OwnedHeaders::new().insert(Header {
        key: header::CHANGE_ID,
        value: Some(&id),
    });
    match &command.change.traceparent {
        None => headers,
        Some(traceparent) => headers.insert(Header {
            key: header::TRACEPARENT,
            value: Some(traceparent),
        }),
    }
}
