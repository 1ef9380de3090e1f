//! A decoded document as a flat tape: read once, without a tree, into buffers that the next
//! document uses again.

mod any_json;
mod json;
mod layout;
pub mod leaves;
mod node;
mod writer;

use std::sync::Arc;

use jiff::Timestamp;

use self::layout::Layout;
use crate::Number;
use crate::paths::Paths;

pub use self::node::{Elements, Fields, Node, Value};
pub(crate) use self::writer::Writer;

/// Bounds of what is read. What exceeds them is refused before it costs memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest document, in bytes. The tape takes at most 16 times as much.
    pub max_bytes: u32,
    /// Deepest nesting of objects and arrays; the document itself is at depth 1.
    pub max_depth: u32,
}

impl Default for Limits {
    /// 1 MiB, Kafka's own default for the size of a message, and 64 levels.
    fn default() -> Self {
        Self {
            max_bytes: 1024 * 1024,
            max_depth: 64,
        }
    }
}

/// Why bytes are not a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// There are no bytes.
    #[error("the value is empty; send a JSON object")]
    Empty,
    /// More bytes than [`Limits::max_bytes`].
    #[error("the value has {bytes} bytes; at most {max} are accepted")]
    TooLarge {
        /// Size of the value.
        bytes: usize,
        /// The limit.
        max: u32,
    },
    /// Not UTF-8 (RFC 8259, section 8.1).
    #[error("the value is not UTF-8: the byte at {at} starts no valid character")]
    NotUtf8 {
        /// Place of the first wrong byte.
        at: usize,
    },
    /// Not JSON (RFC 8259).
    #[error("the value is not JSON: {0}")]
    NotJson(String),
    /// Nested deeper than [`Limits::max_depth`].
    #[error("the value nests deeper than {max} levels")]
    TooDeep {
        /// The limit.
        max: u32,
    },
    /// JSON, but not an object.
    #[error("the value is {found}; send a JSON object")]
    NotAnObject {
        /// What it is.
        found: &'static str,
    },
}

/// A decoded document. Reading another into it uses its memory again.
///
/// Owned by one thread; its [`Node`]s borrow from it.
#[derive(Debug, Default, Clone)]
pub struct Document {
    entries: Vec<Entry>,
    text: String,
    /// Texts that documents of one schema have in common: names of fields, symbols.
    names: Option<Arc<str>>,
    /// Names of the fields of records.
    keys: Option<Arc<[Name]>>,
    envelope: Option<Envelope>,
    layout: Layout,
}

/// Where the fields of an event stand, if the reader of the document knows: they need not be looked for.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Envelope {
    pub(crate) event_id: Option<u32>,
    pub(crate) customer_id: Option<u32>,
    pub(crate) event_type: Option<u32>,
    pub(crate) occurred_at: Option<u32>,
    /// The time of the event, if it did not come as text.
    pub(crate) instant: Option<Timestamp>,
    pub(crate) payload: Option<u32>,
}

impl Envelope {
    /// Looks for the fields; of a repeated one the last counts.
    pub(crate) fn find(root: Node<'_>) -> Self {
        let mut envelope = Self::default();
        let Value::Object(fields) = root.value() else {
            return envelope;
        };
        for (name, value) in fields {
            if let Some(field) = EventField::named(name) {
                *envelope.place(field) = Some(value.at);
            }
        }
        envelope
    }

    fn place(&mut self, field: EventField) -> &mut Option<u32> {
        match field {
            EventField::EventId => &mut self.event_id,
            EventField::CustomerId => &mut self.customer_id,
            EventField::EventType => &mut self.event_type,
            EventField::OccurredAt => &mut self.occurred_at,
            EventField::Payload => &mut self.payload,
        }
    }
}

/// A field that events have.
#[derive(Debug, Clone, Copy)]
enum EventField {
    EventId,
    CustomerId,
    EventType,
    OccurredAt,
    Payload,
}

impl EventField {
    fn named(name: &str) -> Option<Self> {
        match name {
            "event_id" => Some(Self::EventId),
            "customer_id" => Some(Self::CustomerId),
            "event_type" => Some(Self::EventType),
            "occurred_at" => Some(Self::OccurredAt),
            "payload" => Some(Self::Payload),
            _ => None,
        }
    }
}

/// One entry of the tape. A container is followed by its content and names the entry after it, so
/// that it is skipped in one step. A field is its key, a string or a name, and then its value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Entry {
    Null,
    Bool(bool),
    Number(Number),
    /// A part of `text`.
    String {
        start: u32,
        end: u32,
    },
    /// A part of `names`: a string, too.
    Name {
        start: u32,
        end: u32,
    },
    Array {
        after: u32,
    },
    Object {
        after: u32,
    },
    /// An object whose fields are values alone; their names begin at that place of `keys`.
    Record {
        after: u32,
        keys: u32,
    },
}

/// A part of the names that documents of one schema have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Name {
    /// The string, as an entry.
    pub(crate) const fn entry(self) -> Entry {
        Entry::Name {
            start: self.start,
            end: self.end,
        }
    }
}

/// Buffers above these sizes are given back after the document that needed them.
const KEPT_ENTRIES: usize = 16 * 1024;
const KEPT_TEXT: usize = 256 * 1024;

impl Document {
    /// A document without content; its root is `null` until something is read.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes the values at these fields while a document is read from now on, so that
    /// [`Leaves::find`](leaves::Leaves::find) has them without looking for them. Costs a comparison if they are the same
    /// as before.
    pub fn look_for(&mut self, paths: &Arc<Paths>) {
        self.layout.look_for(paths);
    }

    /// Reads a JSON object, in place of what was here. Of a repeated key, the last value counts.
    ///
    /// # Errors
    /// [`DocumentError`] says what is wrong; the document is then `null`.
    pub fn read(&mut self, bytes: &[u8], limits: Limits) -> Result<(), DocumentError> {
        self.clear();
        let result = self.fill(bytes, limits);
        if result.is_err() {
            self.clear();
        }
        result
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.text.clear();
        self.entries.shrink_to(KEPT_ENTRIES);
        self.text.shrink_to(KEPT_TEXT);
        self.envelope = None;
        self.layout.found.is_all = false;
    }

    fn fill(&mut self, bytes: &[u8], limits: Limits) -> Result<(), DocumentError> {
        if bytes.len() > limits.max_bytes as usize {
            return Err(DocumentError::TooLarge {
                bytes: bytes.len(),
                max: limits.max_bytes,
            });
        }
        let Ok(text) = simdutf8::basic::from_utf8(bytes) else {
            let read = std::str::from_utf8(bytes).map_err(|error| error.valid_up_to());
            let at = read.map_or_else(|at| at, str::len);
            return Err(DocumentError::NotUtf8 { at });
        };
        if text.trim_ascii().is_empty() {
            return Err(DocumentError::Empty);
        }
        let max = limits.max_depth.min(MAX_DEPTH);
        if json::read_document(self, text, max).is_err() {
            self.entries.clear();
            self.text.clear();
            any_json::read(self, text, max).map_err(|error| match error {
                DocumentError::TooDeep { .. } => DocumentError::TooDeep { max },
                other => other,
            })?;
        }
        match self.root().value() {
            Value::Object(_) => Ok(()),
            other => Err(DocumentError::NotAnObject {
                found: other.kind(),
            }),
        }
    }

    /// The document itself.
    pub fn root(&self) -> Node<'_> {
        Node { tape: self, at: 0 }
    }

    /// The value at a place of the tape that [`Envelope`] names.
    pub(crate) fn node(&self, at: u32) -> Node<'_> {
        Node { tape: self, at }
    }

    /// Where the event's fields stand, if that is known.
    pub(crate) fn envelope(&self) -> Option<&Envelope> {
        self.envelope.as_ref()
    }

    /// Notes that the next entry is the value of an event's field.
    #[inline]
    fn note(&mut self, field: EventField) {
        let at = self.len();
        if let Some(envelope) = &mut self.envelope {
            *envelope.place(field) = Some(at);
        }
    }

    fn string(&self, start: u32, end: u32) -> &str {
        &self.text[start as usize..end as usize]
    }

    fn name(&self, start: u32, end: u32) -> &str {
        let names = self.names.as_deref().unwrap_or_default();
        &names[start as usize..end as usize]
    }

    fn key(&self, at: u32) -> &str {
        let keys = self.keys.as_deref().unwrap_or_default();
        let name = keys[at as usize];
        self.name(name.start, name.end)
    }

    /// The entry after the one at `at` and all that it contains.
    fn after(&self, at: u32) -> u32 {
        match self.entries[at as usize] {
            Entry::Array { after } | Entry::Object { after } | Entry::Record { after, .. } => after,
            _ => at + 1,
        }
    }

    fn len(&self) -> u32 {
        u32::try_from(self.entries.len()).expect("max_bytes fits u32, and an entry takes a byte")
    }

    fn push_string(&mut self, text: &str) {
        let start = self.text_len();
        self.text.push_str(text);
        let end = self.text_len();
        self.entries.push(Entry::String { start, end });
    }

    fn text_len(&self) -> u32 {
        u32::try_from(self.text.len()).expect("max_bytes fits u32")
    }

    /// Adds the value of a JSON text.
    fn push_json(&mut self, text: &str, depth_left: u32) -> Result<(), DocumentError> {
        let (entries, bytes) = (self.entries.len(), self.text.len());
        json::read(self, text, depth_left).or_else(|_| {
            self.entries.truncate(entries);
            self.text.truncate(bytes);
            any_json::read(self, text, depth_left)
        })
    }
}

/// The deepest nesting any limit can allow; `serde_json` stops at 128 of its own accord.
pub const MAX_DEPTH: u32 = 120;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Document, DocumentError> {
        let mut document = Document::new();
        document.read(bytes, Limits::default())?;
        Ok(document)
    }

    fn to_json(node: Node<'_>) -> serde_json::Value {
        match node.value() {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => value.into(),
            Value::Number(value) => serde_json::from_str(&value.to_string()).unwrap(),
            Value::String(value) => value.into(),
            Value::Array(elements) => elements.map(to_json).collect(),
            Value::Object(fields) => fields
                .map(|(key, value)| (key.to_owned(), to_json(value)))
                .collect(),
        }
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let json = json!({
            "a": [1, -2.5, "x\"\u{e9}\u{1f600}", null, true, [], {}],
            "b": {"c": {"d": [[{"e": false}]]}},
            "": 0,
        });
        let document = read(json.to_string().as_bytes()).unwrap();
        assert_eq!(to_json(document.root()), json);
        let d = document.root().get("b").unwrap().get("c").unwrap().get("d");
        assert_eq!(format!("{:?}", d.unwrap()), r#"[[{"e": false}]]"#);
        assert!(document.root().get("c").is_none());
    }

    #[test]
    fn of_a_repeated_key_the_last_value_counts() {
        let document = read(br#"{"a": 1, "b": 2, "a": 3}"#).unwrap();
        let a = document.root().get("a").unwrap();
        assert!(matches!(a.value(), Value::Number(n) if n == Number::from_i64(3)));
    }

    #[test]
    fn what_is_no_document_says_why() {
        let cases: [(&[u8], &str); 9] = [
            (b"", "the value is empty; send a JSON object"),
            (b" \n", "the value is empty; send a JSON object"),
            (
                b"{\"a\": ",
                "the value is not JSON: EOF while parsing a value at line 1 column 6",
            ),
            (
                b"{} {}",
                "the value is not JSON: trailing characters at line 1 column 4",
            ),
            (
                b"{\"a\": \"\xff\"}",
                "the value is not UTF-8: the byte at 7 starts no valid character",
            ),
            (b"[1]", "the value is an array; send a JSON object"),
            (b"null", "the value is null; send a JSON object"),
            (
                b"{\"a\": 1e999}",
                "the value is not JSON: number out of range at line 1 column 11",
            ),
            (
                b"{\"a\": NaN}",
                "the value is not JSON: expected value at line 1 column 7",
            ),
        ];
        for (bytes, message) in cases {
            assert_eq!(read(bytes).unwrap_err().to_string(), message, "{bytes:?}");
        }
    }

    #[test]
    fn limits_of_size_and_depth_are_exact() {
        let nested = |depth: usize| {
            let inner = depth - 1;
            format!("{{\"a\":{}{}}}", "[".repeat(inner), "]".repeat(inner))
        };
        assert!(read(nested(64).as_bytes()).is_ok());
        let error = read(nested(65).as_bytes()).unwrap_err();
        assert_eq!(error, DocumentError::TooDeep { max: 64 });
        assert!(read(nested(100_000).as_bytes()).is_err());

        let limits = Limits {
            max_bytes: 8,
            max_depth: 64,
        };
        let mut document = Document::new();
        assert_eq!(document.read(br#"{"a": 1}"#, limits), Ok(()));
        let error = document.read(br#"{"a": 12}"#, limits).unwrap_err();
        assert_eq!(error, DocumentError::TooLarge { bytes: 9, max: 8 });
        assert!(matches!(document.root().value(), Value::Null));
    }

    #[test]
    fn memory_of_a_huge_document_is_given_back() {
        let mut document = Document::new();
        let huge = format!("{{\"a\":[{}1]}}", "1,".repeat(400_000));
        document.read(huge.as_bytes(), Limits::default()).unwrap();
        document.read(b"{}", Limits::default()).unwrap();
        assert!(document.entries.capacity() <= KEPT_ENTRIES);
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            (-1e9..1e9f64)
                .prop_filter("not whole", |f| f.fract() != 0.0)
                .prop_map(Into::into),
            ".*".prop_map(serde_json::Value::String),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::btree_map(".*", inner, 0..6)
                    .prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_survives_the_tape(value in any_json()) {
            let json = json!({ "value": value });
            let document = read(json.to_string().as_bytes()).unwrap();
            prop_assert_eq!(to_json(document.root()), json);
        }

    }

    proptest! {

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }
    }
}
