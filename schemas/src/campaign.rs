//! Campaigns: the rules that marketing writes.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::across::{Across, CampaignLimits, MAX_CONDITIONS, OnChange};
use crate::breaker::{Breaker, Tripped};
use crate::{
    Audience, CampaignId, ExperimentName, GroupName, Percent, Priority, ReverseOn, Reward,
    RewardFormError, Schedule, Span, Stacking, Variant, When, experiment,
};

/// A campaign as it stands in the compacted topic.
///
/// Only `id`, `name`, `when` and `reward` are required. Unknown fields are kept and can be reported
/// with [`Campaign::unknown_fields`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Campaign {
    /// The key of the record.
    pub id: CampaignId,
    /// For people.
    pub name: String,
    /// Counts the changes of the campaign; stamped on its matches.
    #[serde(default = "first_version")]
    pub version: u64,
    /// Only active campaigns match.
    #[serde(default)]
    pub status: Status,
    /// When the campaign is live, by the time of the event.
    #[serde(default, skip_serializing_if = "Schedule::is_always")]
    pub schedule: Schedule,
    /// The event pattern, in the language of `docs/rules.md`.
    pub when: When,
    /// What a match is worth.
    pub reward: Reward,
    /// Whom it is for; everybody, if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<Audience>,
    /// What the customer must have done besides; all of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub across: Vec<Across>,
    /// How often it is won at most.
    #[serde(default, skip_serializing_if = "CampaignLimits::is_empty")]
    pub limits: CampaignLimits,
    /// Of the campaigns that an event would win those with the greatest come first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priority: Priority,
    /// Of the campaigns of a group an event wins the first only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclusive_group: Option<GroupName>,
    /// How many campaigns of a group win together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stacking: Option<Stacking>,
    /// Which share of the customers wins nothing, so that there is something to compare with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holdout: Option<Percent>,
    /// Rewards that the others are given by lot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<Variant>,
    /// Names the draw: campaigns of one name have the same groups. The campaign's id unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<ExperimentName>,
    /// Past it the campaign is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<Breaker>,
    /// That its breaker has paused it: written by campaign-admin, and gone when it is resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tripped: Option<Tripped>,
    /// How long a match is pending before it is confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Span>,
    /// What takes its rewards back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverse_on: Option<ReverseOn>,
    /// What becomes of what was counted when the campaign changes.
    #[serde(default, skip_serializing_if = "OnChange::is_keep")]
    pub on_change: OnChange,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// For people and their tools.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Fields that this release does not know.
    #[serde(flatten)]
    unknown: BTreeMap<String, serde_json::Value>,
}

const fn first_version() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(priority: &Priority) -> bool {
    *priority == 0
}

/// The state of a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Written, not yet live.
    Draft,
    /// Live within its schedule.
    #[default]
    Active,
    /// Stopped for a while.
    Paused,
    /// Ended for good, kept for the record.
    Archived,
}

impl Status {
    /// The word used in documents and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Archived => "archived",
        }
    }
}

/// Why a record is not a campaign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CampaignError {
    /// Not JSON, or not of a campaign's form.
    #[error("the campaign document is broken: {0}")]
    Form(String),
    /// The record's key is not the campaign's id.
    #[error("the record's key is {key:?} but the campaign's id is {id:?}; they must be the same")]
    Key {
        /// Key of the record.
        key: String,
        /// Id in the document.
        id: CampaignId,
    },
    /// The campaign would never be live.
    #[error("schedule.end {end} is not after schedule.start {start}")]
    Schedule {
        /// Start of the schedule.
        start: Timestamp,
        /// End of the schedule.
        end: Timestamp,
    },
    /// Too many conditions.
    #[error("across has {0} conditions; at most {MAX_CONDITIONS} are allowed")]
    Across(usize),
    /// More than one condition that waits.
    #[error(
        "across has several conditions with absent; one is allowed, its `when` may have several alternatives"
    )]
    Absents,
    /// A group that is named twice.
    #[error(
        "exclusive_group and stacking both name {0}; an exclusive group is one with per_event 1, so one of them is enough"
    )]
    Group(GroupName),
    /// A campaign that waits is decided on its own.
    #[error(
        "{0} is about campaigns that one event wins together, and this one waits with absent until others are decided; remove one of them"
    )]
    WaitsAlone(&'static str),
    /// A match that has no event any more when it is made.
    #[error(
        "reverse_on takes back what an event won, and this campaign is won with absent, when nothing happens; remove one of them"
    )]
    ReturnsOfNothing,
    /// What waits is decided when its event is there no more.
    #[error(
        "limits.total splits its budget by {0:?}, and a campaign that waits with absent wins when the event is there no more; \
         remove one of them"
    )]
    WaitsApart(String),
    /// A reward that is not of its kind's form.
    #[error(transparent)]
    Reward(#[from] RewardFormError),
    /// The variants cannot be drawn.
    #[error("variants: {0}")]
    Variants(String),
    /// What waits has its reward when its event is there no more.
    #[error(
        "variants give a reward by lot when an event wins, and a campaign that waits with absent wins when the event is there no \
         more; remove one of them"
    )]
    VariantsWait,
    /// A pool is a budget of its own.
    #[error(
        "the reward is a code of a pool, which does not go together with {0}; remove one of them (a pool gives as many \
         codes as it has)"
    )]
    PoolBeside(&'static str),
    /// A version number that cannot be stored.
    #[error("version {0} is out of range; use 1 to {max}", max = i64::MAX)]
    Version(u64),
    /// The record is Avro, or begins as if it were, and cannot be read.
    #[error(transparent)]
    Avro(#[from] crate::avro::AvroError),
}

/// Fields of the language that do not change what matches: they are for tools, and kept.
const FOR_TOOLS: [&str; 1] = ["tests"];

impl Campaign {
    /// Reads the value of a record of `campaigns` in its JSON form and checks it.
    ///
    /// The pattern in `when` is checked by the `rules` crate.
    ///
    /// # Errors
    /// [`CampaignError`] says what is wrong and where.
    pub fn from_json(bytes: &[u8]) -> Result<Self, CampaignError> {
        let campaign: Self = serde_json::from_slice(bytes)
            .map_err(|error| CampaignError::Form(error.to_string()))?;
        campaign.check()?;
        Ok(campaign)
    }

    /// The same of a document that was decoded already.
    pub(crate) fn from_value(json: serde_json::Value) -> Result<Self, CampaignError> {
        let campaign: Self =
            serde_json::from_value(json).map_err(|error| CampaignError::Form(error.to_string()))?;
        campaign.check()?;
        Ok(campaign)
    }

    /// Checks what the types alone do not promise.
    ///
    /// # Errors
    /// [`CampaignError`] says what is wrong and where.
    pub fn check(&self) -> Result<(), CampaignError> {
        if let (Some(start), Some(end)) = (self.schedule.start, self.schedule.end)
            && end <= start
        {
            return Err(CampaignError::Schedule { start, end });
        }
        if self.across.len() > MAX_CONDITIONS {
            return Err(CampaignError::Across(self.across.len()));
        }
        let waits = |it: &&Across| it.asks == crate::across::Asks::Absent;
        if self.across.iter().filter(waits).count() > 1 {
            return Err(CampaignError::Absents);
        }
        self.check_groups()?;
        self.check_returns()?;
        self.reward.check()?;
        experiment::check(&self.variants)?;
        if !self.variants.is_empty() && self.across.iter().any(|it| waits(&it)) {
            return Err(CampaignError::VariantsWait);
        }
        self.check_pool()?;
        if self.version == 0 || i64::try_from(self.version).is_err() {
            return Err(CampaignError::Version(self.version));
        }
        Ok(())
    }

    fn check_returns(&self) -> Result<(), CampaignError> {
        let mut asked = self.across.iter().map(|it| &it.asks);
        if self.reverse_on.is_some() && asked.any(|asks| *asks == crate::across::Asks::Absent) {
            return Err(CampaignError::ReturnsOfNothing);
        }
        Ok(())
    }

    /// A code that was given is not taken back, and is decided where the pool is.
    fn check_pool(&self) -> Result<(), CampaignError> {
        if self.reward.pool().is_none() {
            return Ok(());
        }
        let beside = [
            (!self.limits.total.is_empty()).then_some("limits.total"),
            self.hold.map(|_| "hold"),
            self.reverse_on.as_ref().map(|_| "reverse_on"),
            (!self.variants.is_empty()).then_some("variants"),
        ];
        match beside.into_iter().flatten().next() {
            None => Ok(()),
            Some(field) => Err(CampaignError::PoolBeside(field)),
        }
    }

    fn check_groups(&self) -> Result<(), CampaignError> {
        let stacking = self.stacking.as_ref();
        if let (Some(group), Some(stacking)) = (&self.exclusive_group, stacking)
            && *group == stacking.group
        {
            return Err(CampaignError::Group(group.clone()));
        }
        let of_events = [
            self.exclusive_group.is_some().then_some("exclusive_group"),
            stacking
                .and_then(|it| it.per_event)
                .map(|_| "stacking.per_event"),
        ];
        let mut asked = self.across.iter().map(|it| &it.asks);
        if !asked.any(|asks| *asks == crate::across::Asks::Absent) {
            return Ok(());
        }
        if let Some(field) = of_events.into_iter().flatten().next() {
            return Err(CampaignError::WaitsAlone(field));
        }
        let mut budgets = self.limits.total.0.iter();
        if let Some(by) = budgets.find_map(|budget| budget.by.clone()) {
            return Err(CampaignError::WaitsApart(by));
        }
        Ok(())
    }

    /// Whether what wins it is claimed, and the settler decides: it has a budget, or its reward is a code of a pool.
    pub fn is_claimed(&self) -> bool {
        !self.limits.total.is_empty() || self.reward.pool().is_some()
    }

    /// Checks that a record's key is the id of its campaign.
    ///
    /// # Errors
    /// [`CampaignError::Key`] names both.
    pub fn check_key(&self, key: &[u8]) -> Result<(), CampaignError> {
        if key == self.id.as_str().as_bytes() {
            return Ok(());
        }
        Err(CampaignError::Key {
            key: String::from_utf8_lossy(key).into_owned(),
            id: self.id.clone(),
        })
    }

    /// Names of fields that no release so far knows: probably mistakes, to be reported.
    pub fn unknown_fields(&self) -> impl Iterator<Item = &str> {
        self.unknown
            .keys()
            .map(String::as_str)
            .filter(|field| !FOR_TOOLS.contains(field))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> serde_json::Value {
        json!({
            "id": "ten-for-fifty",
            "name": "$10 for purchases over $50",
            "when": {"event_type": ["purchase"]},
            "reward": {"kind": "credit", "amount": 10.10, "currency": "USD", "account": "promo"},
        })
    }

    fn parse(json: &serde_json::Value) -> Result<Campaign, CampaignError> {
        Campaign::from_json(json.to_string().as_bytes())
    }

    #[test]
    fn only_four_fields_are_required() {
        let campaign = parse(&document()).unwrap();
        assert_eq!(campaign.version, 1);
        assert_eq!(campaign.status, Status::Active);
        assert!(campaign.schedule.contains(Timestamp::MIN));
        assert_eq!(campaign.reward.amount.as_ref().unwrap().to_string(), "10.1");
        assert_eq!(campaign.reward.further["account"], json!("promo"));
        for field in ["id", "name", "when", "reward"] {
            let mut broken = document();
            broken.as_object_mut().unwrap().remove(field);
            let error = parse(&broken).unwrap_err().to_string();
            assert!(
                error.contains(&format!("missing field `{field}`")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_broken_campaign_says_what_is_wrong() {
        let cases = [
            ("version", json!(0), "version 0 is out of range"),
            (
                "status",
                json!("live"),
                "unknown variant `live`, expected one of `draft`, `active`",
            ),
            ("hold", json!("soon"), "no span of time"),
            (
                "reverse_on",
                json!({"same": "payload.order_id"}),
                "by event_type",
            ),
            (
                "schedule",
                json!({"begin": "2026-11-01T00:00:00Z"}),
                "unknown field `begin`",
            ),
            (
                "schedule",
                json!({"start": "soon"}),
                "the campaign document is broken",
            ),
            (
                "schedule",
                json!({"start": "2026-11-01T00:00:00Z", "end": "2026-11-01T00:00:00Z"}),
                "schedule.end 2026-11-01T00:00:00Z is not after",
            ),
            (
                "reward",
                json!({"kind": "credit", "amount": -1}),
                "an amount may not be negative",
            ),
            ("reward", json!({"amount": 1}), "missing field `kind`"),
            (
                "limits",
                json!({"totals": {"times": 5}}),
                "unknown field `totals`, expected `per_customer` or `total`",
            ),
            (
                "limits",
                json!({"total": {"times": 5, "every": "1d"}}),
                "unknown field `every`",
            ),
            (
                "across",
                json!([{"absent": true, "when": {}, "within": "1d"}, {"absent": true, "when": {}, "within": "2d"}]),
                "several conditions with absent",
            ),
            ("audience", json!([]), "audience is empty"),
            (
                "audience",
                json!([{"nor": "staff"}]),
                "unknown field `nor`, expected `not`",
            ),
            ("priority", json!("high"), "invalid type: string"),
            (
                "exclusive_group",
                json!("check out"),
                "group has ' ' at byte 5",
            ),
            (
                "stacking",
                json!({"group": "a"}),
                "stacking says per_event, per_customer or both",
            ),
            (
                "stacking",
                json!({"group": "a", "per_event": 0}),
                "per_event is 1 or more",
            ),
            (
                "stacking",
                json!({"group": "a", "per_event": 1, "per_day": 2}),
                "unknown field `per_day`",
            ),
        ];
        for (field, value, message) in cases {
            refuses(field, value, message);
        }
    }

    #[test]
    fn a_broken_experiment_says_what_is_wrong() {
        let cases = [
            ("holdout", json!("100%"), "\"100%\" is no share"),
            ("holdout", json!(10), "expected a string"),
            (
                "variants",
                json!([{"name": "a", "weight": 1}, {"name": "a", "weight": 1}]),
                "two are called a",
            ),
            (
                "variants",
                json!([{"name": "a", "weight": 0}]),
                "all have the weight 0",
            ),
            (
                "variants",
                json!([{"name": "a", "weight": 1, "share": 1}]),
                "unknown field `share`",
            ),
            ("experiment", json!("a b"), "experiment has ' ' at byte 1"),
        ];
        for (field, value, message) in cases {
            refuses(field, value, message);
        }
    }

    #[test]
    fn a_pool_is_a_budget_of_its_own() {
        let coupon = || json!({"kind": "coupon", "pool": "summer"});
        for (field, value) in [
            ("limits", json!({"total": {"times": 5}})),
            ("hold", json!("14d")),
            ("variants", json!([{"name": "a", "weight": 1}])),
            (
                "reverse_on",
                json!({"event_type": ["refund"], "same": "payload.order_id"}),
            ),
        ] {
            let mut json = document();
            json["reward"] = coupon();
            assert!(parse(&json).is_ok());
            json[field] = value;
            let error = parse(&json).unwrap_err().to_string();
            assert!(
                error.contains("does not go together with"),
                "{field}: {error}"
            );
        }
        let variants = json!([{"name": "a", "weight": 1, "reward": coupon()}]);
        refuses("variants", variants, "does not go together with variants");
    }

    #[track_caller]
    fn refuses(field: &str, value: serde_json::Value, message: &str) {
        let mut json = document();
        json[field] = value;
        let error = parse(&json).unwrap_err().to_string();
        assert!(error.contains(message), "{field}: {error}");
    }

    #[test]
    fn unknown_fields_are_kept_and_reported() {
        let mut json = document();
        json["prority"] = json!(1);
        json["tests"] = json!([]);
        let campaign = parse(&json).unwrap();
        assert_eq!(campaign.unknown_fields().collect::<Vec<_>>(), ["prority"]);
        assert_eq!(
            serde_json::to_value(&campaign).unwrap()["prority"],
            json!(1)
        );
    }

    #[test]
    fn groups_are_of_campaigns_that_are_decided_together() {
        let mut json = document();
        json["exclusive_group"] = json!("checkout");
        json["stacking"] = json!({"group": "checkout", "per_event": 2});
        let error = parse(&json).unwrap_err().to_string();
        assert!(error.contains("both name checkout"), "{error}");
        json["stacking"]["group"] = json!("daily");
        assert_eq!(parse(&json).unwrap().priority, 0);
        json["across"] = json!([{"absent": true, "when": {"a": [1]}, "within": "1d"}]);
        let error = parse(&json).unwrap_err().to_string();
        assert!(error.contains("exclusive_group is about"), "{error}");
        json.as_object_mut().unwrap().remove("exclusive_group");
        let error = parse(&json).unwrap_err().to_string();
        assert!(error.contains("stacking.per_event is about"), "{error}");
    }

    #[test]
    fn the_key_is_the_id() {
        let campaign = parse(&document()).unwrap();
        assert_eq!(campaign.check_key(b"ten-for-fifty"), Ok(()));
        assert!(campaign.check_key(b"other").is_err());
        assert!(campaign.check_key(b"").is_err());
    }
}
