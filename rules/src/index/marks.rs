//! Marks: a value of an event as a number that conditions compare.

use super::numbers::Numbers;
use super::words::{WordId, Words};
use crate::condition::{Condition, Test};

/// What a value is to the rules: a string, which word; a number, which rank among those of its field. All other values
/// have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Mark(u32);

impl Mark {
    /// Of what no rule names. No check holds for it.
    pub(super) const NONE: Self = Self(u32::MAX);
    /// Words lie above all ranks.
    const WORD: u32 = 1 << 31;

    pub(super) fn of_word(id: WordId) -> Self {
        debug_assert!(id.0 < u32::MAX >> 1, "fewer than 2³¹ words fit the memory");
        Self(id.0 | Self::WORD)
    }

    #[inline]
    pub(super) fn number(self) -> u32 {
        self.0
    }

    /// Of a rank, below 2³¹.
    #[inline]
    pub(super) fn of_rank(rank: u32) -> Self {
        debug_assert!(rank < Self::WORD, "fewer than 2³¹ ranks fit the memory");
        Self(rank)
    }
}

/// A condition on a field in its simplest form: a value has one of some marks that follow each other. So it is with a
/// single string, a single number and a range of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Check {
    /// The field.
    pub(super) path: u32,
    pub(super) first: Mark,
    pub(super) last: Mark,
}

impl Check {
    /// The condition in this form, if it has it.
    pub(super) fn of(
        path: u32,
        condition: &Condition,
        words: &Words,
        numbers: Option<&Numbers>,
    ) -> Option<Self> {
        if condition.allows_absence() || !condition.wholes().is_empty() {
            return None;
        }
        let (first, last) = match (condition.strings(), condition.numbers(), condition.tests()) {
            ([text], [], []) => {
                let mark = Mark::of_word(words.find(path, text));
                (mark, mark)
            }
            ([], [number], []) => {
                let mark = Mark::of_rank(numbers?.rank(*number));
                (mark, mark)
            }
            ([], [], [Test::Range(range)]) => {
                let (first, last) = numbers?.ranks_in(*range);
                (Mark::of_rank(first), Mark::of_rank(last))
            }
            _ => return None,
        };
        Some(Self { path, first, last })
    }

    #[inline]
    pub(super) fn is_met_by(&self, mark: Mark) -> bool {
        self.first <= mark && mark <= self.last
    }
}
