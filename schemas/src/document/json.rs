//! Reads JSON to the tape, without what makes a general reader slow: strings without escapes are not
//! copied one by one, and nothing is called for each value.
//!
//! It reads what is well formed, and says of the rest only that it is not: `serde_json` reads that again
//! and finds the words for what is wrong. What this reader accepts is what `serde_json` accepts, with the same
//! values; a property test holds the two against each other.

use super::layout::FieldId;
use super::{Document, Entry, Envelope};
use crate::Number;

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

/// Whole numbers of so many digits fit an `i64`.
const WHOLE_DIGITS: usize = 18;
/// Digits of which a double holds every combination: 10¹⁵ is below 2⁵³.
const EXACT_DIGITS: usize = 15;

/// Powers of ten that doubles hold exactly. A number of [`EXACT_DIGITS`] divided by one of them is rounded once, and
/// so the nearest double (Clinger 1990, "How to read floating point numbers accurately").
const TENS: [f64; EXACT_DIGITS + 1] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];

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
        if field != FieldId::NONE {
            let at = self.document.len();
            self.document.layout.value(field, at, in_element);
        }
        match first {
            b'"' => self.string(),
            b't' => self.word("true", Entry::Bool(true)),
            b'f' => self.word("false", Entry::Bool(false)),
            b'n' => self.word("null", Entry::Null),
            _ => self.number(),
        }
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
            self.value(depth_left, field, in_element)?;
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

    #[inline]
    fn string(&mut self) -> Result<(), Unreadable> {
        self.at += 1;
        let start = self.at;
        self.at = plain(self.bytes, start);
        match self.peek() {
            b'"' => {
                self.push(Entry::String {
                    start: self.place(start),
                    end: self.place(self.at),
                });
                self.at += 1;
                Ok(())
            }
            b'\\' => self.escaped(start),
            _ => Err(Unreadable),
        }
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

    /// A string that has escapes: written out behind the text. `at` is at the first of them.
    #[cold]
    fn escaped(&mut self, start: usize) -> Result<(), Unreadable> {
        let written = self.document.text_len();
        let mut copied = start;
        loop {
            self.document.text.push_str(&self.text[copied..self.at]);
            match self.peek() {
                b'"' => break,
                b'\\' => {
                    let (character, length) = escape(&self.bytes[self.at + 1..])?;
                    self.document.text.push(character);
                    self.at += 1 + length;
                }
                _ => return Err(Unreadable),
            }
            copied = self.at;
            self.at = plain(self.bytes, copied);
        }
        self.at += 1;
        let end = self.document.text_len();
        self.push(Entry::String {
            start: written,
            end,
        });
        Ok(())
    }

    fn number(&mut self) -> Result<(), Unreadable> {
        let start = self.at;
        let is_negative = self.peek() == b'-';
        self.at += usize::from(is_negative);
        let first = self.peek();
        let mut digits = 0u64;
        let whole = self.digits(&mut digits);
        if whole == 0 || (first == b'0' && whole > 1) {
            return Err(Unreadable);
        }
        let mut fraction = 0;
        if self.peek() == b'.' {
            self.at += 1;
            fraction = self.digits(&mut digits);
            if fraction == 0 {
                return Err(Unreadable);
            }
        }
        let has_exponent = matches!(self.peek(), b'e' | b'E');
        let number = if has_exponent {
            self.exponent()?;
            self.slow_number(start)?
        } else if fraction == 0 && whole <= WHOLE_DIGITS {
            let value = digits.cast_signed();
            Number::from_i64(if is_negative { -value } else { value })
        } else if fraction > 0 && whole + fraction <= EXACT_DIGITS {
            #[expect(clippy::cast_precision_loss, reason = "below 2⁵³")]
            let value = digits as f64 / TENS[fraction];
            Number::from_f64(if is_negative { -value } else { value }).ok_or(Unreadable)?
        } else {
            self.slow_number(start)?
        };
        self.push(Entry::Number(number));
        Ok(())
    }

    /// Reads digits and says how many there were. Of more than 18 the value is wrong.
    #[inline]
    fn digits(&mut self, value: &mut u64) -> usize {
        let start = self.at;
        loop {
            let digit = self.peek().wrapping_sub(b'0');
            if digit > 9 {
                return self.at - start;
            }
            *value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
            self.at += 1;
        }
    }

    fn exponent(&mut self) -> Result<(), Unreadable> {
        self.at += 1;
        self.at += usize::from(matches!(self.peek(), b'+' | b'-'));
        match self.digits(&mut 0) {
            0 => Err(Unreadable),
            _ => Ok(()),
        }
    }

    /// The number from `start` to here, which is one: of many digits, or with an exponent.
    #[cold]
    fn slow_number(&self, start: usize) -> Result<Number, Unreadable> {
        let text = &self.text[start..self.at];
        if let Ok(whole) = text.parse::<i64>() {
            return Ok(Number::from_i64(whole));
        }
        if let Ok(whole) = text.parse::<u64>() {
            return Ok(Number::from_u64(whole));
        }
        let double = text.parse().map_err(|_| Unreadable)?;
        Number::from_f64(double).ok_or(Unreadable)
    }
}

#[inline]
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\t' | b'\r')
}

/// The first byte from `at` on that ends a string or is none of its plain characters: `"`, `\` or a control
/// character; or the end.
#[inline]
fn plain(bytes: &[u8], mut at: usize) -> usize {
    // Sixteen at once: most strings end there, and where they end in it is no branch.
    while let Some((first, rest)) = (bytes.get(at..)).and_then(<[u8]>::split_first_chunk::<8>) {
        let Some(second) = rest.first_chunk::<8>() else {
            break;
        };
        let first = specials(u64::from_le_bytes(*first));
        let second = specials(u64::from_le_bytes(*second));
        if first | second != 0 {
            let (skipped, special) = if first == 0 { (8, second) } else { (0, first) };
            return at + skipped + special.trailing_zeros() as usize / 8;
        }
        at += 16;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
    at + rest.iter().position(is_special).unwrap_or(rest.len())
}

/// The highest bit of each of eight bytes that is `"`, `\` or a control character. Bytes above the lowest such one may
/// be told wrong: a subtraction borrows from the byte above.
#[inline]
fn specials(eight: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const BACKSLASHES: u64 = ONES * b'\\' as u64;
    const SECOND_BITS: u64 = ONES * 2;
    // With its second bit turned `"` is 0x20, and the control characters are still those below.
    let turned = eight ^ SECOND_BITS;
    let quote_or_control = turned.wrapping_sub(ONES * 0x21) & !turned;
    let backslash = eight ^ BACKSLASHES;
    (quote_or_control | backslash.wrapping_sub(ONES) & !backslash) & HIGH
}

/// The character of an escape whose bytes follow the backslash, and how many they are (RFC 8259, section 7).
fn escape(bytes: &[u8]) -> Result<(char, usize), Unreadable> {
    let simple = match bytes.first().ok_or(Unreadable)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode(bytes),
        _ => return Err(Unreadable),
    };
    Ok((simple, 1))
}

fn unicode(bytes: &[u8]) -> Result<(char, usize), Unreadable> {
    let first = hex(bytes, 1)?;
    if !(0xd800..0xdc00).contains(&first) {
        // The second half of a pair alone is no character.
        return Ok((char::from_u32(first).ok_or(Unreadable)?, 5));
    }
    if bytes.get(5..7) != Some(b"\\u") {
        return Err(Unreadable);
    }
    let second = hex(bytes, 7)?;
    if !(0xdc00..0xe000).contains(&second) {
        return Err(Unreadable);
    }
    let point = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
    Ok((char::from_u32(point).ok_or(Unreadable)?, 11))
}

fn hex(bytes: &[u8], at: usize) -> Result<u32, Unreadable> {
    let digits = bytes.get(at..at + 4).ok_or(Unreadable)?;
    let mut value = 0;
    for &digit in digits {
        value = value << 4 | char::from(digit).to_digit(16).ok_or(Unreadable)?;
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::any_json;
    use super::*;

    /// What is read of a string with that content, if the two readers agree.
    fn string(content: &str) -> Option<String> {
        let text = format!("\"{content}\"");
        let (mut quick, mut slow) = (Document::new(), Document::new());
        let quickly = read(&mut quick, &text, 1).is_ok();
        let slowly = any_json::read(&mut slow, &text, 1).is_ok();
        assert_eq!(quickly, slowly, "{text:?}");
        let shown = format!("{:?}", quick.root());
        assert!(
            !quickly || shown == format!("{:?}", slow.root()),
            "{text:?}"
        );
        quickly.then_some(shown)
    }

    #[test]
    fn every_character_is_seen_wherever_it_stands() {
        for place in 0..20 {
            for character in (0..=0x7f).map(char::from).chain(['é', '\u{1f600}']) {
                for before in ["a", "é", "\u{7f}"] {
                    let content = format!("{}{character}bcdefghijk", before.repeat(place));
                    let is_plain = string(&content).is_some();
                    let special = matches!(character, '"' | '\\' | '\0'..='\x1f');
                    assert!(is_plain != special || character == '\\', "{content:?}");
                }
            }
        }
    }

    #[test]
    fn a_pair_of_escapes_is_one_character_and_half_a_pair_none() {
        assert_eq!(string(r"\ud83d\ude00").unwrap(), "\"\u{1f600}\"");
        assert_eq!(string(r"a\u0041\u00e9\n").unwrap(), "\"aAé\\n\"");
        for broken in [
            r"\ud83d",
            r"\ud83d\u0041",
            r"\ud83d\ue000",
            r"\ud83d\udbff",
            r"\ude00",
            r"\ud83dx",
            r"\ud83d\n",
            r"\u12",
            r"\u12g4",
            r"\u+123",
            r"\x41",
            r"\",
        ] {
            assert_eq!(string(broken), None, "{broken}");
        }
    }

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
