//! Writes what was decided of one claim to the open transaction.

use std::borrow::Cow;

use rdkafka::Message;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Header};
use rdkafka::producer::BaseRecord;
use rules::Rule;
use schemas::across::Budget;
use schemas::names::header;
use schemas::{
    Amount, CampaignEvent, CampaignId, Claim, Control, Counted, Encoding, Grant, Happening,
    Refusal, RefusalReason, Source,
};
use service::kafka::transaction::Open;
use state::settle::Mark;

use crate::trace::{BatchTrace, carried};
use crate::worker::{Kept, MatchRecords, Won, now_in_millis};

/// Names of the topics written to, besides that of the matches.
pub(super) struct Outputs {
    pub(super) refusals: String,
    /// Where matchers are told of what was refused, and of what was granted if something may become of it.
    pub(super) events: String,
    pub(super) campaign_events: String,
}

/// Writes matches, refusals and events of campaigns.
pub(super) struct Emitter {
    outputs: Outputs,
    matches_topic: String,
    matches: MatchRecords,
}

impl Emitter {
    pub(super) fn new(outputs: Outputs, matches_topic: String, encoding: Encoding) -> Self {
        Self {
            outputs,
            matches: MatchRecords::new(matches_topic.clone(), encoding),
            matches_topic,
        }
    }

    /// Writes the match that a claim becomes, and if something may become of that, for the matcher of its event where it
    /// counts. Returns the bytes.
    pub(super) fn write_match(
        &mut self,
        (transaction, trace): (&Open, &mut BatchTrace),
        message: &BorrowedMessage<'_>,
        claim: &Claim<'_>,
        counted: Vec<Counted>,
    ) -> Result<usize, KafkaError> {
        let whose = (&*claim.event_id, &*claim.prize.campaign_id);
        let headers = trace.send(message, &self.matches_topic, whose);
        let Some(kept) = &claim.kept else {
            let won = Won::of_claim(claim, None);
            return (self.matches).write(transaction, won, headers);
        };
        let granted_at = now_in_millis();
        let won = Kept {
            matched_at: granted_at.as_millisecond(),
            confirm_at: kept.confirm_at.map(jiff::Timestamp::as_millisecond),
        };
        let won = Won::of_claim(claim, Some(won));
        let bytes = (self.matches).write(transaction, won, headers)?;
        let granted = Claim {
            taken: Vec::new(),
            groups: Vec::new(),
            next: Vec::new(),
            granted: Some(Grant {
                claim: message.offset(),
                granted_at,
                counted,
            }),
            ..claim.clone()
        };
        let told = self.tell_matcher(transaction, message, (&granted, Control::Granted))?;
        Ok(bytes + told)
    }

    /// Tells the matcher of a claim's event what became of it. Returns the bytes.
    fn tell_matcher(
        &self,
        transaction: &Open,
        message: &BorrowedMessage<'_>,
        (claim, what): (&Claim<'_>, Control),
    ) -> Result<usize, KafkaError> {
        let claimed = to_json(claim);
        let headers = carried(message)
            .unwrap_or_default()
            .insert(Header {
                key: header::CONTROL,
                value: Some(what.word()),
            })
            .insert(Header {
                key: header::CONTROL_CLAIM,
                value: Some(&claimed),
            });
        let record = BaseRecord::<[u8], [u8]>::to(&self.outputs.events)
            .partition(claim.source.partition)
            .key(claim.customer_id.as_bytes())
            .timestamp(now_in_millis().as_millisecond())
            .headers(headers);
        transaction.send(record)?;
        Ok(claimed.len())
    }

    /// Writes that a claim was refused: for people, and for the matcher of its event. Returns the bytes.
    pub(super) fn write_refusal(
        &self,
        transaction: &Open,
        message: &BorrowedMessage<'_>,
        claim: &Claim<'_>,
        (reason, limit): (RefusalReason, Option<&Budget>),
    ) -> Result<usize, KafkaError> {
        let prize = &claim.prize;
        let partition = claim.source.partition;
        let refused_at = now_in_millis();
        let refusal = Refusal {
            match_id: format!("{}:{}", claim.event_id, prize.campaign_id).into(),
            event_id: Cow::Borrowed(&claim.event_id),
            campaign_id: Cow::Borrowed(&prize.campaign_id),
            campaign_version: prize.campaign_version,
            campaigns_offset: prize.campaigns_offset,
            customer_id: Cow::Borrowed(&claim.customer_id),
            event_type: Cow::Borrowed(&claim.event_type),
            occurred_at: claim.occurred_at,
            refused_at,
            reason,
            limit: limit.map(Cow::Borrowed),
            reward: Cow::Borrowed(&*prize.reward),
            variant: prize.variant.as_deref().map(Cow::Borrowed),
            source: Source {
                topic: Cow::Borrowed(&*claim.source.topic),
                partition,
                offset: claim.source.offset,
            },
        };
        let refusal = to_json(&refusal);
        let mut record = BaseRecord::to(&self.outputs.refusals)
            .partition(partition)
            .key(claim.event_id.as_bytes())
            .payload(&*refusal)
            .timestamp(refused_at.as_millisecond());
        record.headers = carried(message);
        transaction.send(record)?;

        let told = self.tell_matcher(transaction, message, (claim, Control::Refused))?;
        Ok(refusal.len() + told)
    }

    /// Writes that a budget is used to so many percent. Returns its size in bytes.
    pub(super) fn write_mark(
        &self,
        transaction: &Open,
        rule: &Rule,
        mark: Mark<'_>,
    ) -> Result<usize, KafkaError> {
        let period = mark
            .period
            .and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
        let what = Happening::BudgetUsed {
            percent: mark.percent,
            limit: mark.total.budget().clone(),
            value: mark.value,
            period,
            used_times: mark.used.times,
            used_amount: Amount::nearest(mark.used.amount).ok(),
        };
        self.write_happening(transaction, rule.id().clone(), rule.version(), what)
    }

    /// Writes that the budgets of a campaign were reset. Returns its size in bytes.
    pub(super) fn write_reset(
        &self,
        transaction: &Open,
        id: CampaignId,
        version: u64,
    ) -> Result<usize, KafkaError> {
        self.write_happening(transaction, id, version, Happening::BudgetReset)
    }

    /// Writes what happened to a campaign. Returns its size in bytes.
    pub(super) fn write_happening(
        &self,
        transaction: &Open,
        campaign_id: CampaignId,
        campaign_version: u64,
        what: Happening,
    ) -> Result<usize, KafkaError> {
        let at = now_in_millis();
        let event = CampaignEvent {
            campaign_id,
            campaign_version,
            at,
            what,
        };
        let json = to_json(&event);
        let record = BaseRecord::to(&self.outputs.campaign_events)
            .key(event.campaign_id.as_str().as_bytes())
            .payload(&*json)
            .timestamp(at.as_millisecond());
        transaction.send(record)?;
        Ok(json.len())
    }
}

fn to_json(document: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(document).expect("documents are written to memory without fail")
}
