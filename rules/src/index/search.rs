//! From an event to the rules that it wins.

use std::hint::black_box;
use std::ops::BitXor;

use schemas::document::leaves::Leaf;
use schemas::paths::PathId;
use schemas::{Document, Event, Number, Value};

use super::conditions::Memo;
use super::dictionary::Probe;
use super::facts::{Fact, Facts};
use super::keys::Plain;
use super::marks::Mark;
use super::numbers::Numbers;
use super::postings::{ListId, Won};
use super::sift::Search;
use super::{FieldAffixes, File, Index};
use crate::letter_case::fold;
use crate::network::address_bits;

/// Buffers of a search, used again for the next.
#[derive(Debug, Default)]
pub(crate) struct Work {
    memo: Memo,
    /// By leaf.
    marks: Vec<Mark>,
    lists: Vec<ListId>,
    /// What may lead on from lists that were gone through.
    pairs: Vec<(ListId, Mark)>,
    /// Runs of postings whose ranges contain a number of the event.
    runs: Vec<(u32, u32)>,
    /// Postings that do not forbid the outline, the first so many.
    candidates: Vec<u32>,
    /// Rules of which the plain evaluation must say whether they are won.
    doubts: Vec<Won>,
    outline: u64,
    /// Bits of fields of which the outline says nothing.
    blank: u64,
    /// Joints at which the event has an array.
    arrays: Vec<PathId>,
    texts: Texts,
}

#[derive(Debug, Default)]
struct Texts {
    bytes: Vec<u8>,
    folded: String,
}

impl Index {
    /// The rules that the event wins into `won`, which is cleared first, in their order, each once.
    pub(crate) fn search(
        &self,
        event: &Event<'_>,
        facts: &Facts,
        buffers: &mut Work,
        won: &mut Vec<Won>,
    ) {
        won.clear();
        buffers.memo.begin(&self.conditions);
        self.look_up(event.root.document(), facts, buffers);
        let mut search = Search {
            index: self,
            event,
            document: event.root.document(),
            facts,
            arrays: &buffers.arrays,
            marks: &buffers.marks,
            outline: buffers.outline,
            blank: buffers.blank,
            memo: &mut buffers.memo,
            candidates: &mut buffers.candidates,
            count: 0,
            doubts: &mut buffers.doubts,
            won,
        };
        for (start, end) in buffers.runs.drain(..) {
            search.sift(start as usize, end as usize);
        }
        while !buffers.lists.is_empty() {
            let begins = buffers.lists.iter().map(|list| self.postings.touch(*list));
            black_box(begins.fold(0, BitXor::bitxor));
            let mut touched = 0;
            for list in buffers.lists.drain(..) {
                let begin = list.0 as usize;
                let header = self.postings.header(list);
                let (start, end) = (header.pairs_start as usize, header.pairs_end as usize);
                for path in &self.pair_fields[start..end] {
                    for leaf in facts.of(*path) {
                        let mark = buffers.marks[leaf];
                        touched ^= self.pairs.touch(list, mark);
                        buffers.pairs.push((list, mark));
                    }
                }
                search.sift(begin + 1, begin + 1 + header.count as usize);
            }
            black_box(touched);
            search.try_candidates();
            let pairs = buffers.pairs.drain(..);
            let further = pairs.filter_map(|(list, mark)| self.pairs.find(list, mark));
            buffers.lists.extend(further);
        }
        search.try_candidates();
        search.settle_doubts();
        if !won.is_sorted_by(|a, b| a.place() < b.place()) {
            won.sort_unstable();
            won.dedup_by_key(|won| won.place());
        }
    }

    /// Looks all values up: the lists to go through, and the outline.
    fn look_up(&self, document: &Document, facts: &Facts, buffers: &mut Work) {
        buffers.marks.clear();
        buffers.lists.clear();
        buffers.runs.clear();
        buffers.doubts.clear();
        buffers.arrays.clear();
        let is_joint = |path: &&PathId| {
            let file = self.files.get(path.index());
            file.is_some_and(|file| file.is_joint)
        };
        buffers
            .arrays
            .extend(facts.arrays().iter().filter(is_joint));
        let mut outline = self.empty_outline;
        let mut blank = 0;
        if self.words.is_large() {
            self.touch_words(facts);
        }
        for (leaf, fact) in facts.leaves() {
            let Some(file) = self.files.get(leaf.path.index()) else {
                buffers.marks.push(Mark::NONE);
                continue;
            };
            let (mark, bit) = match fact {
                Fact::Text(probe) => self.look_up_text(file, *leaf, document, probe, buffers),
                Fact::Number(number) => file.look_up_number(*number, buffers),
                Fact::Other(plain) => {
                    push(&mut buffers.lists, file.list(*plain));
                    (Mark::NONE, file.field.of(*plain))
                }
            };
            push(&mut buffers.lists, file.list(Plain::Present));
            buffers.marks.push(mark);
            outline &= !file.field.mask;
            if facts.is_single(leaf) {
                outline |= (1 << bit) & file.field.mask;
            } else {
                blank |= file.field.mask;
            }
        }
        for path in &self.absences {
            if facts.may_be_absent(*path) {
                let file = &self.files[*path as usize];
                push(&mut buffers.lists, file.list(Plain::Absent));
            }
        }
        if facts.is_wide() {
            buffers.lists.sort_unstable();
            buffers.lists.dedup();
            buffers.runs.sort_unstable();
            buffers.runs.dedup();
        }
        buffers.outline = outline;
        buffers.blank = blank;
    }

    /// Reads where strings will be looked up.
    fn touch_words(&self, facts: &Facts) {
        let mut touched = 0;
        for (leaf, fact) in facts.leaves() {
            if let Fact::Text(probe) = fact
                && let Some(file) = self.files.get(leaf.path.index())
                && file.has_words
            {
                touched ^= self.words.touch(probe);
            }
        }
        black_box(touched);
    }

    /// The mark of a string, and its bit.
    fn look_up_text(
        &self,
        file: &File,
        leaf: Leaf,
        document: &Document,
        probe: &Probe,
        buffers: &mut Work,
    ) -> (Mark, u8) {
        push(&mut buffers.lists, file.list(Plain::AnyText));
        let path = leaf.path.number();
        let text = || match leaf.value(document) {
            Value::String(text) => text,
            _ => unreachable!("it was a string when the facts were read"),
        };
        if let Some(affixes) = &file.affixes {
            let text = text();
            affixes.look_up(text, &mut buffers.texts, &mut buffers.lists);
            if affixes.has_folded {
                let folded = &*buffers.texts.folded;
                let word = (self.folded).find(path, &Probe::new(path, folded), || folded);
                if let Some(word) = word {
                    push(&mut buffers.lists, word.list);
                }
            }
        }
        if file.has_words
            && let Some(word) = self.words.find(path, probe, text)
        {
            push(&mut buffers.lists, word.list);
            return (word.mark, word.bit);
        }
        (Mark::NONE, file.field.text)
    }
}

impl FieldAffixes {
    /// Adds the lists under parts of a string. If some are without regard to case, the folded string is
    /// left in `texts`.
    fn look_up(&self, text: &str, texts: &mut Texts, lists: &mut Vec<ListId>) {
        let mut found = |list| lists.push(list);
        if let Some(prefixes) = &self.prefixes {
            prefixes.of(text.as_bytes(), &mut found);
        }
        if let Some(suffixes) = &self.suffixes {
            suffixes.of(texts.backwards(text), &mut found);
        }
        if let Some(networks) = &self.networks
            && address_bits(text, &mut texts.bytes)
        {
            networks.of(&texts.bytes, &mut found);
        }
        if self.has_folded || self.folded_prefixes.is_some() || self.folded_suffixes.is_some() {
            texts.folded.clear();
            texts.folded.extend(fold(text));
        }
        if let Some(prefixes) = &self.folded_prefixes {
            prefixes.of(texts.folded.as_bytes(), &mut found);
        }
        if let Some(suffixes) = &self.folded_suffixes {
            let folded = std::mem::take(&mut texts.folded);
            suffixes.of(texts.backwards(&folded), &mut found);
            texts.folded = folded;
        }
    }
}

impl Texts {
    fn backwards(&mut self, text: &str) -> &[u8] {
        self.bytes.clear();
        self.bytes.extend(text.bytes().rev());
        &self.bytes
    }
}

impl File {
    #[inline]
    pub(super) fn list(&self, plain: Plain) -> ListId {
        self.plain[plain as usize]
    }

    /// The mark of a number, and its bit.
    fn look_up_number(&self, number: Number, buffers: &mut Work) -> (Mark, u8) {
        let Some(numbers) = &self.numbers else {
            return (Mark::NONE, self.field.number);
        };
        let rank = numbers.rank(number);
        if let Some(bound) = Numbers::bound(rank) {
            push(&mut buffers.lists, numbers.equal[bound]);
        }
        let runs = &mut buffers.runs;
        (numbers.ranges).containing(rank, |start, end| runs.push((start, end)));
        let bit = numbers.bits.get(rank as usize);
        let bit = bit.copied().unwrap_or(self.field.number);
        (Mark::of_rank(rank), bit)
    }
}

#[inline]
fn push(lists: &mut Vec<ListId>, list: ListId) {
    if list != ListId::NONE {
        lists.push(list);
    }
}
