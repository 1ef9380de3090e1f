//! Numbers of events and rules, compared by value.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// A JSON number that compares by value: `300`, `300.0` and `3.0e2` are one number.
///
/// Whole numbers from -2⁶³ to 2⁶³-1 are exact. Others are the nearest IEEE 754 double, so decimals of
/// up to 15 significant digits keep their order and their identity (a double keeps 15 of them, IEEE 754).
#[derive(Clone, Copy)]
pub struct Number(Repr);

// Invariant: a float is finite, and never a whole number that fits an i64. So each value has one
// form, and equality and hashing may look at the form.
#[derive(Clone, Copy)]
enum Repr {
    Integer(i64),
    Float(f64),
}

/// 2⁶³, the first double above every `i64`.
const I64_END: f64 = 9_223_372_036_854_775_808.0;

impl Number {
    /// A whole number.
    pub const fn from_i64(value: i64) -> Self {
        Self(Repr::Integer(value))
    }

    /// A whole number; above 2⁶³-1 the nearest double.
    pub fn from_u64(value: u64) -> Self {
        match i64::try_from(value) {
            Ok(value) => Self(Repr::Integer(value)),
            #[expect(clippy::cast_precision_loss, reason = "documented: the nearest double")]
            Err(_) => Self::from_f64(value as f64).unwrap_or(Self(Repr::Float(I64_END))),
        }
    }

    /// A double; `None` for infinities and NaN, which JSON does not have.
    pub fn from_f64(value: f64) -> Option<Self> {
        // To and fro instead of asking for the fraction, which is a call where the processor may be old.
        #[expect(clippy::cast_possible_truncation, reason = "held against the double")]
        let whole = value as i64;
        #[expect(clippy::cast_precision_loss, reason = "held against the double")]
        #[expect(
            clippy::float_cmp,
            reason = "whether it is the same number is the question"
        )]
        if whole as f64 == value && value < I64_END {
            return Some(Self(Repr::Integer(whole)));
        }
        value.is_finite().then_some(Self(Repr::Float(value)))
    }

    /// The number, if it is whole and fits.
    pub const fn as_i64(self) -> Option<i64> {
        match self.0 {
            Repr::Integer(value) => Some(value),
            Repr::Float(_) => None,
        }
    }

    /// The nearest double; never infinite.
    pub const fn as_f64(self) -> f64 {
        match self.0 {
            #[expect(clippy::cast_precision_loss, reason = "documented: the nearest double")]
            Repr::Integer(value) => value as f64,
            Repr::Float(value) => value,
        }
    }

    /// The nearest double. Of two numbers the greater never has the smaller one.
    #[inline]
    pub const fn nearest_f64(self) -> f64 {
        match self.0 {
            #[expect(clippy::cast_precision_loss, reason = "documented: the nearest double")]
            Repr::Integer(value) => value as f64,
            Repr::Float(value) => value,
        }
    }

    /// A number of a `serde_json` tree.
    ///
    /// # Panics
    /// Never: `serde_json` has no infinities unless its `arbitrary_precision` feature is on.
    pub fn from_json(value: &serde_json::Number) -> Self {
        if let Some(whole) = value.as_i64() {
            Self::from_i64(whole)
        } else if let Some(whole) = value.as_u64() {
            Self::from_u64(whole)
        } else {
            value
                .as_f64()
                .and_then(Self::from_f64)
                .expect("a serde_json number is finite")
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.0, other.0) {
            (Repr::Integer(a), Repr::Integer(b)) => a.cmp(&b),
            (Repr::Float(a), Repr::Float(b)) => a.total_cmp(&b),
            (Repr::Integer(a), Repr::Float(b)) => compare(a, b),
            (Repr::Float(a), Repr::Integer(b)) => compare(b, a).reverse(),
        }
    }
}

/// Compares without rounding the whole number to a double.
fn compare(whole: i64, float: f64) -> Ordering {
    if float >= I64_END {
        return Ordering::Less;
    }
    if float < -I64_END {
        return Ordering::Greater;
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked to be in range")]
    let below = float.floor() as i64;
    // `float` is not whole, so it lies strictly between `below` and `below + 1`.
    if whole <= below {
        Ordering::Less
    } else {
        Ordering::Greater
    }
}

impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.0 {
            Repr::Integer(value) => value.hash(state),
            Repr::Float(value) => value.to_bits().hash(state),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Repr::Integer(value) => value.fmt(f),
            Repr::Float(value) => value.fmt(f),
        }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Number {
        Number::from_json(&text.parse().unwrap())
    }

    #[test]
    fn one_value_has_one_form_however_it_is_written() {
        for text in ["300", "300.0", "3.0e2", "3e2"] {
            assert_eq!(number(text), Number::from_i64(300), "{text}");
        }
        assert_eq!(number("-0.0"), Number::from_i64(0));
        assert_ne!(number("0.1"), Number::from_i64(0));
    }

    #[test]
    fn whole_numbers_beyond_a_doubles_precision_stay_apart() {
        assert!(number("9007199254740993") > number("9007199254740992"));
        assert!(number("9223372036854775807") < number("9223372036854775808"));
        assert!(number("9223372036854775806") > number("9223372036854774784.0"));
        assert!(number("-9223372036854775808") > number("-1e19"));
    }

    fn any_number() -> impl Strategy<Value = Number> {
        prop_oneof![
            any::<i64>().prop_map(Number::from_i64),
            any::<u64>().prop_map(Number::from_u64),
            (-1000i64..1000).prop_map(Number::from_i64),
            (-1000.0..1000.0).prop_filter_map("finite", Number::from_f64),
            any::<f64>().prop_filter_map("finite", Number::from_f64),
        ]
    }

    proptest! {
        #[test]
        fn the_order_is_total(a in any_number(), b in any_number(), c in any_number()) {
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            if a <= b && b <= c {
                prop_assert!(a <= c);
            }
        }

        #[test]
        fn small_numbers_order_as_doubles_do(a in -1e6..1e6f64, b in -1_000_000i64..1_000_000) {
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let expected = a.partial_cmp(&(b as f64)).unwrap();
            prop_assert_eq!(Number::from_f64(a).unwrap().cmp(&Number::from_i64(b)), expected);
        }
    }
}
