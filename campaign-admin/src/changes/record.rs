//! The two records of a change.

use jiff::Timestamp;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use schemas::names::{header, topic};
use schemas::{Campaign, CampaignChange, CampaignId, Encoding};
use service::kafka::transaction::Open;
use service::registry::{Documents, NoEncoding};
use service::settings::TopicSettings;

use super::decide::Plan;
use super::queue::Command;
use crate::catalog::ChangeId;

/// Where changes are written, and how.
#[derive(Debug, Clone)]
pub struct Output {
    pub(crate) campaigns: String,
    pub(crate) changes: String,
    pub(crate) campaign_encoding: Encoding,
    pub(crate) change_encoding: Encoding,
}

/// What the headers of a change's records say.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Origin<'a> {
    /// The change. None if whoever wrote the record gave it none.
    pub(crate) change: Option<ChangeId>,
    /// The trace that it belongs to.
    pub(crate) traceparent: Option<&'a str>,
}

impl Output {
    /// As the documents of this installation are written.
    ///
    /// # Errors
    /// The schema registry is away or does not have this release's schemas.
    pub async fn of(topics: &TopicSettings, documents: &Documents) -> Result<Self, NoEncoding> {
        let (campaigns, changes) = (&topics.campaigns_topic, &topics.campaign_changes_topic);
        let campaign_encoding = documents.encoding(topic::CAMPAIGNS, campaigns).await?;
        let change_encoding = documents.encoding(topic::CAMPAIGN_CHANGES, changes).await?;
        Ok(Self {
            campaigns: campaigns.clone(),
            changes: changes.clone(),
            campaign_encoding,
            change_encoding,
        })
    }

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
        let origin = Origin {
            change: Some(command.id),
            traceparent: command.change.traceparent.as_deref(),
        };
        let (id, after) = (&command.change.campaign, plan.after.as_ref());
        self.write_campaign(transaction, id, after, (plan.changed_at, origin))?;
        self.write_change(transaction, &change, origin)
    }

    /// Adds the document of a campaign as it is from then on, or, with none, that it is gone.
    pub(crate) fn write_campaign(
        &self,
        transaction: &Open,
        id: &CampaignId,
        campaign: Option<&Campaign>,
        (written_at, origin): (Timestamp, Origin<'_>),
    ) -> Result<(), KafkaError> {
        let mut value = Vec::new();
        if let Some(campaign) = campaign {
            self.campaign_encoding.write_campaign(campaign, &mut value);
        }
        let mut record = record(&self.campaigns, id, written_at, origin);
        record.payload = campaign.map(|_| &*value);
        transaction.send(record)
    }

    /// Adds the record of the history.
    pub(crate) fn write_change(
        &self,
        transaction: &Open,
        change: &CampaignChange,
        origin: Origin<'_>,
    ) -> Result<(), KafkaError> {
        let mut value = Vec::new();
        self.change_encoding.write_change(change, &mut value);
        let (id, at) = (&change.campaign_id, change.changed_at);
        transaction.send(record(&self.changes, id, at, origin).payload(&value))
    }
}

fn record<'a>(
    topic: &'a str,
    id: &'a CampaignId,
    at: Timestamp,
    origin: Origin<'_>,
) -> BaseRecord<'a, [u8], [u8]> {
    let mut headers = OwnedHeaders::new();
    let change = origin.change.map(|change| change.to_string());
    let named = [
        (header::CHANGE_ID, change.as_deref()),
        (header::TRACEPARENT, origin.traceparent),
    ];
    for (key, value) in named {
        if value.is_some() {
            headers = headers.insert(Header { key, value });
        }
    }
    BaseRecord::to(topic)
        .key(id.as_str().as_bytes())
        .partition(0)
        .timestamp(at.as_millisecond())
        .headers(headers)
}
