//! Operators that ask about a field as a whole, not about one of its values: how many elements an array has, whether it
//! has all of several values, and how the field compares with another one of the event. Beyond EventBridge's
//! language; see `docs/rules.md`.

use std::cmp::Ordering;
use std::ops::{Bound, RangeBounds as _};
use std::sync::Arc;

use schemas::{Node, Number, Value};
use serde_json::Value as Json;

use crate::condition::Condition;
use crate::evaluate::{self, Verdict};
use crate::limits::MAX_CONDITIONS_A_FIELD;
use crate::operator::{self, Range};
use crate::problem::{Problem, clip};

/// Names of these operators.
pub(crate) const NAMES: [&str; 3] = ["contains-all", "size", "field"];

/// A test of a field.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Whole {
    /// Some value of it meets each of these.
    ContainsAll(Box<[Arc<Condition>]>),
    /// It is an array of so many elements.
    Size { low: Bound<i64>, high: Bound<i64> },
    /// Some value of it compares so with some value of the other field.
    Field {
        comparison: Comparison,
        other: Box<[Box<str>]>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Comparison {
    Equal,
    /// With all values of the other field.
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

const COMPARISONS: [(&str, Comparison); 6] = [
    ("=", Comparison::Equal),
    ("!=", Comparison::NotEqual),
    ("<", Comparison::Less),
    ("<=", Comparison::AtMost),
    (">", Comparison::Greater),
    (">=", Comparison::AtLeast),
];

impl Whole {
    /// Reads the operand of an operator; none if the operator is not one of [`NAMES`].
    pub(crate) fn read(operator: &str, operand: &Json) -> Option<Result<Self, Problem>> {
        match operator {
            "contains-all" => Some(contains_all(operand)),
            "size" => Some(size(operand)),
            "field" => Some(field(operand)),
            _ => None,
        }
    }

    /// Whether a field meets it.
    pub(crate) fn is_met_by(&self, node: Node<'_>) -> bool {
        match self {
            Self::ContainsAll(conditions) => conditions.iter().all(|condition| {
                evaluate::value(std::slice::from_ref(condition), Some(node)) == Verdict::Met
            }),
            Self::Size { low, high } => match node.value() {
                Value::Array(elements) => {
                    let count = i64::try_from(elements.count()).unwrap_or(i64::MAX);
                    (*low, *high).contains(&count)
                }
                _ => false,
            },
            Self::Field { comparison, other } => {
                let root = node.document().root();
                let found = other.iter().try_fold(root, |node, name| node.get(name));
                found.is_some_and(|found| comparison.holds(node, found))
            }
        }
    }

    /// A condition that every field that meets it meets, too.
    pub(crate) fn part(&self) -> Option<&Condition> {
        match self {
            Self::ContainsAll(conditions) => conditions.first().map(|condition| &**condition),
            Self::Size { .. } | Self::Field { .. } => None,
        }
    }
}

impl Comparison {
    fn holds(self, this: Node<'_>, other: Node<'_>) -> bool {
        some(this, &mut |this| {
            let mut has_values = false;
            let mut other_is = |allows: fn(Ordering) -> bool| {
                some(other, &mut |other| {
                    has_values = true;
                    compare(this, other).is_some_and(allows)
                })
            };
            match self {
                Self::Equal => other_is(Ordering::is_eq),
                Self::NotEqual => !other_is(Ordering::is_eq) && has_values,
                Self::Less => other_is(Ordering::is_lt),
                Self::AtMost => other_is(Ordering::is_le),
                Self::Greater => other_is(Ordering::is_gt),
                Self::AtLeast => other_is(Ordering::is_ge),
            }
        })
    }
}

/// Whether some value of a field is so.
fn some(node: Node<'_>, is_so: &mut dyn FnMut(&Value<'_>) -> bool) -> bool {
    match node.value() {
        Value::Object(_) => false,
        Value::Array(mut elements) => elements.any(|element| some(element, is_so)),
        value => is_so(&value),
    }
}

/// Values of two kinds do not compare.
fn compare(a: &Value<'_>, b: &Value<'_>) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => Some(Number::cmp(a, b)),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Null, Value::Null) => Some(Ordering::Equal),
        _ => None,
    }
}

fn contains_all(operand: &Json) -> Result<Whole, Problem> {
    let takes = "a list of values, each of which the array must have";
    let Json::Array(values) = operand else {
        return Err(operator::wrong("contains-all", takes, operand));
    };
    if values.is_empty() {
        return Err(Problem::EmptyList);
    }
    if values.len() > MAX_CONDITIONS_A_FIELD {
        return Err(Problem::TooManyOnOneField {
            found: values.len(),
        });
    }
    let conditions = values.iter().map(|value| match Condition::exactly(value) {
        Some(condition) => Ok(Arc::new(condition)),
        None => Err(operator::wrong("contains-all", takes, value)),
    });
    Ok(Whole::ContainsAll(conditions.collect::<Result<_, _>>()?))
}

fn size(operand: &Json) -> Result<Whole, Problem> {
    let whole = |value: &Json| {
        let count = value.as_i64().filter(|count| *count >= 0);
        count.ok_or_else(|| operator::wrong("size", "whole numbers from 0 on", value))
    };
    if operand.is_number() {
        let count = whole(operand)?;
        let (low, high) = (Bound::Included(count), Bound::Included(count));
        return Ok(Whole::Size { low, high });
    }
    let Range { low, high } = operator::range("size", operand, |_, value| whole(value))?;
    Ok(Whole::Size { low, high })
}

fn field(operand: &Json) -> Result<Whole, Problem> {
    let wrong = || Problem::Field {
        found: clip(&operand.to_string()),
    };
    let Some([Json::String(sign), place]) = operand.as_array().map(Vec::as_slice) else {
        return Err(wrong());
    };
    let known = COMPARISONS.iter().find(|(known, _)| known == sign);
    let (_, comparison) = *known.ok_or_else(wrong)?;
    let other: Vec<Box<str>> = match place {
        Json::String(path) => path.split('.').map(Box::from).collect(),
        Json::Array(names) => {
            let names = names.iter().map(|name| name.as_str().map(Box::from));
            names.collect::<Option<_>>().ok_or_else(wrong)?
        }
        _ => return Err(wrong()),
    };
    if other.is_empty() || other.iter().any(|name| name.is_empty()) {
        return Err(wrong());
    }
    Ok(Whole::Field {
        comparison,
        other: other.into(),
    })
}
