//! Beginnings of strings: which of many a string has.

use super::postings::ListId;

/// Byte strings, each with a list, as a tree of what they have in common. A string is followed from its
/// first byte on; the time is linear in its length whatever the number of beginnings.
#[derive(Debug)]
pub(super) struct Affixes {
    /// The first stands for the empty string. Children of a node lie beside each other, in the order of
    /// their first bytes.
    nodes: Box<[Node]>,
    labels: Box<[u8]>,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    label_start: u32,
    label_end: u32,
    children_start: u32,
    children_end: u32,
    list: ListId,
}

impl Affixes {
    /// Of beginnings that are not empty.
    ///
    /// # Panics
    /// At 4 GiB of text.
    pub(super) fn new(mut beginnings: Vec<(&[u8], ListId)>) -> Self {
        beginnings.sort_unstable_by_key(|(text, _)| *text);
        beginnings.dedup_by_key(|(text, _)| *text);
        let number = |index: usize| u32::try_from(index).expect("less than 4 GiB of text");
        let mut nodes = vec![Node {
            label_start: 0,
            label_end: 0,
            children_start: 0,
            children_end: 0,
            list: ListId::NONE,
        }];
        let mut labels = Vec::new();
        // What lies below a node, without what leads to it. A queue and no recursion: beginnings can be
        // nested as deeply as they are long.
        let mut below = vec![(0..beginnings.len(), 0)];
        let mut at = 0;
        while at < nodes.len() {
            let (mut range, depth) = below[at].clone();
            nodes[at].children_start = number(nodes.len());
            while let Some((first, list)) = beginnings[range.clone()].first() {
                let start = first[depth];
                let same =
                    beginnings[range.clone()].partition_point(|(text, _)| text[depth] == start);
                let (last, _) = beginnings[range.start + same - 1];
                let common = (first[depth..].iter().zip(&last[depth..]))
                    .take_while(|(a, b)| a == b)
                    .count();
                let end = depth + common;
                let is_whole = first.len() == end;
                let label_start = number(labels.len());
                labels.extend_from_slice(&first[depth..end]);
                nodes.push(Node {
                    label_start,
                    label_end: number(labels.len()),
                    children_start: 0,
                    children_end: 0,
                    list: if is_whole { *list } else { ListId::NONE },
                });
                let inner = range.start + usize::from(is_whole)..range.start + same;
                below.push((inner, end));
                range.start += same;
            }
            nodes[at].children_end = number(nodes.len());
            at += 1;
        }
        Self {
            nodes: nodes.into(),
            labels: labels.into(),
        }
    }

    /// Calls `each` with the lists of all beginnings that the text has.
    pub(super) fn of(&self, text: &[u8], mut each: impl FnMut(ListId)) {
        let mut node = self.nodes[0];
        let mut rest = text;
        while let Some(first) = rest.first() {
            let start = node.children_start as usize;
            let children = &self.nodes[start..node.children_end as usize];
            let Ok(child) = children
                .binary_search_by_key(first, |child| self.labels[child.label_start as usize])
            else {
                return;
            };
            node = children[child];
            let label = &self.labels[node.label_start as usize..node.label_end as usize];
            let Some(after) = rest.strip_prefix(label) else {
                return;
            };
            rest = after;
            if node.list != ListId::NONE {
                each(node.list);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(beginnings: &[Vec<u8>], text: &[u8]) -> Vec<u32> {
        let numbered = beginnings.iter().enumerate();
        let affixes = Affixes::new(
            numbered
                .map(|(n, bytes)| (&**bytes, ListId(u32::try_from(n).unwrap())))
                .collect(),
        );
        let mut lists = Vec::new();
        affixes.of(text, |list| lists.push(list.0));
        lists.sort_unstable();
        lists
    }

    #[test]
    fn beginnings_may_be_nested_as_deeply_as_they_are_long() {
        let nested: Vec<_> = (1..20_000).map(|length| vec![b'a'; length]).collect();
        assert_eq!(found(&nested, b"aaab"), [0, 1, 2]);
        assert_eq!(found(&[], b"a"), [0; 0]);
    }

    proptest! {
        #[test]
        fn a_text_has_the_beginnings_that_it_starts_with(
            beginnings in prop::collection::btree_set("[ab]{1,5}", 0..12),
            text in "[abc]{0,8}",
        ) {
            let beginnings: Vec<_> = beginnings.into_iter().map(String::into_bytes).collect();
            let expected: Vec<u32> = (0..)
                .zip(&beginnings)
                .filter(|(_, beginning)| text.as_bytes().starts_with(beginning))
                .map(|(n, _)| n)
                .collect();
            prop_assert_eq!(found(&beginnings, text.as_bytes()), expected);
        }
    }
}
