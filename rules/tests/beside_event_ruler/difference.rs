//! What docs/rules.md lists as different from event-ruler, as far as generated cases run into it. Each is told by what it is
//! about, and excuses nothing else.

use rules::{Pattern, PatternErrors, Problem};
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Difference {
    /// A list and an object for one field through `$or`: refused here, no single value is both.
    ListAndObject,
    /// A `cidr` of a single address: refused there.
    SingleAddress,
    /// Two lists for one field through `$or`: the last one counts there, both here.
    TwoLists,
    /// Absence in an element of an array: depends on the order of the fields' names there.
    AbsenceInElement,
    /// An IPv4 address in its IPv6 form: in no network of IPv4 there.
    MappedAddress,
    /// A number in a wide network: meets its `cidr` there.
    NumberInNetwork,
    /// A `wildcard` beside an `equals-ignore-case` in one list: met by other values there.
    WildcardBesideIgnoreCase,
    /// Presence and absence in one list: not always met there.
    PresenceAndAbsence,
    /// A letter whose upper case is several letters, in another case: not always equal there.
    SeveralLetters,
    /// A character beyond 16 bits in `equals-ignore-case`: never equal there, not even to itself.
    WideCharacter,
}

impl Difference {
    /// Why one takes a pattern that the other refuses.
    pub(crate) fn of_pattern(ours: &Result<Pattern, PatternErrors>, theirs: &str) -> Option<Self> {
        match ours {
            Err(errors) => {
                let mut problems = errors.iter().map(|error| &error.problem);
                problems
                    .all(|problem| *problem == Problem::ValueAndObject)
                    .then_some(Self::ListAndObject)
            }
            Ok(_) => theirs
                .contains("IPv4 mask bits must be < 32")
                .then_some(Self::SingleAddress),
        }
    }

    /// Why one says that the event matches and the other that it does not.
    pub(crate) fn of(pattern: &Value, event: &Value) -> Option<Self> {
        let exists = |value: bool| json!({"exists": value});
        let insensitive = operands(pattern, "equals-ignore-case");
        let has_insensitive = |text: &str| {
            !insensitive.is_empty() && {
                let mut texts = texts(pattern).into_iter().chain(texts(event));
                texts.any(|other| other.contains(text))
            }
        };
        let has_network = !operands(pattern, "cidr").is_empty();
        let is_mapped = |text: &&str| text.starts_with("::ffff:");
        let known = [
            (
                Self::TwoLists,
                ways(pattern, "").iter().any(|way| has_twice(way)),
            ),
            (
                Self::PresenceAndAbsence,
                any_list(pattern, |list| {
                    list.contains(&exists(true)) && list.contains(&exists(false))
                }),
            ),
            (
                Self::WildcardBesideIgnoreCase,
                any_list(pattern, |list| {
                    let has = |operator| list.iter().any(|one| one.get(operator).is_some());
                    has("wildcard") && has("equals-ignore-case")
                }),
            ),
            (
                Self::AbsenceInElement,
                any_list(pattern, |list| list.contains(&exists(false)))
                    && any_list(event, |list| list.iter().any(Value::is_object)),
            ),
            (
                Self::MappedAddress,
                has_network && texts(event).iter().any(is_mapped),
            ),
            (Self::NumberInNetwork, has_network && has_number(event)),
            (Self::WideCharacter, has_insensitive("😀")),
            (Self::SeveralLetters, has_insensitive("ß")),
        ];
        let mut known = known.into_iter();
        known.find_map(|(difference, is_so)| is_so.then_some(difference))
    }
}

/// The fields that each way through the `$or`s asks with a list, as often as it does.
fn ways(object: &Value, above: &str) -> Vec<Vec<String>> {
    let mut ways = vec![Vec::new()];
    for (name, part) in object.as_object().into_iter().flatten() {
        let path = format!("{above}/{name}");
        let further = match part {
            Value::Array(alternatives) if name == "$or" => {
                let ways = alternatives.iter().flat_map(|one| self::ways(one, above));
                ways.collect()
            }
            Value::Array(_) => vec![vec![path]],
            _ => self::ways(part, &path),
        };
        let joined = ways.iter().flat_map(|way: &Vec<String>| {
            let join = |more: &Vec<String>| way.iter().chain(more).cloned().collect();
            further.iter().map(join)
        });
        ways = joined.collect();
    }
    ways
}

fn has_twice(way: &[String]) -> bool {
    let mut later = way.iter().enumerate();
    later.any(|(place, field)| way[place + 1..].contains(field))
}

/// Calls `see` with each field of the document, at any depth.
fn visit<'v>(document: &'v Value, see: &mut impl FnMut(Option<&'v str>, &'v Value)) {
    match document {
        Value::Array(elements) => {
            for element in elements {
                see(None, element);
                visit(element, see);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                see(Some(name), value);
                visit(value, see);
            }
        }
        _ => {}
    }
}

fn any_list(document: &Value, is_so: impl Fn(&[Value]) -> bool) -> bool {
    let mut found = false;
    visit(document, &mut |_, value| {
        found |= value.as_array().is_some_and(|list| is_so(list));
    });
    found
}

fn has_number(event: &Value) -> bool {
    let mut found = false;
    visit(event, &mut |_, value| found |= value.is_number());
    found
}

/// The texts that an operator of the pattern has.
fn operands<'p>(pattern: &'p Value, operator: &str) -> Vec<&'p str> {
    let mut found = Vec::new();
    visit(pattern, &mut |name, value| {
        if name == Some(operator) {
            found.extend(value.as_str());
            found.extend(texts(value));
        }
    });
    found
}

fn texts(document: &Value) -> Vec<&str> {
    let mut found = Vec::new();
    visit(document, &mut |_, value| found.extend(value.as_str()));
    found
}
