//! Exact strings as they are looked up: of most that no rule names only a byte is read, of the others one place in memory
//! more, however many there are.

use schemas::hash::{ends, hash};

use super::marks::Mark;
use super::postings::ListId;
use super::words::Words;

/// The words of an index, each with what is known of it. Open addressing with linear probing, by tags of a byte: those of
/// 100,000 campaigns stay in the processor's caches, while their entries do not.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    /// By place: seven bits of the hash of what is there, above zero.
    tags: Box<[u8]>,
    /// By place.
    entries: Box<[Entry]>,
    /// The texts of more than [`SHORT`] bytes, one after the other.
    long: String,
}

/// Half a cache line, with all there is to compare of a short text.
#[derive(Debug, Clone, Copy)]
#[repr(align(32))]
struct Entry {
    /// Of a long text: where it begins, and its length.
    ends: (u64, u64),
    path: u32,
    list: ListId,
    mark: Mark,
    length: u8,
    bit: u8,
}

const _: () = assert!(size_of::<Entry>() == 32, "half a cache line");

/// What is known of a string as the value of a field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word {
    /// Its bit in the outline, if its field has bits.
    pub(super) bit: u8,
    /// Ways that are tried when the field has the value.
    pub(super) list: ListId,
    pub(super) mark: Mark,
}

/// Texts of so many bytes are told apart by their ends and their length.
const SHORT: usize = 16;
/// The length of those that are longer.
const LONG: u8 = u8::MAX;

const EMPTY: Entry = Entry {
    ends: (0, 0),
    path: u32::MAX,
    list: ListId::NONE,
    mark: Mark::NONE,
    length: 0,
    bit: 0,
};

impl Entry {
    #[inline]
    fn word(&self) -> Word {
        Word {
            bit: self.bit,
            list: self.list,
            mark: self.mark,
        }
    }
}

/// A string of an event, prepared to be looked up in one index after the other.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Probe {
    hash: u64,
    ends: (u64, u64),
    length: u8,
}

impl Probe {
    #[inline]
    pub(super) fn new(path: u32, text: &str) -> Self {
        let bytes = text.as_bytes();
        let hash = hash(path, bytes);
        if bytes.len() > SHORT {
            return Self {
                hash,
                ends: (0, 0),
                length: LONG,
            };
        }
        #[expect(clippy::cast_possible_truncation, reason = "a short text")]
        let length = bytes.len() as u8;
        Self {
            hash,
            ends: ends(bytes),
            length,
        }
    }
}

impl Dictionary {
    /// # Panics
    /// At 2³¹ words.
    pub(super) fn new(words: &Words) -> Self {
        // Three of five places are taken.
        let places = words.len() * 5 / 3 + usize::from(words.len() > 0);
        let mut tags = vec![FREE; places];
        let mut entries = vec![EMPTY; places];
        let mut long = String::new();
        for (id, word) in words.iter() {
            let text = words.text(id);
            let probe = Probe::new(word.path, text);
            let mut at = start(probe.hash, places);
            while tags[at] != FREE {
                at = (at + 1) % places;
            }
            tags[at] = tag(probe.hash);
            let mut ends = probe.ends;
            if probe.length == LONG {
                ends = (long.len() as u64, text.len() as u64);
                long.push_str(text);
            }
            entries[at] = Entry {
                ends,
                path: word.path,
                list: word.list,
                mark: Mark::of_word(id),
                length: probe.length,
                bit: word.bit,
            };
        }
        long.shrink_to_fit();
        Self {
            tags: tags.into(),
            entries: entries.into(),
            long,
        }
    }

    /// How many places there are, half as many again as words.
    pub(super) fn places(&self) -> usize {
        self.entries.len()
    }

    /// What is known of the text that the probe was made of, for the same field.
    #[inline]
    pub(super) fn find<'t>(
        &self,
        path: u32,
        probe: &Probe,
        text: impl FnOnce() -> &'t str,
    ) -> Option<Word> {
        if probe.length == LONG {
            let text = text();
            let is_it = |it: &&Entry| it.path == path && it.length == LONG && self.is(it, text);
            return self.candidates(probe).find(is_it).map(Entry::word);
        }
        let is_it =
            |it: &&Entry| it.ends == probe.ends && it.path == path && it.length == probe.length;
        self.candidates(probe).find(is_it).map(Entry::word)
    }

    /// Whether it pays to [`Dictionary::touch`] before looking up: the nearer caches do not hold it.
    #[inline]
    pub(super) fn is_large(&self) -> bool {
        self.entries.len() > 16 * 1024
    }

    /// Reads what the text would be compared with first, and nothing depends on what is there: so many such places are
    /// fetched from memory at once, and not one after the other.
    #[inline]
    pub(super) fn touch(&self, probe: &Probe) -> u32 {
        let first = self.candidates(probe).next();
        first.map_or(0, |entry| entry.path)
    }

    /// What is there with the tag of the text, nearly always the text itself or nothing.
    #[inline]
    fn candidates(&self, probe: &Probe) -> impl Iterator<Item = &Entry> {
        let mut at = start(probe.hash, self.tags.len());
        let tag = tag(probe.hash);
        std::iter::from_fn(move || {
            loop {
                let here = at;
                let found = *self.tags.get(here)?;
                if found == FREE {
                    return None;
                }
                at = if here + 1 == self.tags.len() {
                    0
                } else {
                    here + 1
                };
                if found == tag {
                    return self.entries.get(here);
                }
            }
        })
    }

    fn is(&self, entry: &Entry, text: &str) -> bool {
        let (begin, length) = entry.ends;
        if length != text.len() as u64 {
            return false;
        }
        let rest = usize::try_from(begin)
            .ok()
            .and_then(|begin| self.long.as_bytes().get(begin..));
        rest.is_some_and(|rest| rest.starts_with(text.as_bytes()))
    }
}

/// The tag of a place where nothing is.
const FREE: u8 = 0;

/// The low bits, for the place is of the high ones.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "seven bits are meant")]
fn tag(hash: u64) -> u8 {
    hash as u8 | 0x80
}

/// The place of a hash among so many: its high half as a fraction of them (Lemire 2019, "Fast random integer
/// generation in an interval").
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "less than the number of places"
)]
fn start(hash: u64, places: usize) -> usize {
    ((u128::from(hash) * places as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_under_its_field_whatever_its_length() {
        let mut words = Words::default();
        let text = |n: u32, length: usize| format!("{n:0length$}");
        let all = |n: u32| (1..40).map(move |length| (n % 3, text(n, length)));
        for (path, text) in (0..200).flat_map(all) {
            words.add(path, &text);
        }
        words.add(0, "");
        let found = |dictionary: &Dictionary, path, text: &str| {
            dictionary
                .find(path, &Probe::new(path, text), || text)
                .map(|word| word.mark)
        };
        let dictionary = Dictionary::new(&words);
        for (path, text) in (0..200).flat_map(all) {
            let expected = Mark::of_word(words.find(path, &text));
            assert_eq!(found(&dictionary, path, &text), Some(expected), "{text}");
            assert_eq!(found(&dictionary, path + 3, &text), None);
            for other in [
                format!("{text}x"),
                format!("x{text}"),
                text.replace('0', "x"),
            ] {
                if words.find(path, &other) == super::super::words::WordId::NONE {
                    assert_eq!(found(&dictionary, path, &other), None, "{other}");
                }
            }
        }
        assert!(found(&dictionary, 0, "").is_some());
        assert_eq!(found(&dictionary, 1, ""), None);
        assert_eq!(found(&Dictionary::default(), 0, "a"), None);
    }
}
