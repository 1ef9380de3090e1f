//! What a number must be.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// What a number must be; all that is there must hold, and one must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// This or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<Exact>,
    /// This or less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<Exact>,
    /// More than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_than: Option<Exact>,
    /// Less than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub less_than: Option<Exact>,
    /// This.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<Exact>,
    /// A multiple of this, and not zero: `5` for each fifth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multiple_of: Option<Exact>,
}

/// An exact decimal, read from a JSON number or its decimal text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exact(pub Decimal);

impl Bounds {
    /// Whether a number is as it must be.
    pub fn hold(&self, value: Decimal) -> bool {
        let is = |bound: Option<Exact>, holds: fn(&Decimal, &Decimal) -> bool| {
            bound.is_none_or(|bound| holds(&value, &bound.0))
        };
        is(self.at_least, Decimal::ge)
            && is(self.at_most, Decimal::le)
            && is(self.more_than, Decimal::gt)
            && is(self.less_than, Decimal::lt)
            && is(self.equals, Decimal::eq)
            && is(self.multiple_of, |value, of| {
                !value.is_zero() && value.checked_rem(*of).is_some_and(|rest| rest.is_zero())
            })
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Exact {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match i64::try_from(self.0) {
            Ok(whole) if self.0.scale() == 0 => serializer.serialize_i64(whole),
            _ => serializer.collect_str(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let text = match &value {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        let read = Decimal::from_str_exact(&text).or_else(|_| Decimal::from_scientific(&text));
        read.map(Self).map_err(|_| {
            serde::de::Error::custom(format!("{value} is no decimal; write 50 or \"49.90\""))
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bounds_hold_as_they_say() {
        let holds = |bounds, value: &str| {
            let bounds: Bounds = serde_json::from_value(bounds).unwrap();
            bounds.hold(value.parse().unwrap())
        };
        assert!(holds(json!({"at_least": 3, "less_than": "3.5"}), "3.0"));
        assert!(!holds(json!({"at_least": 3, "less_than": "3.5"}), "3.5"));
        assert!(!holds(json!({"more_than": 3}), "3"));
        assert!(holds(json!({"at_most": "0.1"}), "0.10"));
        assert!(holds(json!({"equals": 2}), "2.00"));
        assert!(holds(json!({"multiple_of": 5}), "10"));
        assert!(!holds(json!({"multiple_of": 5}), "0"));
        assert!(!holds(json!({"multiple_of": 0}), "5"));
    }
}
