//! Lists by key: what is found under a word, a number, a beginning, …

use std::collections::HashMap;
use std::sync::Arc;

use super::affixes::Affixes;
use super::build::{Plan, count};
use super::dictionary::Dictionary;
use super::keys::Affix;
use super::marks::Mark;
use super::numbers::Numbers;
use super::pairs::Pairs;
use super::postings::{Header, Line, ListId, Postings};
use super::ranges::{Range, Ranges};
use super::shares::{KeyId, Keys};
use super::ways::Way;
use super::words::{WordId, Words};
use super::{FieldAffixes, File, Index};
use crate::rule::Rule;

/// A longer list is cut by a second word, where its ways have one.
pub(super) const LONG: usize = 64;
/// A way is filed in at most so many parts of a list.
const MAX_PARTS: usize = 16;
/// A second word that more of the events have does not shorten a list enough.
const MAX_SHARE: f64 = 1.0 / 8.0;
/// Most conditions under which a way is filed one after the other.
const MAX_KNOWN: usize = 3;

/// A way in a list, and what is known to hold for all that is found there.
#[derive(Debug, Clone, Copy)]
struct Entry {
    way: u32,
    known: [u32; MAX_KNOWN],
    known_count: u8,
}

/// Entries of many lists, in one piece of memory: lists are many and short.
#[derive(Debug, Default)]
struct Entries {
    /// Each with the next of its list.
    all: Vec<(Entry, u32)>,
    lists: Vec<List>,
}

/// The first and the last entry of a list, and how many it has.
#[derive(Debug)]
struct List {
    first: u32,
    last: u32,
    count: usize,
}

/// Behind the last entry of a list.
const END: u32 = u32::MAX;

impl Entries {
    /// Begins a list.
    fn begin(&mut self) -> ListId {
        self.lists.push(List {
            first: END,
            last: END,
            count: 0,
        });
        ListId(count(self.lists.len() - 1))
    }

    fn push(&mut self, list: ListId, entry: Entry) {
        let at = count(self.all.len());
        self.all.push((entry, END));
        let list = &mut self.lists[list.0 as usize];
        match self.all.get_mut(list.last as usize) {
            Some((_, next)) => *next = at,
            None => list.first = at,
        }
        list.last = at;
        list.count += 1;
    }

    /// One entry, and the next of its list.
    fn get(&self, at: u32) -> Option<(Entry, u32)> {
        self.all.get(at as usize).copied()
    }
}

/// The lists while they are made.
#[derive(Debug, Default)]
pub(super) struct Lists {
    entries: Entries,
    by_number: Vec<ListId>,
    by_affix: Vec<ListId>,
    ranges: HashMap<u32, Vec<Range<Line>>>,
    /// By number while they are made: where the list begins.
    begins: Vec<ListId>,
    lines: Vec<Line>,
    pairs: Vec<(ListId, WordId, ListId)>,
    pair_fields: Vec<u32>,
}

impl Entry {
    fn known(&self) -> impl Iterator<Item = usize> {
        let known = &self.known[..usize::from(self.known_count)];
        known.iter().map(|at| *at as usize)
    }
}

impl Lists {
    /// Files all ways of the plan.
    pub(super) fn file_all(&mut self, plan: &mut Plan<'_>) {
        self.by_number = vec![ListId::NONE; plan.keys.numbers.len()];
        self.by_affix = vec![ListId::NONE; plan.keys.affixes.len()];
        for at in 0..plan.ways.all.len() {
            self.file(plan, at);
        }
        let mut at = 0;
        while at < self.entries.lists.len() {
            self.lay_out(plan, ListId(count(at)));
            at += 1;
        }
        self.entries = Entries::default();
    }

    fn file(&mut self, plan: &mut Plan<'_>, at: usize) {
        let chosen = plan.chosen[at];
        let path = plan.ways.asked[chosen].path;
        let is_known = plan.filings[chosen].is_exact;
        let entry = Entry {
            way: count(at),
            known: [count(chosen), 0, 0],
            known_count: u8::from(is_known),
        };
        for key in plan.keys_of(chosen).to_vec() {
            let list = match key {
                KeyId::Word(id) => &mut plan.keys.words.word_mut(id).list,
                KeyId::Number(id) => &mut self.by_number[id as usize],
                KeyId::Affix(id) => &mut self.by_affix[id as usize],
                KeyId::Plain(kind) => &mut plan.files[path as usize].plain[kind as usize],
                KeyId::Range(id) => {
                    let numbers = plan.files[path as usize].numbers.as_deref();
                    let numbers = numbers.expect("a field with a range has numbers");
                    let (first, last) = numbers.ranks_in(plan.keys.ranges[id as usize].1);
                    let known: Vec<_> = entry.known().collect();
                    let item = Line::Filed(plan.filed(&plan.ways.all[at], &known));
                    let range = Range { first, last, item };
                    self.ranges.entry(path).or_default().push(range);
                    continue;
                }
            };
            if *list == ListId::NONE {
                *list = self.entries.begin();
            }
            self.entries.push(*list, entry);
        }
    }

    /// Gives a list its postings, and files in further lists what a second word can tell apart.
    fn lay_out(&mut self, plan: &mut Plan<'_>, list: ListId) {
        let header = self.lines.len();
        self.lines.push(Line::Header(Header::default()));
        let pairs_start = count(self.pair_fields.len());
        let mut parts = HashMap::<WordId, ListId>::new();
        let List {
            first,
            count: length,
            ..
        } = self.entries.lists[list.0 as usize];
        let (mut at, is_long) = (first, length > LONG);
        while let Some((mut entry, next)) = self.entries.get(at) {
            at = next;
            let way = plan.ways.all[entry.way as usize];
            let known: Vec<_> = entry.known().collect();
            let second = is_long.then(|| second(plan, &way, &known)).flatten();
            let Some((asked, words)) = second else {
                self.lines.push(Line::Filed(plan.filed(&way, &known)));
                continue;
            };
            entry.known[usize::from(entry.known_count)] = count(asked);
            entry.known_count += 1;
            let path = plan.ways.asked[asked].path;
            if !self.pair_fields[pairs_start as usize..].contains(&path) {
                self.pair_fields.push(path);
            }
            for word in words {
                let part = *parts.entry(word).or_insert_with(|| {
                    let part = self.entries.begin();
                    self.pairs.push((list, word, part));
                    part
                });
                self.entries.push(part, entry);
            }
        }
        debug_assert_eq!(self.begins.len(), list.0 as usize);
        self.begins.push(ListId(count(header)));
        let pairs_end = count(self.pair_fields.len());
        self.lines[header] = Line::Header(Header {
            count: count(self.lines.len() - header - 1),
            pairs_start,
            pairs_end,
        });
    }

    /// Where a list begins, of its number.
    fn begin(&self, list: ListId) -> ListId {
        let begin = self.begins.get(list.0 as usize);
        begin.copied().unwrap_or(ListId::NONE)
    }

    /// The parts of the index that were made here.
    pub(super) fn finish(
        mut self,
        keys: Keys<'_>,
        mut files: Vec<File>,
        rules: &[Arc<Rule>],
    ) -> Index {
        for file in &mut files {
            file.plain = file.plain.map(|list| self.begin(list));
        }
        for (path, ranges) in std::mem::take(&mut self.ranges) {
            let numbers = files[path as usize].numbers.as_deref_mut();
            let numbers = numbers.expect("a field with a range has numbers");
            numbers.ranges = Ranges::new(ranges, &mut self.lines);
        }
        for ((path, number, _), list) in keys.numbers.iter().zip(&self.by_number) {
            let numbers = files[*path as usize].numbers.as_deref_mut();
            let numbers = numbers.expect("a field with a number has numbers");
            let bound = Numbers::bound(numbers.rank(*number));
            numbers.equal[bound.expect("each number is a bound")] = self.begin(*list);
        }
        let by_affix: Vec<_> = self.by_affix.iter().map(|list| self.begin(*list)).collect();
        let folded = file_affixes(&keys, &by_affix, &mut files);
        let mut words = keys.words;
        for (_, path, word) in words.iter_mut() {
            files[path as usize].has_words = true;
            word.list = self.begin(word.list);
        }
        let pairs: Vec<_> = (self.pairs.iter())
            .map(|(list, word, part)| (self.begin(*list), Mark::of_word(*word), self.begin(*part)))
            .collect();
        for file in &mut files {
            let nothing = file.plain.iter().all(|list| *list == ListId::NONE)
                && file.field.mask == 0
                && !file.has_words
                && !file.is_joint
                && file.affixes.is_none()
                && file.numbers.is_none();
            file.is_idle = nothing;
        }
        while files.last().is_some_and(|file| file.is_idle) {
            files.pop();
        }
        Index {
            files: files.into(),
            words: Dictionary::new(&words),
            folded: Dictionary::new(&folded),
            postings: Postings::new(&self.lines, rules),
            pairs: Pairs::new(&pairs),
            pair_fields: self.pair_fields.into(),
            ..Index::default()
        }
    }
}

/// The condition that best tells a way from the others of a long list, and its words.
pub(super) fn second(plan: &Plan<'_>, way: &Way, known: &[usize]) -> Option<(usize, Vec<WordId>)> {
    if known.len() == MAX_KNOWN {
        return None;
    }
    let best = way
        .asked()
        .filter(|at| !known.contains(at))
        .filter(|at| plan.filings[*at].share <= MAX_SHARE)
        .filter(|at| plan.keys_of(*at).len() <= MAX_PARTS)
        .filter_map(|at| Some((at, plan.words_of(at)?)))
        .min_by(|(a, _), (b, _)| (plan.filings[*a].share).total_cmp(&plan.filings[*b].share))?;
    Some(best)
}

/// Arranges the affixes by field; strings without regard to case are returned as words.
fn file_affixes(keys: &Keys<'_>, lists: &[ListId], files: &mut [File]) -> Words {
    let mut folded = Words::default();
    let mut by_field = HashMap::<_, Vec<(&[u8], ListId)>>::new();
    for (key, list) in keys.affixes.iter().zip(lists) {
        if *list == ListId::NONE {
            continue;
        }
        if key.affix == Some(Affix::Folded) {
            let text = std::str::from_utf8(&key.bytes).expect("it was made of a string");
            let id = folded.add(key.path, text);
            folded.word_mut(id).list = *list;
            let affixes = &mut files[key.path as usize].affixes;
            affixes.get_or_insert_default().has_folded = true;
            continue;
        }
        let same = by_field.entry((key.path, key.affix)).or_default();
        same.push((&key.bytes, *list));
    }
    for ((path, affix), beginnings) in by_field {
        let affixes: &mut FieldAffixes = files[path as usize].affixes.get_or_insert_default();
        let place = match affix {
            None => &mut affixes.networks,
            Some(Affix::Prefix) => &mut affixes.prefixes,
            Some(Affix::Suffix) => &mut affixes.suffixes,
            Some(Affix::FoldedPrefix) => &mut affixes.folded_prefixes,
            Some(Affix::FoldedSuffix) => &mut affixes.folded_suffixes,
            Some(Affix::Folded) => unreachable!("those are words"),
        };
        *place = Some(Affixes::new(beginnings));
    }
    folded
}
