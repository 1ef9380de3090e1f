//! Pairs: where a list is too long, a second word leads on to a part of it.

use super::postings::ListId;
use super::words::WordId;

/// Lists by a list and a word. Open addressing with linear probing, a power of two of places, at most half
/// of them taken.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    places: Box<[(ListId, WordId, ListId)]>,
}

const EMPTY: (ListId, WordId, ListId) = (ListId::NONE, WordId::NONE, ListId::NONE);

impl Pairs {
    pub(super) fn new(pairs: &[(ListId, WordId, ListId)]) -> Self {
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

    #[inline]
    pub(super) fn find(&self, list: ListId, word: WordId) -> Option<ListId> {
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
fn start(list: ListId, word: WordId) -> usize {
    let both = u64::from(list.0) << 32 | u64::from(word.0);
    // The high bits, which the product mixes best.
    (both.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize
}
