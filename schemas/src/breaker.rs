//! Breakers: what a campaign may win at most before it stops itself, and how that is told.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Percent, Span};

/// Past it a campaign is paused. At least one of `rate` and `share` is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BreakerFields")]
pub struct Breaker {
    /// Most matches in a stretch of time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// The greatest share of the events that may win.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Percent>,
    /// How many events there must be before their share says anything; [`MIN_EVENTS`] unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_events: Option<u64>,
    /// The stretch of time of the share, if there is no rate that says one; a minute unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
}

/// How many events there must be before their share says anything, unless a breaker says another number.
pub const MIN_EVENTS: u64 = 1_000;

/// The stretch of time of a share, unless a breaker says another: a minute.
const MINUTE: i64 = 60_000;

/// The shortest and the longest stretch of time, in milliseconds: a second and a day.
const WITHIN: std::ops::RangeInclusive<i64> = 1_000..=86_400_000;

/// Into so many parts a stretch of time is cut: it is exact to one of them.
pub const PARTS: i64 = 60;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BreakerFields {
    #[serde(default)]
    rate: Option<Rate>,
    #[serde(default)]
    share: Option<Percent>,
    #[serde(default)]
    min_events: Option<u64>,
    #[serde(default)]
    within: Option<Span>,
}

impl TryFrom<BreakerFields> for Breaker {
    type Error = &'static str;

    fn try_from(fields: BreakerFields) -> Result<Self, Self::Error> {
        let BreakerFields {
            rate,
            share,
            min_events,
            within,
        } = fields;
        if rate.is_none() && share.is_none() {
            return Err("a breaker says a rate such as 1000/min, a share such as 20%, or both");
        }
        if share.is_none() && (min_events.is_some() || within.is_some()) {
            return Err("min_events and within are said of a share");
        }
        if rate.is_some() && within.is_some() {
            return Err("the rate says the stretch of time already; leave out within");
        }
        if min_events == Some(0) {
            return Err("min_events is 1 or more");
        }
        if within.is_some_and(|it| !WITHIN.contains(&it.as_millis())) {
            return Err("within is a second to a day");
        }
        Ok(Self {
            rate,
            share,
            min_events,
            within,
        })
    }
}

impl Breaker {
    /// The stretch of time that is looked at, in milliseconds.
    pub fn window(&self) -> i64 {
        let within = self.within.map(Span::as_millis);
        let of_rate = self.rate.map(|rate| rate.per.millis());
        of_rate.or(within).unwrap_or(MINUTE)
    }

    /// The part of it that something of that time is counted in: when the part begins.
    pub fn part(&self, at: i64) -> i64 {
        let length = (self.window() / PARTS).max(1);
        at - at.rem_euclid(length)
    }

    /// Which of them so many matches of so many events are past, if any; the rate first.
    pub fn judge(&self, matches: u64, events: u64) -> Option<TrippedBy> {
        if self.rate.is_some_and(|rate| matches > rate.most) {
            return Some(TrippedBy::Rate);
        }
        let share = self.share?;
        let enough = events >= self.min_events.unwrap_or(MIN_EVENTS);
        let is_past =
            u128::from(matches) * 1_000_000 > u128::from(share.millionths()) * u128::from(events);
        (enough && is_past).then_some(TrippedBy::Share)
    }
}

impl fmt::Display for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        f.write_str(&json)
    }
}

/// So many in a second, a minute or an hour; written as `1000/min`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// So many.
    pub most: u64,
    /// In which time.
    pub per: Per,
}

/// The stretch of time of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    /// `s`.
    Second,
    /// `min`.
    Minute,
    /// `h`.
    Hour,
}

impl Per {
    const ALL: [Self; 3] = [Self::Second, Self::Minute, Self::Hour];

    const fn word(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "min",
            Self::Hour => "h",
        }
    }

    const fn millis(self) -> i64 {
        match self {
            Self::Second => 1_000,
            Self::Minute => MINUTE,
            Self::Hour => 60 * MINUTE,
        }
    }
}

/// Why a text is no rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no rate; write it as 50/s, 1000/min or 20000/h, with a whole number from 1 to 1,000,000,000"
)]
pub struct RateError(String);

impl Rate {
    /// Reads a text such as `1000/min`.
    ///
    /// # Errors
    /// [`RateError`]: it is none.
    pub fn parse(text: &str) -> Result<Self, RateError> {
        let read = || {
            let (most, per) = text.split_once('/')?;
            let is_plain = most.bytes().all(|byte| byte.is_ascii_digit());
            let most = most.parse().ok().filter(|_| is_plain)?;
            let per = Per::ALL.into_iter().find(|it| it.word() == per)?;
            (1..=1_000_000_000)
                .contains(&most)
                .then_some(Self { most, per })
        };
        read().ok_or_else(|| RateError(text.chars().take(32).collect()))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.most, self.per.word())
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// What a breaker was tripped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrippedBy {
    /// There were too many matches.
    Rate,
    /// Too many of the events won.
    Share,
}

/// That a breaker has tripped, and by what. In the campaign's document from when it pauses the campaign until the campaign is resumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tripped {
    /// When it was decided.
    pub at: Timestamp,
    /// Which of its limits was passed.
    pub by: TrippedBy,
    /// Matches in the stretch of time.
    pub matches: u64,
    /// Events in it; absent if they are not counted, because the breaker has no share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<u64>,
    /// The breaker as it was then.
    pub breaker: Breaker,
}

impl fmt::Display for Tripped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let window = Span::from_millis(self.breaker.window());
        match (self.by, self.events) {
            (TrippedBy::Share, Some(events)) => {
                write!(f, "{} of {events} events won within {window}", self.matches)?;
            }
            _ => write!(f, "{} matches within {window}", self.matches)?,
        }
        write!(f, ", past the breaker {}", self.breaker)
    }
}

/// What a worker has counted in one transaction for a campaign that has a breaker. In the header
/// [`CONTROL_COUNT`](crate::names::header::CONTROL_COUNT) of a record of `claims` whose key is the campaign's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakerCount {
    /// Offset in `campaigns` of the version that it is of.
    pub campaigns_offset: i64,
    /// When a part of the stretch of time begins, in milliseconds since 1970; then the matches in it, and the events.
    pub parts: Vec<(i64, u64, u64)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Breaker, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_breaker_says_a_rate_or_a_share_and_reads_as_it_was_written() {
        for text in [
            r#"{"rate":"1000/min"}"#,
            r#"{"share":"20%"}"#,
            r#"{"share":"0.5%","min_events":50,"within":"5m"}"#,
            r#"{"rate":"5/s","share":"20%","min_events":50}"#,
        ] {
            assert_eq!(serde_json::to_string(&read(text).unwrap()).unwrap(), text);
        }
        for (text, message) in [
            ("{}", "says a rate such as 1000/min"),
            (r#"{"rate":"1000"}"#, "is no rate"),
            (r#"{"rate":"0/s"}"#, "is no rate"),
            (r#"{"rate":"+1/s"}"#, "is no rate"),
            (r#"{"rate":"1/day"}"#, "is no rate"),
            (r#"{"share":"100%"}"#, "is no share"),
            (r#"{"rate":"1/s","min_events":5}"#, "said of a share"),
            (
                r#"{"rate":"1/s","share":"1%","within":"5m"}"#,
                "leave out within",
            ),
            (r#"{"share":"1%","within":"2d"}"#, "a second to a day"),
            (r#"{"share":"1%","min_events":0}"#, "1 or more"),
            (r#"{"share":"1%","rates":0}"#, "unknown field `rates`"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn a_limit_is_passed_by_one_more() {
        let both = read(r#"{"rate":"100/min","share":"20%","min_events":50}"#).unwrap();
        assert_eq!(both.judge(100, 1_000), None);
        assert_eq!(both.judge(101, 1_000), Some(TrippedBy::Rate));
        assert_eq!(both.judge(10, 50), None);
        assert_eq!(both.judge(11, 50), Some(TrippedBy::Share));
        assert_eq!(both.judge(49, 49), None);
        assert_eq!((both.window(), both.part(61_999)), (60_000, 61_000));
    }
}
