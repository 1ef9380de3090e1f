//! The values of a document, as they are looked at.

use std::fmt;

use super::{Document, Entry};
use crate::Number;

/// A value of a document.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    pub(super) tape: &'a Document,
    pub(super) at: u32,
}

/// What a node is.
#[derive(Debug, Clone)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string, its escapes resolved.
    String(&'a str),
    /// An array's elements.
    Array(Elements<'a>),
    /// An object's fields.
    Object(Fields<'a>),
}

impl Value<'_> {
    /// The kind in words, for errors: `a string`, `an array`, …
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

impl<'a> Node<'a> {
    /// What the node is.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "called, it costs a hundredth of an event's whole time"
    )]
    pub fn value(self) -> Value<'a> {
        match self.tape.entries.get(self.at as usize) {
            None | Some(Entry::Null) => Value::Null,
            Some(Entry::Bool(value)) => Value::Bool(*value),
            Some(Entry::Number(value)) => Value::Number(*value),
            Some(&Entry::String { start, end }) => Value::String(self.tape.string(start, end)),
            Some(&Entry::Name { start, end }) => Value::String(self.tape.name(start, end)),
            Some(&Entry::Array { after }) => Value::Array(Elements(self.content(after))),
            Some(&Entry::Object { after }) => Value::Object(Fields {
                span: self.content(after),
                next_key: None,
            }),
            Some(&Entry::Record { after, keys }) => Value::Object(Fields {
                span: self.content(after),
                next_key: Some(keys),
            }),
        }
    }

    fn content(self, after: u32) -> Span<'a> {
        Span {
            tape: self.tape,
            next: self.at + 1,
            end: after,
        }
    }

    /// Whether it is an object.
    pub fn is_object(self) -> bool {
        matches!(self.value(), Value::Object(_))
    }

    /// The document that it is a part of.
    pub fn document(self) -> &'a Document {
        self.tape
    }

    /// The field of that name, if the node is an object that has it; the last one, if repeated.
    pub fn get(self, key: &str) -> Option<Node<'a>> {
        let Value::Object(fields) = self.value() else {
            return None;
        };
        let mut found = None;
        for (name, value) in fields {
            if name == key {
                found = Some(value);
            }
        }
        found
    }
}

impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value() {
            Value::Null => f.write_str("null"),
            Value::Bool(value) => value.fmt(f),
            Value::Number(value) => value.fmt(f),
            Value::String(value) => write!(f, "{value:?}"),
            Value::Array(elements) => f.debug_list().entries(elements).finish(),
            Value::Object(fields) => f.debug_map().entries(fields).finish(),
        }
    }
}

#[derive(Debug, Clone)]
struct Span<'a> {
    tape: &'a Document,
    next: u32,
    end: u32,
}

impl<'a> Span<'a> {
    fn pop(&mut self) -> Option<Node<'a>> {
        if self.next >= self.end {
            return None;
        }
        let node = Node {
            tape: self.tape,
            at: self.next,
        };
        self.next = self.tape.after(self.next);
        Some(node)
    }
}

/// The elements of an array, in their order.
#[derive(Debug, Clone)]
pub struct Elements<'a>(Span<'a>);

impl<'a> Iterator for Elements<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        self.0.pop()
    }
}

/// The fields of an object, in their order, repeated ones included.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    span: Span<'a>,
    /// Where the next name is, if names do not stand before their values.
    next_key: Option<u32>,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a str, Node<'a>);

    fn next(&mut self) -> Option<(&'a str, Node<'a>)> {
        if let Some(at) = self.next_key {
            let value = self.span.pop()?;
            self.next_key = Some(at + 1);
            return Some((value.tape.key(at), value));
        }
        let key = self.span.pop()?;
        let name = match key.tape.entries[key.at as usize] {
            Entry::String { start, end } => key.tape.string(start, end),
            Entry::Name { start, end } => key.tape.name(start, end),
            _ => unreachable!("a key is a string or a name"),
        };
        let value = self.span.pop().expect("a value follows its key");
        Some((name, value))
    }
}
