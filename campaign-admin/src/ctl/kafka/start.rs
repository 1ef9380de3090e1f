//! From where on a topic is read.

use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};

/// A place in time, the same for all partitions of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// The oldest record that is there.
    Beginning,
    /// The first record with this timestamp or a later one.
    Since(Timestamp),
    /// What is written from now on.
    End,
}

/// A time, or how long ago it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// That time.
    At(Timestamp),
    /// So long ago.
    Ago(SignedDuration),
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(at) = text.parse() {
            return Ok(Self::At(at));
        }
        let unit = text.chars().last().unwrap_or_default();
        let seconds: i64 = match unit {
            's' => 1,
            'm' => 60,
            'h' => 60 * 60,
            'd' => 24 * 60 * 60,
            _ => 0,
        };
        let number = text.strip_suffix(unit).unwrap_or_default().parse::<u32>();
        match number {
            Ok(number) if seconds > 0 => Ok(Self::Ago(SignedDuration::from_secs(
                i64::from(number) * seconds,
            ))),
            _ => Err("write a time as 2026-11-24T09:30:00Z, or how long ago it was, as 30s, 15m, 2h or 7d".to_owned()),
        }
    }
}

impl Since {
    /// The time that is meant.
    pub(crate) fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            // Before the beginning of time nothing was written.
            Self::Ago(ago) => now.checked_sub(ago).unwrap_or(Timestamp::MIN),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_such_or_as_long_ago() {
        let now: Timestamp = "2026-11-24T09:30:00Z".parse().unwrap();
        let cases = [
            ("2026-11-24T10:00:00+01:00", "2026-11-24T09:00:00Z"),
            ("30s", "2026-11-24T09:29:30Z"),
            ("15m", "2026-11-24T09:15:00Z"),
            ("2h", "2026-11-24T07:30:00Z"),
            ("7d", "2026-11-17T09:30:00Z"),
        ];
        for (text, expected) in cases {
            let since: Since = text.parse().unwrap();
            assert_eq!(since.at(now), expected.parse().unwrap(), "{text}");
        }
        for text in ["", "m", "5", "5x", "-5m", "yesterday", "2026-11-24", "5é"] {
            assert!(
                text.parse::<Since>().unwrap_err().contains("as 30s"),
                "{text}"
            );
        }
        let long: Since = "4000000000d".parse().unwrap();
        assert_eq!(long.at(now), Timestamp::MIN);
    }
}
