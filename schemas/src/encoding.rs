//! How documents are written: the one place that knows.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Serialize;

use crate::avro::EventValue;
use crate::avro::event_text::EventText;
use crate::avro::wire::{PREFIX_BYTES, push_prefix};
use crate::avro::write::Out;
use crate::match_json::MatchJson;
use crate::{Campaign, CampaignChange, Event, Limits, Match, Reward};

/// How documents of one topic are written. Read they are in any form, by [`crate::Reader`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Encoding {
    /// Plain JSON (RFC 8259), without a schema registry.
    #[default]
    Json,
    /// Avro in Confluent's wire format, with this release's schema of the document.
    Avro {
        /// The id that the registry gave to the schema.
        schema: u32,
    },
}

impl Encoding {
    /// Writes an event behind what is in `out`. Its JSON texts are taken as they are.
    pub fn write_event(self, event: &EventValue<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Json => write_json_event(event, out),
            Self::Avro { schema } => {
                push_prefix(out, schema);
                Out(out).event(event);
            }
        }
    }

    /// The form of an event that came as JSON and was read from it. As Avro it has the texts of its payload
    /// and of its further fields as they are; its time is then UTC, with microseconds.
    ///
    /// An event that would exceed `limits` as Avro, and did not as JSON, stays JSON, which readers take
    /// as well: it has thousands of fields of thousands of bytes.
    pub fn event_of_json<'a>(
        self,
        json: &'a [u8],
        event: &Event<'_>,
        limits: Limits,
    ) -> Cow<'a, [u8]> {
        let Self::Avro { schema } = self else {
            return Cow::Borrowed(json);
        };
        // There is no text that was read as an event and is no JSON.
        let Some(text) = EventText::of(json) else {
            return Cow::Borrowed(json);
        };
        let further: Vec<_> = (text.further.iter())
            .map(|(name, value)| (&**name, *value))
            .collect();
        let mut out = Vec::with_capacity(json.len() + PREFIX_BYTES);
        push_prefix(&mut out, schema);
        Out(&mut out).event(&EventValue {
            event_id: event.event_id,
            customer_id: event.customer_id,
            event_type: event.event_type,
            occurred_at: event.occurred_at,
            payload: text.payload.unwrap_or("{}"),
            further: &further,
        });
        if out.len() - PREFIX_BYTES > limits.max_bytes as usize {
            return Cow::Borrowed(json);
        }
        Cow::Owned(out)
    }

    /// Writes a campaign behind what is in `out`.
    pub fn write_campaign(self, campaign: &Campaign, out: &mut Vec<u8>) {
        match self {
            Self::Json => write_json(campaign, out),
            Self::Avro { schema } => {
                push_prefix(out, schema);
                Out(out).campaign(campaign);
            }
        }
    }

    /// Writes a campaign's change behind what is in `out`.
    pub fn write_change(self, change: &CampaignChange, out: &mut Vec<u8>) {
        match self {
            Self::Json => write_json(change, out),
            Self::Avro { schema } => {
                push_prefix(out, schema);
                Out(out).change(change);
            }
        }
    }
}

fn write_json<T: Serialize>(document: &T, out: &mut Vec<u8>) {
    serde_json::to_writer(out, document).expect("our documents have a JSON form");
}

fn write_json_event(event: &EventValue<'_>, out: &mut Vec<u8>) {
    let texts = [
        ("event_id", event.event_id),
        ("customer_id", event.customer_id),
        ("event_type", event.event_type),
    ];
    out.push(b'{');
    for (name, text) in texts {
        write_json(&name, out);
        out.push(b':');
        write_json(&text, out);
        out.push(b',');
    }
    out.extend_from_slice(b"\"occurred_at\":");
    write_json(&event.occurred_at, out);
    out.extend_from_slice(b",\"payload\":");
    out.extend_from_slice(event.payload.as_bytes());
    for (name, json) in event.further {
        out.push(b',');
        write_json(name, out);
        out.push(b':');
        out.extend_from_slice(json.as_bytes());
    }
    out.push(b'}');
}

/// Writes matches. Owned by one thread; keeps the Avro form of rewards, which are the same for all matches
/// of a campaign.
#[derive(Debug, Default)]
pub struct MatchWriter {
    encoding: Encoding,
    json: MatchJson,
    rewards: HashMap<Box<str>, Box<[u8]>>,
}

/// So many rewards are kept, about 200 bytes each.
const KEPT: usize = 10_000;

impl MatchWriter {
    /// A writer of matches in that encoding.
    pub fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            json: MatchJson::default(),
            rewards: HashMap::new(),
        }
    }

    /// Writes a match behind what is in `out`.
    pub fn write(&mut self, won: &Match<'_>, out: &mut Vec<u8>) {
        match self.encoding {
            Encoding::Json => self.json.write(won, out),
            Encoding::Avro { schema } => {
                push_prefix(out, schema);
                let reward = self.reward(won.reward.get());
                Out(out).won(won, reward);
            }
        }
    }

    fn reward(&mut self, json: &str) -> &[u8] {
        if !self.rewards.contains_key(json) {
            let reward: Reward =
                serde_json::from_str(json).expect("a match has the reward of a campaign");
            let mut written = Vec::new();
            Out(&mut written).reward(&reward);
            if self.rewards.len() >= KEPT {
                self.rewards.clear();
            }
            self.rewards.insert(json.into(), written.into());
        }
        &self.rewards[json]
    }
}

/// Why a record is not a match.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the record is not a match: {0}; only matchers may write to this topic")]
pub struct MatchError(String);

impl MatchError {
    pub(crate) fn new(why: String) -> Self {
        Self(why)
    }
}

/// Why a record is not a campaign's change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the record is not a campaign's change: {0}")]
pub struct ChangeError(String);

impl ChangeError {
    pub(crate) fn new(why: String) -> Self {
        Self(why)
    }
}
