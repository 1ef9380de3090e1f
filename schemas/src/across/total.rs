//! How often, and for how much, a campaign is won at most by all customers together: its budget.

use serde::{Deserialize, Serialize};

use super::limits::one_or_many;
use super::{Period, Zone};
use crate::Amount;

/// Budgets of a campaign: one, or a list of them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "serde_json::Value", into = "Vec<Budget>")]
pub struct Total(pub Vec<Budget>);

impl Total {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<serde_json::Value> for Total {
    type Error = String;

    fn try_from(limits: serde_json::Value) -> Result<Self, String> {
        one_or_many("total", limits).map(Self)
    }
}

impl From<Total> for Vec<Budget> {
    fn from(limits: Total) -> Self {
        limits.0
    }
}

/// Largest `times` of a budget: what every reader of JSON has exactly.
pub const MAX_TIMES: u64 = 1_000_000_000_000_000;

/// A limit of all customers together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BudgetFields", into = "BudgetFields")]
pub struct Budget {
    /// So many matches.
    pub times: Option<u64>,
    /// So much of rewards' amounts; a match that would go beyond it is not made.
    pub amount: Option<Amount>,
    /// In each day, week or month in a time zone; in all time if absent.
    pub per: Option<(Period, Zone)>,
    /// Each value of this field of the event has a budget of its own; names with dots between them, as `payload.store`.
    pub by: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BudgetFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    times: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amount: Option<Amount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    per: Option<Period>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time_zone: Option<Zone>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<String>,
}

impl TryFrom<BudgetFields> for Budget {
    type Error = String;

    fn try_from(fields: BudgetFields) -> Result<Self, String> {
        if fields.time_zone.is_some() && fields.per.is_none() {
            return Err("time_zone says where per is meant, and there is no per".to_owned());
        }
        if fields.times.is_some_and(|it| it == 0 || it > MAX_TIMES) {
            return Err(format!("times is 1 to {MAX_TIMES}"));
        }
        if fields.times.is_none() && fields.amount.is_none() {
            return Err(
                "a limit of total says how many times, or what amount, all customers win together"
                    .to_owned(),
            );
        }
        if let Some(by) = &fields.by
            && (by.len() > 256 || by.split('.').any(str::is_empty))
        {
            return Err(format!(
                "by is {:?}; write the names of fields with dots between them, as payload.store",
                by.chars().take(64).collect::<String>()
            ));
        }
        let zone = fields.time_zone.unwrap_or_default();
        Ok(Self {
            times: fields.times,
            amount: fields.amount,
            per: fields.per.map(|per| (per, zone)),
            by: fields.by,
        })
    }
}

impl From<Budget> for BudgetFields {
    fn from(budget: Budget) -> Self {
        let (per, time_zone) = match budget.per {
            None => (None, None),
            Some((per, zone)) => (Some(per), (zone != Zone::default()).then_some(zone)),
        };
        Self {
            times: budget.times,
            amount: budget.amount,
            per,
            time_zone,
            by: budget.by,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn budgets_are_one_or_a_list() {
        let read = |json| serde_json::from_value::<Total>(json);
        let one = read(json!({"amount": "50000"})).unwrap();
        assert_eq!(one.0.len(), 1);
        let many = json!([
            {"times": 1000, "per": "day", "time_zone": "Asia/Tokyo"},
            {"amount": "500.00", "per": "month", "by": "payload.store"},
        ]);
        let budgets = read(many.clone()).unwrap();
        assert_eq!(serde_json::to_value(&budgets).unwrap(), many);
        let cases = [
            (json!({"times": 0}), "times is 1 to 1000000000000000"),
            (json!({"per": "day"}), "how many times, or what amount"),
            (json!({"times": 1, "time_zone": "UTC"}), "there is no per"),
            (json!({"times": 1, "every": "1d"}), "unknown field `every`"),
            (
                json!({"times": 1, "by": "payload..store"}),
                "names of fields with dots",
            ),
            (json!({"times": 1, "by": ""}), "names of fields with dots"),
            (json!([]), "1 to 16"),
        ];
        for (case, message) in cases {
            let error = read(case.clone()).unwrap_err();
            assert!(error.to_string().contains(message), "{case}: {error}");
        }
    }
}
