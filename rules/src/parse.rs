//! A pattern's document, read into clauses; every problem is collected.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::condition::{Alternatives, Condition};
use crate::limits::{MAX_CONDITIONS, MAX_DEPTH, MAX_LIST};
use crate::operator;
use crate::problem::{PatternError, PatternErrors, Problem, clip, kind};

/// The primitive for alternatives of several fields.
const OR: &str = "$or";

/// What an object of a pattern asks for; all clauses of one object must hold.
#[derive(Debug)]
pub(crate) enum Clause {
    /// A field's value.
    Value(Arc<str>, Arc<Condition>),
    /// Fields of a field.
    Object(Arc<str>, Vec<Clause>),
    /// One of several objects.
    Or(Vec<Vec<Clause>>),
}

impl Clause {
    /// The field, if it is about one.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Value(name, _) | Self::Object(name, _) => Some(name),
            Self::Or(_) => None,
        }
    }
}

/// Reads a whole pattern.
pub(crate) fn clauses(pattern: &Json) -> Result<Vec<Clause>, PatternErrors> {
    let mut reader = Reader {
        errors: PatternErrors::new(),
        conditions: 0,
        place: Vec::new(),
    };
    let clauses = match pattern {
        Json::Object(fields) => reader.object(fields, Scope::Fields),
        other => {
            reader.report(Problem::NotAnObject { found: kind(other) });
            Vec::new()
        }
    };
    if reader.conditions > MAX_CONDITIONS {
        reader.report(Problem::TooManyConditions {
            found: reader.conditions,
        });
    }
    if reader.errors.is_empty() {
        Ok(clauses)
    } else {
        Err(reader.errors)
    }
}

/// The place in a document, as it is written in errors, and as a JSON pointer (RFC 6901).
#[derive(Debug, Default)]
pub(crate) struct Path {
    text: String,
    pointer: String,
    /// Lengths of the text and of the pointer before each step.
    marks: Vec<(usize, usize)>,
}

impl Path {
    pub(crate) fn enter_field(&mut self, name: &str) {
        self.mark();
        self.pointer.push('/');
        // RFC 6901, section 3. The pointer is read by programs and therefore whole.
        for character in name.chars() {
            match character {
                '~' => self.pointer.push_str("~0"),
                '/' => self.pointer.push_str("~1"),
                other => self.pointer.push(other),
            }
        }
        let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$');
        if name.is_empty() || !name.chars().all(is_plain) {
            let _infallible = write!(self.text, "[{:?}]", clip(name));
            return;
        }
        if !self.text.is_empty() {
            self.text.push('.');
        }
        self.text.push_str(&clip(name));
    }

    pub(crate) fn enter_entry(&mut self, index: usize) {
        self.mark();
        let _infallible = write!(self.text, "[{index}]");
        let _infallible = write!(self.pointer, "/{index}");
    }

    fn mark(&mut self) {
        self.marks.push((self.text.len(), self.pointer.len()));
    }

    pub(crate) fn leave(&mut self) {
        let (text, pointer) = self.marks.pop().expect("each leave follows an enter");
        self.text.truncate(text);
        self.pointer.truncate(pointer);
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn pointer(&self) -> &str {
        &self.pointer
    }

    /// An error at this place.
    pub(crate) fn error(&self, problem: Problem) -> PatternError {
        let path = match self.text.as_str() {
            "" => "when".to_owned(),
            text => text.to_owned(),
        };
        PatternError {
            path,
            pointer: self.pointer.clone(),
            problem,
        }
    }
}

/// Whether an object stands in an `$or`, where event-ruler reserves some names.
#[derive(Clone, Copy)]
enum Scope {
    Fields,
    InOr,
}

struct Reader<'p> {
    errors: PatternErrors,
    conditions: usize,
    /// Where in the pattern. Written as a path only for an error.
    place: Vec<Step<'p>>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Field(&'p str),
    Entry(usize),
}

impl<'p> Reader<'p> {
    fn report(&mut self, problem: Problem) {
        let mut path = Path::default();
        for step in &self.place {
            match *step {
                Step::Field(name) => path.enter_field(name),
                Step::Entry(index) => path.enter_entry(index),
            }
        }
        self.errors.push(path.error(problem));
    }

    /// Reads an object's clauses. Of a broken one, those that are right; the errors say the rest.
    fn object(&mut self, fields: &'p Map<String, Json>, scope: Scope) -> Vec<Clause> {
        if fields.is_empty() {
            self.report(Problem::EmptyObject);
            return Vec::new();
        }
        if self.place.len() >= MAX_DEPTH {
            self.report(Problem::TooDeep);
            return Vec::new();
        }
        let mut clauses = Vec::with_capacity(fields.len());
        for (name, value) in fields {
            let is_root = self.place.is_empty();
            self.place.push(Step::Field(name));
            if let (true, Some(field)) = (is_root, name.strip_prefix("payload.")) {
                let field = clip(field);
                self.report(Problem::Dotted { field });
            } else if matches!(scope, Scope::InOr) && operator::is_reserved(name) {
                let name = clip(name);
                self.report(Problem::ReservedInOr { name });
            } else if let (OR, Json::Array(objects)) = (name.as_str(), value) {
                clauses.extend(self.or(objects));
            } else {
                clauses.extend(self.field(name, value, scope));
            }
            self.place.pop();
        }
        clauses
    }

    fn field(&mut self, name: &str, value: &'p Json, scope: Scope) -> Option<Clause> {
        match value {
            Json::Object(fields) => {
                if let Some(operator) = operator::without_list(fields) {
                    self.report(Problem::OperatorWithoutList { operator });
                    return None;
                }
                Some(Clause::Object(name.into(), self.object(fields, scope)))
            }
            Json::Array(list) => {
                let condition = self.condition(list)?;
                Some(Clause::Value(name.into(), Arc::new(condition)))
            }
            other => {
                self.report(Problem::NotAList {
                    found: kind(other),
                    written: clip(&other.to_string()),
                });
                None
            }
        }
    }

    /// `$or` is a relationship when its list has two objects or more and nothing else, and none of
    /// them has a field with a reserved name; otherwise it is a field of that name, as in event-ruler.
    fn or(&mut self, objects: &'p [Json]) -> Option<Clause> {
        let mut alternatives = Vec::with_capacity(objects.len().min(MAX_LIST));
        let mut reserved = None;
        let mut has_fields = false;
        for entry in objects {
            let Json::Object(fields) = entry else {
                continue;
            };
            let name = fields.keys().find(|name| operator::is_reserved(name));
            reserved = reserved.or(name);
            has_fields |= fields.keys().any(|name| !operator::is_reserved(name));
            alternatives.push(fields);
        }
        if objects.len() > MAX_LIST {
            let found = objects.len();
            self.report(Problem::ListTooLong { found });
            return None;
        }
        if objects.len() >= 2 && alternatives.len() == objects.len() && reserved.is_none() {
            let mut read = Vec::with_capacity(alternatives.len());
            for (index, fields) in alternatives.into_iter().enumerate() {
                self.place.push(Step::Entry(index));
                read.push(self.object(fields, Scope::InOr));
                self.place.pop();
            }
            return Some(Clause::Or(read));
        }
        if has_fields || objects.is_empty() {
            let reserved = reserved.map(|name| clip(name));
            self.report(Problem::Or { reserved });
            return None;
        }
        let condition = self.condition(objects)?;
        Some(Clause::Value(OR.into(), Arc::new(condition)))
    }

    /// Reads a list of alternatives; `None` if one is broken.
    fn condition(&mut self, list: &'p [Json]) -> Option<Condition> {
        self.conditions += 1;
        match list.len() {
            0 => {
                self.report(Problem::EmptyList);
                return None;
            }
            found if found > MAX_LIST => {
                self.report(Problem::ListTooLong { found });
                return None;
            }
            _ => {}
        }
        let mut read = Alternatives::default();
        let mut is_whole = true;
        for (index, entry) in list.iter().enumerate() {
            let result = match entry {
                Json::Array(_) => Err(Problem::ListInList),
                Json::Object(operator) => operator::read(operator, &mut read),
                value => {
                    read.add_value(value);
                    Ok(())
                }
            };
            if let Err(problem) = result {
                is_whole = false;
                self.place.push(Step::Entry(index));
                self.report(problem);
                self.place.pop();
            }
        }
        is_whole.then(|| read.into())
    }
}
