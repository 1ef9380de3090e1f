//! The operators: an object such as `{"prefix": "AB"}` as one alternative of a field.

use std::ops::Bound;

use schemas::Number;
use serde_json::{Map, Value as Json};

use crate::condition::{Alternatives, Excluded, NumberRange, Sorted, Test, TextTest};
use crate::letter_case::Folded;
use crate::limits::MAX_LIST;
use crate::meaning::{self, Meaning};
use crate::network::Network;
use crate::problem::{Problem, clip, kind};
use crate::whole::{self, Whole};
use crate::wildcard::Wildcard;

/// The operators of EventBridge's language, in the order of the specification.
const NAMES: [&str; 9] = [
    "exactly",
    "prefix",
    "suffix",
    "equals-ignore-case",
    "wildcard",
    "anything-but",
    "numeric",
    "cidr",
    "exists",
];

/// Every operator.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    NAMES.into_iter().chain(meaning::NAMES).chain(whole::NAMES)
}

const COMPARISONS: [&str; 5] = ["=", "<", "<=", ">", ">="];

/// Whether event-ruler keeps the name from fields in an `$or` (its `Constants`: the operators, the
/// comparisons and names kept for operators to come).
pub(crate) fn is_reserved(name: &str) -> bool {
    const TO_COME: [&str; 10] = [
        "regex",
        "not-wildcard",
        "not-equals-ignore-case",
        "date-after",
        "date-on-or-after",
        "date-before",
        "date-on-or-before",
        "in-date-range",
        "ip-address-in-range",
        "ip-address-not-in-range",
    ];
    NAMES.contains(&name) || COMPARISONS.contains(&name) || TO_COME.contains(&name)
}

/// The operator, if an object that stands for nested fields is one that misses its list. A field
/// called `prefix` is possible, one that holds nothing but an operator's operand is not.
pub(crate) fn without_list(fields: &Map<String, Json>) -> Option<&'static str> {
    let (name, operand) = single(fields).ok()?;
    let name = known(name)?;
    let is_operand = match (name, operand) {
        ("anything-but" | "equals-ignore-case", _)
        | ("exists", Json::Bool(_))
        | ("contains-all", Json::Array(_))
        | (
            "exactly" | "prefix" | "suffix" | "wildcard" | "cidr" | "regexp" | "semver",
            Json::String(_),
        ) => true,
        ("numeric", Json::Array(list)) => {
            let first = list.first().and_then(Json::as_str);
            first.is_some_and(|first| COMPARISONS.contains(&first))
        }
        ("decimal" | "size" | "field", Json::Array(list)) => {
            let first = list.first().and_then(Json::as_str);
            first.is_some_and(|first| COMPARISONS.contains(&first) || first == "!=")
        }
        ("prefix" | "suffix", Json::Object(inner)) => inner.contains_key("equals-ignore-case"),
        _ => false,
    };
    is_operand.then_some(name)
}

/// Reads one operator object into the alternatives of its field.
pub(crate) fn read(fields: &Map<String, Json>, into: &mut Alternatives) -> Result<(), Problem> {
    let (name, operand) = single(fields).map_err(|found| Problem::NotOneOperator { found })?;
    let Some(operator) = known(name) else {
        return Err(Problem::UnknownOperator {
            found: clip(name),
            near: nearest(name),
        });
    };
    let test = match operator {
        "exactly" => {
            let text = string(operator, operand)?;
            into.strings.push(text.into());
            return Ok(());
        }
        "exists" => match operand {
            Json::Bool(true) => Test::Exists,
            Json::Bool(false) => {
                into.absent = true;
                return Ok(());
            }
            other => return Err(wrong(operator, "true or false", other)),
        },
        "numeric" => match numeric(operand)? {
            Numeric::Equal(number) => {
                into.numbers.push(number);
                return Ok(());
            }
            Numeric::Range(range) => Test::Range(range),
        },
        "cidr" => Test::Network(Network::parse(string(operator, operand)?)?),
        "anything-but" => Test::AnythingBut(anything_but(operand)?),
        other => {
            if let Some(meaning) = Meaning::read(other, operand) {
                Test::Meaning(meaning?)
            } else if let Some(whole) = Whole::read(other, operand) {
                into.wholes.push(whole?);
                return Ok(());
            } else {
                Test::Text(text(other, operand)?)
            }
        }
    };
    into.tests.push(test);
    Ok(())
}

fn known(name: &str) -> Option<&'static str> {
    names().find(|known| *known == name)
}

/// The only field, or the names of at most five.
fn single(fields: &Map<String, Json>) -> Result<(&str, &Json), Vec<String>> {
    let mut entries = fields.iter();
    match (entries.next(), entries.next()) {
        (Some((name, operand)), None) => Ok((name, operand)),
        _ => Err(fields.keys().take(5).map(|name| clip(name)).collect()),
    }
}

pub(crate) fn wrong(operator: &'static str, expected: &'static str, found: &Json) -> Problem {
    Problem::Operand {
        operator,
        expected,
        found: kind(found),
    }
}

pub(crate) fn string<'a>(operator: &'static str, operand: &'a Json) -> Result<&'a str, Problem> {
    operand
        .as_str()
        .ok_or_else(|| wrong(operator, "a string", operand))
}

fn text(operator: &'static str, operand: &Json) -> Result<TextTest, Problem> {
    if let (Json::Object(inner), "prefix" | "suffix") = (operand, operator) {
        return text_ignoring_case(operator, inner);
    }
    let Some(value) = operand.as_str() else {
        let expected = match operator {
            "prefix" | "suffix" => "a string, or {\"equals-ignore-case\": a string}",
            _ => "a string",
        };
        return Err(wrong(operator, expected, operand));
    };
    Ok(match operator {
        "prefix" => TextTest::Prefix(value.into()),
        "suffix" => TextTest::Suffix(value.into()),
        "equals-ignore-case" => TextTest::EqualsIgnoreCase(Folded::new(value)),
        _ => TextTest::Wildcard(Wildcard::parse(value)?),
    })
}

fn text_ignoring_case(
    operator: &'static str,
    inner: &Map<String, Json>,
) -> Result<TextTest, Problem> {
    let inner_operator = |found| Problem::InnerOperator {
        operator,
        allowed: "\"equals-ignore-case\"",
        found,
    };
    let (name, operand) = single(inner).map_err(inner_operator)?;
    if name != "equals-ignore-case" {
        return Err(inner_operator(vec![clip(name)]));
    }
    let folded = Folded::new(string("equals-ignore-case", operand)?);
    Ok(if operator == "prefix" {
        TextTest::PrefixIgnoreCase(folded)
    } else {
        TextTest::SuffixIgnoreCase(folded)
    })
}

const ANYTHING_BUT_TAKES: &str = "a string, a number, a list of strings or of numbers, or one of \"prefix\", \"suffix\", \
     \"equals-ignore-case\" and \"wildcard\"";

fn anything_but(operand: &Json) -> Result<Excluded, Problem> {
    let values = match operand {
        Json::Object(inner) => return anything_but_texts(inner),
        Json::Array(list) => checked_length(list)?,
        single => std::slice::from_ref(single),
    };
    let mut strings = Vec::new();
    let mut numbers = Vec::new();
    for value in values {
        match value {
            Json::String(text) => strings.push(text.as_str().into()),
            Json::Number(number) => numbers.push(Number::from_json(number)),
            other => return Err(wrong("anything-but", ANYTHING_BUT_TAKES, other)),
        }
    }
    match (strings.is_empty(), numbers.is_empty()) {
        (false, true) => Ok(Excluded::Strings(Sorted::new(strings))),
        (true, false) => Ok(Excluded::Numbers(Sorted::new(numbers))),
        (false, false) => Err(Problem::MixedList),
        (true, true) => Err(Problem::EmptyList),
    }
}

fn anything_but_texts(inner: &Map<String, Json>) -> Result<Excluded, Problem> {
    let inner_operator = |found| Problem::InnerOperator {
        operator: "anything-but",
        allowed: "one of \"prefix\", \"suffix\", \"equals-ignore-case\" and \"wildcard\"",
        found,
    };
    let (name, operand) = single(inner).map_err(inner_operator)?;
    let Some(operator @ ("prefix" | "suffix" | "equals-ignore-case" | "wildcard")) = known(name)
    else {
        return Err(inner_operator(vec![clip(name)]));
    };
    let values = match operand {
        Json::Array(list) => checked_length(list)?,
        single => std::slice::from_ref(single),
    };
    let excluded = values.iter().map(|value| match value {
        Json::String(empty) if empty.is_empty() && matches!(operator, "prefix" | "suffix") => {
            Err(Problem::EmptyText { operator })
        }
        Json::String(_) => text(operator, value),
        other => Err(wrong(operator, "a string or a list of strings", other)),
    });
    Ok(Excluded::Texts(excluded.collect::<Result<_, _>>()?))
}

fn checked_length(list: &[Json]) -> Result<&[Json], Problem> {
    match list.len() {
        0 => Err(Problem::EmptyList),
        found if found > MAX_LIST => Err(Problem::ListTooLong { found }),
        _ => Ok(list),
    }
}

enum Numeric {
    Equal(Number),
    Range(NumberRange),
}

fn numeric(operand: &Json) -> Result<Numeric, Problem> {
    let range = range("numeric", operand, |comparison, value| match value {
        Json::Number(number) => Ok(Number::from_json(number)),
        other => Err(Problem::ComparisonValue {
            operator: "numeric",
            comparison,
            found: Some(kind(other)),
        }),
    })?;
    Ok(match range {
        Range {
            low: Bound::Included(low),
            high: Bound::Included(high),
        } if low == high => Numeric::Equal(low),
        Range { low, high } => Numeric::Range(NumberRange { low, high }),
    })
}

/// What lies between two bounds; something does.
pub(crate) struct Range<T> {
    pub(crate) low: Bound<T>,
    pub(crate) high: Bound<T>,
}

/// Reads a list of one or two comparisons, whose values `read` makes something of.
pub(crate) fn range<T: Ord + Copy + std::fmt::Display>(
    operator: &'static str,
    operand: &Json,
    read: impl Fn(&'static str, &Json) -> Result<T, Problem>,
) -> Result<Range<T>, Problem> {
    let Json::Array(list) = operand else {
        let expected = "a list of a comparison and a number, as [\">=\", 50]";
        return Err(wrong(operator, expected, operand));
    };
    let mut comparisons = Vec::with_capacity(2);
    for pair in list.chunks(2) {
        let sign = comparison(operator, &pair[0])?;
        let value = pair.get(1).ok_or(Problem::ComparisonValue {
            operator,
            comparison: sign,
            found: None,
        })?;
        comparisons.push((sign, read(sign, value)?));
        if comparisons.len() > 2 {
            return Err(Problem::RangeForm { operator });
        }
    }
    let (low, high) = match *comparisons {
        [("=", value)] => (Bound::Included(value), Bound::Included(value)),
        [(sign @ (">" | ">="), value)] => (bound(sign, value), Bound::Unbounded),
        [(sign @ ("<" | "<="), value)] => (Bound::Unbounded, bound(sign, value)),
        [(above @ (">" | ">="), low), (below @ ("<" | "<="), high)] => {
            let both_inclusive = above == ">=" && below == "<=";
            if low > high || (low == high && !both_inclusive) {
                return Err(Problem::EmptyRange {
                    low: format!("{above} {low}"),
                    high: format!("{below} {high}"),
                });
            }
            (bound(above, low), bound(below, high))
        }
        _ => return Err(Problem::RangeForm { operator }),
    };
    Ok(Range { low, high })
}

fn comparison(operator: &'static str, sign: &Json) -> Result<&'static str, Problem> {
    let known = sign
        .as_str()
        .and_then(|sign| COMPARISONS.into_iter().find(|known| *known == sign));
    known.ok_or_else(|| Problem::Comparison {
        operator,
        found: clip(&sign.to_string()),
    })
}

fn bound<T>(sign: &str, number: T) -> Bound<T> {
    if sign.ends_with('=') {
        Bound::Included(number)
    } else {
        Bound::Excluded(number)
    }
}

/// The operator that a word was probably meant to be: the same but for case and `_`, at most two
/// letters away, or what other languages call it.
fn nearest(word: &str) -> Option<&'static str> {
    // Longer than any operator by more than the distance; also bounds the work.
    if word.len() > 24 {
        return None;
    }
    let word = word.trim_start_matches('$').to_lowercase();
    let word = word.replace(['_', ' '], "-");
    let synonym = match word.as_str() {
        "equals" | "eq" | "equal" | "is" => Some("exactly"),
        "not" | "not-in" | "nin" | "ne" | "noneof" | "none-of" | "except" => Some("anything-but"),
        "starts-with" | "startswith" | "begins-with" => Some("prefix"),
        "ends-with" | "endswith" => Some("suffix"),
        "contains" | "like" | "glob" => Some("wildcard"),
        "regex" | "match" | "matches" => Some("regexp"),
        "date" | "date-time" | "after" | "before" => Some("time"),
        "version" => Some("semver"),
        "length" | "count" => Some("size"),
        "all" | "has-all" | "contains-every" => Some("contains-all"),
        "number" | "range" | "between" | "gt" | "gte" | "lt" | "lte" | "=" | "<" | "<=" | ">"
        | ">=" => Some("numeric"),
        "ip" | "ip-address" | "network" => Some("cidr"),
        "ignore-case" | "case-insensitive" => Some("equals-ignore-case"),
        "present" | "absent" => Some("exists"),
        _ => None,
    };
    synonym.or_else(|| {
        names()
            .map(|name| (distance(&word, name), name))
            .filter(|&(distance, _)| distance <= 2)
            .min()
            .map(|(_, name)| name)
    })
}

/// Letters to add, remove or change (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_operator_is_recognised() {
        let cases = [
            ("prefx", Some("prefix")),
            ("Prefix", Some("prefix")),
            ("anything_but", Some("anything-but")),
            ("anythingbut", Some("anything-but")),
            ("wildcards", Some("wildcard")),
            ("exist", Some("exists")),
            ("$exists", Some("exists")),
            ("starts-with", Some("prefix")),
            (">=", Some("numeric")),
            ("colour", None),
            ("", None),
        ];
        for (word, expected) in cases {
            assert_eq!(nearest(word), expected, "{word}");
        }
        assert_eq!(nearest(&"prefix".repeat(1_000)), None);
    }

    #[test]
    fn the_distance_counts_letters() {
        assert_eq!(distance("numeric", "numeric"), 0);
        assert_eq!(distance("numerik", "numeric"), 1);
        assert_eq!(distance("nmueric", "numeric"), 2);
        assert_eq!(distance("", "cidr"), 4);
        assert_eq!(distance("cidr", ""), 4);
    }
}
