//! Avro: the schemas of the documents as they are registered, and how their bytes are read and written.

mod admit;
pub mod compatibility;
mod contract;
mod error;
mod logical;
mod mapping;
mod program;
pub(crate) mod wire;

mod decode;
mod event_plan;

pub(crate) mod event_text;
pub(crate) mod read;
pub(crate) mod write;

pub use self::admit::{MAX_SCHEMA_BYTES, Refusal};
pub use self::contract::{CONTRACTS, Contract};
pub use self::error::AvroError;
pub use self::event_plan::EventPlan;
pub use self::mapping::{EventMapping, MappingError};
pub use self::program::Program;
pub use self::wire::SchemaId;
pub use self::write::EventValue;

use self::decode::{Decimals, Decoder, Step};
use crate::{Document, Limits};

/// Full name of the record that is an event as this product writes it.
const OWN_EVENT: &str = "campaign_manager.Event";

impl Program {
    /// Reads a value without its prefix as it is: the document has the fields of the record under their
    /// names, decimals as text.
    ///
    /// # Errors
    /// [`AvroError`] says what is wrong; the document is then `null`.
    pub fn read(
        &self,
        bytes: &[u8],
        limits: Limits,
        document: &mut Document,
    ) -> Result<(), AvroError> {
        self.read_boxed(bytes, limits, document)
            .map_err(|error| *error)
    }

    fn read_boxed(&self, bytes: &[u8], limits: Limits, document: &mut Document) -> Step<()> {
        let mut decoder = Decoder::begin(self, bytes, limits, Decimals::Texts, document)?;
        let root = decoder.root()?;
        decoder.root_record(self.roots[root].shape, |_| {})?;
        decoder.end()?;
        decoder.out.finish(None);
        Ok(())
    }
}

/// Schema of an event, subject `events-value`.
pub const EVENT: &str = include_str!("../../avro/event.avsc");
/// Schema of a campaign, subject `campaigns-value`.
pub const CAMPAIGN: &str = include_str!("../../avro/campaign.avsc");
/// Schema of a campaign change, subject `campaign-changes-value`.
pub const CAMPAIGN_CHANGE: &str = include_str!("../../avro/campaign_change.avsc");
/// Schema of a match, subject `matches-value`.
pub const MATCH: &str = include_str!("../../avro/match.avsc");
/// Schema of a dead letter's facts; not registered, for the topic carries raw bytes.
pub const DEAD_LETTER: &str = include_str!("../../avro/dead_letter.avsc");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use apache_avro::Schema;
    use apache_avro::schema::RecordField;
    use serde_json::json;

    use super::*;

    const TIME: &str = "2026-11-24T09:30:00Z";

    fn fields(schema: &Schema) -> &[RecordField] {
        let Schema::Record(record) = schema else {
            panic!("{schema:?} is not a record");
        };
        &record.fields
    }

    /// The JSON form of each document, with every field that it can have.
    fn documents() -> [(&'static str, serde_json::Value); 5] {
        let campaign = json!({
            "id": "ten", "name": "Ten", "version": 1, "status": "active",
            "schedule": {"start": TIME}, "when": {"event_type": ["purchase"]},
            "reward": {"kind": "custom"}, "description": "d", "labels": {"a": "b"},
        });
        let campaign: crate::Campaign = serde_json::from_value(campaign).unwrap();
        let mut campaign_json = serde_json::to_value(&campaign).unwrap();
        campaign_json["unknown"] = json!({});
        let change = crate::change::CampaignChange {
            campaign_id: campaign.id.clone(),
            action: crate::change::ChangeAction::Updated,
            actor: "ada".into(),
            changed_at: TIME.parse().unwrap(),
            reason: Some("why".into()),
            before: Some(Box::new(campaign.clone())),
            after: Some(Box::new(campaign)),
        };
        let event = json!({
            "event_id": "e", "customer_id": "c", "event_type": "t", "occurred_at": TIME, "payload": {},
        });
        let event: crate::EventDocument = serde_json::from_value(event).unwrap();
        let won = json!({
            "match_id": "e:ten", "event_id": "e", "campaign_id": "ten", "campaign_version": 1,
            "campaigns_offset": 0, "customer_id": "c", "event_type": "t", "occurred_at": TIME,
            "matched_at": TIME, "reward": {"kind": "custom"},
            "source": {"topic": "events", "partition": 0, "offset": 0},
            "variant": "a", "status": "reversed", "confirm_at": TIME, "confirmed_at": TIME, "reversed_total": "1",
            "reversal": {
                "reversal_id": "r:e:ten", "event_id": "r", "event_type": "t", "occurred_at": TIME,
                "amount": "1", "whole": false, "reversed_at": TIME,
                "source": {"topic": "events", "partition": 0, "offset": 1},
            },
        });
        let won: crate::Match<'_> = serde_json::from_str(&won.to_string()).unwrap();
        let reason = crate::DeadLetterReason::NoValue;
        let letter = crate::DeadLetter {
            topic: "events".into(),
            partition: 0,
            offset: 0,
            code: reason.code().into(),
            message: reason.message().into(),
            app_version: "1".into(),
        };
        [
            (EVENT, serde_json::to_value(event).unwrap()),
            (CAMPAIGN, campaign_json),
            (CAMPAIGN_CHANGE, serde_json::to_value(change).unwrap()),
            (MATCH, serde_json::to_value(won).unwrap()),
            (DEAD_LETTER, serde_json::to_value(letter).unwrap()),
        ]
    }

    #[test]
    fn the_avro_form_has_the_fields_of_the_json_form() {
        for (schema, json) in documents() {
            let schema = Schema::parse_str(schema).unwrap();
            let avro: BTreeSet<_> = fields(&schema).iter().map(|field| &*field.name).collect();
            let mut json: BTreeSet<_> = json
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect();
            if json.contains("payload") {
                // What a JSON event has beside its fields stands beside them.
                json.insert("further");
            }
            assert_eq!(avro, json);
        }
    }

    #[test]
    fn every_field_is_documented_and_every_time_is_a_logical_type() {
        for (schema, _) in documents() {
            for field in fields(&Schema::parse_str(schema).unwrap()) {
                assert!(field.doc.is_some(), "{} has no doc", field.name);
                if field.name.ends_with("_at") {
                    let is_time = match &field.schema {
                        Schema::Union(either) => {
                            either.variants().contains(&Schema::TimestampMicros)
                        }
                        schema => matches!(schema, Schema::TimestampMicros),
                    };
                    assert!(is_time, "{}", field.name);
                }
            }
        }
    }

    #[test]
    fn amounts_are_exact_decimals() {
        for schema in [CAMPAIGN, MATCH] {
            let schema = Schema::parse_str(schema).unwrap();
            let reward = fields(&schema).iter().find(|f| f.name == "reward").unwrap();
            let amount = fields(&reward.schema).iter().find(|f| f.name == "amount");
            let Schema::Union(union) = &amount.unwrap().schema else {
                panic!("an amount may be absent");
            };
            let Schema::Decimal(decimal) = &union.variants()[1] else {
                panic!("an amount is a decimal");
            };
            assert_eq!((decimal.precision, decimal.scale), (28, 10));
        }
    }
}
