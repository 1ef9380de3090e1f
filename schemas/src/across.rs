//! What a campaign asks about a customer beyond the event at hand: `across`, `limits`, `on_change`.
//!
//! Only the form is read and checked here; patterns, and what all of it means, are for the `rules` and `state` crates.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{Amount, Span};

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
    pub when: Option<serde_json::Value>,
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

/// What a number must be; all that is there must hold, and one must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// This or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<Exact>,
    /// This or less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<Exact>,
    /// More than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_than: Option<Exact>,
    /// Less than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub less_than: Option<Exact>,
    /// This.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<Exact>,
    /// A multiple of this, and not zero: `5` for each fifth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multiple_of: Option<Exact>,
}

/// An exact decimal, read from a JSON number or its decimal text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exact(pub Decimal);

impl Bounds {
    /// Whether a number is as it must be.
    pub fn hold(&self, value: Decimal) -> bool {
        let is = |bound: Option<Exact>, holds: fn(&Decimal, &Decimal) -> bool| {
            bound.is_none_or(|bound| holds(&value, &bound.0))
        };
        is(self.at_least, Decimal::ge)
            && is(self.at_most, Decimal::le)
            && is(self.more_than, Decimal::gt)
            && is(self.less_than, Decimal::lt)
            && is(self.equals, Decimal::eq)
            && is(self.multiple_of, |value, of| {
                !value.is_zero() && value.checked_rem(*of).is_some_and(|rest| rest.is_zero())
            })
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A step of a sequence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The pattern of the step's events.
    pub when: serde_json::Value,
    /// The longest time from the step before; the first step has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
}

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
    when: Option<serde_json::Value>,
}

/// `within`: a span of time, or `ever`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
enum Within {
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

/// How often, and for how much, a campaign is won at most.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CampaignLimits {
    /// By one customer; all of them hold.
    #[serde(default, skip_serializing_if = "PerCustomer::is_empty")]
    pub per_customer: PerCustomer,
}

impl CampaignLimits {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.per_customer.is_empty()
    }
}

/// Limits of one customer: one, or a list of them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "OneOrMany", into = "OneOrMany")]
pub struct PerCustomer(pub Vec<Limit>);

impl PerCustomer {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(serde_json::Value),
    Many(Vec<Limit>),
}

impl TryFrom<OneOrMany> for PerCustomer {
    type Error = String;

    fn try_from(limits: OneOrMany) -> Result<Self, String> {
        // An object is read here, for an untagged enum would hide what is wrong with it.
        let limits = match limits {
            OneOrMany::One(serde_json::Value::Array(limits)) => limits,
            OneOrMany::One(limit) => vec![limit],
            OneOrMany::Many(limits) => return Ok(Self(limits)),
        };
        if limits.is_empty() || limits.len() > MAX_CONDITIONS {
            return Err(format!(
                "per_customer is a limit, or a list of 1 to {MAX_CONDITIONS}"
            ));
        }
        let read = limits
            .into_iter()
            .map(|limit| serde_json::from_value(limit).map_err(|error| error.to_string()));
        read.collect::<Result<_, _>>().map(Self)
    }
}

impl From<PerCustomer> for OneOrMany {
    fn from(limits: PerCustomer) -> Self {
        Self::Many(limits.0)
    }
}

/// A limit of one customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "LimitFields", into = "LimitFields")]
pub struct Limit {
    /// So many matches.
    pub times: Option<u32>,
    /// So much of rewards' amounts; a match that would go beyond it is not made.
    pub amount: Option<Amount>,
    /// In any such stretch of time.
    pub span: LimitSpan,
}

/// The stretch of time of a limit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LimitSpan {
    /// Any stretch of this length.
    Every(Span),
    /// Each day, week or month in a time zone.
    Per(Period, Zone),
    /// All time.
    Ever,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    times: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amount: Option<Amount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    every: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    per: Option<Period>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time_zone: Option<Zone>,
}

impl TryFrom<LimitFields> for Limit {
    type Error = String;

    fn try_from(fields: LimitFields) -> Result<Self, String> {
        let span = match (fields.every, fields.per) {
            (Some(_), Some(_)) => {
                return Err("a limit has every or per; write two limits in a list".to_owned());
            }
            (Some(every), None) => LimitSpan::Every(every),
            (None, Some(per)) => LimitSpan::Per(per, fields.time_zone.clone().unwrap_or_default()),
            (None, None) => LimitSpan::Ever,
        };
        if fields.time_zone.is_some() && fields.per.is_none() {
            return Err("time_zone says where per is meant, and there is no per".to_owned());
        }
        // `every: 30d` alone is a cool-down.
        let is_cool_down = matches!(span, LimitSpan::Every(_)) && fields.amount.is_none();
        let times = fields.times.or(is_cool_down.then_some(1));
        let most = u32::try_from(MAX_REMEMBERED).unwrap_or(u32::MAX);
        if times.is_some_and(|times| times == 0 || times > most) {
            return Err(format!("times is 1 to {MAX_REMEMBERED}"));
        }
        if times.is_none() && fields.amount.is_none() {
            return Err("a limit says how many times, or what amount, a customer wins".to_owned());
        }
        Ok(Self {
            times,
            amount: fields.amount,
            span,
        })
    }
}

impl From<Limit> for LimitFields {
    fn from(limit: Limit) -> Self {
        let mut fields = Self {
            times: limit.times,
            amount: limit.amount,
            ..Self::default()
        };
        match limit.span {
            LimitSpan::Every(span) => fields.every = Some(span),
            LimitSpan::Per(period, zone) => {
                fields.per = Some(period);
                fields.time_zone = (zone != Zone::default()).then_some(zone);
            }
            LimitSpan::Ever => {}
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

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Exact {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match i64::try_from(self.0) {
            Ok(whole) if self.0.scale() == 0 => serializer.serialize_i64(whole),
            _ => serializer.collect_str(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let text = match &value {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        let read = Decimal::from_str_exact(&text).or_else(|_| Decimal::from_scientific(&text));
        read.map(Self).map_err(|_| {
            serde::de::Error::custom(format!("{value} is no decimal; write 50 or \"49.90\""))
        })
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

    #[test]
    fn limits_are_one_or_a_list() {
        let read = |json| serde_json::from_value::<CampaignLimits>(json);
        let one = read(json!({"per_customer": {"times": 1, "every": "30d"}})).unwrap();
        assert_eq!(one.per_customer.0.len(), 1);
        let cool_down = read(json!({"per_customer": {"every": "30d"}})).unwrap();
        assert_eq!(one, cool_down);
        let many = json!({"per_customer": [{"times": 1, "per": "day"}, {"amount": "50.00", "per": "month", "time_zone": "Asia/Tokyo"}]});
        let limits = read(many.clone()).unwrap();
        assert_eq!(serde_json::to_value(&limits).unwrap(), many);
        let cases = [
            (json!({"per_customer": {"times": 0}}), "times is 1 to 4096"),
            (
                json!({"per_customer": {"per": "day"}}),
                "how many times, or what amount",
            ),
            (
                json!({"per_customer": {"times": 1, "per": "day", "every": "1d"}}),
                "every or per",
            ),
            (
                json!({"per_customer": {"times": 1, "time_zone": "UTC"}}),
                "there is no per",
            ),
            (json!({"per_customer": {"tmes": 1}}), "unknown field `tmes`"),
            (json!({"per_customer": []}), "1 to 16"),
        ];
        for (case, message) in cases {
            let error = read(case.clone()).unwrap_err();
            assert!(error.to_string().contains(message), "{case}: {error}");
        }
    }

    #[test]
    fn bounds_hold_as_they_say() {
        let holds = |bounds, value: &str| {
            let bounds: Bounds = serde_json::from_value(bounds).unwrap();
            bounds.hold(value.parse().unwrap())
        };
        assert!(holds(json!({"at_least": 3, "less_than": "3.5"}), "3.0"));
        assert!(!holds(json!({"at_least": 3, "less_than": "3.5"}), "3.5"));
        assert!(!holds(json!({"more_than": 3}), "3"));
        assert!(holds(json!({"at_most": "0.1"}), "0.10"));
        assert!(holds(json!({"equals": 2}), "2.00"));
        assert!(holds(json!({"multiple_of": 5}), "10"));
        assert!(!holds(json!({"multiple_of": 5}), "0"));
        assert!(!holds(json!({"multiple_of": 0}), "5"));
    }
}
