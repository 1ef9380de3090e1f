//! How often a campaign is won at most.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{MAX_CONDITIONS, MAX_REMEMBERED, Period, Total, Zone};
use crate::{Amount, Span};

/// How often, and for how much, a campaign is won at most.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CampaignLimits {
    /// By one customer; all of them hold.
    #[serde(default, skip_serializing_if = "PerCustomer::is_empty")]
    pub per_customer: PerCustomer,
    /// By all customers together, its budget; all of them hold.
    #[serde(default, skip_serializing_if = "Total::is_empty")]
    pub total: Total,
}

impl CampaignLimits {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.per_customer.is_empty() && self.total.is_empty()
    }
}

/// Limits of one customer: one, or a list of them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "serde_json::Value", into = "Vec<Limit>")]
pub struct PerCustomer(pub Vec<Limit>);

impl PerCustomer {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<serde_json::Value> for PerCustomer {
    type Error = String;

    fn try_from(limits: serde_json::Value) -> Result<Self, String> {
        one_or_many("per_customer", limits).map(Self)
    }
}

impl From<PerCustomer> for Vec<Limit> {
    fn from(limits: PerCustomer) -> Self {
        limits.0
    }
}

/// The limits of a field that is one, or a list of them. An untagged enum would hide what is wrong with one.
pub(super) fn one_or_many<L: DeserializeOwned>(
    field: &str,
    limits: serde_json::Value,
) -> Result<Vec<L>, String> {
    let limits = match limits {
        serde_json::Value::Array(limits) => limits,
        limit => vec![limit],
    };
    if limits.is_empty() || limits.len() > MAX_CONDITIONS {
        return Err(format!(
            "{field} is a limit, or a list of 1 to {MAX_CONDITIONS}"
        ));
    }
    let read = limits
        .into_iter()
        .map(|limit| serde_json::from_value(limit).map_err(|error| error.to_string()));
    read.collect()
}

/// A limit of one customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "LimitFields", into = "LimitFields")]
pub struct Limit {
    /// So many matches.
    pub times: Option<u32>,
    /// So much of rewards' amounts; a match that would go beyond it is not made.
    pub amount: Option<Amount>,
    /// In any such stretch of time.
    pub span: LimitSpan,
}

/// The stretch of time of a limit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LimitSpan {
    /// Any stretch of this length.
    Every(Span),
    /// Each day, week or month in a time zone.
    Per(Period, Zone),
    /// All time.
    Ever,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    times: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amount: Option<Amount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    every: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    per: Option<Period>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time_zone: Option<Zone>,
}

impl TryFrom<LimitFields> for Limit {
    type Error = String;

    fn try_from(fields: LimitFields) -> Result<Self, String> {
        let span = match (fields.every, fields.per) {
            (Some(_), Some(_)) => {
                return Err("a limit has every or per; write two limits in a list".to_owned());
            }
            (Some(every), None) => LimitSpan::Every(every),
            (None, Some(per)) => LimitSpan::Per(per, fields.time_zone.clone().unwrap_or_default()),
            (None, None) => LimitSpan::Ever,
        };
        if fields.time_zone.is_some() && fields.per.is_none() {
            return Err("time_zone says where per is meant, and there is no per".to_owned());
        }
        // `every: 30d` alone is a cool-down.
        let is_cool_down = matches!(span, LimitSpan::Every(_)) && fields.amount.is_none();
        let times = fields.times.or(is_cool_down.then_some(1));
        let most = u32::try_from(MAX_REMEMBERED).unwrap_or(u32::MAX);
        if times.is_some_and(|times| times == 0 || times > most) {
            return Err(format!("times is 1 to {MAX_REMEMBERED}"));
        }
        if times.is_none() && fields.amount.is_none() {
            return Err("a limit says how many times, or what amount, a customer wins".to_owned());
        }
        Ok(Self {
            times,
            amount: fields.amount,
            span,
        })
    }
}

impl From<Limit> for LimitFields {
    fn from(limit: Limit) -> Self {
        let mut fields = Self {
            times: limit.times,
            amount: limit.amount,
            ..Self::default()
        };
        match limit.span {
            LimitSpan::Every(span) => fields.every = Some(span),
            LimitSpan::Per(period, zone) => {
                fields.per = Some(period);
                fields.time_zone = (zone != Zone::default()).then_some(zone);
            }
            LimitSpan::Ever => {}
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn limits_are_one_or_a_list() {
        let read = |json| serde_json::from_value::<CampaignLimits>(json);
        let one = read(json!({"per_customer": {"times": 1, "every": "30d"}})).unwrap();
        assert_eq!(one.per_customer.0.len(), 1);
        let cool_down = read(json!({"per_customer": {"every": "30d"}})).unwrap();
        assert_eq!(one, cool_down);
        let many = json!({"per_customer": [{"times": 1, "per": "day"}, {"amount": "50.00", "per": "month", "time_zone": "Asia/Tokyo"}]});
        let limits = read(many.clone()).unwrap();
        assert_eq!(serde_json::to_value(&limits).unwrap(), many);
        let cases = [
            (json!({"per_customer": {"times": 0}}), "times is 1 to 4096"),
            (
                json!({"per_customer": {"per": "day"}}),
                "how many times, or what amount",
            ),
            (
                json!({"per_customer": {"times": 1, "per": "day", "every": "1d"}}),
                "every or per",
            ),
            (
                json!({"per_customer": {"times": 1, "time_zone": "UTC"}}),
                "there is no per",
            ),
            (json!({"per_customer": {"tmes": 1}}), "unknown field `tmes`"),
            (json!({"per_customer": []}), "1 to 16"),
        ];
        for (case, message) in cases {
            let error = read(case.clone()).unwrap_err();
            assert!(error.to_string().contains(message), "{case}: {error}");
        }
    }
}
