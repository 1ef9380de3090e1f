//! Pairs: where a list is too long, a second word leads on to a part of it.

use super::marks::Mark;
use super::postings::ListId;

/// Lists by a list and a word. Open addressing with linear probing, a power of two of places, at most half
/// of them taken.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    places: Box<[(ListId, Mark, ListId)]>,
}

const EMPTY: (ListId, Mark, ListId) = (ListId::NONE, Mark::NONE, ListId::NONE);

impl Pairs {
    pub(super) fn new(pairs: &[(ListId, Mark, ListId)]) -> Self {
        if pairs.is_empty() {
            return Self::default();
        }
        let mut places = vec![EMPTY; (pairs.len() * 2).next_power_of_two()];
        let mask = places.len() - 1;
        for pair in pairs {
            let mut at = start(pair.0, pair.1) & mask;
            while places[at] != EMPTY {
                at = (at + 1) & mask;
            }
            places[at] = *pair;
        }
        Self {
            places: places.into(),
        }
    }

    /// Reads where a pair would be looked up first, as [`Dictionary::touch`](super::dictionary::Dictionary::touch) does.
    #[inline]
    pub(super) fn touch(&self, list: ListId, word: Mark) -> u32 {
        let mask = self.places.len().wrapping_sub(1);
        let place = self.places.get(start(list, word) & mask);
        place.map_or(0, |place| place.0.0)
    }

    #[inline]
    pub(super) fn find(&self, list: ListId, word: Mark) -> Option<ListId> {
        let mask = self.places.len().checked_sub(1)?;
        let mut at = start(list, word) & mask;
        loop {
            let place = self.places[at];
            if place == EMPTY {
                return None;
            }
            if (place.0, place.1) == (list, word) {
                return Some(place.2);
            }
            at = (at + 1) & mask;
        }
    }
}

#[inline]
fn start(list: ListId, word: Mark) -> usize {
    let both = u64::from(list.0) << 32 | u64::from(word.number());
    // The high bits, which the product mixes best.
    (both.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize
}
