//! Strings of JSON.

use wide::u8x16;

use super::{Entry, Scan, Unreadable};

impl Scan<'_, '_> {
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "calls cost a twentieth of an event's whole time"
    )]
    pub(super) fn string(&mut self) -> Result<(), Unreadable> {
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
}

/// The first byte from `at` on that ends a string or is none of its plain characters: `"`, `\` or a control
/// character; or the end.
#[inline]
fn plain(bytes: &[u8], mut at: usize) -> usize {
    // Sixteen at once: most strings end there, and where they end in it is no branch.
    while let Some(sixteen) = (bytes.get(at..)).and_then(<[u8]>::first_chunk::<16>) {
        let specials = specials(u8x16::new(*sixteen));
        if specials != 0 {
            return at + specials.trailing_zeros() as usize;
        }
        at += 16;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
    at + rest.iter().position(is_special).unwrap_or(rest.len())
}

/// A bit for each of sixteen bytes that is `"`, `\` or a control character.
#[inline]
fn specials(sixteen: u8x16) -> u32 {
    let is = |byte: u8| sixteen.simd_eq(u8x16::splat(byte));
    let is_control = sixteen.min(u8x16::splat(0x1f)).simd_eq(sixteen);
    (is(b'"') | is(b'\\') | is_control).to_bitmask()
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
    use super::super::super::{Document, any_json};
    use super::super::read;

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
}
