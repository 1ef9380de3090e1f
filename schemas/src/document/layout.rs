//! How documents are laid out, learned from those before: which field comes after which.
//!
//! Documents of one producer have their fields in the same order. So the name that comes next is guessed, and one
//! comparison of 16 bytes with the text stands for looking for the name's end and looking the name up. What a field is
//! to whoever asks for [`Paths`] is noted with it, so that the values that are asked for are found while the document is
//! read. A wrong guess costs a look-up; nothing depends on it but speed.

use std::sync::Arc;

use super::EventField;
use super::leaves::Leaf;
use crate::hash::hash;
use crate::paths::{PathId, Paths};

/// More fields than these are forgotten before the next document, so that names that never come again cost no
/// memory: some 300 KiB at most.
const MAX_FIELDS: usize = 1024;
/// Longer names are not learned.
const MAX_NAME: usize = 128;

/// Fields in their usual order, and what the document being read has of those that someone asks for.
#[derive(Debug, Default, Clone)]
pub(super) struct Layout {
    paths: Option<Arc<Paths>>,
    /// By number; the first is the document itself. Empty before the first document.
    fields: Vec<Field>,
    /// The names as they stand in the text: `"amount":`.
    names: Vec<u8>,
    /// Numbers of fields by the hash of parent and name, 0 is none; open addressing with linear probing, a power of two
    /// of places, at most half of them taken.
    places: Vec<u16>,
    /// Counts objects and documents, and never begins anew: what was noted of others does not count.
    objects: u64,
    document: u64,
    pub(super) found: Found,
}

/// What a document has of the fields that someone asks for.
#[derive(Debug, Default, Clone)]
pub(super) struct Found {
    pub(super) leaves: Vec<Leaf>,
    /// Paths at which the document has an array, each once.
    pub(super) arrays: Vec<PathId>,
    /// Whether that is all: the document was read to its end, repeats no names, and has no more fields than are learned.
    pub(super) is_all: bool,
}

#[derive(Debug, Clone)]
struct Field {
    /// The first 16 bytes of the name as it stands in the text, and which of them count.
    head: u128,
    mask: u128,
    name_start: u32,
    length: u32,
    parent: FieldId,
    /// The field that came after it, and the first field of the object that is its value.
    next: FieldId,
    first: FieldId,
    path: PathId,
    role: Role,
    of_event: Option<EventField>,
    /// The object in which the field was last seen, and the document in which it was last an array.
    seen: u64,
    array_seen: u64,
}

/// What a field is to whoever asks.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Role {
    is_known: bool,
    is_wanted: bool,
    is_inner: bool,
}

/// The number of a field of a [`Layout`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FieldId(u16);

impl FieldId {
    /// The document itself.
    pub(super) const DOCUMENT: Self = Self(0);
    /// A field that is not followed: nobody asks for what lies below.
    pub(super) const NONE: Self = Self(u16::MAX);

    const fn index(self) -> usize {
        self.0 as usize
    }
}

impl Layout {
    /// Notes values of these fields from now on.
    pub(super) fn look_for(&mut self, paths: &Arc<Paths>) {
        let is_same = (self.paths.as_ref()).is_some_and(|known| Arc::ptr_eq(known, paths));
        if is_same {
            return;
        }
        for at in 0..self.fields.len() {
            let field = &self.fields[at];
            let path = match at {
                0 => Some(PathId::ROOT),
                _ => self.path_in(paths, field.parent, self.name(field)),
            };
            self.fields[at].set_path(path, paths);
        }
        self.paths = Some(Arc::clone(paths));
        self.found.is_all = false;
    }

    /// What was found of the fields of these paths, if that is all.
    pub(super) fn found(&self, paths: &Paths) -> Option<&Found> {
        let known = self.paths.as_deref()?;
        (self.found.is_all && std::ptr::eq(known, paths)).then_some(&self.found)
    }

    /// Begins a document.
    pub(super) fn begin(&mut self) {
        if self.fields.is_empty() || self.fields.len() > MAX_FIELDS {
            self.forget();
        }
        self.document += 1;
        self.found.leaves.clear();
        self.found.arrays.clear();
        self.found.is_all = true;
    }

    fn forget(&mut self) {
        self.fields.clear();
        self.names.clear();
        self.places.clear();
        self.places.resize(64, 0);
        let mut document = Field::new(FieldId::NONE, 0, b"");
        if let Some(paths) = &self.paths {
            document.set_path(Some(PathId::ROOT), paths);
        }
        self.fields.push(document);
    }

    /// Begins an object that is the value of a field, or an element of it.
    #[inline]
    pub(super) fn object(&mut self) -> u64 {
        self.objects += 1;
        self.objects
    }

    /// The field that comes first in the object that is the value of a field, as a rule.
    #[inline]
    pub(super) fn first(&self, of: FieldId) -> FieldId {
        self.fields[of.index()].first
    }

    /// The length of the name of a field with its quotes and its colon, if the text goes on with it.
    #[inline]
    pub(super) fn is_next(&self, field: FieldId, text: &[u8]) -> Option<usize> {
        let field = self.fields.get(field.index())?;
        let head = u128::from_le_bytes(*text.first_chunk()?);
        if (head ^ field.head) & field.mask != 0 {
            return None;
        }
        let length = field.length as usize;
        if length > 16 {
            let start = field.name_start as usize;
            let name = &self.names[start + 16..start + length];
            (text.get(16..length)? == name).then_some(length)
        } else {
            Some(length)
        }
    }

    /// The field of that name, learned if need be, of the object that is the value of `parent`. From now on it is expected
    /// in its place, after another one or first, unless it comes next but one: then the one that was expected is left out
    /// now and then.
    pub(super) fn find(
        &mut self,
        parent: FieldId,
        after: FieldId,
        expected: FieldId,
        name: &str,
    ) -> FieldId {
        let field = self
            .known(parent, name)
            .or_else(|| self.learn(parent, name));
        let Some(field) = field else {
            self.found.is_all = false;
            return FieldId::NONE;
        };
        let left_out = self.fields.get(expected.index());
        if left_out.is_some_and(|left_out| left_out.next == field) {
            return field;
        }
        match self.fields.get_mut(after.index()) {
            Some(before) => before.next = field,
            None => self.fields[parent.index()].first = field,
        }
        field
    }

    fn known(&self, parent: FieldId, name: &str) -> Option<FieldId> {
        let mask = self.places.len() - 1;
        let mut at = start(parent, name) & mask;
        loop {
            let id = FieldId(self.places[at]);
            if id == FieldId::DOCUMENT {
                return None;
            }
            let field = &self.fields[id.index()];
            if field.parent == parent && self.name(field) == name.as_bytes() {
                return Some(id);
            }
            at = (at + 1) & mask;
        }
    }

    fn learn(&mut self, parent: FieldId, name: &str) -> Option<FieldId> {
        let id = u16::try_from(self.fields.len()).ok()?;
        if self.fields.len() > MAX_FIELDS || name.len() > MAX_NAME {
            return None;
        }
        let name_start = u32::try_from(self.names.len()).ok()?;
        self.names.push(b'"');
        self.names.extend_from_slice(name.as_bytes());
        self.names.extend_from_slice(b"\":");
        let written = &self.names[name_start as usize..];
        let mut field = Field::new(parent, name_start, written);
        if parent == FieldId::DOCUMENT {
            field.of_event = EventField::named(name);
        }
        if let Some(paths) = &self.paths {
            field.set_path(self.path_in(paths, parent, name.as_bytes()), paths);
        }
        self.fields.push(field);
        if self.fields.len() * 2 > self.places.len() {
            self.places = vec![0; self.places.len() * 2];
            for id in 1..=id {
                self.place(FieldId(id));
            }
        } else {
            self.place(FieldId(id));
        }
        Some(FieldId(id))
    }

    fn place(&mut self, id: FieldId) {
        let field = &self.fields[id.index()];
        let name = std::str::from_utf8(self.name(field)).unwrap_or_default();
        let mask = self.places.len() - 1;
        let mut at = start(field.parent, name) & mask;
        while self.places[at] != 0 {
            at = (at + 1) & mask;
        }
        self.places[at] = id.0;
    }

    /// The name, without quotes.
    fn name(&self, field: &Field) -> &[u8] {
        let start = field.name_start as usize;
        &self.names[start + 1..start + field.length as usize - 2]
    }

    fn path_in(&self, paths: &Paths, parent: FieldId, name: &[u8]) -> Option<PathId> {
        let parent = &self.fields[parent.index()];
        let name = std::str::from_utf8(name).ok()?;
        parent
            .role
            .is_known
            .then(|| paths.find(parent.path, name))?
    }

    /// Notes that an object has a field, if it is one that is followed: which comes after it, as a rule, and which of an event
    /// it is.
    #[inline]
    pub(super) fn see(
        &mut self,
        field: FieldId,
        object: u64,
    ) -> Option<(FieldId, Option<EventField>)> {
        let field = self.fields.get_mut(field.index())?;
        // Of a repeated name the last counts.
        self.found.is_all &= field.seen != object;
        field.seen = object;
        Some((field.next, field.of_event))
    }

    /// Whether someone asks for fields of a field.
    #[inline]
    pub(super) fn is_inner(&self, field: FieldId) -> bool {
        field == FieldId::DOCUMENT
            || (self.fields.get(field.index())).is_some_and(|field| field.role.is_inner)
    }

    /// Notes a value that is neither an array nor an object, at that place of the tape.
    #[inline]
    pub(super) fn value(&mut self, field: FieldId, at: u32, in_element: bool) {
        if let Some(field) = self.fields.get(field.index())
            && field.role.is_wanted
        {
            let path = field.path;
            self.found.leaves.push(Leaf::new(path, at, in_element));
        }
    }

    /// Notes that the value of a field is an array.
    #[inline]
    pub(super) fn array(&mut self, field: FieldId) {
        let Some(field) = self.fields.get_mut(field.index()) else {
            return;
        };
        if field.role.is_known && field.array_seen != self.document {
            field.array_seen = self.document;
            self.found.arrays.push(field.path);
        }
    }
}

impl Field {
    /// A field whose name stands so in the text, and of which nothing else is known.
    fn new(parent: FieldId, name_start: u32, written: &[u8]) -> Self {
        let mut head = [0; 16];
        let mut mask = [0; 16];
        for (at, byte) in written.iter().take(16).enumerate() {
            (head[at], mask[at]) = (*byte, u8::MAX);
        }
        let name = written.get(1..written.len().saturating_sub(2));
        if name.is_some_and(|name| name.iter().any(|byte| is_escaped(*byte))) {
            // It stands otherwise in the text, so it is never guessed: no text has these bytes.
            (head, mask) = ([u8::MAX; 16], [u8::MAX; 16]);
        }
        Self {
            head: u128::from_le_bytes(head),
            mask: u128::from_le_bytes(mask),
            name_start,
            length: u32::try_from(written.len()).unwrap_or(u32::MAX),
            parent,
            next: FieldId::NONE,
            first: FieldId::NONE,
            path: PathId::ROOT,
            role: Role::default(),
            of_event: None,
            seen: 0,
            array_seen: 0,
        }
    }

    fn set_path(&mut self, path: Option<PathId>, paths: &Paths) {
        self.path = path.unwrap_or(PathId::ROOT);
        self.role = path.map_or_else(Role::default, |path| Role {
            is_known: true,
            is_wanted: paths.is_wanted(path),
            is_inner: paths.is_inner(path),
        });
    }
}

/// Whether a character of a string needs an escape.
fn is_escaped(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..=0x1f)
}

#[expect(clippy::cast_possible_truncation, reason = "the low bits")]
fn start(parent: FieldId, name: &str) -> usize {
    hash(u32::from(parent.0), name.as_bytes()) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::leaves::Leaves;
    use super::super::{Document, Limits};
    use super::*;

    /// Documents whose objects have few names, in any order, written in any way, now and then twice.
    fn documents() -> impl Strategy<Value = Vec<String>> {
        let name = prop::sample::select(vec![
            r#""a":"#,
            r#""b":"#,
            r#""c" :"#,
            r#""a_long_name_of_a_field": "#,
            r#""a_long_name_of_a_fielD": "#,
            r#""\u0061":"#,
            r#""q\"":"#,
            r#""payload": "#,
            r#""event_id":"#,
        ]);
        let leaf = prop::sample::select(vec!["1", "-2.5", "\"x\"", "\"\\n\"", "null", "true"]);
        let value = leaf.prop_map(str::to_owned).prop_recursive(4, 30, 6, {
            let name = name.clone();
            move |inner| {
                let list = prop::collection::vec(inner.clone(), 0..4);
                prop_oneof![
                    1 => list.prop_map(|list| format!("[{}]", list.join(", "))),
                    2 => object(name.clone(), inner),
                ]
            }
        });
        prop::collection::vec(object(name, value), 1..6)
    }

    fn object(
        name: impl Strategy<Value = &'static str>,
        value: impl Strategy<Value = String>,
    ) -> impl Strategy<Value = String> {
        prop::collection::vec((name, value), 0..6).prop_map(|fields| {
            let fields = fields.iter().map(|(name, value)| format!("{name}{value}"));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        })
    }

    /// Fields that someone asks for, each a field of one before.
    fn paths() -> impl Strategy<Value = Arc<Paths>> {
        let names = ["a", "b", "c", "a_long_name_of_a_field", "q\"", "payload"];
        let name = prop::sample::select(names.to_vec());
        let field = (any::<prop::sample::Index>(), name, any::<bool>());
        prop::collection::vec(field, 0..12).prop_map(|fields| {
            let mut paths = Paths::new();
            let mut known = vec![PathId::ROOT];
            for (parent, name, is_wanted) in fields {
                let path = paths.add(*parent.get(&known), name);
                known.push(path);
                if is_wanted {
                    paths.want(path);
                }
            }
            Arc::new(paths)
        })
    }

    fn found(paths: &Paths, document: &Document) -> (Vec<Leaf>, Vec<PathId>) {
        let mut leaves = Leaves::default();
        leaves.find(paths, document);
        (leaves.iter().copied().collect(), leaves.arrays().to_vec())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_024))]

        #[test]
        fn what_is_found_while_reading_is_what_is_found_after_it(
            texts in documents(),
            asked in prop::collection::vec(paths(), 1..4),
            turns in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..12),
        ) {
            let mut learned = Document::new();
            for (text, paths) in turns {
                let (text, paths) = (text.get(&texts), paths.get(&asked));
                learned.look_for(paths);
                learned.read(text.as_bytes(), Limits::default()).unwrap();
                let mut new = Document::new();
                new.read(text.as_bytes(), Limits::default()).unwrap();
                new.layout.found.is_all = false;
                prop_assert_eq!(format!("{:?}", learned.root()), format!("{:?}", new.root()));
                prop_assert_eq!(found(paths, &learned), found(paths, &new), "{}", text);
                let envelope = learned.envelope().map(|envelope| format!("{envelope:?}"));
                let looked_up = format!("{:?}", super::super::Envelope::find(new.root()));
                prop_assert_eq!(envelope.unwrap_or_else(|| looked_up.clone()), looked_up);
            }
        }
    }

    fn asked() -> (Arc<Paths>, PathId) {
        let mut paths = Paths::new();
        let payload = paths.add(PathId::ROOT, "payload");
        let amount = paths.add(payload, "amount");
        paths.want(amount);
        (Arc::new(paths), amount)
    }

    #[test]
    fn a_document_like_the_one_before_is_not_looked_through_again() {
        let (paths, amount) = asked();
        let mut document = Document::new();
        document.look_for(&paths);
        for text in [
            r#"{"event_id":"e","payload":{"x":1,"amount":75}}"#,
            r#"{"event_id":"e","payload":{"amount":76}}"#,
        ] {
            document.read(text.as_bytes(), Limits::default()).unwrap();
            let leaves = &document.layout.found(&paths).unwrap().leaves;
            assert_eq!(leaves.len(), 1, "{text}");
            assert_eq!(leaves[0].path, amount);
        }
        document.read(b"{", Limits::default()).unwrap_err();
        assert!(document.layout.found(&paths).is_none());
    }

    #[test]
    fn names_that_never_come_again_take_no_more_memory_and_nothing_is_missed() {
        let (paths, amount) = asked();
        let mut document = Document::new();
        document.look_for(&paths);
        for n in 0..5_000_usize {
            let field = |k| format!(r#""{n}-{k}-{}":1"#, "x".repeat(k * 10 % 200));
            let fields: Vec<_> = (0..n % 7).map(field).collect();
            let text = format!(r#"{{"payload":{{{}"amount":{n}}}}}"#, {
                let mut fields = fields.join(",");
                if !fields.is_empty() {
                    fields.push(',');
                }
                fields
            });
            document.read(text.as_bytes(), Limits::default()).unwrap();
            assert_eq!(found(&paths, &document).0.len(), 1);
            assert_eq!(found(&paths, &document).0[0].path, amount);
        }
        let layout = &document.layout;
        assert!(layout.fields.len() <= MAX_FIELDS + 1);
        assert!(layout.names.len() <= MAX_FIELDS * (MAX_NAME + 3));
    }
}
