//! The outline of an event: a word in which each field of some has one bit set, for the kind of value
//! that it holds.
//!
//! A condition forbids the bits of those values that do not meet it. What all conditions of a conjunction
//! forbid is one word, too, and a conjunction is refused when the two have a bit in common. Where the bits tell
//! values apart finely enough the outline decides alone; elsewhere the condition is looked at after it.

use schemas::Value;

use super::demand::{Bits, Demand, Detail, named};
use super::keys::Plain;
use super::numbers::Numbers;
use super::words::{WordId, Words};
use crate::condition::{Condition, Excluded, Test};

/// Bits in the outline.
const BITS: u8 = 64;

/// The bits of one field; none if the mask is 0.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Field {
    pub(super) mask: u64,
    pub(super) absent: u8,
    /// Of strings that have no word, and of words without a bit of their own.
    pub(super) text: u8,
    pub(super) null: u8,
    pub(super) no: u8,
    pub(super) yes: u8,
    /// Of all numbers, unless their ranks have bits.
    pub(super) number: u8,
    words: WordBits,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum WordBits {
    /// All words have the bit of other strings.
    #[default]
    None,
    /// Those that conditions name have one each.
    Own { first: u8 },
    /// The first so many have one each, all others share the rest of the bits, by their numbers.
    Shared { first: u8, own: u8, count: u8 },
}

/// Gives out the bits.
#[derive(Debug, Default)]
pub(super) struct Outline {
    used: u8,
}

impl Outline {
    /// Bits for a field, in as much detail as there are bits left for; none if that is too little.
    pub(super) fn field(&mut self, demand: &Demand, numbers: Option<&mut Numbers>) -> Field {
        for detail in Detail::ALL {
            let bits = demand.bits(detail, numbers.as_deref());
            if self.used + bits.all() <= BITS {
                let words = match bits.words {
                    0 => WordBits::None,
                    count if demand.words.len() <= usize::from(count) => WordBits::Own { first: 0 },
                    count => WordBits::Shared {
                        first: 0,
                        own: count / 2,
                        count,
                    },
                };
                return self.take(demand, words, bits, numbers);
            }
        }
        Field::default()
    }

    fn take(
        &mut self,
        demand: &Demand,
        words: WordBits,
        bits: Bits,
        numbers: Option<&mut Numbers>,
    ) -> Field {
        let begin = self.used;
        let absent = self.next(1);
        let other = self.next(1);
        let mut next_or_other = |is_apart: bool| if is_apart { self.next(1) } else { other };
        let mut field = Field {
            mask: 0,
            absent,
            text: next_or_other(!demand.words.is_empty() || demand.kinds.texts),
            null: next_or_other(demand.kinds.others.null),
            no: next_or_other(demand.kinds.others.bool),
            yes: next_or_other(demand.kinds.others.bool),
            number: other,
            words,
        };
        match &mut field.words {
            WordBits::None => {}
            WordBits::Own { first } | WordBits::Shared { first, .. } => {
                *first = self.next(bits.words);
            }
        }
        if let (Some(numbers), 1..) = (numbers, bits.ranks) {
            let ranks = numbers.ranks();
            let first = self.next(bits.ranks);
            // Neighbouring ranks share a bit, as many as need be.
            let bit = |rank| u64::from(rank) * u64::from(bits.ranks) / u64::from(ranks);
            numbers.bits = (0..ranks)
                .map(|rank| first + u8::try_from(bit(rank)).expect("less than the bits of ranks"))
                .collect();
        }
        field.mask = (begin..self.used).map(|bit| 1 << bit).sum();
        field
    }

    fn next(&mut self, count: u8) -> u8 {
        let first = self.used;
        self.used += count;
        first
    }
}

fn as_u8(small: usize) -> u8 {
    u8::try_from(small).expect("a small number of bits")
}

/// What some values of one bit do to a condition.
#[derive(Debug, Clone, Copy, Default)]
struct Bit {
    some_meet: bool,
    some_do_not: bool,
}

impl Field {
    /// The bit of a value that is neither a string nor a number.
    pub(super) fn of(&self, value: Plain) -> u8 {
        match value {
            Plain::False => self.no,
            Plain::True => self.yes,
            _ => self.null,
        }
    }

    /// The bit of a word of this field, of which `own` have one.
    pub(super) fn bit_of_word(&self, id: WordId, own: &[WordId]) -> u8 {
        match self.words {
            WordBits::None => self.text,
            WordBits::Own { first } => match own.iter().position(|own| *own == id) {
                Some(at) => first + as_u8(at),
                None => self.text,
            },
            WordBits::Shared {
                first,
                own: own_bits,
                count,
            } => {
                let frequent = &own[..usize::from(own_bits)];
                if let Some(at) = frequent.iter().position(|own| *own == id) {
                    return first + as_u8(at);
                }
                let shared = u32::from(count - own_bits);
                first + own_bits + u8::try_from(id.0 % shared).expect("less than count")
            }
        }
    }

    /// What a condition on this field forbids, and whether that says all of it.
    pub(super) fn forbids(
        &self,
        condition: &Condition,
        path: u32,
        own: &[WordId],
        words: &Words,
        numbers: Option<&Numbers>,
    ) -> (u64, bool) {
        if !condition.wholes().is_empty() {
            return (0, false);
        }
        let mut bits = [Bit::default(); BITS as usize];
        let mut note = |bit: u8, (some_meet, some_do_not)| {
            let bit = &mut bits[usize::from(bit)];
            bit.some_meet |= some_meet;
            bit.some_do_not |= some_do_not;
        };
        let exactly = |is_met: bool| (is_met, !is_met);
        note(self.absent, exactly(condition.allows_absence()));
        note(self.null, exactly(condition.is_met_by(&Value::Null)));
        note(self.no, exactly(condition.is_met_by(&Value::Bool(false))));
        note(self.yes, exactly(condition.is_met_by(&Value::Bool(true))));
        match numbers {
            Some(numbers) if !numbers.bits.is_empty() => {
                for (rank, bit) in (0..).zip(&numbers.bits) {
                    note(*bit, meet_at(condition, numbers, rank));
                }
            }
            _ => note(self.number, numbers_meet(condition)),
        }
        let unnamed = unnamed_meet(condition);
        note(self.text, unnamed);
        match self.words {
            WordBits::None => {
                let excludes = named(condition).count() > condition.strings().len();
                note(self.text, (!condition.strings().is_empty(), excludes));
            }
            WordBits::Own { .. } => {
                for id in own {
                    let text = Value::String(words.text(*id));
                    note(
                        self.bit_of_word(*id, own),
                        exactly(condition.is_met_by(&text)),
                    );
                }
            }
            WordBits::Shared {
                first,
                own: own_bits,
                count,
            } => {
                for (id, bit) in own[..usize::from(own_bits)].iter().zip(first..) {
                    note(
                        bit,
                        exactly(condition.is_met_by(&Value::String(words.text(*id)))),
                    );
                }
                let shared = first + own_bits..first + count;
                for bit in shared.clone() {
                    note(bit, (unnamed.0, true));
                }
                for text in condition.strings() {
                    let bit = self.bit_of_word(words.find(path, text), own);
                    if shared.contains(&bit) {
                        note(bit, (true, true));
                    }
                }
            }
        }
        let mut forbidden = 0;
        let mut is_exact = true;
        for (at, bit) in bits.iter().enumerate() {
            if self.mask & 1 << at == 0 {
                continue;
            }
            if !bit.some_meet {
                forbidden |= 1 << at;
            } else if bit.some_do_not {
                is_exact = false;
            }
        }
        (forbidden, is_exact)
    }
}

/// Whether some numbers of a rank meet a condition, and whether some do not.
fn meet_at(condition: &Condition, numbers: &Numbers, rank: u32) -> (bool, bool) {
    if let Some(bound) = Numbers::bound(rank) {
        let is_met = condition.is_met_by(&Value::Number(numbers.bounds()[bound]));
        return (is_met, !is_met);
    }
    let mut meet = (false, true);
    for test in condition.tests() {
        match test {
            Test::Range(range) => {
                let (first, last) = numbers.ranks_in(*range);
                if first <= rank && rank <= last {
                    return (true, false);
                }
            }
            Test::Exists | Test::AnythingBut(_) => return (true, false),
            Test::Meaning(meaning) => meet.0 |= meaning.takes_numbers(),
            Test::Null | Test::Bool(_) | Test::Text(_) | Test::Network(_) => {}
        }
    }
    meet
}

/// Whether some numbers meet a condition, and whether some do not.
fn numbers_meet(condition: &Condition) -> (bool, bool) {
    let mut meet = (!condition.numbers().is_empty(), true);
    for test in condition.tests() {
        match test {
            Test::Exists | Test::AnythingBut(Excluded::Strings(_) | Excluded::Texts(_)) => {
                return (true, false);
            }
            Test::Range(_) | Test::AnythingBut(Excluded::Numbers(_)) => meet.0 = true,
            Test::Meaning(meaning) => meet.0 |= meaning.takes_numbers(),
            Test::Null | Test::Bool(_) | Test::Text(_) | Test::Network(_) => {}
        }
    }
    meet
}

/// Whether some of the strings that a condition does not name meet it, and whether some do not.
fn unnamed_meet(condition: &Condition) -> (bool, bool) {
    let mut meet = (false, true);
    for test in condition.tests() {
        match test {
            Test::Exists | Test::AnythingBut(Excluded::Strings(_) | Excluded::Numbers(_)) => {
                return (true, false);
            }
            Test::Text(_)
            | Test::Network(_)
            | Test::Meaning(_)
            | Test::AnythingBut(Excluded::Texts(_)) => meet.0 = true,
            Test::Null | Test::Bool(_) | Test::Range(_) => {}
        }
    }
    meet
}
