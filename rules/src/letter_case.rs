//! Text without regard to upper and lower case.

use std::fmt;

/// A text prepared for comparing without regard to case.
///
/// Each character is mapped to its upper and then its lower case (Unicode's default mappings, without
/// locale and without normalisation), so that `ß` and `SS`, `ς` and `Σ` are one. Two texts are equal
/// when their mapped characters are.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Folded(Box<str>);

impl Folded {
    pub(crate) fn new(text: &str) -> Self {
        Self(fold(text).collect::<String>().into())
    }

    /// The mapped characters.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    pub(crate) fn equals(&self, text: &str) -> bool {
        // An ASCII text is mapped to its lower case, without anything added or removed.
        if text.is_ascii() {
            return self.0.eq_ignore_ascii_case(text);
        }
        self.0.chars().eq(fold(text))
    }

    pub(crate) fn begins(&self, text: &str) -> bool {
        let mut text = fold(text);
        self.0.chars().all(|c| text.next() == Some(c))
    }

    pub(crate) fn ends(&self, text: &str) -> bool {
        let mut text = fold(text).rev();
        self.0.chars().rev().all(|c| text.next() == Some(c))
    }
}

impl fmt::Debug for Folded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Maps a text as [`Folded`] does.
pub(crate) fn fold(text: &str) -> impl DoubleEndedIterator<Item = char> {
    text.chars()
        .flat_map(|c| c.to_uppercase().flat_map(char::to_lowercase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_is_disregarded_in_every_script() {
        let cases = [
            ("gold", "GOLD", true),
            ("gold", "golds", false),
            ("gold", "gol", false),
            ("ÉTÉ", "été", true),
            ("straße", "STRASSE", true),
            ("ΣΊΣΥΦΟΣ", "σίσυφος", true),
            ("", "", true),
            ("", "a", false),
            ("k", "\u{212a}", true), // KELVIN SIGN
            ("е", "e", false),       // Cyrillic and Latin
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(
                Folded::new(pattern).equals(text),
                expected,
                "{pattern} {text}"
            );
            assert_eq!(
                Folded::new(text).equals(pattern),
                expected,
                "{text} {pattern}"
            );
        }
    }

    #[test]
    fn beginnings_and_ends_are_found_without_regard_to_case() {
        let word = |text| Folded::new(text);
        assert!(word("SPRING").begins("spring-25"));
        assert!(!word("spring-26").begins("SPRING-2"));
        assert!(word("-VIP").ends("spring-vip"));
        assert!(!word("a-vip").ends("-vip"));
        assert!(word("ÉTÉ").begins("été-25"));
        assert!(word("été").ends("l'ÉTÉ"));
        assert!(word("").begins("") && word("").ends(""));
    }
}
