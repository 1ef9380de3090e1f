//! How often a key is met, as far as the rules themselves tell.
//!
//! Nobody has counted events. But what many rules of a shop ask for is what many of its events have, and a
//! field of which rules name thousands of values tells them apart better than one of which they name four. So
//! the share of a key is how many of the conditions on its field ask for it. The estimate decides under which
//! condition a way is filed and nothing else: where it is wrong, more is tried than need be.

use std::borrow::Cow;
use std::collections::HashMap;

use schemas::Number;

use super::keys::{Affix, Filed, Key, Plain};
use super::numbers::Numbers;
use super::words::{WordId, Words};
use crate::condition::NumberRange;

/// A key by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum KeyId {
    Word(WordId),
    Number(u32),
    Range(u32),
    Affix(u32),
    Plain(Plain),
}

/// Borrowed where a condition has them as they are.
type Bytes<'r> = Cow<'r, [u8]>;

/// An affix, a string without regard to case or a network.
#[derive(Debug)]
pub(super) struct AffixKey<'r> {
    pub(super) path: u32,
    /// `None` is a network.
    pub(super) affix: Option<Affix>,
    pub(super) bytes: Bytes<'r>,
    uses: u32,
}

/// All keys of all conditions, each once, and how often each is used.
#[derive(Debug, Default)]
pub(super) struct Keys<'r> {
    pub(super) words: Words,
    word_uses: Vec<u32>,
    pub(super) numbers: Vec<(u32, Number, u32)>,
    number_ids: HashMap<(u32, Number), u32>,
    pub(super) ranges: Vec<(u32, NumberRange)>,
    pub(super) affixes: Vec<AffixKey<'r>>,
    affix_ids: HashMap<(u32, Option<Affix>, Bytes<'r>), u32>,
    fields: Vec<FieldShares>,
}

#[derive(Debug, Default, Clone, Copy)]
struct FieldShares {
    words: Share,
    numbers: Share,
    affixes: Share,
}

/// Of the keys of one kind on one field: how many there are, and how often they are used in all.
#[derive(Debug, Default, Clone, Copy)]
struct Share {
    distinct: u32,
    uses: u32,
}

impl Share {
    /// So much is added to what is known, as if it had been seen: from few rules little follows.
    const UNSEEN: f64 = 8.0;

    fn add(&mut self, uses: &mut u32) {
        self.distinct += u32::from(*uses == 0);
        self.uses += 1;
        *uses += 1;
    }

    fn of(self, uses: u32) -> f64 {
        f64::from(uses + 1) / (f64::from(self.uses) + f64::from(self.distinct) + Self::UNSEEN)
    }
}

impl<'r> Keys<'r> {
    /// The number of a key, whose use is counted.
    pub(super) fn add(&mut self, path: u32, filed: &Filed<'r>) -> KeyId {
        match filed.key {
            Key::Text(text) => {
                let id = self.words.add(path, text);
                let fields = field(&mut self.fields, path);
                fields.words.add(entry(&mut self.word_uses, id.0));
                KeyId::Word(id)
            }
            Key::Number(number) => {
                let next = count(self.numbers.len());
                let id = *self.number_ids.entry((path, number)).or_insert(next);
                if id == next {
                    self.numbers.push((path, number, 0));
                }
                let uses = &mut self.numbers[id as usize].2;
                field(&mut self.fields, path).numbers.add(uses);
                KeyId::Number(id)
            }
            Key::Range(range) => {
                self.ranges.push((path, range));
                KeyId::Range(count(self.ranges.len() - 1))
            }
            Key::Affix(affix @ (Affix::Suffix | Affix::FoldedSuffix), text) => {
                let backwards: Vec<u8> = text.bytes().rev().collect();
                self.affix(path, Some(affix), backwards.into())
            }
            Key::Affix(affix, text) => self.affix(path, Some(affix), text.as_bytes().into()),
            Key::Network(network) => self.affix(path, None, network.prefix_bits().into()),
            Key::Plain(plain) => KeyId::Plain(plain),
        }
    }

    fn affix(&mut self, path: u32, affix: Option<Affix>, bytes: Bytes<'r>) -> KeyId {
        let next = count(self.affixes.len());
        let id = *(self.affix_ids)
            .entry((path, affix, bytes.clone()))
            .or_insert(next);
        if id == next {
            self.affixes.push(AffixKey {
                path,
                affix,
                bytes,
                uses: 0,
            });
        }
        let uses = &mut self.affixes[id as usize].uses;
        field(&mut self.fields, path).affixes.add(uses);
        KeyId::Affix(id)
    }

    /// The share of events that have the key, by estimate: above 0, at most 1.
    pub(super) fn share(&self, path: u32, key: KeyId, numbers: Option<&Numbers>) -> f64 {
        let fields = &self.fields.get(path as usize).copied().unwrap_or_default();
        match key {
            KeyId::Word(id) => fields.words.of(self.word_uses[id.0 as usize]),
            KeyId::Number(id) => fields.numbers.of(self.numbers[id as usize].2),
            KeyId::Affix(id) => fields.affixes.of(self.affixes[id as usize].uses),
            KeyId::Range(id) => {
                let numbers = numbers.expect("a field with a range has numbers");
                let (first, last) = numbers.ranks_in(self.ranges[id as usize].1);
                // As if events were spread over the limits that rules name as the limits are.
                f64::from(last + 1 - first) / f64::from(numbers.ranks())
            }
            KeyId::Plain(Plain::Null) => 0.05,
            KeyId::Plain(Plain::False | Plain::True | Plain::Absent) => 0.5,
            KeyId::Plain(Plain::AnyText) => 0.8,
            KeyId::Plain(Plain::Present) => 0.9,
        }
    }
}

fn field(fields: &mut Vec<FieldShares>, path: u32) -> &mut FieldShares {
    entry(fields, path)
}

fn entry<T: Default + Clone>(list: &mut Vec<T>, at: u32) -> &mut T {
    let at = at as usize;
    if list.len() <= at {
        list.resize(at + 1, T::default());
    }
    &mut list[at]
}

fn count(index: usize) -> u32 {
    u32::try_from(index).expect("fewer than 2³² keys fit the memory")
}
