//! When a campaign is live.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// When a campaign is live: `start <= occurred_at < end`, and within one of the windows if it has any. An
/// absent bound is open.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The first moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// The moment after the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// Hours of days in which an event can win, such as `every friday 18:00-24:00 Europe/Madrid`. What the
    /// campaign counts is counted at all hours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Recurring>,
}

impl Schedule {
    /// Whether an event of that time is one of the campaign's: from `start` on and before `end`.
    pub fn contains(&self, occurred_at: Timestamp) -> bool {
        self.start.is_none_or(|start| start <= occurred_at)
            && self.end.is_none_or(|end| occurred_at < end)
    }

    /// Whether an event of that time can win as far as the windows go.
    pub fn is_open(&self, occurred_at: Timestamp) -> bool {
        self.windows.is_empty() || self.windows.iter().any(|it| it.contains(occurred_at))
    }

    /// Whether every time is in it.
    pub fn is_always(&self) -> bool {
        *self == Self::default()
    }
}

/// Hours of some days of each week, in a time zone: `every DAYS FROM-UNTIL ZONE`.
///
/// DAYS are names of days with commas between them, or `day`, `weekday`, `weekend`. FROM and UNTIL are times of the
/// clock, UNTIL is not part of it; if it is not later than FROM, it is that of the next day. ZONE is a name of the IANA
/// time zone database; UTC if left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Recurring {
    text: String,
    /// A bit a day, Monday the lowest.
    days: u8,
    /// In seconds from midnight.
    begin: u32,
    end: u32,
    zone: TimeZone,
}

impl Eq for Recurring {}

/// Why a text is no recurring window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no window: {reason}; write it as `every friday 18:00-24:00 Europe/Madrid`")]
pub struct RecurringError {
    text: String,
    reason: String,
}

const DAY: u32 = 24 * 60 * 60;
const NAMES: [(&str, u8); 10] = [
    ("monday", 1),
    ("tuesday", 1 << 1),
    ("wednesday", 1 << 2),
    ("thursday", 1 << 3),
    ("friday", 1 << 4),
    ("saturday", 1 << 5),
    ("sunday", 1 << 6),
    ("day", 0b111_1111),
    ("weekday", 0b001_1111),
    ("weekend", 0b110_0000),
];

impl Recurring {
    /// The window that a text names.
    ///
    /// # Errors
    /// [`RecurringError`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, RecurringError> {
        Self::read(text).map_err(|reason| RecurringError {
            text: text.chars().take(64).collect(),
            reason,
        })
    }

    fn read(text: &str) -> Result<Self, String> {
        let joined = text.replace(", ", ",");
        let mut words = joined.split_ascii_whitespace();
        if words.next() != Some("every") {
            return Err("it begins with `every`".to_owned());
        }
        let mut days = 0;
        for name in words.next().unwrap_or_default().split(',') {
            let found = NAMES.iter().find(|(it, _)| *it == name);
            let (_, bits) = found.ok_or_else(|| format!("there is no day {name:?}"))?;
            days |= bits;
        }
        let hours = words.next().unwrap_or_default().replace('–', "-");
        let both = hours.split_once('-');
        let (from, until) = both.ok_or("the hours are missing")?;
        let (begin, end) = (clock(from)?, clock(until)?);
        if begin == end || begin == DAY {
            return Err("it has no length".to_owned());
        }
        let zone = match words.next() {
            None => TimeZone::UTC,
            Some(name) => {
                TimeZone::get(name).map_err(|_| format!("there is no time zone {name:?}"))?
            }
        };
        match words.next() {
            Some(word) => Err(format!(
                "nothing can follow the time zone, but {word:?} does"
            )),
            None => Ok(Self {
                text: text.to_owned(),
                days,
                begin,
                end,
                zone,
            }),
        }
    }

    /// The window as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether that moment lies in it.
    pub fn contains(&self, at: Timestamp) -> bool {
        let local = self.zone.to_datetime(at);
        let time = local.time();
        let second = |part: i8| u32::from(part.unsigned_abs());
        let now = (second(time.hour()) * 60 + second(time.minute())) * 60 + second(time.second());
        let is_on = |day: Weekday| self.days >> day.to_monday_zero_offset() & 1 == 1;
        if self.begin < self.end {
            return is_on(local.weekday()) && (self.begin..self.end).contains(&now);
        }
        // Past midnight it is the day before that counts.
        (is_on(local.weekday()) && now >= self.begin)
            || (is_on(local.weekday().previous()) && now < self.end)
    }
}

/// Seconds from midnight; 24:00 is the end of the day.
fn clock(text: &str) -> Result<u32, String> {
    let wrong = || format!("{text:?} is no time of a clock, such as 18:00");
    let (hours, minutes) = text.split_once(':').ok_or_else(wrong)?;
    if hours.len() != 2 || minutes.len() != 2 {
        return Err(wrong());
    }
    let number = |digits: &str| digits.parse::<u32>().map_err(|_| wrong());
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let at = (hours * 60 + minutes) * 60;
    if minutes >= 60 || at > DAY {
        return Err(wrong());
    }
    Ok(at)
}

impl fmt::Display for Recurring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Recurring {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Recurring {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_in(window: &str, at: &str) -> bool {
        let window = Recurring::parse(window).unwrap();
        window.contains(at.parse().unwrap())
    }

    #[test]
    fn windows_are_hours_of_days_where_the_clock_hangs() {
        // 2026-11-27 is a Friday; Madrid is an hour ahead of UTC then, two in summer.
        let friday = "every friday 18:00-24:00 Europe/Madrid";
        assert!(!is_in(friday, "2026-11-27T16:59:59Z"));
        assert!(is_in(friday, "2026-11-27T17:00:00Z"));
        assert!(is_in(friday, "2026-11-27T22:59:59.999Z"));
        assert!(!is_in(friday, "2026-11-27T23:00:00Z"));
        assert!(is_in(friday, "2026-07-03T16:00:00Z"));
        assert!(!is_in(friday, "2026-11-26T18:00:00Z"));
        let night = "every friday, saturday 22:00–06:00";
        assert!(is_in(night, "2026-11-27T22:00:00Z"));
        assert!(is_in(night, "2026-11-28T05:59:00Z"));
        assert!(!is_in(night, "2026-11-28T06:00:00Z"));
        assert!(is_in(night, "2026-11-29T01:00:00Z"));
        assert!(!is_in(night, "2026-11-27T01:00:00Z"));
        assert!(is_in("every weekday 09:00-17:30", "2026-11-27T17:29:59Z"));
        assert!(!is_in("every weekend 00:00-24:00", "2026-11-27T17:29:59Z"));
        assert!(is_in("every day 00:00-24:00", "2026-11-27T00:00:00Z"));
    }

    #[test]
    fn what_is_no_window_says_why() {
        let cases = [
            ("fridays", "it begins with `every`"),
            ("every friday", "the hours are missing"),
            ("every fryday 10:00-12:00", "there is no day \"fryday\""),
            ("every friday 10:00-10:00", "it has no length"),
            (
                "every friday 10:00-25:00",
                "\"25:00\" is no time of a clock",
            ),
            ("every friday 9:00-10:00", "\"9:00\" is no time of a clock"),
            ("every friday 10:00-12:00 Mars", "no time zone \"Mars\""),
            ("every friday 10:00-12:00 UTC x", "nothing can follow"),
        ];
        for (text, message) in cases {
            let error = Recurring::parse(text).unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn an_event_is_of_the_schedule_outside_its_windows_too() {
        let json = r#"{"start":"2026-11-01T00:00:00Z","windows":["every friday 18:00-24:00"]}"#;
        let schedule: Schedule = serde_json::from_str(json).unwrap();
        let thursday = "2026-11-26T19:00:00Z".parse().unwrap();
        assert!(schedule.contains(thursday));
        assert!(!schedule.is_open(thursday));
        assert!(schedule.is_open("2026-11-27T19:00:00Z".parse().unwrap()));
        assert_eq!(serde_json::to_string(&schedule).unwrap(), json);
    }
}
