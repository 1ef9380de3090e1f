//! Exact strings: each value of each field that some rule names, with a number. Used while an index is made; what is
//! looked up later is its [`Dictionary`](super::dictionary::Dictionary).

use schemas::hash::hash;

use super::postings::ListId;

/// Strings by field.
#[derive(Debug, Default)]
pub(super) struct Words {
    list: Vec<Word>,
    texts: String,
    /// Numbers of words, by hash; open addressing with linear probing, a power of two of places, at most
    /// half of them taken.
    places: Vec<Place>,
}

/// The number of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct WordId(pub(super) u32);

impl WordId {
    /// A string that no rule names.
    pub(super) const NONE: Self = Self(u32::MAX);
}

/// What is known of a string as the value of a field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word {
    pub(super) path: u32,
    start: u32,
    end: u32,
    /// Ways that are tried when the field has the value.
    pub(super) list: ListId,
    /// Its bit in the outline, if its field has bits.
    pub(super) bit: u8,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    tag: u32,
    id: WordId,
}

const EMPTY: Place = Place {
    tag: 0,
    id: WordId::NONE,
};

impl Words {
    /// The number of a string as a value of a field, a new one if need be.
    ///
    /// # Panics
    /// At 2³² strings or 4 GiB of text.
    pub(super) fn add(&mut self, path: u32, text: &str) -> WordId {
        if self.places.is_empty() {
            self.places = vec![EMPTY; 16];
        }
        let known = self.find(path, text);
        if known != WordId::NONE {
            return known;
        }
        let number = |index: usize| u32::try_from(index).expect("less than 4 GiB of text");
        let id = WordId(number(self.list.len()));
        let start = number(self.texts.len());
        self.texts.push_str(text);
        self.list.push(Word {
            path,
            start,
            end: number(self.texts.len()),
            list: ListId::NONE,
            bit: 0,
        });
        if self.list.len() * 2 > self.places.len() {
            self.grow();
        } else {
            self.place(id);
        }
        id
    }

    /// The number of a string as a value of a field.
    #[inline]
    pub(super) fn find(&self, path: u32, text: &str) -> WordId {
        let Some(mask) = self.places.len().checked_sub(1) else {
            return WordId::NONE;
        };
        let hash = hash(path, text.as_bytes());
        let mut at = start(hash) & mask;
        loop {
            let place = self.places[at];
            if place.id == WordId::NONE {
                return WordId::NONE;
            }
            if place.tag == tag(hash) {
                let word = self.word(place.id);
                if word.path == path && self.text_of(word) == text {
                    return place.id;
                }
            }
            at = (at + 1) & mask;
        }
    }

    #[inline]
    pub(super) fn word(&self, id: WordId) -> &Word {
        &self.list[id.0 as usize]
    }

    pub(super) fn word_mut(&mut self, id: WordId) -> &mut Word {
        &mut self.list[id.0 as usize]
    }

    pub(super) fn text(&self, id: WordId) -> &str {
        self.text_of(self.word(id))
    }

    /// Every word with its field.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (WordId, u32, &mut Word)> {
        let numbered = (0..).map(WordId).zip(&mut self.list);
        numbered.map(|(id, word)| (id, word.path, word))
    }

    /// Every word.
    pub(super) fn iter(&self) -> impl Iterator<Item = (WordId, &Word)> {
        (0..).map(WordId).zip(&self.list)
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    fn text_of(&self, word: &Word) -> &str {
        &self.texts[word.start as usize..word.end as usize]
    }

    fn grow(&mut self) {
        self.places = vec![EMPTY; self.places.len() * 2];
        for id in 0..self.list.len() {
            self.place(WordId(u32::try_from(id).expect("it was one before")));
        }
    }

    fn place(&mut self, id: WordId) {
        let hash = hash(self.word(id).path, self.text(id).as_bytes());
        let mask = self.places.len() - 1;
        let mut at = start(hash) & mask;
        while self.places[at].id != WordId::NONE {
            at = (at + 1) & mask;
        }
        self.places[at] = Place { tag: tag(hash), id };
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low bits")]
fn start(hash: u64) -> usize {
    hash as usize
}

fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}
