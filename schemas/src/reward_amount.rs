//! How much a reward is: an amount, or an expression over the event.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Amount, AmountError};

/// How much a campaign's reward is. The reward of a match always has an exact amount.
///
/// Read from a JSON number or a JSON string; a string that is no number is an expression, which the `rules` crate
/// checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RewardAmount {
    /// Always the same.
    Exact(Amount),
    /// An expression over the event, such as `payload.amount * 0.05`; see `docs/rules.md`.
    Expression(Box<str>),
}

impl RewardAmount {
    /// The amount, if it does not depend on the event.
    pub const fn exact(&self) -> Option<Amount> {
        match self {
            Self::Exact(amount) => Some(*amount),
            Self::Expression(_) => None,
        }
    }

    /// The expression, if it does.
    pub const fn expression(&self) -> Option<&str> {
        match self {
            Self::Exact(_) => None,
            Self::Expression(text) => Some(text),
        }
    }

    fn parse(text: &str) -> Result<Self, AmountError> {
        match Amount::parse(text) {
            Ok(amount) => Ok(Self::Exact(amount)),
            // What is a number, but no decimal of ours, was not meant as an expression.
            Err(AmountError::NotDecimal(_))
                if !text.trim().is_empty() && text.parse::<f64>().is_err() =>
            {
                Ok(Self::Expression(text.into()))
            }
            Err(error) => Err(error),
        }
    }
}

impl fmt::Display for RewardAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(amount) => amount.fmt(f),
            Self::Expression(text) => text.fmt(f),
        }
    }
}

impl Serialize for RewardAmount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Exact(amount) => amount.serialize(serializer),
            Self::Expression(text) => text.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for RewardAmount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RewardAmountVisitor)
    }
}

struct RewardAmountVisitor;

impl Visitor<'_> for RewardAmountVisitor {
    type Value = RewardAmount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount: a decimal, as \"10.00\" or 10, or an expression, as \"payload.amount * 0.05\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<RewardAmount, E> {
        RewardAmount::parse(text).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<RewardAmount, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<RewardAmount, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<RewardAmount, E> {
        // The shortest text that reads back as this double: what a person wrote, up to 15 digits.
        self.visit_str(&value.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_number_is_an_amount_and_other_texts_are_expressions() {
        for (json, written) in [
            ("\"10.00\"", "10.00"),
            ("10.10", "10.1"),
            ("\"1e-2\"", "0.01"),
        ] {
            let amount: RewardAmount = serde_json::from_str(json).unwrap();
            assert!(amount.exact().is_some(), "{json}");
            assert_eq!(serde_json::to_value(&amount).unwrap(), written);
        }
        for text in ["payload.amount * 0.05", "ten", "- 1", "1 + 1"] {
            let json = serde_json::Value::from(text);
            let amount: RewardAmount = serde_json::from_value(json.clone()).unwrap();
            assert_eq!(amount.expression(), Some(text));
            assert_eq!(serde_json::to_value(&amount).unwrap(), json);
        }
        for json in [
            "\"\"", "\" \"", "-1", "\"-1\"", "\"1e99\"", "\"NaN\"", "true", "[]",
        ] {
            assert!(
                serde_json::from_str::<RewardAmount>(json).is_err(),
                "{json}"
            );
        }
    }
}
