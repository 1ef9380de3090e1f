//! `decimal`: amounts compared digit by digit, without floating point.

use std::ops::{Bound, RangeBounds as _};

use rust_decimal::Decimal;
use schemas::{Number, Value};
use serde_json::Value as Json;

use crate::operator::{self, Range};
use crate::problem::{Problem, clip};

/// Decimals from a lower to an upper bound.
#[derive(Debug, Clone)]
pub(super) struct DecimalRange {
    low: Bound<Decimal>,
    high: Bound<Decimal>,
}

impl DecimalRange {
    pub(super) fn read(operand: &Json) -> Result<Self, Problem> {
        let Range { low, high } = operator::range("decimal", operand, |_, value| {
            let text = match value {
                Json::String(text) => Some(text.clone()),
                Json::Number(number) => Some(number.to_string()),
                _ => None,
            };
            let decimal = text.as_deref().and_then(exact);
            decimal.ok_or_else(|| Problem::Decimal {
                found: clip(&value.to_string()),
            })
        })?;
        Ok(Self { low, high })
    }

    pub(super) fn is_met_by(&self, value: &Value<'_>) -> bool {
        of_value(value).is_some_and(|decimal| (self.low, self.high).contains(&decimal))
    }
}

/// A value of an event as a decimal: a number, or a string that is one. None if it is neither, or has more digits than can be
/// held exactly (28).
pub(crate) fn of_value(value: &Value<'_>) -> Option<Decimal> {
    match value {
        Value::String(text) => exact(text),
        Value::Number(number) => of_number(*number),
        _ => None,
    }
}

/// A decimal as it is written: a sign, digits, a point and digits. None if it has an exponent, or more digits than can be
/// held exactly (28).
pub(crate) fn exact(text: &str) -> Option<Decimal> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_decimal = match digits.split_once('.') {
        Some((whole, fraction)) => is_plain(whole) && is_plain(fraction),
        None => is_plain(digits),
    };
    is_decimal.then(|| Decimal::from_str_exact(text).ok())?
}

/// A number of an event: of one that is not whole the decimal that identifies the double.
fn of_number(number: Number) -> Option<Decimal> {
    match number.as_i64() {
        Some(whole) => Some(whole.into()),
        None => exact(&number.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_compared() {
        for text in ["0.1", "-12.50", "79228162514264337593543950335", "007.0"] {
            assert!(exact(text).is_some(), "{text}");
        }
        for text in [
            "",
            "-",
            ".5",
            "5.",
            "1e3",
            "+1",
            "1_000",
            " 1",
            "0.00000000000000000000000000001",
        ] {
            assert_eq!(exact(text), None, "{text}");
        }
        let sum = exact("0.1").unwrap() + exact("0.2").unwrap();
        assert_eq!(of_number(Number::from_f64(0.3).unwrap()), Some(sum));
        assert_eq!(of_number(Number::from_f64(1e300).unwrap()), None);
    }
}
