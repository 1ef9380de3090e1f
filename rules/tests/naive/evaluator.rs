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

pub(crate) fn matches(pattern: &Value, event: &Value) -> bool {
    let mut values = Vec::new();
    flatten(
        event,
        &mut Vec::new(),
        &mut Places::new(),
        &mut 0,
        &mut values,
    );
    ways(pattern.as_object().unwrap())
        .iter()
        .any(|conditions| assign(conditions, &values, &Places::new(), &mut Vec::new()))
}

fn flatten<'a>(
    node: &'a Value,
    path: &mut Vec<&'a str>,
    places: &mut Places,
    arrays: &mut usize,
    into: &mut Vec<Flat<'a>>,
) {
    match node {
        Value::Object(fields) => {
            for (name, value) in fields {
                path.push(name);
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
        value => into.push(Flat {
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
    open: &'a [Condition<'a>],
    values: &[Flat<'_>],
    places: &Places,
    absent: &mut Vec<&'a [&'a str]>,
) -> bool {
    let Some((condition, rest)) = open.split_first() else {
        return absent.iter().all(|path| {
            let mut at_path = values.iter().filter(|value| value.path == *path);
            at_path.all(|value| joined(places, &value.places).is_none())
        });
    };
    let by_value = values
        .iter()
        .filter(|value| value.path == condition.path)
        .filter(|value| (condition.alternatives.iter()).any(|one| is_met(one, value.value)))
        .filter_map(|value| joined(places, &value.places))
        .any(|places| assign(rest, values, &places, absent));
    if by_value {
        return true;
    }
    if !condition
        .alternatives
        .contains(&serde_json::json!({"exists": false}))
    {
        return false;
    }
    absent.push(&condition.path);
    let by_absence = assign(rest, values, places, absent);
    absent.pop();
    by_absence
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
