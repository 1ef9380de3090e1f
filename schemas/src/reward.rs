//! What a match is worth: the kinds of rewards, and what each must say.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::{Amount, PoolName, RewardAmount, currency};

/// What a match is worth. Fields beyond these are the reward service's own and are passed to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reward {
    /// What kind of reward, such as `credit`: one of [`RewardKind`], or a word of the reward service's own.
    pub kind: String,
    /// How much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<RewardAmount>,
    /// The currency of the amount (ISO 4217).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// The reward service's own fields. One that is an object with the only field `expression` stands for the
    /// expression's value.
    #[serde(flatten)]
    pub further: BTreeMap<String, Json>,
}

/// Kinds of rewards whose form is known, and checked when a campaign is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RewardKind {
    /// Money for the customer: an `amount`, mostly of a `currency`.
    Credit,
    /// Points: an `amount` without a currency.
    Points,
    /// Off the price: a `percent` (above 0, at most 100) or an `amount`.
    Discount,
    /// A code for the customer: one of a `pool`, the same `code` for all, or what the reward service makes of it.
    Coupon,
    /// Something to be said: a `text`, or the name of a `template`.
    Message,
    /// Anything else: any JSON.
    Custom,
}

/// What a reward of a known kind says wrongly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RewardFormError {
    /// It says too little.
    #[error(
        "a reward of kind {kind} has {fields}; add it, or use kind custom for a form of your own"
    )]
    Missing {
        /// The kind.
        kind: &'static str,
        /// What it must have.
        fields: &'static str,
    },
    /// It says two things of which one is enough.
    #[error("a reward of kind {kind} has {first} or {second}, not both; remove one of them")]
    Both {
        /// The kind.
        kind: &'static str,
        /// One field.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// A currency where none belongs.
    #[error("points have no currency; remove it, or use kind credit")]
    Currency,
    /// A field of another form.
    #[error("reward.{field} is {found}; it must be {expected}")]
    Form {
        /// The field.
        field: &'static str,
        /// What stands there.
        found: String,
        /// What belongs there.
        expected: &'static str,
    },
}

impl RewardFormError {
    /// The field of the reward that is wrong, or should be there.
    pub const fn field(&self) -> Option<&'static str> {
        match self {
            Self::Missing { .. } => None,
            Self::Both { second, .. } => Some(second),
            Self::Currency => Some("currency"),
            Self::Form { field, .. } => Some(field),
        }
    }
}

impl RewardKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Credit,
        Self::Points,
        Self::Discount,
        Self::Coupon,
        Self::Message,
        Self::Custom,
    ];

    /// As in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Credit => "credit",
            Self::Points => "points",
            Self::Discount => "discount",
            Self::Coupon => "coupon",
            Self::Message => "message",
            Self::Custom => "custom",
        }
    }

    /// The kind of that name, if it is known.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl Reward {
    /// How many decimals the reward's currency has; none without a currency.
    pub fn minor_units(&self) -> Option<u32> {
        self.currency.as_deref().and_then(currency::minor_units)
    }

    /// Checks a reward of a known kind against the form of the kind. Others are the reward service's own.
    ///
    /// Expressions are checked by the `rules` crate.
    ///
    /// # Errors
    /// [`RewardFormError`] says what is wrong.
    pub fn check(&self) -> Result<(), RewardFormError> {
        let Some(kind) = RewardKind::of(&self.kind) else {
            return Ok(());
        };
        let missing = |fields| RewardFormError::Missing {
            kind: kind.as_str(),
            fields,
        };
        let has = |field| self.further.contains_key(field);
        match kind {
            RewardKind::Credit | RewardKind::Points if self.amount.is_none() => {
                Err(missing("an amount"))
            }
            RewardKind::Points if self.currency.is_some() => Err(RewardFormError::Currency),
            RewardKind::Discount => match (self.further.get("percent"), &self.amount) {
                (None, None) => Err(missing("a percent or an amount")),
                (Some(_), Some(_)) => Err(RewardFormError::Both {
                    kind: kind.as_str(),
                    first: "amount",
                    second: "percent",
                }),
                (Some(percent), None) => check_percent(percent),
                (None, Some(_)) => Ok(()),
            },
            RewardKind::Coupon if has("code") && has("pool") => Err(RewardFormError::Both {
                kind: kind.as_str(),
                first: "code",
                second: "pool",
            }),
            RewardKind::Coupon => {
                self.check_text("code")?;
                self.check_pool()
            }
            RewardKind::Message if !has("text") && !has("template") => {
                Err(missing("a text or a template"))
            }
            RewardKind::Message => {
                self.check_text("text")?;
                self.check_text("template")
            }
            RewardKind::Credit | RewardKind::Points | RewardKind::Custom => Ok(()),
        }
    }

    /// The pool of which the reward is a code.
    pub fn pool(&self) -> Option<&str> {
        let is_coupon = RewardKind::of(&self.kind) == Some(RewardKind::Coupon);
        let pool = self.further.get("pool").filter(|_| is_coupon)?;
        pool.as_str()
    }

    fn check_pool(&self) -> Result<(), RewardFormError> {
        match self.further.get("pool") {
            None => Ok(()),
            Some(Json::String(name)) if PoolName::check(name).is_ok() => Ok(()),
            Some(other) => Err(RewardFormError::Form {
                field: "pool",
                found: other.to_string(),
                expected: "the name of a pool: letters, digits, '-', '_' and '.'",
            }),
        }
    }

    /// Checks that a field is a text that says something, if it is there.
    fn check_text(&self, field: &'static str) -> Result<(), RewardFormError> {
        match self.further.get(field) {
            None => Ok(()),
            Some(Json::String(text)) if !text.trim().is_empty() => Ok(()),
            Some(other) => Err(RewardFormError::Form {
                field,
                found: other.to_string(),
                expected: "a text that is not empty",
            }),
        }
    }
}

/// A percent is a decimal or an expression.
fn check_percent(percent: &Json) -> Result<(), RewardFormError> {
    let decimal = match percent {
        Json::Object(_) => return Ok(()),
        Json::String(text) => Amount::parse(text).ok(),
        Json::Number(number) => Amount::parse(&number.to_string()).ok(),
        _ => None,
    };
    let decimal = decimal.map(Amount::decimal);
    if decimal.is_some_and(|it| it > Decimal::ZERO && it <= Decimal::ONE_HUNDRED) {
        return Ok(());
    }
    Err(RewardFormError::Form {
        field: "percent",
        found: percent.to_string(),
        expected: "a number above 0 and at most 100, or {\"expression\": …}",
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(reward: Json) -> String {
        let reward: Reward = serde_json::from_value(reward).unwrap();
        reward.check().err().map_or(String::new(), |error| {
            format!("{}: {error}", error.field().unwrap_or_default())
        })
    }

    #[test]
    fn each_kind_says_what_it_must_and_nothing_that_it_cannot_mean() {
        for right in [
            json!({"kind": "credit", "amount": 10, "currency": "USD"}),
            json!({"kind": "credit", "amount": "payload.amount * 0.05"}),
            json!({"kind": "points", "amount": 10, "for": ["any", "thing"]}),
            json!({"kind": "discount", "percent": 12.5}),
            json!({"kind": "discount", "percent": "100"}),
            json!({"kind": "discount", "percent": {"expression": "payload.years"}}),
            json!({"kind": "discount", "amount": 5, "currency": "EUR"}),
            json!({"kind": "coupon"}),
            json!({"kind": "coupon", "code": "WELCOME"}),
            json!({"kind": "coupon", "pool": "summer-2026"}),
            json!({"kind": "message", "text": "Welcome back"}),
            json!({"kind": "message", "template": "back", "text": "Welcome back"}),
            json!({"kind": "custom"}),
            json!({"kind": "custom", "amount": 1, "percent": -3, "code": {}}),
            json!({"kind": "voucher", "percent": 0}),
        ] {
            assert_eq!(check(right.clone()), "", "{right}");
        }
        for (wrong, why) in [
            (
                json!({"kind": "credit", "currency": "USD"}),
                ": a reward of kind credit has an amount; add it, or use kind custom for a form of your own",
            ),
            (
                json!({"kind": "points"}),
                ": a reward of kind points has an amount; add it, or use kind custom for a form of your own",
            ),
            (
                json!({"kind": "points", "amount": 5, "currency": "USD"}),
                "currency: points have no currency; remove it, or use kind credit",
            ),
            (
                json!({"kind": "discount"}),
                ": a reward of kind discount has a percent or an amount; add it, or use kind custom for a form of your own",
            ),
            (
                json!({"kind": "discount", "percent": 5, "amount": 5}),
                "percent: a reward of kind discount has amount or percent, not both; remove one of them",
            ),
            (
                json!({"kind": "discount", "percent": 0}),
                "percent: reward.percent is 0; it must be a number above 0 and at most 100, or {\"expression\": …}",
            ),
            (
                json!({"kind": "discount", "percent": "100.01"}),
                "percent: reward.percent is \"100.01\"; it must be a number above 0 and at most 100, or {\"expression\": …}",
            ),
            (
                json!({"kind": "discount", "percent": "5%"}),
                "percent: reward.percent is \"5%\"; it must be a number above 0 and at most 100, or {\"expression\": …}",
            ),
            (
                json!({"kind": "coupon", "code": 5}),
                "code: reward.code is 5; it must be a text that is not empty",
            ),
            (
                json!({"kind": "coupon", "code": "A", "pool": "summer"}),
                "pool: a reward of kind coupon has code or pool, not both; remove one of them",
            ),
            (
                json!({"kind": "coupon", "pool": "sum mer"}),
                "pool: reward.pool is \"sum mer\"; it must be the name of a pool: letters, digits, '-', '_' and '.'",
            ),
            (
                json!({"kind": "message", "channel": "mail"}),
                ": a reward of kind message has a text or a template; add it, or use kind custom for a form of your own",
            ),
            (
                json!({"kind": "message", "text": " "}),
                "text: reward.text is \" \"; it must be a text that is not empty",
            ),
        ] {
            assert_eq!(check(wrong), why);
        }
    }

    #[test]
    fn kinds_are_found_by_their_names() {
        for kind in RewardKind::ALL {
            assert_eq!(RewardKind::of(kind.as_str()), Some(kind));
        }
        assert_eq!(RewardKind::of("Credit"), None);
    }
}
