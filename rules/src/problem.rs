//! What can be wrong with a pattern, in words that say what to write instead.

use std::fmt;

use crate::limits;

/// Everything that is wrong with a pattern, in the order of the fields' names.
///
/// At most [`limits::MAX_PROBLEMS`] are kept; the others are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternErrors {
    errors: Vec<PatternError>,
    further: usize,
}

impl PatternErrors {
    pub(crate) fn new() -> Self {
        Self {
            errors: Vec::new(),
            further: 0,
        }
    }

    pub(crate) fn push(&mut self, error: PatternError) {
        if self.errors.len() < limits::MAX_PROBLEMS {
            self.errors.push(error);
        } else {
            self.further += 1;
        }
    }

    /// Adds what is wrong with a pattern that stands at that place of the document.
    pub(crate) fn extend(&mut self, found: PatternErrors, place: &str) {
        for error in found.errors {
            let path = match error.path.as_str() {
                "when" => place.to_owned(),
                path => format!("{place}.{path}"),
            };
            self.push(PatternError { path, ..error });
        }
        self.further += found.further;
    }

    /// Shortens pointers until they lead to something. Where several `$or`s meet, the place is one that
    /// nobody wrote.
    pub(crate) fn point_into(&mut self, pattern: &serde_json::Value) {
        for error in &mut self.errors {
            while pattern.pointer(&error.pointer).is_none() {
                let parent = error.pointer.rfind('/').unwrap_or(0);
                error.pointer.truncate(parent);
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// The problems that are listed; at least one.
    pub fn iter(&self) -> impl Iterator<Item = &PatternError> {
        self.errors.iter()
    }

    /// How many further problems there are, beyond those listed.
    pub fn further(&self) -> usize {
        self.further
    }
}

impl fmt::Display for PatternErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, error) in self.errors.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        if self.further > 0 {
            write!(f, "\nand {} further problems", self.further)?;
        }
        Ok(())
    }
}

impl std::error::Error for PatternErrors {}

/// One thing that is wrong with a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct PatternError {
    /// Where, such as `payload.amount[0]`; `when` is the pattern itself.
    pub path: String,
    /// Where, as a JSON pointer into the pattern (RFC 6901), such as `/payload/amount/0`; empty for the
    /// pattern itself. In a campaign's document `/when` stands before it.
    pub pointer: String,
    /// What, and what to write instead.
    pub problem: Problem,
}

/// A kind of problem. Texts of the pattern are quoted up to 64 characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The pattern is not an object.
    #[error("a pattern is an object such as {{\"event_type\": [\"purchase\"]}}; this is {found}")]
    NotAnObject {
        /// What it is.
        found: &'static str,
    },
    /// An object without fields asks for nothing.
    #[error("the object is empty; name a field and its alternatives, as {{\"amount\": [50]}}")]
    EmptyObject,
    /// A field with neither a list nor an object.
    #[error("a field takes a list of alternatives; this is {found}, write [{written}]")]
    NotAList {
        /// What it is.
        found: &'static str,
        /// It, as JSON.
        written: String,
    },
    /// A list without entries can never be met.
    #[error("the list is empty and can never be met; write at least one entry, as [\"US\"]")]
    EmptyList,
    /// A list in a list of alternatives.
    #[error("an alternative is a value or an operator, not a list; write all of them in one list")]
    ListInList,
    /// An operator stands where its list should.
    #[error(
        "\"{operator}\" is an operator and belongs in a list of alternatives: \
         [{{\"{operator}\": …}}]"
    )]
    OperatorWithoutList {
        /// The operator.
        operator: &'static str,
    },
    /// An operator object without or with several operators.
    #[error(
        "an alternative that is an object holds exactly one operator; this one has {}; write each \
         as an alternative of its own", listed(.found)
    )]
    NotOneOperator {
        /// Names of its fields, at most five.
        found: Vec<String>,
    },
    /// An operator that the language does not have.
    #[error(
        "there is no operator {found:?}; {} {}",
        did_you_mean(*.near), crate::operator::names().collect::<Vec<_>>().join(", ")
    )]
    UnknownOperator {
        /// What stands there.
        found: String,
        /// The operator that it resembles.
        near: Option<&'static str>,
    },
    /// What an operator was given is not what it takes.
    #[error("\"{operator}\" takes {expected}; this is {found}")]
    Operand {
        /// The operator.
        operator: &'static str,
        /// What it takes.
        expected: &'static str,
        /// What it was given.
        found: &'static str,
    },
    /// An operator in an operator that cannot hold it.
    #[error(
        "\"{operator}\" may hold {allowed}; this holds {}", listed(.found)
    )]
    InnerOperator {
        /// The outer operator.
        operator: &'static str,
        /// What may stand in it.
        allowed: &'static str,
        /// Names of the fields in it, at most five.
        found: Vec<String>,
    },
    /// A list of strings and numbers.
    #[error("\"anything-but\" takes strings or numbers, not both in one list")]
    MixedList,
    /// An empty text that would exclude every string.
    #[error(
        "\"anything-but\" with an empty \"{operator}\" would exclude every string; write a text"
    )]
    EmptyText {
        /// `prefix` or `suffix`.
        operator: &'static str,
    },
    /// A comparison that there is not.
    #[error("\"{operator}\" has no comparison {found}; the comparisons are =, <, <=, > and >=")]
    Comparison {
        /// The operator.
        operator: &'static str,
        /// What stands there, as JSON.
        found: String,
    },
    /// A comparison without its number.
    #[error("\"{operator}\" needs a number after \"{comparison}\"; {}", number_found(*.found))]
    ComparisonValue {
        /// The operator.
        operator: &'static str,
        /// The comparison.
        comparison: &'static str,
        /// What stands there, if anything.
        found: Option<&'static str>,
    },
    /// Two comparisons that are no range, or more than two.
    #[error(
        "\"{operator}\" takes one comparison, or a range with the lower bound first, \
         as [\">=\", 50, \"<\", 100]"
    )]
    RangeForm {
        /// The operator.
        operator: &'static str,
    },
    /// A regular expression that does not compile, or is too large.
    #[error("\"regexp\" does not take this expression: {reason}")]
    Regexp {
        /// What is wrong with it.
        reason: String,
    },
    /// A time that is none, or a condition on times that cannot be.
    #[error("\"time\": {reason}")]
    Time {
        /// What is wrong, and what to write.
        reason: String,
    },
    /// Something else than a decimal.
    #[error(
        "\"decimal\" compares with decimals of at most 28 digits, as \"19.99\"; this is {found}"
    )]
    Decimal {
        /// What stands there, as JSON.
        found: String,
    },
    /// A range of versions that is none.
    #[error(
        "\"semver\" takes a range of versions such as \">=1.4, <2\"; {found:?} is none: {reason}"
    )]
    Versions {
        /// What stands there.
        found: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A comparison with another field that is none.
    #[error(
        "\"field\" takes a comparison (=, !=, <, <=, >, >=) and a field of the event, as \
         [\">\", \"payload.limit\"] or [\">\", [\"payload\", \"limit\"]]; this is {found}"
    )]
    Field {
        /// What stands there, as JSON.
        found: String,
    },
    /// A range without a number in it.
    #[error("no number is {low} and {high}; the lower bound must be below the upper one")]
    EmptyRange {
        /// The lower bound, such as `> 10`.
        low: String,
        /// The upper bound, such as `< 10`.
        high: String,
    },
    /// Two `*` beside each other.
    #[error("\"wildcard\" has two * beside each other at byte {at}; write one")]
    ConsecutiveWildcards {
        /// Place of the second.
        at: usize,
    },
    /// A backslash that escapes nothing.
    #[error(
        "\"wildcard\" has a \\ at byte {at} without * or \\ after it; write \\* for a star and \
         \\\\ for a backslash (\"\\\\*\" and \"\\\\\\\\\" in JSON)"
    )]
    WildcardEscape {
        /// Place of the backslash.
        at: usize,
    },
    /// More `*` than allowed.
    #[error(
        "\"wildcard\" has {stars} *; at most {} are allowed",
        limits::MAX_WILDCARDS
    )]
    TooManyWildcards {
        /// How many there are.
        stars: usize,
    },
    /// Not a range of IP addresses.
    #[error(
        "\"cidr\" takes a network such as 10.0.0.0/8 or 2001:db8::/32; {found:?} is none: {reason}"
    )]
    Network {
        /// What stands there.
        found: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An `$or` that is neither a relationship nor a list of alternatives.
    #[error(
        "\"$or\" takes a list of two or more objects of fields, as [{{\"country\": [\"US\"]}}, \
         {{\"tier\": [\"gold\"]}}]{}", or_reason(.reserved.as_deref())
    )]
    Or {
        /// A field whose name prevents it.
        reserved: Option<String>,
    },
    /// A field in an `$or` has a reserved name.
    #[error(
        "{name:?} is the name of an operator, and in an \"$or\" no field may be called so; move the \
         condition out of the \"$or\""
    )]
    ReservedInOr {
        /// The name.
        name: String,
    },
    /// A dotted name instead of nested objects.
    #[error("fields are nested, not dotted; write {{\"payload\": {{{field:?}: …}}}}")]
    Dotted {
        /// The name after `payload.`.
        field: String,
    },
    /// One field is asked for its value and for fields in it.
    #[error(
        "the field is asked both for its value and, through \"$or\", for fields in it; write the two in \
         different objects of the \"$or\""
    )]
    ValueAndObject,
    /// Too deep.
    #[error("the pattern nests deeper than {} levels", limits::MAX_DEPTH)]
    TooDeep,
    /// Too many conditions.
    #[error(
        "the pattern has {found} conditions; at most {} are allowed",
        limits::MAX_CONDITIONS
    )]
    TooManyConditions {
        /// How many there are.
        found: usize,
    },
    /// A list is too long.
    #[error(
        "the list has {found} entries; at most {} are allowed",
        limits::MAX_LIST
    )]
    ListTooLong {
        /// How many there are.
        found: usize,
    },
    /// Several `$or` multiply to too much.
    #[error(
        "the objects of \"$or\" multiply to {conjunctions} conjunctions with {conditions} conditions; \
         at most {} and {} are allowed, make it several campaigns",
        limits::MAX_CONJUNCTIONS,
        limits::MAX_EXPANDED_CONDITIONS
    )]
    TooManyConjunctions {
        /// Conjunctions.
        conjunctions: usize,
        /// Conditions in them.
        conditions: usize,
    },
    /// Too many conditions meet on one field.
    #[error(
        "{found} conditions meet on this field through \"$or\"; at most {} are allowed",
        limits::MAX_CONDITIONS_A_FIELD
    )]
    TooManyOnOneField {
        /// How many there are.
        found: usize,
    },
}

fn did_you_mean(near: Option<&str>) -> String {
    near.map_or_else(
        || "the operators are".to_owned(),
        |near| format!("did you mean {near:?}? The operators are"),
    )
}

fn or_reason(reserved: Option<&str>) -> String {
    reserved.map_or_else(String::new, |name| {
        format!("; {name:?} is the name of an operator and cannot be a field there")
    })
}

fn number_found(found: Option<&str>) -> String {
    found.map_or_else(
        || "there is nothing".to_owned(),
        |found| format!("this is {found}"),
    )
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "nothing".to_owned();
    }
    let quoted: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
    quoted.join(", ")
}

/// The first 64 characters, so that a document cannot fill the log.
pub(crate) fn clip(text: &str) -> String {
    match text.char_indices().nth(64) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// The kind of a JSON value in words.
pub(crate) fn kind(value: &serde_json::Value) -> &'static str {
    match value {
        serde_json::Value::Null => "null",
        serde_json::Value::Bool(_) => "a boolean",
        serde_json::Value::Number(_) => "a number",
        serde_json::Value::String(_) => "a string",
        serde_json::Value::Array(_) => "a list",
        serde_json::Value::Object(_) => "an object",
    }
}
