//! One conjunction against one event.
//!
//! event-ruler flattens an event into fields with their values and refuses a combination of values
//! that lie in different elements of one array. Walking the event and the conjunction together decides
//! the same without flattening: conditions of one object of the pattern are tried on one element at a
//! time, and nothing is allocated.

use std::slice;
use std::sync::Arc;

use schemas::document::Elements;
use schemas::{Node, Value};

use crate::condition::Condition;
use crate::conjunction::{Conjunction, Part};

/// How a part of a pattern fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It does not hold.
    Refused,
    /// It holds, and all that it asks for is absent. It has therefore not chosen an element of any
    /// array, and must hold for all of them.
    Absent,
    /// It holds by a value that is there.
    Met,
}

/// Whether the event meets all conditions.
pub(crate) fn holds(conjunction: &Conjunction, root: Node<'_>) -> bool {
    object(&conjunction.fields, Some(root)) != Verdict::Refused
}

/// Fields asked of a node: of the object that it is, or of one element of the array that it is.
fn object(fields: &[(Arc<str>, Part)], node: Option<Node<'_>>) -> Verdict {
    match node.map(Node::value) {
        Some(Value::Object(_)) => all(fields, node),
        Some(Value::Array(elements)) => element(fields, elements),
        // Nothing else has fields.
        _ => all(fields, None),
    }
}

fn all(fields: &[(Arc<str>, Part)], object: Option<Node<'_>>) -> Verdict {
    let mut verdict = Verdict::Absent;
    for (name, part) in fields {
        let field = object.and_then(|object| object.get(name));
        match self::part(part, field) {
            Verdict::Refused => return Verdict::Refused,
            Verdict::Absent => {}
            Verdict::Met => verdict = Verdict::Met,
        }
    }
    verdict
}

fn part(part: &Part, field: Option<Node<'_>>) -> Verdict {
    match part {
        Part::Value(condition) => value(slice::from_ref(condition), field),
        Part::Values(conditions) => value(conditions, field),
        Part::Object(fields) => object(fields, field),
    }
}

/// All fields must hold in one element, or be absent from every one.
fn element(fields: &[(Arc<str>, Part)], elements: Elements<'_>) -> Verdict {
    // What an array without elements gets: absent or refused.
    let mut verdict = all(fields, None);
    for element in elements {
        match object(fields, Some(element)) {
            Verdict::Met => return Verdict::Met,
            Verdict::Refused => verdict = Verdict::Refused,
            Verdict::Absent => {}
        }
    }
    verdict
}

/// Conditions on the value of one field. An object has no value, and an array has those of its
/// elements.
pub(crate) fn value(conditions: &[Arc<Condition>], field: Option<Node<'_>>) -> Verdict {
    if let Some(node) = field
        && conditions
            .iter()
            .any(|condition| !condition.wholes().is_empty())
    {
        return whole(conditions, node);
    }
    by_values(conditions, field)
}

/// The same, if some ask about the field as a whole: the others must be met by its values.
fn whole(conditions: &[Arc<Condition>], node: Node<'_>) -> Verdict {
    let is_met = |condition: &&Arc<Condition>| {
        let mut wholes = condition.wholes().iter();
        wholes.any(|whole| whole.is_met_by(node))
    };
    let others = conditions.iter().filter(|condition| !is_met(condition));
    let others: Vec<_> = others.cloned().collect();
    match by_values(&others, Some(node)) {
        Verdict::Absent if others.len() < conditions.len() => Verdict::Met,
        verdict => verdict,
    }
}

fn by_values(conditions: &[Arc<Condition>], field: Option<Node<'_>>) -> Verdict {
    if conditions.is_empty() {
        return Verdict::Met;
    }
    let decided = |holds| {
        if holds {
            Verdict::Met
        } else {
            Verdict::Refused
        }
    };
    match field.map(Node::value) {
        None | Some(Value::Object(_)) => absent(conditions),
        Some(Value::Array(elements)) => {
            let verdict = absent(conditions);
            if verdict == Verdict::Absent && !has_values(elements.clone()) {
                return verdict;
            }
            // Bit n: condition n is still open. At most MAX_CONDITIONS_A_FIELD of them.
            decided(among(
                conditions,
                u64::MAX >> (64 - conditions.len()),
                elements,
            ))
        }
        Some(value) => decided(
            conditions
                .iter()
                .all(|condition| condition.is_met_by(&value)),
        ),
    }
}

fn absent(conditions: &[Arc<Condition>]) -> Verdict {
    if conditions
        .iter()
        .all(|condition| condition.allows_absence())
    {
        Verdict::Absent
    } else {
        Verdict::Refused
    }
}

pub(crate) fn has_values(mut elements: Elements<'_>) -> bool {
    elements.any(|element| match element.value() {
        Value::Object(_) => false,
        Value::Array(inner) => has_values(inner),
        _ => true,
    })
}

/// Whether values among the elements meet all open conditions. Values directly in the array may
/// differ from condition to condition; the rest must be met within one inner array, which is an
/// element like any other.
fn among(conditions: &[Arc<Condition>], mut open: u64, elements: Elements<'_>) -> bool {
    let mut has_inner = false;
    for element in elements.clone() {
        match element.value() {
            Value::Array(_) => has_inner = true,
            Value::Object(_) => {}
            value => {
                for (bit, condition) in conditions.iter().enumerate() {
                    if open & (1 << bit) != 0 && condition.is_met_by(&value) {
                        open &= !(1 << bit);
                    }
                }
                if open == 0 {
                    return true;
                }
            }
        }
    }
    if !has_inner {
        return false;
    }
    elements.into_iter().any(|element| match element.value() {
        Value::Array(inner) => among(conditions, open, inner),
        _ => false,
    })
}
