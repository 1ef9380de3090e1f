//! The last good version of every campaign. Pure: records in, rule sets out.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::armed::{Armed, ArmedChanges};
use super::budgets::{BudgetChanges, Budgets};
use super::counted::{Counted, Counts};
use super::trips::{Trip, Trips};
use rules::live::{Merge, Merged};
use rules::{Compiler, LiveRules, Rule, RuleSet};
use schemas::avro::SchemaId;
use schemas::{Campaign, CampaignError, Encoded, Reader, Status, Unread};

/// A record of `campaigns` as it came.
#[derive(Debug, Clone, Copy)]
pub struct CampaignRecord<'a> {
    /// The record's key; must be the campaign's id.
    pub key: Option<&'a [u8]>,
    /// The document; `None` deletes the campaign.
    pub value: Option<&'a [u8]>,
    /// The record's header [`schemas::names::header::VALUE_SCHEMA_ID`]; of several, the last.
    pub schema_header: Option<&'a [u8]>,
    /// Offset of the record, stamped on the campaign's matches.
    pub offset: i64,
}

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// The campaign is as the record says.
    Stored {
        /// Its id.
        id: String,
        /// Fields of the document that no release so far knows.
        unknown_fields: Vec<String>,
    },
    /// The campaign is gone.
    Deleted {
        /// Its id.
        id: String,
    },
    /// Nothing yet: bring it again when this schema is known.
    Waiting(SchemaId),
}

/// Why a record changed nothing. The last good version of the campaign stays in force.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// A record without a key names no campaign.
    #[error("the record has no key; its key must be the campaign's id")]
    NoKey,
    /// The document is broken.
    #[error(transparent)]
    Campaign(#[from] CampaignError),
    /// The document's `when` or an expression of its reward is broken.
    #[error(transparent)]
    Rule(#[from] rules::RuleError),
}

impl Refused {
    /// A stable word for machines: the metric label `reason`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoKey => "no_key",
            Self::Campaign(CampaignError::Key { .. }) => "key_mismatch",
            Self::Campaign(_) => "invalid_document",
            Self::Rule(rules::RuleError::Pattern(_)) => "invalid_pattern",
            Self::Rule(_) => "invalid_reward",
        }
    }
}

/// Every campaign of the topic, whatever its status, in its last good version.
#[derive(Debug, Default)]
pub struct Catalog {
    reader: Reader,
    compiler: Compiler,
    rules: BTreeMap<Box<[u8]>, Arc<Rule>>,
    live: LiveRules,
    remembered: Counts,
    budgets: BudgetChanges,
    armed: ArmedChanges,
    /// How many campaigns have a breaker.
    breakers: usize,
    trips: Trips,
    asks_audiences: bool,
    /// By [`Status`].
    counts: [usize; STATUSES.len()],
}

const STATUSES: [Status; 4] = [
    Status::Draft,
    Status::Active,
    Status::Paused,
    Status::Archived,
];

impl Catalog {
    /// An empty catalog of documents that this reader reads.
    pub fn new(reader: Reader) -> Self {
        Self {
            reader,
            ..Self::default()
        }
    }

    /// The same, but breakers of these are known to have tripped.
    #[must_use]
    pub(super) fn with_trips(mut self, trips: Trips) -> Self {
        self.trips = trips;
        self
    }

    /// Takes one record in.
    ///
    /// # Errors
    /// [`Refused`] says what is wrong with it; nothing has changed.
    pub fn apply(&mut self, record: CampaignRecord<'_>) -> Result<Applied, Refused> {
        let key = record.key.ok_or(Refused::NoKey)?;
        let Some(value) = record.value else {
            if let Some(before) = self.rules.remove(key) {
                *self.count_of(&before) -= 1;
                self.remembered.remove(&before);
                self.budgets.remove(&before);
                self.armed.remove(&before);
                self.breakers -= usize::from(before.breaker().is_some());
                self.live.remove(before.id());
            }
            return Ok(Applied::Deleted {
                id: String::from_utf8_lossy(key).into_owned(),
            });
        };
        let encoded = Encoded {
            value,
            schema_header: record.schema_header,
        };
        let mut campaign = match self.reader.read_campaign(encoded) {
            Ok(campaign) => campaign,
            Err(Unread::Waiting(schema)) => return Ok(Applied::Waiting(schema)),
            Err(Unread::Never(error)) => return Err(error.into()),
        };
        campaign.check_key(key)?;
        let stored = Applied::Stored {
            id: campaign.id.to_string(),
            unknown_fields: campaign.unknown_fields().map(str::to_owned).collect(),
        };
        if self.trips.has(&campaign.id, record.offset) {
            hold_back(&mut campaign);
        }
        let rule = self.compiler.compile(campaign)?;
        self.put(Arc::new(rule.at_offset(record.offset)));
        Ok(stored)
    }

    /// A breaker has tripped: if that version of its campaign is the one that is there, it is held back from now on. Says whether that has
    /// changed anything.
    pub(super) fn trip(&mut self, trip: &Trip) -> bool {
        self.trips.add(trip);
        let rule = self.rules.get(trip.campaign_id.as_str().as_bytes());
        let is_it = |rule: &&Arc<Rule>| {
            rule.offset() == trip.campaigns_offset && rule.status() == Status::Active
        };
        let Some(rule) = rule.filter(is_it) else {
            return false;
        };
        let mut campaign = rule.campaign();
        hold_back(&mut campaign);
        let Ok(rule) = self.compiler.compile(campaign) else {
            return false;
        };
        self.put(Arc::new(rule.at_offset(trip.campaigns_offset)));
        true
    }

    /// Whether any campaign, in whatever status, has a breaker.
    pub(super) fn has_breakers(&self) -> bool {
        self.breakers > 0
    }

    /// A campaign is as the rule says.
    fn put(&mut self, rule: Arc<Rule>) {
        *self.count_of(&rule) += 1;
        self.breakers += usize::from(rule.breaker().is_some());
        let key = rule.id().as_str().as_bytes();
        let before = self.rules.insert(key.into(), Arc::clone(&rule));
        self.budgets.put(&rule, before.as_ref());
        self.armed.put(&rule);
        if let Some(before) = before {
            *self.count_of(&before) -= 1;
            self.breakers -= usize::from(before.breaker().is_some());
            self.remembered.remove(&before);
        }
        self.remembered.add(&rule);
        self.asks_audiences |= rule.audience().is_some();
        self.live.put(rule);
    }

    /// The active campaigns, compiled. Costs what has changed since the last call.
    pub fn rule_set(&mut self) -> RuleSet {
        self.live.rule_set()
    }

    /// Puts the active campaigns in force, and lets the workers know what campaigns count and which have budgets, as of the
    /// record before `next_offset`. Costs what has changed since the last call.
    pub fn put_in_force(
        &mut self,
        (counted, budgets, armed): (&Counted, &Budgets, &Armed),
        next_offset: i64,
        store: impl FnOnce(RuleSet),
    ) {
        let live = &mut self.live;
        self.remembered.publish(counted, || store(live.rule_set()));
        self.armed.publish(armed);
        // Last, for it says that all else is in force.
        self.budgets.publish(budgets, next_offset);
    }

    /// Whether some campaign is not for everybody, or was not once.
    pub fn asks_audiences(&self) -> bool {
        self.asks_audiences
    }

    /// Work that keeps later rule sets quick; see [`LiveRules::merge_due`].
    pub fn merge_due(&mut self) -> Option<Merge> {
        self.live.merge_due()
    }

    /// Takes the result of that work in.
    pub fn adopt(&mut self, merged: Merged) {
        self.live.adopt(merged);
    }

    /// How many campaigns there are, by status.
    pub fn counts(&self) -> impl Iterator<Item = (Status, usize)> {
        STATUSES.into_iter().zip(self.counts)
    }

    fn count_of(&mut self, rule: &Rule) -> &mut usize {
        let status = rule.status();
        let place = STATUSES.iter().position(|known| *known == status);
        &mut self.counts[place.expect("every status is listed")]
    }
}

/// What is held back is as if it was paused: nothing wins it, and what takes its matches back still does.
fn hold_back(campaign: &mut Campaign) {
    if campaign.status == Status::Active {
        campaign.status = Status::Paused;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn document(version: u64) -> Value {
        json!({
            "id": "ten", "name": "Ten", "version": version, "reward": {"kind": "custom"},
            "when": {"event_type": ["purchase"]},
        })
    }

    fn apply(catalog: &mut Catalog, json: &Value, offset: i64) -> Result<Applied, Refused> {
        catalog.apply(CampaignRecord {
            key: Some(b"ten"),
            value: Some(json.to_string().as_bytes()),
            schema_header: None,
            offset,
        })
    }

    fn version(catalog: &Catalog) -> Option<u64> {
        let rule = catalog.rules.values().next()?;
        Some(rule.version())
    }

    #[test]
    fn a_broken_document_leaves_the_last_good_version_in_force() {
        let mut catalog = Catalog::default();
        apply(&mut catalog, &document(1), 0).unwrap();
        let mut broken_pattern = document(2);
        broken_pattern["when"] = json!({"event_type": "purchase"});
        let mut other_id = document(2);
        other_id["id"] = json!("eleven");
        let cases = [
            (broken_pattern, "invalid_pattern"),
            (other_id, "key_mismatch"),
            (json!({"id": "ten"}), "invalid_document"),
            (json!("ten"), "invalid_document"),
        ];
        for (json, code) in cases {
            let refused = apply(&mut catalog, &json, 1).unwrap_err();
            assert_eq!(refused.code(), code, "{refused}");
            assert_eq!(version(&catalog), Some(1));
        }
        let no_key = CampaignRecord {
            key: None,
            value: None,
            schema_header: None,
            offset: 2,
        };
        assert_eq!(catalog.apply(no_key).unwrap_err().code(), "no_key");
        apply(&mut catalog, &document(3), 3).unwrap();
        assert_eq!(version(&catalog), Some(3));
    }

    #[test]
    fn a_version_whose_breaker_has_tripped_is_held_back_and_a_later_one_is_not() {
        let trips = Trips::default();
        let trip = |campaigns_offset| Trip {
            campaign_id: schemas::CampaignId::new("ten").unwrap(),
            campaigns_offset,
        };
        let mut catalog = Catalog::default().with_trips(trips.clone());
        apply(&mut catalog, &document(1), 5).unwrap();
        assert!(!catalog.trip(&trip(4)), "an earlier version");
        assert_eq!(catalog.rule_set().len(), 1);
        assert!(catalog.trip(&trip(5)));
        assert!(!catalog.trip(&trip(5)), "again");
        assert!(catalog.rule_set().is_empty());
        // Read anew, after an error.
        let mut catalog = Catalog::default().with_trips(trips);
        apply(&mut catalog, &document(1), 5).unwrap();
        assert!(catalog.rule_set().is_empty());
        apply(&mut catalog, &document(3), 7).unwrap();
        assert_eq!(catalog.rule_set().len(), 1, "it was resumed");
    }

    #[test]
    fn a_null_deletes_and_only_active_campaigns_are_counted_active() {
        let mut catalog = Catalog::default();
        let mut paused = document(1);
        paused["status"] = json!("paused");
        paused["colour"] = json!("red");
        let stored = apply(&mut catalog, &paused, 0).unwrap();
        let unknown_fields = vec!["colour".to_owned()];
        assert_eq!(
            stored,
            Applied::Stored {
                id: "ten".into(),
                unknown_fields
            }
        );
        let counts: Vec<_> = catalog.counts().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counts, [(Status::Paused, 1)]);
        assert!(catalog.rule_set().is_empty());
        apply(&mut catalog, &document(2), 0).unwrap();
        assert_eq!(catalog.rule_set().len(), 1);
        let tombstone = CampaignRecord {
            key: Some(b"ten"),
            value: None,
            schema_header: None,
            offset: 1,
        };
        catalog.apply(tombstone).unwrap();
        assert_eq!(version(&catalog), None);
        assert_eq!(catalog.counts().map(|(_, count)| count).sum::<usize>(), 0);
        assert!(catalog.rule_set().is_empty());
        catalog.apply(tombstone).unwrap();
    }
}
