//! Ranges of ranks: which of many contain one.

/// Ranges, arranged so that those that contain a rank are found without looking at the others: an
/// interval tree (Edelsbrunner 1980). Each range lies at the topmost node whose centre it contains, in the
/// order of its start and again in the order of its end; for a rank before the centre those match that start
/// early enough, a run from the first one on.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    nodes: Box<[Node]>,
    /// Starts of each node's ranges in ascending order, and their ends in descending order.
    starts: Box<[u32]>,
    ends: Box<[u32]>,
    /// Where the items of the starts and those of the ends begin in the caller's list.
    by_start: u32,
    by_end: u32,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    centre: u32,
    from: u32,
    to: u32,
    before: u32,
    after: u32,
}

const NONE: u32 = u32::MAX;

/// One range, its last rank included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range<T> {
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) item: T,
}

impl Ranges {
    /// Arranges the ranges and adds their items, each twice, to a list.
    ///
    /// # Panics
    /// At 2³¹ ranges.
    pub(super) fn new<T: Copy>(ranges: Vec<Range<T>>, into: &mut Vec<T>) -> Self {
        let number = |index: usize| u32::try_from(index).expect("fewer than 2³² items");
        let mut nodes = Vec::<Node>::new();
        let mut starts = Vec::with_capacity(ranges.len());
        let mut ends = Vec::with_capacity(ranges.len());
        let mut by_start = Vec::with_capacity(ranges.len());
        let mut by_end = Vec::with_capacity(ranges.len());
        // Ranges of a part of the tree, and the node that leads to it, with the side.
        let mut open = vec![(ranges, NONE, false)];
        while let Some((ranges, parent, is_after)) = open.pop() {
            if ranges.is_empty() {
                continue;
            }
            let mut limits: Vec<u32> = (ranges.iter())
                .flat_map(|range| [range.first, range.last])
                .collect();
            let middle = limits.len() / 2;
            let centre = *limits.select_nth_unstable(middle).1;
            let (mut here, elsewhere): (Vec<_>, Vec<_>) = ranges
                .into_iter()
                .partition(|range| range.first <= centre && centre <= range.last);
            let (before, after): (Vec<_>, Vec<_>) =
                elsewhere.into_iter().partition(|range| range.last < centre);

            let id = number(nodes.len());
            let from = number(starts.len());
            here.sort_by_key(|range| range.first);
            starts.extend(here.iter().map(|range| range.first));
            by_start.extend(here.iter().map(|range| range.item));
            here.sort_by_key(|range| std::cmp::Reverse(range.last));
            ends.extend(here.iter().map(|range| range.last));
            by_end.extend(here.iter().map(|range| range.item));
            nodes.push(Node {
                centre,
                from,
                to: number(starts.len()),
                before: NONE,
                after: NONE,
            });
            match (nodes.get_mut(parent as usize), is_after) {
                (Some(parent), true) => parent.after = id,
                (Some(parent), false) => parent.before = id,
                (None, _) => {}
            }
            open.push((before, id, false));
            open.push((after, id, true));
        }
        let first = number(into.len());
        into.extend(by_start);
        let second = number(into.len());
        into.extend(by_end);
        Self {
            nodes: nodes.into(),
            starts: starts.into(),
            ends: ends.into(),
            by_start: first,
            by_end: second,
        }
    }

    /// Calls `each` with runs of the list that hold the items of all ranges that contain the rank.
    #[inline]
    pub(super) fn containing(&self, rank: u32, mut each: impl FnMut(u32, u32)) {
        let mut at = 0;
        while let Some(node) = self.nodes.get(at as usize) {
            let (from, to) = (node.from as usize, node.to as usize);
            let (keys_end, list) = if rank < node.centre {
                at = node.before;
                let starts = &self.starts[from..to];
                (
                    starts.partition_point(|start| *start <= rank),
                    self.by_start,
                )
            } else {
                at = if rank == node.centre {
                    NONE
                } else {
                    node.after
                };
                let ends = &self.ends[from..to];
                (ends.partition_point(|end| *end >= rank), self.by_end)
            };
            #[expect(clippy::cast_possible_truncation, reason = "at most `to - from`")]
            let count = keys_end as u32;
            if count > 0 {
                each(list + node.from, list + node.from + count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_ranges_that_contain_a_rank_are_found_and_no_others(
            ranges in prop::collection::vec((0u32..40, 0u32..12), 0..60),
            rank in 0u32..60,
        ) {
            let numbered = (0u32..).zip(&ranges).map(|(item, (first, length))| Range {
                first: *first,
                last: first + length,
                item,
            });
            let numbered: Vec<_> = numbered.collect();
            let expected: Vec<u32> = numbered
                .iter()
                .filter(|range| range.first <= rank && rank <= range.last)
                .map(|range| range.item)
                .collect();
            let mut list = vec![99, 98];
            let arranged = Ranges::new(numbered, &mut list);
            let mut found = Vec::new();
            arranged.containing(rank, |from, to| {
                found.extend_from_slice(&list[from as usize..to as usize]);
            });
            found.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }
}
