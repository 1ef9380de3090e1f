//! What is remembered of one condition or limit: single events, sums over stretches of time, or one sum over all time; of a
//! pool of coupons its codes.
//!
//! Times are milliseconds since 1970, as records have them.

use rust_decimal::Decimal;
use schemas::across::{Aggregate, MAX_REMEMBERED};

/// The memory of one condition or limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Memory {
    /// Single events, in the order of their times. At most [`MAX_REMEMBERED`]; of more the oldest are forgotten.
    Events(Vec<Remembered>),
    /// Sums over stretches that follow each other, in their order.
    Stretches(Vec<(i64, Sum)>),
    /// One sum over all time.
    Total(Sum),
    /// Codes of a pool, in the order in which they are given.
    Codes(Vec<Box<str>>),
}

/// An event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// When it was done.
    pub at: i64,
    /// What was taken from it.
    pub taken: Taken,
}

/// What is taken from an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// That it was.
    Nothing,
    /// A number of it.
    Number(Decimal),
    /// The hash of a value of it.
    Hash(u64),
}

/// Events taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    /// How many values.
    pub count: u64,
    /// Their sum; at the end of what a decimal holds it stays there.
    pub sum: Decimal,
    /// The least.
    pub min: Decimal,
    /// The greatest.
    pub max: Decimal,
    /// When the last of them was done.
    pub last: i64,
}

impl Memory {
    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Events(events) => events.is_empty(),
            Self::Stretches(stretches) => stretches.is_empty(),
            Self::Total(sum) => sum.count == 0,
            Self::Codes(codes) => codes.is_empty(),
        }
    }
}

impl Taken {
    /// The number; 0 if it is none.
    pub(crate) fn number(self) -> Decimal {
        match self {
            Self::Number(value) => value,
            Self::Nothing | Self::Hash(_) => Decimal::ZERO,
        }
    }
}

impl<'m> FromIterator<&'m Remembered> for Sum {
    fn from_iter<I: IntoIterator<Item = &'m Remembered>>(events: I) -> Self {
        let mut sum = Self::default();
        for event in events {
            sum.add(event.at, event.taken.number());
        }
        sum
    }
}

impl Sum {
    /// Adds a value.
    pub fn add(&mut self, at: i64, value: Decimal) {
        if self.count == 0 {
            (self.min, self.max, self.last) = (value, value, at);
        }
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.last = self.last.max(at);
    }

    /// Takes a value out again. What was least, greatest and last stays.
    fn take_out(&mut self, value: Decimal) {
        self.count = self.count.saturating_sub(1);
        self.sum = self.sum.saturating_sub(value);
    }

    /// What comes of it; nothing without values, but for sums and counts.
    pub fn aggregate(&self, aggregate: Aggregate) -> Option<Decimal> {
        let is_there = self.count > 0;
        match aggregate {
            Aggregate::Sum => Some(self.sum),
            Aggregate::Min => is_there.then_some(self.min),
            Aggregate::Max => is_there.then_some(self.max),
            Aggregate::Average => self.sum.checked_div(self.count.into()),
            Aggregate::Distinct => Some(self.count.into()),
        }
    }
}

/// Adds an event in its place; of more than can be kept apart the oldest goes.
pub(crate) fn insert(events: &mut Vec<Remembered>, event: Remembered) {
    // Nearly always the last.
    let place = events.iter().rposition(|it| it.at <= event.at);
    events.insert(place.map_or(0, |at| at + 1), event);
    if events.len() > MAX_REMEMBERED {
        events.remove(0);
    }
}

/// Adds to the sum of the stretch that begins there.
pub(crate) fn add(stretches: &mut Vec<(i64, Sum)>, begin: i64, at: i64, value: Decimal) {
    stretch_mut(stretches, begin).add(at, value);
}

/// The sum of the stretch that begins there.
pub(crate) fn stretch_mut(stretches: &mut Vec<(i64, Sum)>, begin: i64) -> &mut Sum {
    let place = match stretches.binary_search_by_key(&begin, |(begin, _)| *begin) {
        Ok(place) => place,
        Err(place) => {
            stretches.insert(place, (begin, Sum::default()));
            place
        }
    };
    &mut stretches[place].1
}

/// Takes a number out that was added with an event of that time.
pub(crate) fn take_out(memory: &mut Memory, at: i64, value: Decimal) {
    match memory {
        Memory::Events(events) => {
            let same = |it: &Remembered| it.at == at && it.taken.number() == value;
            if let Some(place) = events.iter().rposition(same) {
                events.remove(place);
            }
        }
        Memory::Stretches(stretches) => {
            // They follow each other, and what was added is in the last that began by then.
            let place = stretches.iter().rposition(|(begin, _)| *begin <= at);
            if let Some(place) = place {
                stretches[place].1.take_out(value);
                if stretches[place].1.count == 0 {
                    stretches.remove(place);
                }
            }
        }
        Memory::Total(sum) => sum.take_out(value),
        Memory::Codes(_) => {}
    }
}

/// Gives back what a match has used of a limit: of the match of that time, which counts `before`, only `left` counts any
/// more, or nothing of it. What is forgotten already stays so. A stretch is found by when it begins.
pub(crate) fn give_back(
    memory: &mut Memory,
    (at, begin): (i64, i64),
    before: Decimal,
    left: Option<Decimal>,
) {
    let shrink = |sum: &mut Sum| {
        let gone = before - left.unwrap_or_default();
        sum.sum = sum.sum.saturating_sub(gone);
        sum.count = sum.count.saturating_sub(left.is_none().into());
    };
    match memory {
        Memory::Events(events) => {
            let is_it = |event: &Remembered| event.at == at && event.taken.number() == before;
            let Some(place) = events.iter().position(is_it) else {
                return;
            };
            match left {
                Some(left) => events[place].taken = Taken::Number(left),
                None => {
                    events.remove(place);
                }
            }
        }
        Memory::Stretches(stretches) => {
            let place = stretches.binary_search_by_key(&begin, |(begin, _)| *begin);
            if let Ok(place) = place {
                shrink(&mut stretches[place].1);
                if stretches[place].1.count == 0 {
                    stretches.remove(place);
                }
            }
        }
        Memory::Total(sum) => shrink(sum),
        Memory::Codes(_) => {}
    }
}

/// Forgets events that are not later than `until`.
pub(crate) fn forget(events: &mut Vec<Remembered>, until: i64) {
    let gone = events.partition_point(|it| it.at <= until);
    events.drain(..gone);
}
