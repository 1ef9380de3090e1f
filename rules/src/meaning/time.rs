//! `time`: points in time, compared as such, and by what a calendar and a clock in some time zone show.

use jiff::Timestamp;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use serde_json::{Map, Value as Json};

use crate::operator;
use crate::problem::{Problem, clip, kind};

/// What a point in time must be; all of it must hold.
#[derive(Debug, Clone)]
pub(super) struct TimeTest {
    /// From this on.
    from: Option<Timestamp>,
    /// Before this.
    until: Option<Timestamp>,
    local: Option<Local>,
}

/// What the calendar and the clock must show.
#[derive(Debug, Clone)]
struct Local {
    zone: TimeZone,
    /// A bit a day, Monday the lowest; all if none was named.
    days: u8,
    hours: Option<Hours>,
}

/// A span of the day, without its end; it passes midnight if it ends before it begins.
#[derive(Debug, Clone, Copy)]
struct Hours {
    /// In seconds from midnight.
    begin: u32,
    end: u32,
}

const FIELDS: &str = "\"after\", \"before\", \"between\", \"days\", \"hours\" and \"zone\"";
const DAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];
const DAY: u32 = 24 * 60 * 60;

fn wrong(reason: String) -> Problem {
    Problem::Time { reason }
}

impl TimeTest {
    pub(super) fn read(operand: &Json) -> Result<Self, Problem> {
        let Json::Object(fields) = operand else {
            return Err(wrong(format!(
                "it takes an object of {FIELDS}; this is {}",
                kind(operand)
            )));
        };
        let mut test = Self {
            from: None,
            until: None,
            local: None,
        };
        for (name, value) in fields {
            match name.as_str() {
                // The instant after: times have whole nanoseconds.
                "after" => {
                    let after = instant(value)?;
                    let next = after.checked_add(jiff::SignedDuration::from_nanos(1));
                    test.starts(next.map_err(|_| wrong(format!("nothing is after {after}")))?);
                }
                "before" => test.ends(instant(value)?),
                "between" => {
                    let Json::Array(both) = value else {
                        return Err(wrong(
                            "\"between\" takes two times, [\"from\", \"until\"]".to_owned(),
                        ));
                    };
                    let [from, until] = &**both else {
                        return Err(wrong(
                            "\"between\" takes two times, [\"from\", \"until\"]".to_owned(),
                        ));
                    };
                    test.starts(instant(from)?);
                    test.ends(instant(until)?);
                }
                "days" | "hours" | "zone" => {}
                other => {
                    return Err(wrong(format!(
                        "it has no {:?}; it takes {FIELDS}",
                        clip(other)
                    )));
                }
            }
        }
        test.local = local(fields)?;
        if test.from.is_none() && test.until.is_none() && test.local.is_none() {
            return Err(wrong(format!("it asks for nothing; give some of {FIELDS}")));
        }
        if let (Some(from), Some(until)) = (test.from, test.until)
            && from >= until
        {
            return Err(wrong(format!(
                "no time is from {from} on and before {until}"
            )));
        }
        Ok(test)
    }

    fn starts(&mut self, at: Timestamp) {
        self.from = self.from.max(Some(at));
    }

    fn ends(&mut self, at: Timestamp) {
        self.until = Some(self.until.map_or(at, |until| until.min(at)));
    }

    pub(super) fn is_met_by(&self, text: &str) -> bool {
        let Ok(time) = text.parse::<Timestamp>() else {
            return false;
        };
        self.from.is_none_or(|from| from <= time)
            && self.until.is_none_or(|until| time < until)
            && self
                .local
                .as_ref()
                .is_none_or(|local| local.is_met_by(time))
    }
}

impl Local {
    fn is_met_by(&self, time: Timestamp) -> bool {
        let shown = self.zone.to_datetime(time);
        let day = shown.weekday();
        let Some(hours) = self.hours else {
            return self.has(day);
        };
        let time = shown.time();
        let seconds = [time.hour(), time.minute(), time.second()];
        let now = seconds
            .iter()
            .fold(0, |sum, part| sum * 60 + u32::from(part.unsigned_abs()));
        if hours.begin < hours.end {
            return self.has(day) && (hours.begin..hours.end).contains(&now);
        }
        // After midnight the span belongs to the day on which it began.
        self.has(day) && now >= hours.begin || self.has(day.previous()) && now < hours.end
    }

    fn has(&self, day: Weekday) -> bool {
        self.days & 1 << day.to_monday_zero_offset() != 0
    }
}

fn instant(value: &Json) -> Result<Timestamp, Problem> {
    let time = value.as_str().and_then(|text| text.parse().ok());
    time.ok_or_else(|| {
        let found = clip(&value.to_string());
        wrong(format!(
            "{found} is no time; write RFC 3339 with an offset, as \"2026-11-24T09:30:00Z\""
        ))
    })
}

fn local(fields: &Map<String, Json>) -> Result<Option<Local>, Problem> {
    let (days, hours) = (fields.get("days"), fields.get("hours"));
    let Some(zone) = fields.get("zone") else {
        if days.is_none() && hours.is_none() {
            return Ok(None);
        }
        let reason = "\"days\" and \"hours\" need a \"zone\", such as \"Europe/Madrid\" or \"UTC\"";
        return Err(wrong(reason.to_owned()));
    };
    let name = operator::string("zone", zone)?;
    let zone = TimeZone::get(name).map_err(|_| {
        wrong(format!(
            "{:?} is no time zone; write one such as \"Europe/Madrid\"",
            clip(name)
        ))
    })?;
    if days.is_none() && hours.is_none() {
        return Err(wrong("a \"zone\" is for \"days\" and \"hours\"".to_owned()));
    }
    Ok(Some(Local {
        zone,
        days: days.map_or(Ok(u8::MAX), read_days)?,
        hours: hours.map(read_hours).transpose()?,
    }))
}

fn read_days(value: &Json) -> Result<u8, Problem> {
    let names = value.as_array().filter(|names| !names.is_empty());
    let names =
        names.ok_or_else(|| wrong("\"days\" takes a list such as [\"friday\"]".to_owned()))?;
    let mut days = 0;
    for name in names {
        let known = DAYS.iter().find(|(known, _)| name.as_str() == Some(known));
        let (_, day) = known.ok_or_else(|| {
            let found = clip(&name.to_string());
            wrong(format!(
                "{found} is no day; the days are \"monday\" to \"sunday\""
            ))
        })?;
        days |= 1 << day.to_monday_zero_offset();
    }
    Ok(days)
}

fn read_hours(value: &Json) -> Result<Hours, Problem> {
    let hour = |value: &Json| {
        let text = value.as_str()?;
        if text == "24:00" {
            return Some(DAY);
        }
        // A form such as 7:30 has two readings elsewhere, so it must be 07:30.
        let time: Time = text.parse().ok().filter(|_| text.len() == 5)?;
        Some(
            u32::from(time.hour().unsigned_abs()) * 3600
                + u32::from(time.minute().unsigned_abs()) * 60,
        )
    };
    let both = value.as_array().map(Vec::as_slice);
    let hours = match both {
        Some([begin, end]) => hour(begin).zip(hour(end)),
        _ => None,
    };
    match hours {
        Some((begin, end)) if begin != end && begin < DAY => Ok(Hours { begin, end }),
        _ => Err(wrong(format!(
            "{} are no hours; write two different ones as [\"18:00\", \"24:00\"]",
            clip(&value.to_string())
        ))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn meets(test: &Json, time: &str) -> bool {
        TimeTest::read(test).unwrap().is_met_by(time)
    }

    #[test]
    fn a_span_that_passes_midnight_belongs_to_the_day_on_which_it_begins() {
        let friday_night =
            json!({"days": ["friday"], "hours": ["22:00", "02:00"], "zone": "Europe/Madrid"});
        // 2026-11-27 is a Friday; Madrid is an hour ahead of UTC.
        for (time, expected) in [
            ("2026-11-27T20:59:59Z", false),
            ("2026-11-27T21:00:00Z", true),
            ("2026-11-28T00:59:59Z", true),
            ("2026-11-28T01:00:00Z", false),
            ("2026-11-27T00:30:00Z", false),
            ("2026-11-28T21:30:00Z", false),
        ] {
            assert_eq!(meets(&friday_night, time), expected, "{time}");
        }
    }

    #[test]
    fn the_clock_is_that_of_the_zone_in_summer_and_winter() {
        let noon = json!({"hours": ["12:00", "12:01"], "zone": "America/New_York"});
        assert!(meets(&noon, "2026-07-01T16:00:59.9Z"));
        assert!(meets(&noon, "2026-12-01T17:00:00Z"));
        assert!(!meets(&noon, "2026-12-01T16:00:00Z"));
        assert!(meets(&noon, "2026-12-01T18:00:00+01:00"));
    }

    #[test]
    fn limits_are_exact() {
        let test = json!({"after": "2026-11-24T00:00:00Z", "before": "2026-11-25T00:00:00Z"});
        assert!(!meets(&test, "2026-11-24T00:00:00Z"));
        assert!(meets(&test, "2026-11-24T00:00:00.000000001Z"));
        assert!(!meets(&test, "2026-11-25T00:00:00Z"));
        let between = json!({"between": ["2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z"]});
        assert!(meets(&between, "2026-11-24T00:00:00Z"));
        assert!(!meets(&between, "2026-11-25T00:00:00Z"));
        assert!(!meets(&between, "2026-11-24"));
    }
}
