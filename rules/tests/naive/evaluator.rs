//! Patterns by trying everything. Slow, and as close to the words of the specification as can be.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde_json::{Map, Value};

/// For each array on the way to a value: which element.
type Places = BTreeMap<usize, usize>;

struct Flat<'a> {
    path: Vec<&'a str>,
    value: &'a Value,
    places: Places,
}

struct Condition<'a> {
    path: Vec<&'a str>,
    alternatives: &'a [Value],
}

/// An event taken apart.
struct Event<'a> {
    root: &'a Value,
    /// Plain values.
    values: Vec<Flat<'a>>,
    /// Fields as they stand, with the elements that they lie in.
    fields: Vec<Flat<'a>>,
}

pub(crate) fn matches(pattern: &Value, event: &Value) -> bool {
    let mut taken_apart = Event {
        root: event,
        values: Vec::new(),
        fields: Vec::new(),
    };
    flatten(
        event,
        &mut Vec::new(),
        &mut Places::new(),
        &mut 0,
        &mut taken_apart,
    );
    ways(pattern.as_object().unwrap())
        .iter()
        .any(|conditions| assign(&taken_apart, conditions, &Places::new(), &mut Vec::new()))
}

fn flatten<'a>(
    node: &'a Value,
    path: &mut Vec<&'a str>,
    places: &mut Places,
    arrays: &mut usize,
    into: &mut Event<'a>,
) {
    match node {
        Value::Object(fields) => {
            for (name, value) in fields {
                path.push(name);
                into.fields.push(Flat {
                    path: path.clone(),
                    value,
                    places: places.clone(),
                });
                flatten(value, path, places, arrays, into);
                path.pop();
            }
        }
        Value::Array(elements) => {
            let array = *arrays;
            *arrays += 1;
            for (index, element) in elements.iter().enumerate() {
                // Only objects and arrays are tied to their place; plain values are the field's.
                if element.is_object() || element.is_array() {
                    places.insert(array, index);
                }
                flatten(element, path, places, arrays, into);
                places.remove(&array);
            }
        }
        value => into.values.push(Flat {
            path: path.clone(),
            value,
            places: places.clone(),
        }),
    }
}

/// `$or` multiplied out.
fn ways(pattern: &Map<String, Value>) -> Vec<Vec<Condition<'_>>> {
    let mut all = vec![Vec::new()];
    for (name, value) in pattern {
        let options = match (name.as_str(), value) {
            ("$or", Value::Array(objects)) => objects
                .iter()
                .flat_map(|object| ways(object.as_object().unwrap()))
                .collect(),
            (name, Value::Array(alternatives)) => vec![vec![Condition {
                path: vec![name],
                alternatives,
            }]],
            (name, value) => {
                let mut options = ways(value.as_object().unwrap());
                for condition in options.iter_mut().flatten() {
                    condition.path.insert(0, name);
                }
                options
            }
        };
        let mut product = Vec::new();
        for way in &all {
            for option in &options {
                let both = way.iter().chain(option);
                product.push(both.map(Condition::again).collect());
            }
        }
        all = product;
    }
    all
}

impl<'a> Condition<'a> {
    fn again(&self) -> Condition<'a> {
        Condition {
            path: self.path.clone(),
            alternatives: self.alternatives,
        }
    }
}

/// Whether each condition can be given a value, or absence, so that no two values lie in different
/// elements of one array and what is absent is absent there.
fn assign<'a>(
    event: &Event<'_>,
    open: &'a [Condition<'a>],
    places: &Places,
    absent: &mut Vec<&'a [&'a str]>,
) -> bool {
    let Some((condition, rest)) = open.split_first() else {
        return absent.iter().all(|path| {
            let mut at_path = event.values.iter().filter(|value| value.path == *path);
            at_path.all(|value| joined(places, &value.places).is_none())
        });
    };
    let is_met = |one: &Value, value: &Flat<'_>| is_met(one, value.value);
    let is_whole_met = |one: &Value, field: &Flat<'_>| is_whole_met(one, field.value, event.root);
    let some =
        |all: &[Flat<'_>], is_met: &dyn Fn(&Value, &Flat<'_>) -> bool, absent: &mut Vec<_>| {
            all.iter()
                .filter(|value| value.path == condition.path)
                .filter(|value| (condition.alternatives.iter()).any(|one| is_met(one, value)))
                .filter_map(|value| joined(places, &value.places))
                .any(|places| assign(event, rest, &places, absent))
        };
    if some(&event.values, &is_met, absent) || some(&event.fields, &is_whole_met, absent) {
        return true;
    }
    if !condition
        .alternatives
        .contains(&serde_json::json!({"exists": false}))
    {
        return false;
    }
    absent.push(&condition.path);
    let by_absence = assign(event, rest, places, absent);
    absent.pop();
    by_absence
}

/// Whether a field as a whole meets an alternative that asks about it so.
fn is_whole_met(alternative: &Value, field: &Value, event: &Value) -> bool {
    let Value::Object(operator) = alternative else {
        return false;
    };
    let (name, operand) = operator.iter().next().unwrap();
    match name.as_str() {
        "contains-all" => {
            // Its own values, or all within one of its inner arrays.
            let wanted: Vec<_> = operand.as_array().unwrap().iter().collect();
            wanted
                .iter()
                .all(|one| leaves(field).iter().any(|leaf| equal(one, leaf)))
        }
        "size" => {
            let Some(count) = field.as_array().map(Vec::len) else {
                return false;
            };
            let (sign, limit) = match operand {
                Value::Array(pair) => (pair[0].as_str().unwrap(), pair[1].as_u64().unwrap()),
                single => ("=", single.as_u64().unwrap()),
            };
            let limit = usize::try_from(limit).unwrap();
            match sign {
                "=" => count == limit,
                ">=" => count >= limit,
                _ => count < limit,
            }
        }
        "field" => {
            let sign = operand[0].as_str().unwrap();
            let steps = operand[1].as_array().unwrap().iter();
            let other = steps.fold(event, |node, name| &node[name.as_str().unwrap()]);
            let other = if operand[1]
                .as_array()
                .unwrap()
                .iter()
                .try_fold(event, |node, name| node.get(name.as_str().unwrap()))
                .is_some()
            {
                leaves(other)
            } else {
                Vec::new()
            };
            leaves(field).iter().any(|this| match sign {
                "!=" => !other.is_empty() && other.iter().all(|other| !equal(this, other)),
                sign => other.iter().any(|other| compares(this, sign, other)),
            })
        }
        _ => false,
    }
}

fn leaves(node: &Value) -> Vec<&Value> {
    match node {
        Value::Object(_) => Vec::new(),
        Value::Array(elements) => elements.iter().flat_map(leaves).collect(),
        value => vec![value],
    }
}

fn compares(a: &Value, sign: &str, b: &Value) -> bool {
    let less = match (a, b) {
        (Value::Number(_), Value::Number(_)) => a.as_f64() < b.as_f64(),
        (Value::String(a), Value::String(b)) => a < b,
        (Value::Bool(a), Value::Bool(b)) => a < b,
        (Value::Null, Value::Null) => false,
        _ => return false,
    };
    match sign {
        "=" => equal(a, b),
        "<" => less,
        "<=" => less || equal(a, b),
        ">" => !less && !equal(a, b),
        _ => !less,
    }
}

fn joined(a: &Places, b: &Places) -> Option<Places> {
    let mut both = a.clone();
    for (array, index) in b {
        if *both.entry(*array).or_insert(*index) != *index {
            return None;
        }
    }
    Some(both)
}

fn is_met(alternative: &Value, value: &Value) -> bool {
    let Value::Object(operator) = alternative else {
        return equal(alternative, value);
    };
    let (name, operand) = operator.iter().next().unwrap();
    match name.as_str() {
        "exists" => operand == true,
        "contains-all" | "size" | "field" => false,
        "decimal" => {
            let number = match value {
                Value::String(text) => {
                    let digits = text.trim_start_matches('-').replacen('.', "", 1);
                    let is_decimal =
                        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
                    if is_decimal {
                        text.parse().unwrap()
                    } else {
                        return false;
                    }
                }
                Value::Number(number) => number.as_f64().unwrap(),
                _ => return false,
            };
            let number = Value::from(number);
            operand.as_array().unwrap().chunks(2).all(|pair| {
                let limit = pair[1]
                    .as_f64()
                    .or_else(|| pair[1].as_str()?.parse().ok())
                    .unwrap();
                compares(&number, pair[0].as_str().unwrap(), &limit.into())
            })
        }
        "regexp" => value.as_str().is_some_and(|text| {
            let pattern = operand.as_str().unwrap();
            let (begins, rest) = match pattern.strip_prefix('^') {
                Some(rest) => (true, rest),
                None => (false, pattern),
            };
            let is_at = |text: &str| match rest {
                "." => text.chars().next().is_some_and(|c| c != '\n'),
                "[aA]b" => text.starts_with("ab") || text.starts_with("Ab"),
                literal => text.starts_with(literal),
            };
            let ends = if begins { 0 } else { text.len() };
            (0..=ends).any(|at| text.get(at..).is_some_and(is_at))
        }),
        "anything-but" => !excluded(operand, value),
        "numeric" => {
            let Some(number) = value.as_f64() else {
                return false;
            };
            let pairs = operand.as_array().unwrap().chunks(2);
            pairs.into_iter().all(|pair| {
                let limit = pair[1].as_f64().unwrap();
                match pair[0].as_str().unwrap() {
                    "=" => equal(&pair[1], value),
                    "<" => number < limit,
                    "<=" => number <= limit,
                    ">" => number > limit,
                    ">=" => number >= limit,
                    other => panic!("{other}"),
                }
            })
        }
        text => value
            .as_str()
            .is_some_and(|value| is_text(text, operand, value)),
    }
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        // Not exact for large numbers; the generator makes small ones.
        (Some(a), Some(b)) => a.total_cmp(&b).is_eq(),
        _ => a == b,
    }
}

fn excluded(operand: &Value, value: &Value) -> bool {
    match operand {
        Value::Array(values) => values.iter().any(|one| equal(one, value)),
        Value::Object(operator) => {
            let (name, operand) = operator.iter().next().unwrap();
            let operands = operand
                .as_array()
                .map_or_else(|| vec![operand], |list| list.iter().collect());
            let Some(value) = value.as_str() else {
                return false;
            };
            operands
                .into_iter()
                .any(|operand| is_text(name, operand, value))
        }
        single => equal(single, value),
    }
}

fn is_text(operator: &str, operand: &Value, value: &str) -> bool {
    if let Some(inner) = operand.get("equals-ignore-case") {
        let operand = fold(inner.as_str().unwrap());
        return is_text(operator, &operand.into(), &fold(value));
    }
    let operand = operand.as_str().unwrap();
    match operator {
        "exactly" => operand == value,
        "prefix" => value.get(..operand.len()) == Some(operand),
        "suffix" => {
            let from = value.len().checked_sub(operand.len());
            from.is_some_and(|from| value.get(from..) == Some(operand))
        }
        "equals-ignore-case" => fold(operand) == fold(value),
        "wildcard" => {
            let characters = |text: &str| text.chars().collect::<Vec<_>>();
            is_wildcard(&characters(operand), &characters(value))
        }
        "cidr" => {
            let (network, bits) = operand.split_once('/').unwrap();
            let digits = |address: &str| {
                let octets = address.parse::<Ipv4Addr>().ok()?.octets();
                Some(octets.map(|octet| format!("{octet:08b}")).concat())
            };
            let bits: usize = bits.parse().unwrap();
            let network = digits(network).unwrap();
            digits(value).is_some_and(|address| address[..bits] == network[..bits])
        }
        other => panic!("{other}"),
    }
}

fn fold(text: &str) -> String {
    let upper = text.chars().flat_map(char::to_uppercase);
    upper.flat_map(char::to_lowercase).collect()
}

fn is_wildcard(pattern: &[char], text: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['*', rest @ ..] => (0..=text.len()).any(|n| is_wildcard(rest, &text[n..])),
        ['\\', literal, rest @ ..] | [literal, rest @ ..] => {
            text.first() == Some(literal) && is_wildcard(rest, &text[1..])
        }
    }
}
