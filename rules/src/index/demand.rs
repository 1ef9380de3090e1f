//! What a field would do with bits of the outline.

use schemas::Number;

use super::numbers::Numbers;
use super::words::WordId;
use crate::condition::{Condition, Excluded, Test};
use crate::whole::Whole;

/// Most bits for the strings of a field and for its numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Detail {
    words: u8,
    ranks: u8,
}

impl Detail {
    /// From fine to coarse. More bits for one field would be taken from others.
    pub(super) const ALL: [Self; 6] = [
        Self::of(20, 16),
        Self::of(8, 16),
        Self::of(8, 8),
        Self::of(4, 8),
        Self::of(4, 4),
        Self::of(0, 4),
    ];

    const fn of(words: u8, ranks: u8) -> Self {
        Self { words, ranks }
    }
}

/// How many bits a field has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bits {
    /// For kinds of values.
    kinds: u8,
    pub(super) words: u8,
    /// For ranks of numbers.
    pub(super) ranks: u8,
}

impl Bits {
    pub(super) fn all(self) -> u8 {
        self.kinds + self.words + self.ranks
    }
}

/// What the conditions on a field that are not filed ask for.
#[derive(Debug, Default)]
pub(super) struct Demand {
    /// In how many conjunctions they stand.
    uses: f64,
    /// How many of these would be refused.
    refused: f64,
    /// Strings that are asked for or excluded, each once, those that most conjunctions name first.
    pub(super) words: Vec<WordId>,
    /// The same with the number of conjunctions, in any order and repeated.
    pub(super) named: Vec<(WordId, u32)>,
    pub(super) kinds: Kinds,
}

/// Which kinds of values conditions tell apart.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    pub(super) texts: bool,
    numbers: bool,
    pub(super) others: Others,
}

#[derive(Debug, Default)]
pub(super) struct Others {
    pub(super) null: bool,
    pub(super) bool: bool,
}

impl Demand {
    /// Orders the words, when all uses are known.
    pub(super) fn rank_words(&mut self) {
        self.named.sort_unstable();
        self.named.dedup_by(|next, kept| {
            let is_same = next.0 == kept.0;
            if is_same {
                kept.1 = kept.1.saturating_add(next.1);
            }
            is_same
        });
        (self.named).sort_unstable_by_key(|(word, uses)| (std::cmp::Reverse(*uses), *word));
        self.words = self.named.iter().map(|(word, _)| *word).collect();
    }

    /// How many bits the field has at most in this detail.
    pub(super) fn bits(&self, detail: Detail, numbers: Option<&Numbers>) -> Bits {
        let fewer = |count: usize, most: u8| u8::try_from(count).map_or(most, |it| it.min(most));
        let has_texts = !self.words.is_empty() || self.kinds.texts;
        Bits {
            kinds: 2
                + u8::from(has_texts)
                + u8::from(self.kinds.others.null)
                + 2 * u8::from(self.kinds.others.bool),
            words: fewer(self.words.len(), detail.words),
            ranks: fewer(self.ranks(numbers), detail.ranks),
        }
    }

    /// How much a bit is worth if the field has as many as it can use: conjunctions that need not be looked at, because
    /// they are refused or, where the outline says all, because there is nothing left to look at.
    pub(super) fn worth_of_a_bit(&self, numbers: Option<&Numbers>) -> f64 {
        let bits = self.bits(Detail::ALL[0], numbers);
        let says_all = self.words.len() == usize::from(bits.words)
            && self.ranks(numbers) == usize::from(bits.ranks)
            && !self.kinds.texts;
        let worth = if says_all { self.uses } else { self.refused };
        worth / f64::from(bits.all())
    }

    /// Ranks of numbers that are told apart.
    fn ranks(&self, numbers: Option<&Numbers>) -> usize {
        let ranks = numbers.map_or(0, Numbers::ranks);
        if self.kinds.numbers {
            ranks as usize
        } else {
            0
        }
    }

    /// Takes a condition into account, but for its strings.
    pub(super) fn add(&mut self, condition: &Condition, uses: u32, share: f64) {
        self.uses += f64::from(uses);
        self.refused += f64::from(uses) * (1.0 - share);
        self.kinds.numbers |= !condition.numbers().is_empty();
        for test in condition.tests() {
            match test {
                Test::Null => self.kinds.others.null = true,
                Test::Bool(_) => self.kinds.others.bool = true,
                Test::Range(_) | Test::AnythingBut(Excluded::Numbers(_)) => {
                    self.kinds.numbers = true;
                }
                Test::Text(_) | Test::Network(_) | Test::AnythingBut(Excluded::Texts(_)) => {
                    self.kinds.texts = true;
                }
                Test::Meaning(meaning) => {
                    self.kinds.texts = true;
                    self.kinds.numbers |= meaning.takes_numbers();
                }
                Test::Exists | Test::AnythingBut(Excluded::Strings(_)) => {}
            }
        }
    }
}

/// The strings that a condition names, for or against.
pub(super) fn named(condition: &Condition) -> impl Iterator<Item = &str> {
    let excluded = condition.tests().iter().filter_map(|test| match test {
        Test::AnythingBut(Excluded::Strings(strings)) => Some(strings.values()),
        _ => None,
    });
    let strings = condition.strings().iter().chain(excluded.flatten());
    strings.map(|text| &**text)
}

/// The numbers that a condition names, for or against, limits of ranges included.
pub(super) fn named_numbers(condition: &Condition, mut each: impl FnMut(Number)) {
    let parts = condition.wholes().iter().filter_map(Whole::part);
    let numbers = parts.chain([condition]).flat_map(Condition::numbers);
    numbers.copied().for_each(&mut each);
    for test in condition.tests() {
        match test {
            Test::Range(range) => {
                for bound in [range.low, range.high] {
                    if let std::ops::Bound::Included(n) | std::ops::Bound::Excluded(n) = bound {
                        each(n);
                    }
                }
            }
            Test::AnythingBut(Excluded::Numbers(numbers)) => {
                numbers.values().iter().copied().for_each(&mut each);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use schemas::Campaign;
    use serde_json::json;

    use super::super::Index;
    use super::super::postings::Posting;
    use super::super::words::Words;
    use super::*;
    use crate::rule::Rule;

    /// Of a condition for each of some strings.
    fn demand(strings: usize, uses: u32, share: f64) -> Demand {
        let mut words = Words::default();
        let mut demand = Demand::default();
        for n in 0..strings {
            let text = format!("s{n}");
            let condition = Condition::exactly(&json!(text)).unwrap();
            demand.add(&condition, uses, share);
            demand.named.push((words.add(0, &text), uses));
        }
        demand.rank_words();
        demand
    }

    #[test]
    fn bits_are_worth_most_where_they_say_all() {
        let worth = |strings, uses, share| demand(strings, uses, share).worth_of_a_bit(None);
        // Nothing is refused, as far as is known, but nothing need be looked at either.
        assert!(worth(2, 200, 1.0) > worth(40, 10, 0.5));
        assert!(worth(20, 1, 1.0) > 0.0);
        assert!(worth(21, 1, 1.0) <= 0.0);
        // Of the same use those that take fewer bits.
        assert!(worth(2, 10, 0.5) > worth(4, 5, 0.5));
    }
    // More is known to be refused by the category and by the amount, which take more bits than are left then.
    #[test]
    fn what_few_values_decide_is_not_looked_at_again() {
        let rule = |n: u32| {
            let mut when = json!({
                "merchant": [format!("m{}", n / 10)],
                "tier": ["gold", "platinum"],
                "channel": [{"anything-but": [format!("c{}", n % 5)]}],
            });
            if n.is_multiple_of(2) {
                when["category"] = json!([format!("c{}", n % 40)]);
            } else {
                when["amount"] = json!([{"numeric": [">=", n]}]);
                when["country"] = json!([format!("c{}", n % 12), format!("c{}", n % 11)]);
            }
            let id = format!("{n:03}");
            let campaign =
                json!({"id": id, "name": id, "when": when, "reward": {"kind": "custom"}});
            let campaign = Campaign::from_json(campaign.to_string().as_bytes()).unwrap();
            Arc::new(Rule::compile(campaign).unwrap())
        };
        let index = Index::build((0..400).map(rule).collect(), &mut Arc::default());
        let all = index.postings.of(0, index.postings.len());
        assert!(all.iter().all(Posting::is_settled));
    }
}
