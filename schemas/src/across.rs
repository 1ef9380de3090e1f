//! What a campaign asks about a customer beyond the event at hand: `across`, `limits`, `on_change`.
//!
//! Only the form is read and checked here; patterns, and what all of it means, are for the `rules` and `state` crates.

mod bounds;
mod limits;
mod total;
mod window;

use serde::{Deserialize, Serialize};

use self::window::Within;
use crate::{Span, When};

pub use self::bounds::{Bounds, Exact};
pub use self::limits::{CampaignLimits, Limit, LimitSpan, PerCustomer};
pub use self::total::{Budget, MAX_TIMES, Total};
pub use self::window::{Period, Window, Zone};

/// One condition on what the customer did, this event included. All conditions of a campaign must hold.
///
/// In JSON exactly one of `count`, `sum`, `min`, `max`, `average`, `distinct`, `sequence`, `absent`, `first` and `nth`, a
/// window, and the pattern of the events that count, which is the campaign's own unless given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "AcrossFields", into = "AcrossFields")]
pub struct Across {
    /// What must be so.
    pub asks: Asks,
    /// In which stretch of time.
    pub window: Window,
    /// The pattern of the events that count; the campaign's `when` if absent.
    pub when: Option<When>,
}

/// What a condition asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Asks {
    /// So many events.
    Count(Bounds),
    /// A value of the events' fields.
    Of(Aggregate, Measured),
    /// That the event is the last of these steps.
    Sequence(Vec<Step>),
    /// That nothing of the kind follows: the campaign is won when the time is over.
    Absent,
    /// That it is the one with this number, from 1.
    Nth(u64),
}

/// What is made of the values of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Aggregate {
    /// Their sum.
    Sum,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// Their sum over their number.
    Average,
    /// How many different ones there are.
    Distinct,
}

/// A field whose values are taken together, and what they must come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "serde_json::Map<String, serde_json::Value>")]
pub struct Measured {
    /// The field: names with dots between them, such as `payload.amount`.
    pub of: String,
    /// What the values must come to.
    #[serde(flatten)]
    pub bounds: Bounds,
}

impl TryFrom<serde_json::Map<String, serde_json::Value>> for Measured {
    type Error = String;

    fn try_from(mut fields: serde_json::Map<String, serde_json::Value>) -> Result<Self, String> {
        let Some(serde_json::Value::String(of)) = fields.remove("of") else {
            return Err("`of` names the field that is meant, as payload.amount".to_owned());
        };
        let bounds = serde_json::from_value(serde_json::Value::Object(fields));
        let bounds = bounds.map_err(|error: serde_json::Error| error.to_string())?;
        Ok(Self { of, bounds })
    }
}

/// A step of a sequence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The pattern of the step's events.
    pub when: When,
    /// The longest time from the step before; the first step has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
}

/// Most conditions of a campaign, and most steps of a sequence.
pub const MAX_CONDITIONS: usize = 16;

/// Largest `nth`, and largest bound of a `count` that is asked for by the event: more events of a customer in one
/// sliding window or session are not kept apart.
pub const MAX_REMEMBERED: usize = 4096;

/// A condition as it is written.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AcrossFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    count: Option<Bounds>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sum: Option<Measured>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    min: Option<Measured>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max: Option<Measured>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    average: Option<Measured>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    distinct: Option<Measured>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sequence: Option<Vec<Step>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    absent: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nth: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    within: Option<Within>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tumbling: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    calendar: Option<Period>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time_zone: Option<Zone>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    when: Option<When>,
}

impl TryFrom<AcrossFields> for Across {
    type Error = String;

    fn try_from(fields: AcrossFields) -> Result<Self, String> {
        let window = fields.window()?;
        let measured = [
            (Aggregate::Sum, fields.sum),
            (Aggregate::Min, fields.min),
            (Aggregate::Max, fields.max),
            (Aggregate::Average, fields.average),
            (Aggregate::Distinct, fields.distinct),
        ];
        let measured = measured
            .into_iter()
            .filter_map(|(aggregate, of)| Some(Asks::Of(aggregate, of?)));
        let mut asks: Vec<Asks> = measured.collect();
        asks.extend(fields.count.map(Asks::Count));
        asks.extend(fields.sequence.map(Asks::Sequence));
        asks.extend(fields.nth.map(Asks::Nth));
        for (name, flag, means) in [
            ("absent", fields.absent, Asks::Absent),
            ("first", fields.first, Asks::Nth(1)),
        ] {
            match flag {
                Some(false) => return Err(format!("{name} is `true` or left out")),
                Some(true) => asks.push(means),
                None => {}
            }
        }
        let (Some(asks), true) = (asks.pop(), asks.is_empty()) else {
            return Err(
                "a condition has exactly one of count, sum, min, max, average, distinct, sequence, \
                 absent, first and nth; write each as a condition of its own"
                    .to_owned(),
            );
        };
        let is_whole = matches!(asks, Asks::Nth(_));
        let window = match window {
            None if is_whole => Window::Ever,
            None => {
                return Err(
                    "the window is missing: write within (a span such as 7d, or ever), tumbling, \
                     calendar (day, week or month) or session"
                        .to_owned(),
                );
            }
            Some(window) => window,
        };
        let across = Self {
            asks,
            window,
            when: fields.when,
        };
        across.check()?;
        Ok(across)
    }
}

impl AcrossFields {
    fn window(&self) -> Result<Option<Window>, String> {
        let zone = || self.time_zone.clone().unwrap_or_default();
        let found = [
            self.within.map(|within| match within {
                Within::Span(span) => Window::Sliding(span),
                Within::Ever => Window::Ever,
            }),
            self.tumbling.map(Window::Tumbling),
            self.calendar.map(|period| Window::Calendar(period, zone())),
            self.session.map(Window::Session),
        ];
        if self.time_zone.is_some() && self.calendar.is_none() {
            return Err("time_zone says where calendar is meant, and there is no calendar".into());
        }
        let mut found = found.into_iter().flatten();
        let first = found.next();
        match found.next() {
            None => Ok(first),
            Some(_) => Err("a condition has one of within, tumbling, calendar and session".into()),
        }
    }
}

impl Across {
    fn check(&self) -> Result<(), String> {
        let is_sliding = matches!(self.window, Window::Sliding(_));
        match &self.asks {
            Asks::Count(bounds) if bounds.is_empty() => Err(NO_BOUND.to_owned()),
            Asks::Of(_, measured) => {
                if measured.bounds.is_empty() {
                    return Err(NO_BOUND.to_owned());
                }
                if measured.of.is_empty() || measured.of.split('.').any(str::is_empty) {
                    return Err(format!(
                        "of is {:?}; write the names of fields with dots between them, as \
                         payload.amount",
                        measured.of.chars().take(64).collect::<String>()
                    ));
                }
                Ok(())
            }
            Asks::Nth(number) if *number == 0 => Err("nth counts from 1".to_owned()),
            Asks::Sequence(steps) => {
                if !is_sliding || self.when.is_some() {
                    return Err(
                        "a sequence ends with the campaign's own `when`: give within, the time from \
                         its last step to the event, and no when"
                            .to_owned(),
                    );
                }
                if steps.is_empty() || steps.len() > MAX_CONDITIONS {
                    return Err(format!("a sequence has 1 to {MAX_CONDITIONS} steps"));
                }
                let timed = steps.iter().map(|step| step.within.is_some());
                if timed.enumerate().any(|(at, timed)| timed != (at > 0)) {
                    return Err(
                        "each step but the first has within, the time from the step before".into(),
                    );
                }
                Ok(())
            }
            Asks::Absent if !is_sliding || self.when.is_none() => Err(
                "absent needs `within`, the time to wait, and `when`, what must not happen".into(),
            ),
            _ => Ok(()),
        }
    }
}

const NO_BOUND: &str = "say what the number must be: at_least, at_most, more_than, less_than, \
     equals or multiple_of";

impl From<Across> for AcrossFields {
    fn from(across: Across) -> Self {
        let mut fields = Self {
            when: across.when,
            ..Self::default()
        };
        let is_ever = across.window == Window::Ever;
        match across.asks {
            Asks::Count(bounds) => fields.count = Some(bounds),
            Asks::Of(aggregate, measured) => {
                let place = match aggregate {
                    Aggregate::Sum => &mut fields.sum,
                    Aggregate::Min => &mut fields.min,
                    Aggregate::Max => &mut fields.max,
                    Aggregate::Average => &mut fields.average,
                    Aggregate::Distinct => &mut fields.distinct,
                };
                *place = Some(measured);
            }
            Asks::Sequence(steps) => fields.sequence = Some(steps),
            Asks::Absent => fields.absent = Some(true),
            Asks::Nth(1) if is_ever => fields.first = Some(true),
            Asks::Nth(number) => fields.nth = Some(number),
        }
        match across.window {
            Window::Sliding(span) => fields.within = Some(Within::Span(span)),
            Window::Tumbling(span) => fields.tumbling = Some(span),
            Window::Calendar(period, zone) => {
                fields.calendar = Some(period);
                fields.time_zone = (zone != Zone::default()).then_some(zone);
            }
            Window::Session(span) => fields.session = Some(span),
            Window::Ever if fields.first.is_some() || fields.nth.is_some() => {}
            Window::Ever => fields.within = Some(Within::Ever),
        }
        fields
    }
}

/// What becomes of what was counted when the campaign changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnChange {
    /// A condition or limit that still counts the same goes on; one that counts something else begins anew.
    #[default]
    Keep,
    /// All of them begin anew when the pattern, the schedule, a condition or a limit changes.
    Reset,
}

impl OnChange {
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde hands out a reference"
    )]
    pub(crate) fn is_keep(&self) -> bool {
        *self == Self::Keep
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions_are_written_as_they_were_read() {
        let cases = [
            json!({"count": {"at_least": 3}, "within": "7d", "when": {"event_type": ["purchase"]}}),
            json!({"sum": {"of": "payload.amount", "at_least": "199.50"}, "calendar": "month", "time_zone": "Europe/Madrid"}),
            json!({"min": {"of": "payload.amount", "more_than": 1}, "tumbling": "1d"}),
            json!({"max": {"of": "payload.amount", "less_than": 9}, "session": "30m"}),
            json!({"average": {"of": "payload.amount", "at_most": 9}, "within": "ever"}),
            json!({"distinct": {"of": "payload.sku", "equals": 3}, "within": "30d"}),
            json!({"sequence": [{"when": {"a": [1]}}, {"when": {"a": [2]}, "within": "1h"}], "within": "1d"}),
            json!({"absent": true, "when": {"event_type": ["purchase"]}, "within": "30d"}),
            json!({"first": true}),
            json!({"nth": 3, "within": "7d"}),
            json!({"count": {"multiple_of": 5}, "within": "ever"}),
        ];
        for case in cases {
            let across: Across = serde_json::from_value(case.clone()).unwrap();
            assert_eq!(serde_json::to_value(&across).unwrap(), case);
        }
    }

    #[test]
    fn a_broken_condition_says_what_is_wrong() {
        let cases = [
            (json!({"within": "7d"}), "exactly one of count, sum"),
            (
                json!({"count": {"at_least": 1}, "first": true, "within": "7d"}),
                "exactly one of",
            ),
            (json!({"count": {"at_least": 1}}), "the window is missing"),
            (
                json!({"count": {}, "within": "7d"}),
                "say what the number must be",
            ),
            (
                json!({"count": {"at_lest": 1}, "within": "7d"}),
                "unknown field `at_lest`",
            ),
            (
                json!({"count": {"at_least": "x"}, "within": "7d"}),
                "\"x\" is no decimal",
            ),
            (
                json!({"count": {"at_least": 1}, "within": "7"}),
                "is no span of time",
            ),
            (
                json!({"count": {"at_least": 1}, "within": "7d", "session": "1h"}),
                "has one of within",
            ),
            (
                json!({"count": {"at_least": 1}, "within": "7d", "time_zone": "UTC"}),
                "no calendar",
            ),
            (
                json!({"count": {"at_least": 1}, "calendar": "day", "time_zone": "Mars"}),
                "no time zone",
            ),
            (
                json!({"count": {"at_least": 1}, "calendar": "year"}),
                "unknown variant `year`",
            ),
            (
                json!({"sum": {"at_least": 1}, "within": "7d"}),
                "`of` names the field",
            ),
            (
                json!({"sum": {"of": "a..b", "at_least": 1}, "within": "7d"}),
                "names of fields with dots",
            ),
            (
                json!({"sum": {"of": "a", "at_lest": 1}, "within": "7d"}),
                "unknown field `at_lest`",
            ),
            (json!({"nth": 0}), "counts from 1"),
            (
                json!({"absent": false, "within": "1d"}),
                "is `true` or left out",
            ),
            (
                json!({"absent": true, "within": "1d"}),
                "what must not happen",
            ),
            (
                json!({"absent": true, "calendar": "day", "when": {}}),
                "the time to wait",
            ),
            (json!({"sequence": [], "within": "1d"}), "1 to 16 steps"),
            (
                json!({"sequence": [{"when": {}, "within": "1d"}], "within": "1d"}),
                "each step but the first",
            ),
            (
                json!({"sequence": [{"when": {}}], "session": "1d"}),
                "give within",
            ),
            (json!({"foo": 1}), "unknown field `foo`"),
        ];
        for (case, message) in cases {
            let error = serde_json::from_value::<Across>(case.clone()).unwrap_err();
            assert!(error.to_string().contains(message), "{case}: {error}");
        }
    }
}
