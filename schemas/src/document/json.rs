//! Reads JSON to the tape, without what makes a general reader slow: strings without escapes are not
//! copied one by one, and nothing is called for each value.
//!
//! It reads what is well formed, and says of the rest only that it is not: `serde_json` reads that again
//! and finds the words for what is wrong. What this reader accepts is what `serde_json` accepts, with the same
//! values; a property test holds the two against each other.

mod numbers;
mod strings;

use super::layout::FieldId;
use super::{Document, Entry, Envelope};

/// The text is not JSON, or nests too deep, or has a number beyond all doubles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

/// Reads a whole document, which is begun. What it has added when it fails, the caller takes back.
///
/// Notes where the fields of an event stand, and what the document has of the fields that its layout looks for.
pub(super) fn read_document(
    document: &mut Document,
    text: &str,
    depth_left: u32,
) -> Result<(), Unreadable> {
    document.envelope = Some(Envelope::default());
    document.layout.begin();
    let result = read_value(document, text, depth_left, FieldId::DOCUMENT);
    if result.is_err() || !document.layout.found.is_all {
        document.layout.found.is_all = false;
        document.envelope = None;
    }
    result
}

/// Adds the value of a JSON text to a document. What it has added when it fails, the caller takes back.
pub(super) fn read(document: &mut Document, text: &str, depth_left: u32) -> Result<(), Unreadable> {
    read_value(document, text, depth_left, FieldId::NONE)
}

fn read_value(
    document: &mut Document,
    text: &str,
    depth_left: u32,
    field: FieldId,
) -> Result<(), Unreadable> {
    let base = document.text_len();
    document.text.push_str(text);
    let mut scan = Scan {
        document,
        text,
        bytes: text.as_bytes(),
        at: 0,
        base,
    };
    scan.value(depth_left, field, false)?;
    scan.skip_space();
    if scan.at == scan.bytes.len() {
        Ok(())
    } else {
        Err(Unreadable)
    }
}

struct Scan<'d, 't> {
    document: &'d mut Document,
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    /// Where the text stands in the document's.
    base: u32,
}

impl Scan<'_, '_> {
    /// The next byte; 0, which stands nowhere in JSON, behind the last.
    #[inline]
    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    fn skip_space(&mut self) {
        while is_space(self.peek()) {
            self.at += 1;
        }
    }

    #[inline]
    fn push(&mut self, entry: Entry) {
        self.document.entries.push(entry);
    }

    /// A value of a field; `in_element` if that belongs to an object that lies in an array.
    fn value(
        &mut self,
        depth_left: u32,
        field: FieldId,
        in_element: bool,
    ) -> Result<(), Unreadable> {
        self.skip_space();
        let first = self.peek();
        if first == b'{' {
            return self.object(depth_left, field, in_element);
        }
        if first == b'[' {
            return self.array(depth_left, field, in_element);
        }
        self.note(field, in_element);
        match first {
            b'"' => self.string(),
            b't' => self.word("true", Entry::Bool(true)),
            b'f' => self.word("false", Entry::Bool(false)),
            b'n' => self.word("null", Entry::Null),
            _ => self.number(),
        }
    }

    /// Notes that the next entry is the value of a field.
    #[inline]
    fn note(&mut self, field: FieldId, in_element: bool) {
        let at = self.document.len();
        self.document.layout.value(field, at, in_element);
    }

    fn word(&mut self, word: &str, entry: Entry) -> Result<(), Unreadable> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(Unreadable);
        }
        self.at += word.len();
        self.push(entry);
        Ok(())
    }

    fn object(
        &mut self,
        depth_left: u32,
        field: FieldId,
        in_element: bool,
    ) -> Result<(), Unreadable> {
        let depth_left = depth_left.checked_sub(1).ok_or(Unreadable)?;
        let opened = self.open();
        if self.peek() == b'}' {
            self.at += 1;
        } else if self.document.layout.is_inner(field) {
            self.followed_fields(depth_left, field, in_element)?;
        } else {
            self.fields(depth_left)?;
        }
        let after = self.document.len();
        self.document.entries[opened] = Entry::Object { after };
        Ok(())
    }

    /// Fields that nobody asks for, to the object's end.
    fn fields(&mut self, depth_left: u32) -> Result<(), Unreadable> {
        loop {
            self.name()?;
            self.value(depth_left, FieldId::NONE, false)?;
            if self.is_end(b'}')? {
                return Ok(());
            }
            self.skip_space();
        }
    }

    /// Fields of which someone may ask for some, to the object's end.
    fn followed_fields(
        &mut self,
        depth_left: u32,
        parent: FieldId,
        in_element: bool,
    ) -> Result<(), Unreadable> {
        let object = self.document.layout.object();
        let mut before = FieldId::NONE;
        let mut expected = self.document.layout.first(parent);
        loop {
            let field = self.followed_name(parent, before, expected)?;
            if let Some((next, of_event)) = self.document.layout.see(field, object) {
                expected = next;
                if let Some(known) = of_event {
                    self.document.note(known);
                }
            }
            // Most values are strings and stand right behind their names.
            if self.peek() == b'"' {
                self.note(field, in_element);
                self.string()?;
            } else {
                self.value(depth_left, field, in_element)?;
            }
            if self.is_end(b'}')? {
                return Ok(());
            }
            before = field;
        }
    }

    /// Whether the container ends here, with that byte, and does not go on after a comma.
    #[inline]
    fn is_end(&mut self, end: u8) -> Result<bool, Unreadable> {
        self.skip_space();
        let next = self.peek();
        self.at += 1;
        match next {
            b',' => Ok(false),
            next if next == end => Ok(true),
            _ => Err(Unreadable),
        }
    }

    /// A name with its colon.
    #[inline]
    fn name(&mut self) -> Result<(), Unreadable> {
        if self.peek() != b'"' {
            return Err(Unreadable);
        }
        self.string()?;
        self.skip_space();
        if self.peek() != b':' {
            return Err(Unreadable);
        }
        self.at += 1;
        Ok(())
    }

    /// The length of a field's name with its quotes and its colon, if it stands here.
    #[inline]
    fn length_of(&self, field: FieldId) -> Option<usize> {
        let text = &self.bytes[self.at..];
        self.document.layout.is_next(field, text)
    }

    /// A name with its colon, and the field that it is the name of.
    #[inline]
    fn followed_name(
        &mut self,
        parent: FieldId,
        before: FieldId,
        expected: FieldId,
    ) -> Result<FieldId, Unreadable> {
        let mut length = self.length_of(expected);
        if length.is_none() && is_space(self.peek()) {
            self.skip_space();
            length = self.length_of(expected);
        }
        let Some(length) = length else {
            return self.unexpected_name(parent, before, expected);
        };
        self.push(Entry::String {
            start: self.place(self.at + 1),
            end: self.place(self.at + length - 2),
        });
        self.at += length;
        Ok(expected)
    }

    /// The same where the name is not the expected one.
    fn unexpected_name(
        &mut self,
        parent: FieldId,
        before: FieldId,
        expected: FieldId,
    ) -> Result<FieldId, Unreadable> {
        let name = self.document.entries.len();
        self.name()?;
        let Entry::String { start, end } = self.document.entries[name] else {
            return Err(Unreadable);
        };
        let Document { layout, text, .. } = &mut *self.document;
        let name = &text[start as usize..end as usize];
        Ok(layout.find(parent, before, expected, name))
    }

    fn array(
        &mut self,
        depth_left: u32,
        field: FieldId,
        in_element: bool,
    ) -> Result<(), Unreadable> {
        let depth_left = depth_left.checked_sub(1).ok_or(Unreadable)?;
        self.document.layout.array(field);
        let opened = self.open();
        if self.peek() == b']' {
            self.at += 1;
        } else {
            loop {
                self.skip_space();
                let in_element = in_element || self.peek() == b'{';
                self.value(depth_left, field, in_element)?;
                if self.is_end(b']')? {
                    break;
                }
            }
        }
        let after = self.document.len();
        self.document.entries[opened] = Entry::Array { after };
        Ok(())
    }

    /// Begins a container: its place on the tape.
    #[inline]
    fn open(&mut self) -> usize {
        let opened = self.document.entries.len();
        self.push(Entry::Null);
        self.at += 1;
        self.skip_space();
        opened
    }

    /// A place of the text, as one of the document's text.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a document of max_bytes fits u32, and the place lies in it"
    )]
    fn place(&self, at: usize) -> u32 {
        self.base + at as u32
    }
}

#[inline]
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\t' | b'\r')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::any_json;
    use super::*;

    /// Texts of JSON's words and numbers, more often right than wrong.
    fn almost_json() -> impl Strategy<Value = String> {
        let number = prop_oneof![
            "-?(0|[1-9][0-9]{0,22})(\\.[0-9]{1,22})?([eE][+-]?[0-9]{1,3})?",
            any::<f64>().prop_map(|f| f.to_string()),
            any::<i64>().prop_map(|n| n.to_string()),
            any::<u64>().prop_map(|n| n.to_string()),
            // About as many digits as a double holds.
            "[1-9][0-9]{6,8}\\.[0-9]{7,9}",
            "[-+.0-9eE]{1,6}",
        ];
        let string = prop_oneof![
            any::<String>().prop_map(|text| serde_json::Value::String(text).to_string()),
            "\"([ a-z\u{e9}\u{1f600}]|\\\\[\"\\\\/bfnrtu]|\\\\u[0-9a-fA-F]{4}|\\\\ud[89ab][0-9a-f]{2}\\\\ud[c-f][0-9a-f]{2}){0,12}\"",
            // One byte of any kind somewhere.
            "\"[a-z]{0,20}[\\x00-\\x7f][a-z]{0,20}\"",
        ];
        let leaf = prop_oneof![
            number,
            string,
            prop::sample::select(vec!["null", "true", "false", "nul", "True", "", "NaN"])
                .prop_map(str::to_owned),
        ];
        let space = "[ \n\r\t]{0,2}";
        let tree = (leaf, space).prop_map(|(leaf, space)| format!("{space}{leaf}{space}"));
        tree.prop_recursive(9, 40, 5, |inner| {
            let list = prop::collection::vec(inner.clone(), 0..5);
            let name = prop_oneof![9 => Just("\"a\":"), 1 => Just("a:"), 1 => Just("\"a\" :")];
            let fields = prop::collection::vec((name, inner), 0..5);
            prop_oneof![
                10 => list.clone().prop_map(|list| format!("[{}]", list.join(","))),
                10 => fields.prop_map(|fields| {
                    let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}{value}")).collect();
                    format!("{{{}}}", fields.join(","))
                }),
                1 => list.prop_map(|list| format!("[{},]", list.join(","))),
                1 => Just("[".to_owned()),
                1 => Just("}".to_owned()),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_096))]

        #[test]
        fn the_two_readers_of_json_accept_the_same_and_read_the_same(text in almost_json()) {
            let (mut quick, mut slow) = (Document::new(), Document::new());
            let quickly = read(&mut quick, &text, 8);
            let slowly = any_json::read(&mut slow, &text, 8);
            prop_assert_eq!(quickly.is_ok(), slowly.is_ok(), "{}: {:?}", text, slowly);
            if quickly.is_ok() {
                prop_assert_eq!(format!("{:?}", quick.root()), format!("{:?}", slow.root()));
            }
            // Twice as a whole document: the second time its names are expected.
            let mut whole = Document::new();
            for _ in 0..2 {
                whole.clear();
                let read = read_document(&mut whole, &text, 8);
                prop_assert_eq!(read.is_ok(), slowly.is_ok(), "{}", text);
                if read.is_ok() {
                    prop_assert_eq!(format!("{:?}", whole.root()), format!("{:?}", slow.root()));
                }
            }
        }
    }
}
