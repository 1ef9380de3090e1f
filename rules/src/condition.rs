//! One field's list of alternatives, compiled.

use std::ops::{Bound, RangeBounds};

use schemas::{Number, Value};

use crate::letter_case::Folded;
use crate::meaning::Meaning;
use crate::network::Network;
use crate::whole::Whole;
use crate::wildcard::Wildcard;

/// What a pattern asks of one field: a value of the event must meet one of the alternatives, or the
/// field must be absent if that is one of them.
///
/// Exact values are sorted, so that a list of 10,000 articles takes 14 comparisons.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Condition {
    strings: Sorted<Box<str>>,
    numbers: Sorted<Number>,
    tests: Box<[Test]>,
    absent: bool,
    /// Alternatives that ask about the field as a whole.
    wholes: Box<[Whole]>,
}

/// An alternative that is not an exact string or number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Test {
    Null,
    Bool(bool),
    Exists,
    Text(TextTest),
    Range(NumberRange),
    Network(Network),
    AnythingBut(Excluded),
    Meaning(Meaning),
}

/// A test of strings; nothing else meets it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum TextTest {
    Prefix(Box<str>),
    Suffix(Box<str>),
    EqualsIgnoreCase(Folded),
    PrefixIgnoreCase(Folded),
    SuffixIgnoreCase(Folded),
    Wildcard(Wildcard),
}

/// What `anything-but` refuses. All else meets it: values of other types and `null`, too.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Excluded {
    Strings(Sorted<Box<str>>),
    Numbers(Sorted<Number>),
    Texts(Box<[TextTest]>),
}

/// Numbers from a lower to an upper bound; at least one number lies in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct NumberRange {
    pub(crate) low: Bound<Number>,
    pub(crate) high: Bound<Number>,
}

/// Values in ascending order, each once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Sorted<T>(Box<[T]>);

impl<T> Default for Sorted<T> {
    fn default() -> Self {
        Self(Box::default())
    }
}

impl<T> Sorted<T> {
    pub(crate) fn values(&self) -> &[T] {
        &self.0
    }
}

impl<T: Ord> Sorted<T> {
    pub(crate) fn new(mut values: Vec<T>) -> Self {
        values.sort_unstable();
        values.dedup();
        Self(values.into())
    }
}

impl Sorted<Box<str>> {
    fn contains(&self, text: &str) -> bool {
        self.0.binary_search_by(|value| (**value).cmp(text)).is_ok()
    }
}

impl Sorted<Number> {
    fn contains(&self, number: Number) -> bool {
        self.0.binary_search(&number).is_ok()
    }
}

/// The alternatives as they are read.
#[derive(Debug, Default)]
pub(crate) struct Alternatives {
    pub(crate) strings: Vec<Box<str>>,
    pub(crate) numbers: Vec<Number>,
    pub(crate) tests: Vec<Test>,
    pub(crate) absent: bool,
    pub(crate) wholes: Vec<Whole>,
}

impl Alternatives {
    /// Adds a plain value; false if it is a list or an object.
    pub(crate) fn add_value(&mut self, value: &serde_json::Value) -> bool {
        match value {
            serde_json::Value::Null => self.tests.push(Test::Null),
            serde_json::Value::Bool(value) => self.tests.push(Test::Bool(*value)),
            serde_json::Value::Number(number) => self.numbers.push(Number::from_json(number)),
            serde_json::Value::String(text) => self.strings.push(text.as_str().into()),
            serde_json::Value::Array(_) | serde_json::Value::Object(_) => return false,
        }
        true
    }
}

impl From<Alternatives> for Condition {
    fn from(read: Alternatives) -> Self {
        Self {
            strings: Sorted::new(read.strings),
            numbers: Sorted::new(read.numbers),
            tests: read.tests.into(),
            absent: read.absent,
            wholes: read.wholes.into(),
        }
    }
}

impl Condition {
    /// The condition with one value as its only alternative; none of lists and objects.
    pub(crate) fn exactly(value: &serde_json::Value) -> Option<Self> {
        let mut read = Alternatives::default();
        read.add_value(value).then(|| read.into())
    }

    /// Whether the value, which is neither an array nor an object, meets an alternative.
    pub(crate) fn is_met_by(&self, value: &Value<'_>) -> bool {
        let exact = match *value {
            Value::String(text) => self.strings.contains(text),
            Value::Number(number) => self.numbers.contains(number),
            _ => false,
        };
        exact || self.tests.iter().any(|test| test.is_met_by(value))
    }

    /// The exact strings among the alternatives, in ascending order.
    pub(crate) fn strings(&self) -> &[Box<str>] {
        &self.strings.0
    }

    /// The exact numbers among the alternatives, in ascending order.
    pub(crate) fn numbers(&self) -> &[Number] {
        &self.numbers.0
    }

    /// The other alternatives.
    pub(crate) fn tests(&self) -> &[Test] {
        &self.tests
    }

    /// The alternatives that ask about the field as a whole.
    pub(crate) fn wholes(&self) -> &[Whole] {
        &self.wholes
    }

    /// Whether the field may be absent.
    pub(crate) fn allows_absence(&self) -> bool {
        self.absent
    }

    /// What to look at first: the less a condition lets through and the cheaper it is, the lower. A
    /// ranking by experience, not a measure; it decides nothing but the order.
    pub(crate) fn rank(&self) -> u8 {
        let exact = u8::from(!self.strings.0.is_empty() || !self.numbers.0.is_empty());
        let tests = self.tests.iter().map(Test::rank).max();
        let wholes = u8::from(!self.wholes.is_empty()) * 7;
        tests
            .unwrap_or(exact)
            .max(u8::from(self.absent) * 8)
            .max(wholes)
    }
}

impl Test {
    pub(crate) fn is_met_by(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Self::Null, Value::Null) | (Self::Exists, _) => true,
            (Self::Bool(expected), Value::Bool(found)) => expected == found,
            (Self::Text(test), Value::String(found)) => test.is_met_by(found),
            (Self::Range(range), Value::Number(number)) => range.contains(*number),
            (Self::Network(network), Value::String(text)) => network.contains(text),
            (Self::AnythingBut(excluded), value) => !excluded.contains(value),
            (Self::Meaning(meaning), value) => meaning.is_met_by(value),
            _ => false,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null | Self::Bool(_) => 2,
            Self::Text(TextTest::Prefix(_) | TextTest::Suffix(_)) => 3,
            Self::Range(_) => 4,
            Self::Text(_) => 5,
            Self::Network(_) | Self::Meaning(_) => 6,
            Self::AnythingBut(_) => 7,
            Self::Exists => 8,
        }
    }
}

impl TextTest {
    fn is_met_by(&self, text: &str) -> bool {
        match self {
            Self::Prefix(prefix) => text.starts_with(&**prefix),
            Self::Suffix(suffix) => text.ends_with(&**suffix),
            Self::EqualsIgnoreCase(expected) => expected.equals(text),
            Self::PrefixIgnoreCase(prefix) => prefix.begins(text),
            Self::SuffixIgnoreCase(suffix) => suffix.ends(text),
            Self::Wildcard(wildcard) => wildcard.matches(text),
        }
    }
}

impl Excluded {
    fn contains(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Self::Strings(strings), Value::String(text)) => strings.contains(text),
            (Self::Numbers(numbers), Value::Number(number)) => numbers.contains(*number),
            (Self::Texts(tests), Value::String(text)) => {
                tests.iter().any(|test| test.is_met_by(text))
            }
            _ => false,
        }
    }
}

impl NumberRange {
    fn contains(self, number: Number) -> bool {
        (self.low, self.high).contains(&number)
    }
}
