//! Keys: what conditions are filed under.

use schemas::Number;

use crate::condition::{Condition, Excluded, NumberRange, Test, TextTest};
use crate::network::Network;
use crate::whole::Whole;

/// Something that a field of an event has, or not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Key<'c> {
    /// A string.
    Text(&'c str),
    /// A number.
    Number(Number),
    /// A number within the range.
    Range(NumberRange),
    /// A string with a beginning, an end, …
    Affix(Affix, &'c str),
    /// A string that is an address of the network.
    Network(&'c Network),
    /// What has no content to look up.
    Plain(Plain),
}

/// Where a string is compared, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Affix {
    Prefix,
    Suffix,
    /// All of it, without regard to case.
    Folded,
    FoldedPrefix,
    FoldedSuffix,
}

/// Keys without content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Plain {
    Null,
    False,
    True,
    /// Any string.
    AnyText,
    /// Any value.
    Present,
    /// No value.
    Absent,
}

impl Plain {
    pub(super) const COUNT: usize = 6;
}

/// A key, and whether all that has it meets the condition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Filed<'c> {
    pub(super) key: Key<'c>,
    pub(super) is_exact: bool,
}

/// The keys of a condition: whatever meets it has one of them.
pub(super) fn keys(condition: &Condition) -> impl Iterator<Item = Filed<'_>> {
    let strings = condition.strings().iter().map(|text| Key::Text(text));
    let numbers = condition
        .numbers()
        .iter()
        .map(|number| Key::Number(*number));
    let absent = condition.allows_absence();
    let absent = absent.then_some(Key::Plain(Plain::Absent));
    let exact = strings.chain(numbers).chain(absent).map(|key| Filed {
        key,
        is_exact: true,
    });
    let tests = condition.tests().iter().map(of_test);
    exact
        .chain(tests)
        .chain(condition.wholes().iter().flat_map(of_whole))
}

/// Keys of which a field that meets it has one; no key says that it does.
fn of_whole(whole: &Whole) -> impl Iterator<Item = Filed<'_>> {
    let keys = match whole.part() {
        Some(part) => {
            let string = part.strings().first().map(|text| Key::Text(text));
            let number = part.numbers().first().map(|number| Key::Number(*number));
            let test = part.tests().first().map(|test| of_test(test).key);
            [string.or(number).or(test), None]
        }
        // An empty array is absent to the index.
        None => [Plain::Present, Plain::Absent].map(|plain| Some(Key::Plain(plain))),
    };
    let keys = keys.into_iter().flatten();
    keys.map(|key| Filed {
        key,
        is_exact: false,
    })
}

fn of_test(test: &Test) -> Filed<'_> {
    let (key, is_exact) = match test {
        Test::Null => (Key::Plain(Plain::Null), true),
        Test::Bool(false) => (Key::Plain(Plain::False), true),
        Test::Bool(true) => (Key::Plain(Plain::True), true),
        Test::Exists => (Key::Plain(Plain::Present), true),
        Test::Range(range) => (Key::Range(*range), true),
        Test::Network(network) => (Key::Network(network), true),
        Test::Text(test) => return of_text_test(test),
        // Nearly all values meet it: there is nothing to look up.
        Test::AnythingBut(Excluded::Strings(_) | Excluded::Numbers(_) | Excluded::Texts(_)) => {
            (Key::Plain(Plain::Present), false)
        }
        Test::Meaning(meaning) if meaning.takes_numbers() => (Key::Plain(Plain::Present), false),
        Test::Meaning(_) => (Key::Plain(Plain::AnyText), false),
    };
    Filed { key, is_exact }
}

fn of_text_test(test: &TextTest) -> Filed<'_> {
    let key = |affix, part| match part {
        "" if affix != Affix::Folded => Key::Plain(Plain::AnyText),
        part => Key::Affix(affix, part),
    };
    let (key, is_exact) = match test {
        TextTest::Prefix(part) => (key(Affix::Prefix, part), true),
        TextTest::Suffix(part) => (key(Affix::Suffix, part), true),
        TextTest::EqualsIgnoreCase(whole) => (key(Affix::Folded, whole.text()), true),
        TextTest::PrefixIgnoreCase(part) => (key(Affix::FoldedPrefix, part.text()), true),
        TextTest::SuffixIgnoreCase(part) => (key(Affix::FoldedSuffix, part.text()), true),
        TextTest::Wildcard(wildcard) => match wildcard.pieces() {
            [] => unreachable!("a wildcard has a piece"),
            [whole] => (Key::Text(whole), true),
            [first, inner @ .., last] => {
                let is_whole = inner.is_empty();
                match (&**first, &**last) {
                    (first, "") => (key(Affix::Prefix, first), is_whole),
                    ("", last) => (key(Affix::Suffix, last), is_whole),
                    // The beginning of a text tells more than its end, as a rule.
                    (first, _) => (key(Affix::Prefix, first), false),
                }
            }
        },
    };
    Filed { key, is_exact }
}
