//! Numbers of a field: where they stand among those that rules name.

use std::ops::Bound;

use schemas::Number;

use super::postings::ListId;
use super::ranges::Ranges;
use crate::condition::NumberRange;

/// The numbers that rules name for one field, in ascending order.
///
/// They cut all numbers into *ranks*: rank 2n lies before the bound n, open on both sides, rank 2n + 1 is
/// the bound itself. What a rule asks of a number holds for all numbers of a rank, or for none.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    bounds: Box<[Number]>,
    /// The bounds as the nearest doubles, which are compared faster and never in another order.
    nearest: Box<[f64]>,
    /// By bound: ways that are tried when the field has that number.
    pub(super) equal: Box<[ListId]>,
    /// By rank: its place in the outline; empty if the field has none for numbers.
    pub(super) bits: Box<[u8]>,
    /// Ways that are tried when the number lies in a range.
    pub(super) ranges: Ranges,
}

impl Numbers {
    pub(super) fn new(mut bounds: Vec<Number>) -> Self {
        bounds.sort_unstable();
        bounds.dedup();
        Self {
            nearest: bounds.iter().map(|bound| bound.nearest_f64()).collect(),
            equal: vec![ListId::NONE; bounds.len()].into(),
            bounds: bounds.into(),
            bits: Box::default(),
            ranges: Ranges::default(),
        }
    }

    /// The rank of a number.
    ///
    /// # Panics
    /// At 2³¹ bounds.
    #[inline]
    pub(super) fn rank(&self, number: Number) -> u32 {
        let nearest = number.nearest_f64();
        let mut at = self.nearest.partition_point(|bound| *bound < nearest);
        // Large whole numbers may share their nearest double.
        while self.nearest.get(at) == Some(&nearest) && self.bounds[at] < number {
            at += 1;
        }
        let is_bound = self.bounds.get(at) == Some(&number);
        u32::try_from(2 * at + usize::from(is_bound)).expect("fewer than 2³¹ bounds")
    }

    /// How many ranks there are.
    pub(super) fn ranks(&self) -> u32 {
        u32::try_from(2 * self.bounds.len() + 1).expect("fewer than 2³¹ bounds")
    }

    /// The ranks in a range: the first and the last.
    pub(super) fn ranks_in(&self, range: NumberRange) -> (u32, u32) {
        let first = match range.low {
            Bound::Unbounded => 0,
            Bound::Included(bound) => self.rank(bound),
            Bound::Excluded(bound) => self.rank(bound) + 1,
        };
        let last = match range.high {
            Bound::Unbounded => self.ranks() - 1,
            Bound::Included(bound) => self.rank(bound),
            Bound::Excluded(bound) => self.rank(bound) - 1,
        };
        (first, last)
    }

    /// The bound, if the rank is one and no space between.
    pub(super) fn bound(rank: u32) -> Option<usize> {
        (rank % 2 == 1).then_some(rank as usize / 2)
    }

    pub(super) fn bounds(&self) -> &[Number] {
        &self.bounds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::from_json(&text.parse().unwrap())
    }

    #[test]
    fn a_number_is_a_bound_or_lies_between_two() {
        let bounds = [
            "-1e300",
            "-9223372036854775808",
            "-0.5",
            "0",
            "9007199254740992",
            "9007199254740993",
            "9223372036854775806",
            "9223372036854775807",
            "9223372036854775808",
            "1e300",
        ];
        let numbers = Numbers::new(bounds.iter().map(|text| number(text)).collect());
        for (n, text) in (0..).zip(bounds) {
            assert_eq!(numbers.rank(number(text)), 2 * n + 1, "{text}");
        }
        let cases = [
            ("-1e301", 0),
            ("-1e19", 2),
            ("-1", 4),
            ("-0.1", 6),
            ("0.0", 7),
            ("1e15", 8),
            ("9007199254740994", 12),
            ("9223372036854775805", 12),
            ("1e19", 18),
            ("1.7e308", 20),
        ];
        for (text, rank) in cases {
            assert_eq!(numbers.rank(number(text)), rank, "{text}");
        }
        assert_eq!(numbers.ranks(), 21);
        assert_eq!((Numbers::bound(7), Numbers::bound(8)), (Some(3), None));
    }

    #[test]
    fn a_range_is_a_run_of_ranks() {
        let numbers = Numbers::new(vec![Number::from_i64(10), Number::from_i64(20)]);
        let ranks = |low, high| numbers.ranks_in(NumberRange { low, high });
        let at = Number::from_i64;
        assert_eq!(ranks(Bound::Unbounded, Bound::Excluded(at(10))), (0, 0));
        assert_eq!(ranks(Bound::Unbounded, Bound::Included(at(10))), (0, 1));
        assert_eq!(
            ranks(Bound::Excluded(at(10)), Bound::Excluded(at(20))),
            (2, 2)
        );
        assert_eq!(
            ranks(Bound::Included(at(10)), Bound::Included(at(10))),
            (1, 1)
        );
        assert_eq!(ranks(Bound::Included(at(20)), Bound::Unbounded), (3, 4));
    }
}
