//! Spans of time as campaigns write them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A length of time in whole milliseconds, above zero and at most ten years of 366 days.
///
/// Written as numbers with units, the larger first: `7d`, `1d12h`, `30m`, `45s`, `500ms`. A day is 24 hours, also
/// when clocks are changed; whoever means days of a calendar says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(i64);

/// Why a text is no span of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpanError {
    /// Not numbers with units.
    #[error("{0:?} is no span of time; write numbers with units, as 7d, 1d12h, 30m, 45s or 500ms")]
    Form(String),
    /// Zero or too long.
    #[error("{0:?} is out of range; a span of time is above zero and at most 3660d")]
    OutOfRange(String),
}

const UNITS: [(&str, i64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];
const LONGEST: i64 = 3660 * 86_400_000;

impl Span {
    /// The longest.
    pub const MAX: Self = Self(LONGEST);

    /// The span that a text names.
    ///
    /// # Errors
    /// [`SpanError`] says what to write.
    pub fn parse(text: &str) -> Result<Self, SpanError> {
        let clipped = || text.chars().take(64).collect::<String>();
        let wrong = || SpanError::Form(clipped());
        let mut rest = text;
        let mut units = UNITS.iter();
        let mut millis = 0_i64;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
            let (number, after) = rest.split_at(digits);
            let name = after
                .find(|c: char| c.is_ascii_digit())
                .map_or(after, |at| &after[..at]);
            // Each unit once, the larger first: `units` goes on where the last one was found.
            let (_, unit) = units.find(|(it, _)| *it == name).ok_or_else(wrong)?;
            let count: i64 = number.parse().map_err(|_| wrong())?;
            let part = count.checked_mul(*unit);
            let sum = part.and_then(|part| millis.checked_add(part));
            millis = sum.ok_or_else(|| SpanError::OutOfRange(clipped()))?;
            rest = &after[name.len()..];
        }
        if text.is_empty() {
            return Err(wrong());
        }
        if !(1..=LONGEST).contains(&millis) {
            return Err(SpanError::OutOfRange(clipped()));
        }
        Ok(Self(millis))
    }

    /// A span of so many milliseconds, of which there is at least one.
    pub(crate) const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// The span in milliseconds.
    pub const fn as_millis(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        for (name, unit) in UNITS {
            if rest >= unit {
                write!(f, "{}{name}", rest / unit)?;
                rest %= unit;
            }
        }
        Ok(())
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written_in_their_shortest_form() {
        let cases = [
            ("7d", 604_800_000, "7d"),
            ("1d12h", 129_600_000, "1d12h"),
            ("90m", 5_400_000, "1h30m"),
            ("30m", 1_800_000, "30m"),
            ("1m1ms", 60_001, "1m1ms"),
            ("1500ms", 1_500, "1s500ms"),
            ("3660d", LONGEST, "3660d"),
        ];
        for (text, millis, written) in cases {
            let span = Span::parse(text).unwrap();
            assert_eq!(span.as_millis(), millis, "{text}");
            assert_eq!(span.to_string(), written);
            assert_eq!(Span::parse(written), Ok(span));
        }
    }

    #[test]
    fn what_is_no_span_says_what_to_write() {
        for text in [
            "", "7", "d", "7 d", "7D", "-1d", "1h1d", "1d1d", "1.5d", "1dd", "7w", "٣d",
        ] {
            let error = Span::parse(text).unwrap_err();
            assert!(matches!(error, SpanError::Form(_)), "{text}: {error}");
        }
        for text in ["0s", "3661d", "99999999999999999d"] {
            let error = Span::parse(text).unwrap_err();
            assert!(matches!(error, SpanError::OutOfRange(_)), "{text}: {error}");
        }
    }
}
