//! The documents as Avro, field by field in the order of their schemas.
//!
//! apache-avro would build a tree of values first and takes ten times as long (docs/performance.md has
//! figures); its reader holds these to the schemas in the tests.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde_json::Value as Json;

use crate::{
    Amount, Campaign, CampaignChange, Match, Reversal, Reward, RewardAmount, Schedule, Source,
};

/// Decimals after the point of every amount, as the schemas have it.
const AMOUNT_SCALE: u32 = 10;

/// Writes the parts of a value.
pub(crate) struct Out<'o>(pub(crate) &'o mut Vec<u8>);

impl Out<'_> {
    pub(crate) fn long(&mut self, value: i64) {
        let mut bits = ((value << 1) ^ (value >> 63)).cast_unsigned();
        while bits >= 0x80 {
            self.0.push(low_bits(bits) | 0x80);
            bits >>= 7;
        }
        self.0.push(low_bits(bits));
    }

    fn length(&mut self, length: usize) {
        self.long(i64::try_from(length).expect("nothing in memory is longer"));
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn micros(&mut self, moment: Timestamp) {
        self.long(moment.as_microsecond());
    }

    /// The second branch of a union with null, or null.
    fn nullable<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.long(value.is_some().into());
        if let Some(value) = value {
            write(self, value);
        }
    }

    /// A map of texts.
    pub(crate) fn map<K: AsRef<str>, V: AsRef<str>>(
        &mut self,
        entries: impl ExactSizeIterator<Item = (K, V)>,
    ) {
        if entries.len() > 0 {
            self.length(entries.len());
            for (key, value) in entries {
                self.text(key.as_ref());
                self.text(value.as_ref());
            }
        }
        self.long(0);
    }

    /// The place of a word among the symbols of its schema.
    fn symbol(&mut self, symbols: &[&str], word: &str) {
        let place = symbols.iter().position(|symbol| *symbol == word);
        self.length(place.expect("a test holds the symbols to the schema"));
    }

    fn amount(&mut self, amount: Amount) {
        let mut decimal: Decimal = amount.decimal();
        // An amount has at most as many decimals that matter, and is small enough.
        decimal = decimal.normalize();
        let zeros = 10_i128.pow(AMOUNT_SCALE - decimal.scale());
        let unscaled = (decimal.mantissa() * zeros).to_be_bytes();
        // An amount is never negative: leading zeros go, but for one that keeps the sign.
        let leading = unscaled.iter().take_while(|byte| **byte == 0).count();
        let negative = unscaled.get(leading).is_some_and(|first| *first >= 0x80);
        let begin = leading.min(15) - usize::from(negative);
        self.bytes(&unscaled[begin..]);
    }

    pub(crate) fn reward(&mut self, reward: &Reward) {
        self.text(&reward.kind);
        let amount = reward.amount.as_ref();
        self.nullable(amount.and_then(RewardAmount::exact), Self::amount);
        self.nullable(reward.currency.as_deref(), Self::text);
        // An expression is a further field that is called `amount`: a reader that knows no expressions refuses the
        // campaign, instead of paying nothing.
        let expression = amount.and_then(RewardAmount::expression);
        let expression = expression.map(|text| ("amount", Json::from(text).to_string()));
        let further = (reward.further.iter()).map(|(key, value)| (key.as_str(), value.to_string()));
        let texts: Vec<_> = expression.into_iter().chain(further).collect();
        self.map(texts.into_iter());
    }

    fn schedule(&mut self, schedule: &Schedule) {
        self.nullable(schedule.start, Self::micros);
        self.nullable(schedule.end, Self::micros);
        let windows = &schedule.windows;
        if !windows.is_empty() {
            self.length(windows.len());
            for window in windows {
                self.text(window.as_str());
            }
        }
        self.length(0);
    }

    /// A match whose reward is written already.
    pub(crate) fn won(&mut self, won: &Match<'_>, reward: &[u8]) {
        self.text(&won.match_id);
        self.text(&won.event_id);
        self.text(&won.campaign_id);
        self.version(won.campaign_version);
        self.long(won.campaigns_offset);
        self.text(&won.customer_id);
        self.text(&won.event_type);
        self.micros(won.occurred_at);
        self.micros(won.matched_at);
        self.0.extend_from_slice(reward);
        self.source(&won.source);
        self.text(won.status.as_str());
        self.nullable(won.confirm_at, Self::micros);
        self.nullable(won.confirmed_at, Self::micros);
        self.nullable(won.reversed_total, Self::amount);
        self.nullable(won.reversal.as_ref(), Self::reversal);
        self.nullable(won.variant.as_deref(), Self::text);
    }

    fn source(&mut self, source: &Source<'_>) {
        self.text(&source.topic);
        self.long(source.partition.into());
        self.long(source.offset);
    }

    fn reversal(&mut self, reversal: &Reversal<'_>) {
        self.text(&reversal.reversal_id);
        self.text(&reversal.event_id);
        self.text(&reversal.event_type);
        self.micros(reversal.occurred_at);
        self.nullable(reversal.amount, Self::amount);
        self.0.push(reversal.whole.into());
        self.micros(reversal.reversed_at);
        self.source(&reversal.source);
    }

    /// Versions are checked to fit where a campaign comes in.
    fn version(&mut self, version: u64) {
        self.long(i64::try_from(version).unwrap_or(i64::MAX));
    }

    pub(crate) fn campaign(&mut self, campaign: &Campaign) {
        self.text(campaign.id.as_str());
        self.text(&campaign.name);
        self.version(campaign.version);
        self.symbol(&STATUSES, campaign.status.as_str());
        self.schedule(&campaign.schedule);
        self.text(&campaign.when.to_string());
        self.reward(&campaign.reward);
        self.text(&campaign.description);
        self.map(campaign.labels.iter());
        // Whatever else the JSON form has, of this release or a later one.
        let json = serde_json::to_value(campaign).expect("a campaign has a JSON form");
        let unknown: Vec<_> = match &json {
            Json::Object(fields) => fields
                .iter()
                .filter(|(name, _)| !CAMPAIGN_FIELDS.contains(&name.as_str()))
                .map(|(name, value)| (name, value.to_string()))
                .collect(),
            _ => Vec::new(),
        };
        self.map(unknown.into_iter());
    }

    pub(crate) fn change(&mut self, change: &CampaignChange) {
        let json =
            |value: &Campaign| serde_json::to_string(value).expect("a campaign has a JSON form");
        let action = serde_json::to_value(change.action).expect("a word");
        self.text(change.campaign_id.as_str());
        self.symbol(&ACTIONS, action.as_str().unwrap_or_default());
        self.text(&change.actor);
        self.micros(change.changed_at);
        self.nullable(change.reason.as_deref(), Self::text);
        self.nullable(change.before.as_deref(), |out, campaign| {
            out.text(&json(campaign));
        });
        self.nullable(change.after.as_deref(), |out, campaign| {
            out.text(&json(campaign));
        });
    }

    pub(crate) fn event(&mut self, event: &EventValue<'_>) {
        self.text(event.event_id);
        self.text(event.customer_id);
        self.text(event.event_type);
        self.micros(event.occurred_at);
        self.text(event.payload);
        self.map(event.further.iter().copied());
    }
}

/// An event to be written: its fields, and JSON texts that are carried as they are.
#[derive(Debug, Clone, Copy)]
pub struct EventValue<'a> {
    /// Names the event for ever.
    pub event_id: &'a str,
    /// Who did it.
    pub customer_id: &'a str,
    /// What was done.
    pub event_type: &'a str,
    /// When it was done. Avro keeps microseconds, JSON all of it.
    pub occurred_at: Timestamp,
    /// The text of a JSON object.
    pub payload: &'a str,
    /// Further fields beside these: names, and the text of a JSON value each.
    pub further: &'a [(&'a str, &'a str)],
}

/// In the order of the schema.
pub(super) const STATUSES: [&str; 4] = ["draft", "active", "paused", "archived"];
pub(super) const ACTIONS: [&str; 6] = [
    "created", "updated", "paused", "resumed", "archived", "deleted",
];

/// Fields that the schema of a campaign has itself.
pub(super) const CAMPAIGN_FIELDS: [&str; 9] = [
    "id",
    "name",
    "version",
    "status",
    "schedule",
    "when",
    "reward",
    "description",
    "labels",
];

const fn low_bits(bits: u64) -> u8 {
    (bits & 0x7f) as u8
}
