//! Stretches of time in which events count.

use serde::{Deserialize, Serialize};

use crate::Span;

/// A stretch of time, by the times of events.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Window {
    /// The time up to the event: later than the event's time less this.
    Sliding(Span),
    /// Stretches of this length, one after the other since 1970-01-01T00:00:00Z, that of the event.
    Tumbling(Span),
    /// The event's day, week (from Monday) or month in a time zone.
    Calendar(Period, Zone),
    /// Back from the event for as long as no pause between two events is longer than this.
    Session(Span),
    /// All time.
    Ever,
}

/// A stretch of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// From midnight to midnight.
    Day,
    /// From Monday to Sunday.
    Week,
    /// From the first to the last.
    Month,
}

/// A time zone of the IANA database, by its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(String);

impl Zone {
    /// The zone itself.
    pub fn get(&self) -> jiff::tz::TimeZone {
        jiff::tz::TimeZone::get(&self.0).unwrap_or(jiff::tz::TimeZone::UTC)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self("UTC".to_owned())
    }
}

impl TryFrom<String> for Zone {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        match jiff::tz::TimeZone::get(&name) {
            Ok(_) => Ok(Self(name)),
            Err(_) => Err(format!(
                "there is no time zone {:?}; write a name of the IANA database, as Europe/Madrid",
                name.chars().take(64).collect::<String>()
            )),
        }
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.0
    }
}

/// `within`: a span of time, or `ever`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) enum Within {
    Span(Span),
    Ever,
}

impl TryFrom<String> for Within {
    type Error = crate::SpanError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "ever" => Ok(Self::Ever),
            span => Span::parse(span).map(Self::Span),
        }
    }
}

impl From<Within> for String {
    fn from(within: Within) -> Self {
        match within {
            Within::Span(span) => span.to_string(),
            Within::Ever => "ever".to_owned(),
        }
    }
}
