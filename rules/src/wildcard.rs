//! Texts with `*` for any run of characters.

use crate::limits::MAX_WILDCARDS;
use crate::problem::Problem;

/// A text in which each `*` stands for any run of characters, also for none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Wildcard {
    /// What stands between the stars, one more than there are stars.
    pieces: Box<[Box<str>]>,
}

impl Wildcard {
    /// Reads `*`, and `\*` and `\\` for a star and a backslash as such.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let mut pieces = vec![String::new()];
        let mut after_star = false;
        let mut characters = text.char_indices();
        while let Some((at, character)) = characters.next() {
            let is_star = character == '*';
            if is_star && after_star {
                return Err(Problem::ConsecutiveWildcards { at });
            }
            after_star = is_star;
            let literal = match character {
                '*' => {
                    pieces.push(String::new());
                    continue;
                }
                '\\' => match characters.next() {
                    Some((_, escaped @ ('*' | '\\'))) => escaped,
                    _ => return Err(Problem::WildcardEscape { at }),
                },
                other => other,
            };
            pieces
                .last_mut()
                .expect("there is a piece from the start")
                .push(literal);
        }
        let stars = pieces.len() - 1;
        if stars > MAX_WILDCARDS {
            return Err(Problem::TooManyWildcards { stars });
        }
        Ok(Self {
            pieces: pieces.into_iter().map(String::into_boxed_str).collect(),
        })
    }

    /// What stands between the stars.
    pub(crate) fn pieces(&self) -> &[Box<str>] {
        &self.pieces
    }

    /// Each inner piece is taken at its first place, which leaves most for the others: the time is
    /// linear in the text for each star, whatever the text.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let [first, inner @ .., last] = &*self.pieces else {
            return text == &*self.pieces[0];
        };
        let Some(rest) = text.strip_prefix(&**first) else {
            return false;
        };
        let Some(mut rest) = rest.strip_suffix(&**last) else {
            return false;
        };
        for piece in inner {
            let Some(at) = rest.find(&**piece) else {
                return false;
            };
            rest = &rest[at + piece.len()..];
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        let cases = [
            ("", &[""][..], &["a"][..]),
            ("*", &["", "a", "déjà"], &[]),
            ("a", &["a"], &["", "aa", "b"]),
            ("a*", &["a", "ab", "a*"], &["", "ba"]),
            ("*a", &["a", "ba"], &["ab"]),
            ("a*a", &["aa", "aba", "aaa"], &["a", "ab"]),
            ("*a*", &["a", "bab"], &["", "b"]),
            (
                "a*b*c",
                &["abc", "a-b-c", "abcbc", "abbc"],
                &["ac", "acb", "abcd"],
            ),
            ("*bc", &["abcbc"], &["abcb"]),
            ("a*é*z", &["aéz", "a-é-z"], &["aez"]),
            (r"\*", &["*"], &["a", "", r"\*"]),
            (r"\\*", &[r"\", r"\a"], &["a", "*"]),
            (r"a\**", &["a*", "a*b"], &["ab"]),
        ];
        for (pattern, matching, refused) in cases {
            let wildcard = Wildcard::parse(pattern).unwrap();
            for text in matching {
                assert!(wildcard.matches(text), "{pattern} {text}");
            }
            for text in refused {
                assert!(!wildcard.matches(text), "{pattern} {text}");
            }
        }
    }

    #[test]
    fn a_malformed_wildcard_names_the_place() {
        let at = |text| Wildcard::parse(text).unwrap_err();
        assert_eq!(at("ab**"), Problem::ConsecutiveWildcards { at: 3 });
        assert_eq!(at(r"a\b"), Problem::WildcardEscape { at: 1 });
        assert_eq!(at(r"ab\"), Problem::WildcardEscape { at: 2 });
        let stars = "*a".repeat(MAX_WILDCARDS);
        assert!(Wildcard::parse(&stars).is_ok());
        assert_eq!(
            at(&format!("{stars}*")),
            Problem::TooManyWildcards {
                stars: MAX_WILDCARDS + 1
            }
        );
        // An escaped star beside a star is no second star.
        assert!(Wildcard::parse(r"*\**").is_ok());
    }

    /// By trying every length for each star.
    fn matches_slowly(pattern: &[char], text: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['*', rest @ ..] => (0..=text.len()).any(|n| matches_slowly(rest, &text[n..])),
            [first, rest @ ..] => text.first() == Some(first) && matches_slowly(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn the_first_place_is_as_good_as_any(pattern in "[ab]?(\\*[ab]{1,3}){0,4}\\*?", text in "[ab]{0,12}") {
            let characters = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(
                Wildcard::parse(&pattern).unwrap().matches(&text),
                matches_slowly(&characters(&pattern), &characters(&text))
            );
        }
    }
}
