//! The pattern as it was written, its conditions numbered.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::condition;
use crate::parse::{Clause, Path};

/// A pattern as it was written.
pub(super) struct Written<'a> {
    pub(super) parts: Vec<Part<'a>>,
    /// Number and path of each condition, by the place of its compiled form, which the conjunctions share.
    ids: HashMap<*const condition::Condition, (usize, String)>,
}

pub(super) enum Part<'a> {
    Condition(Condition<'a>),
    Or(Or<'a>),
}

pub(super) struct Condition<'a> {
    /// Its number, in the order of the pattern.
    pub(super) id: usize,
    pub(super) path: String,
    /// Into the pattern.
    pub(super) pointer: String,
    pub(super) asked: &'a [Json],
}

pub(super) struct Or<'a> {
    pub(super) span: Span,
    pub(super) pointer: String,
    pub(super) objects: Vec<Object<'a>>,
}

pub(super) struct Object<'a> {
    pub(super) span: Span,
    pub(super) parts: Vec<Part<'a>>,
}

/// Conditions that stand together: numbers from `first` to before `end`; at least one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    first: usize,
    end: usize,
}

impl Span {
    pub(super) fn contains(self, id: usize) -> bool {
        (self.first..self.end).contains(&id)
    }
}

impl<'a> Written<'a> {
    /// Numbers the conditions of a pattern and of the clauses read from it.
    pub(super) fn all(pattern: &'a Json, clauses: &'a [Clause]) -> Self {
        let mut reader = Reader {
            ids: HashMap::new(),
            document: Path::default(),
            event: Path::default(),
        };
        let mut parts = Vec::new();
        reader.object(pattern, clauses, &mut parts);
        Self {
            parts,
            ids: reader.ids,
        }
    }

    /// Number and path of a condition of the pattern.
    pub(super) fn of(&self, condition: &Arc<condition::Condition>) -> &(usize, String) {
        self.ids
            .get(&Arc::as_ptr(condition))
            .expect("the conjunctions share the conditions of the clauses")
    }
}

struct Reader {
    ids: HashMap<*const condition::Condition, (usize, String)>,
    /// Where in the pattern.
    document: Path,
    /// Which field of the event; an `$or` is no step there.
    event: Path,
}

impl Reader {
    /// Goes through the fields of an object and the clauses read from them, one of each.
    fn object<'a>(&mut self, object: &'a Json, clauses: &'a [Clause], into: &mut Vec<Part<'a>>) {
        let fields = object.as_object().into_iter().flatten();
        for ((name, value), clause) in fields.zip(clauses) {
            self.document.enter_field(name);
            match clause {
                Clause::Value(_, condition) => {
                    self.event.enter_field(name);
                    into.push(Part::Condition(self.condition(condition, value)));
                    self.event.leave();
                }
                Clause::Object(_, clauses) => {
                    self.event.enter_field(name);
                    self.object(value, clauses, into);
                    self.event.leave();
                }
                Clause::Or(objects) => into.push(Part::Or(self.or(value, objects))),
            }
            self.document.leave();
        }
    }

    fn condition<'a>(
        &mut self,
        compiled: &Arc<condition::Condition>,
        list: &'a Json,
    ) -> Condition<'a> {
        let id = self.ids.len();
        let path = self.event.text().to_owned();
        self.ids.insert(Arc::as_ptr(compiled), (id, path.clone()));
        Condition {
            id,
            path,
            pointer: self.document.pointer().to_owned(),
            asked: list.as_array().map_or(&[], Vec::as_slice),
        }
    }

    fn or<'a>(&mut self, list: &'a Json, read: &'a [Vec<Clause>]) -> Or<'a> {
        let first = self.ids.len();
        let pointer = self.document.pointer().to_owned();
        let list = list.as_array().into_iter().flatten();
        let mut objects = Vec::with_capacity(read.len());
        for (index, (object, clauses)) in list.zip(read).enumerate() {
            let first = self.ids.len();
            let mut parts = Vec::new();
            self.document.enter_entry(index);
            self.object(object, clauses, &mut parts);
            self.document.leave();
            let end = self.ids.len();
            objects.push(Object {
                span: Span { first, end },
                parts,
            });
        }
        let end = self.ids.len();
        Or {
            span: Span { first, end },
            pointer,
            objects,
        }
    }
}
