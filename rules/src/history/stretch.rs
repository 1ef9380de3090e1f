//! Stretches of time, by the times of events.

use schemas::across::{LimitSpan, Period, Window};

/// A stretch of time, ready to be measured. Lengths are in milliseconds.
#[derive(Debug, Clone)]
pub enum Stretch {
    /// The length before the event.
    Sliding(i64),
    /// Lengths one after the other from 1970 on.
    Tumbling(i64),
    /// Days, weeks or months in a time zone.
    Calendar(Period, jiff::tz::TimeZone),
    /// The longest pause.
    Session(i64),
    /// All time.
    Ever,
}

impl Stretch {
    pub(super) fn of_window(window: &Window) -> Self {
        match window {
            Window::Sliding(span) => Self::Sliding(span.as_millis()),
            Window::Tumbling(span) => Self::Tumbling(span.as_millis()),
            Window::Calendar(period, zone) => Self::Calendar(*period, zone.get()),
            Window::Session(span) => Self::Session(span.as_millis()),
            Window::Ever => Self::Ever,
        }
    }

    pub(super) fn of_limit(span: &LimitSpan) -> Self {
        match span {
            LimitSpan::Every(span) => Self::Sliding(span.as_millis()),
            LimitSpan::Per(period, zone) => Self::Calendar(*period, zone.get()),
            LimitSpan::Ever => Self::Ever,
        }
    }

    /// When the stretch of time around `at` begins and ends, if such stretches follow each other; in milliseconds since
    /// 1970.
    pub fn around(&self, at: i64) -> Option<(i64, i64)> {
        match self {
            Self::Tumbling(length) => {
                let begin = at.div_euclid(*length) * length;
                Some((begin, begin + length))
            }
            Self::Calendar(period, zone) => Some(calendar(*period, zone, at)),
            _ => None,
        }
    }
}

/// Where a day, week or month begins and ends.
fn calendar(period: Period, zone: &jiff::tz::TimeZone, at: i64) -> (i64, i64) {
    use jiff::{Timestamp, ToSpan as _};
    let everything = (i64::MIN, i64::MAX);
    let Ok(moment) = Timestamp::from_millisecond(at) else {
        return everything;
    };
    let date = zone.to_datetime(moment).date();
    let (first, length) = match period {
        Period::Day => (Ok(date), 1.day()),
        Period::Week => {
            let passed = date.weekday().to_monday_zero_offset();
            (date.checked_sub(i64::from(passed).days()), 1.week())
        }
        Period::Month => (Ok(date.first_of_month()), 1.month()),
    };
    // A midnight that a clock leaves out is the moment when it goes on.
    let midnight = |date: jiff::civil::Date| {
        let midnight = date.to_zoned(zone.clone()).ok()?;
        Some(midnight.timestamp().as_millisecond())
    };
    let both = first.ok().and_then(|first| {
        let after = first.checked_add(length).ok()?;
        Some((midnight(first)?, midnight(after)?))
    });
    both.unwrap_or(everything)
}
