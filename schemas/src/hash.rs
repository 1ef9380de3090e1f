//! A hash of short texts for tables that are looked up many times an event.
//!
//! Not for tables whose keys strangers choose: it has no secret. Events only ask; keys come from campaigns.

/// The hash of some bytes in a context, such as the number of the field that they are the value of.
///
/// A multiplication to 128 bits, folded, as in wyhash and its descendants, over two words: texts of up
/// to 16 bytes, most keys and values of events, cost one.
#[inline]
pub fn hash(context: u32, bytes: &[u8]) -> u64 {
    const K0: u64 = 0x9e37_79b9_7f4a_7c15;
    const K1: u64 = 0xe703_7ed1_a0b4_28db;
    const K2: u64 = 0x8ebc_6af0_9c88_c6e3;
    let shape = u64::from(context) | (bytes.len() as u64) << 32;
    let mut state = (shape ^ K2).wrapping_mul(K0);
    let mut rest = bytes;
    while let Some((block, after)) = rest.split_first_chunk::<16>()
        && !after.is_empty()
    {
        let (a, b) = words(block);
        state = folded(a ^ K1 ^ state, b ^ K2);
        rest = after;
    }
    let (a, b) = ends(rest);
    folded(a ^ K1 ^ state, b ^ K0)
}

/// Two words that cover at most 16 bytes, overlapping if need be. With the length they say all of them; of more bytes,
/// the first and the last.
#[inline]
pub fn ends(rest: &[u8]) -> (u64, u64) {
    if let (Some(first), Some(last)) = (rest.first_chunk(), rest.last_chunk()) {
        return (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
    }
    if let (Some(first), Some(last)) = (rest.first_chunk(), rest.last_chunk()) {
        let word = |bytes: &[u8; 4]| u64::from(u32::from_le_bytes(*bytes));
        return (word(first), word(last));
    }
    let at = |index: usize| rest.get(index).map_or(0, |byte| u64::from(*byte));
    (at(0) | at(1) << 8, at(2))
}

#[inline]
fn words(block: &[u8; 16]) -> (u64, u64) {
    let both = u128::from_le_bytes(*block);
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    let halves = (both as u64, (both >> 64) as u64);
    halves
}

#[inline]
fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    let folded = product as u64 ^ (product >> 64) as u64;
    folded
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn texts_that_differ_anywhere_differ_in_their_hash() {
        let mut seen = HashSet::new();
        for context in 0..3 {
            for length in 0..80 {
                let mut bytes = vec![b'a'; length];
                assert!(seen.insert(hash(context, &bytes)), "{context} {length}");
                for at in 0..length {
                    bytes[at] = b'b';
                    assert!(seen.insert(hash(context, &bytes)), "{length} {at}");
                    bytes[at] = b'a';
                }
            }
        }
    }

    #[test]
    fn every_part_of_the_hash_spreads() {
        // Numbered texts, as articles and merchants are: in 2¹² places by the low and by the high bits.
        let places = 1 << 12;
        let mut low = vec![0u32; places];
        let mut high = vec![0u32; places];
        for n in 0..1 << 15 {
            let hash = hash(7, format!("SKU-{n:05}").as_bytes());
            low[(hash & 0xfff) as usize] += 1;
            high[(hash >> 52) as usize] += 1;
        }
        // On average 8; by chance alone, more than 32 is less likely than one in a million.
        assert!(low.iter().chain(&high).all(|count| *count <= 32));
    }
}
