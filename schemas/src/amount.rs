//! Amounts of money and points: exact decimals.

use std::fmt;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An amount of money or points: exact, never negative, below 10¹⁸ and with at most 10 decimals, so
/// that it fits the Avro form `decimal(28, 10)`.
///
/// Read from a JSON string (`"10.00"`, which keeps its zeros) or a JSON number (its shortest decimal
/// form). Written as a string, so that no reader loses a cent to a double.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(Decimal);

/// Why something is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AmountError {
    /// Not a decimal.
    #[error("{0:?} is not an amount; write a decimal, as \"10.00\"")]
    NotDecimal(String),
    /// Too large or too fine.
    #[error("{0} does not fit: an amount is below 10^18 and has at most 10 decimals")]
    OutOfRange(Decimal),
    /// Below zero.
    #[error("{0} is below zero; an amount may not be negative")]
    Negative(Decimal),
}

const END: u64 = 1_000_000_000_000_000_000;
const MAX_DECIMALS: u32 = 10;

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// The amount of a decimal text.
    ///
    /// # Errors
    /// [`AmountError`] when it is no decimal, does not fit, or is below zero.
    pub fn parse(text: &str) -> Result<Self, AmountError> {
        let decimal = Decimal::from_str_exact(text)
            .or_else(|_| Decimal::from_scientific(text))
            .map_err(|_| AmountError::NotDecimal(text.chars().take(64).collect()))?;
        if decimal.is_sign_negative() && !decimal.is_zero() {
            return Err(AmountError::Negative(decimal));
        }
        if decimal >= Decimal::from(END) || decimal.normalize().scale() > MAX_DECIMALS {
            return Err(AmountError::OutOfRange(decimal));
        }
        Ok(Self(decimal))
    }

    /// The amount nearest to a decimal: rounded to 10 decimals, halves away from zero, without zeros at its end.
    ///
    /// # Errors
    /// [`AmountError`] when it does not fit, or is below zero.
    pub fn nearest(decimal: Decimal) -> Result<Self, AmountError> {
        let rounding = RoundingStrategy::MidpointAwayFromZero;
        let rounded = decimal.round_dp_with_strategy(MAX_DECIMALS, rounding);
        let rounded = rounded.normalize();
        if rounded.is_sign_negative() && !rounded.is_zero() {
            return Err(AmountError::Negative(rounded));
        }
        if rounded >= Decimal::from(END) {
            return Err(AmountError::OutOfRange(rounded));
        }
        Ok(Self(rounded))
    }

    /// The exact decimal.
    pub const fn decimal(self) -> Decimal {
        self.0
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AmountVisitor)
    }
}

struct AmountVisitor;

impl Visitor<'_> for AmountVisitor {
    type Value = Amount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount: a decimal, as \"10.00\" or 10")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
        Amount::parse(text).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Amount, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Amount, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Amount, E> {
        // The shortest text that reads back as this double: what a person wrote, up to 15 digits.
        self.visit_str(&value.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_and_written_as_text() {
        let cases = [
            ("\"10.00\"", "\"10.00\""),
            ("10.10", "\"10.1\""),
            ("0.1", "\"0.1\""),
            ("50000", "\"50000\""),
            ("1e3", "\"1000\""),
            ("\"1e-2\"", "\"0.01\""),
            ("0", "\"0\""),
        ];
        for (json, written) in cases {
            let amount: Amount = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&amount).unwrap(), written);
        }
    }

    #[test]
    fn the_nearest_amount_has_ten_decimals() {
        let cases = [
            ("3.7500", Ok("3.75")),
            ("0.00000000005", Ok("0.0000000001")),
            ("0.00000000004", Ok("0")),
            ("-0.00000000004", Ok("0")),
            ("-0.01", Err("-0.01 is below zero")),
            ("1000000000000000000", Err("does not fit")),
        ];
        for (decimal, expected) in cases {
            let nearest = Amount::nearest(Decimal::from_str_exact(decimal).unwrap());
            match (nearest, expected) {
                (Ok(nearest), Ok(expected)) => assert_eq!(nearest.to_string(), expected),
                (Err(error), Err(expected)) => assert!(error.to_string().contains(expected)),
                (nearest, _) => panic!("{decimal}: {nearest:?}"),
            }
        }
    }

    #[test]
    fn what_is_no_amount_says_why() {
        let cases = [
            ("-1", "-1 is below zero; an amount may not be negative"),
            ("\"ten\"", "\"ten\" is not an amount; write a decimal"),
            ("\"\"", "\"\" is not an amount"),
            ("1e99", "is not an amount"),
            (
                "1e18",
                "1000000000000000000 does not fit: an amount is below 10^18",
            ),
            ("\"0.00000000001\"", "at most 10 decimals"),
            ("true", "expected an amount"),
            ("\"payload.amount * 0.05\"", "is not an amount"),
        ];
        for (json, message) in cases {
            let error = serde_json::from_str::<Amount>(json)
                .unwrap_err()
                .to_string();
            assert!(error.contains(message), "{json}: {error}");
        }
    }
}
