//! Operators that ask what a value means rather than what it is written as: regular expressions, points in
//! time, decimals and versions. Beyond EventBridge's language; see `docs/rules.md`.

pub(crate) mod decimal;
mod regexp;
mod time;
mod version;

use std::hash::{Hash, Hasher};

use schemas::Value;
use serde_json::Value as Json;

use self::decimal::DecimalRange;
use self::regexp::Regexp;
use self::time::TimeTest;
use self::version::VersionRange;
use crate::problem::Problem;

/// Names of these operators.
pub(crate) const NAMES: [&str; 4] = ["regexp", "time", "decimal", "semver"];

/// A test of a value's meaning. Two are the same when they were written the same.
#[derive(Debug, Clone)]
pub(crate) struct Meaning {
    written: Box<str>,
    test: MeaningTest,
}

#[derive(Debug, Clone)]
enum MeaningTest {
    Regexp(Regexp),
    Time(Box<TimeTest>),
    Decimal(DecimalRange),
    Version(VersionRange),
}

impl Meaning {
    /// Reads the operand of an operator; none if the operator is not one of [`NAMES`].
    pub(crate) fn read(operator: &str, operand: &Json) -> Option<Result<Self, Problem>> {
        let test = match operator {
            "regexp" => Regexp::read(operand).map(MeaningTest::Regexp),
            "time" => TimeTest::read(operand).map(|test| MeaningTest::Time(Box::new(test))),
            "decimal" => DecimalRange::read(operand).map(MeaningTest::Decimal),
            "semver" => VersionRange::read(operand).map(MeaningTest::Version),
            _ => return None,
        };
        Some(test.map(|test| Self {
            written: format!("{operator} {operand}").into(),
            test,
        }))
    }

    pub(crate) fn is_met_by(&self, value: &Value<'_>) -> bool {
        match (&self.test, value) {
            (MeaningTest::Regexp(regexp), Value::String(text)) => regexp.is_met_by(text),
            (MeaningTest::Time(time), Value::String(text)) => time.is_met_by(text),
            (MeaningTest::Version(version), Value::String(text)) => version.is_met_by(text),
            (MeaningTest::Decimal(decimal), value) => decimal.is_met_by(value),
            _ => false,
        }
    }

    /// Whether numbers may meet it; strings always may, nothing else does.
    pub(crate) fn takes_numbers(&self) -> bool {
        matches!(self.test, MeaningTest::Decimal(_))
    }
}

impl PartialEq for Meaning {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for Meaning {}

impl Hash for Meaning {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.written.hash(state);
    }
}
