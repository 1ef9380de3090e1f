//! How rows are spread over partitions. Pure. Never to be changed: rows are found by it again.

use jiff::tz::Offset;
use jiff::{Timestamp, ToSpan as _};

/// Parts of an hour of a campaign.
///
/// One campaign can win thousands of times a second. At 2,000 a second an hour has 7.2 million rows, so
/// a partition 450,000, some 150 MB: within what both databases call healthy. To read an hour costs as
/// many questions, so there are no more of them.
pub(crate) const SHARDS: i32 = 16;

/// The part of the hour that an event's matches are in: FNV-1a of its id (32 bits, as its authors
/// specify it), so that an event that comes twice has the same one.
pub(crate) fn shard(event_id: &str) -> i32 {
    let hash = event_id.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    i32::try_from(hash % SHARDS.unsigned_abs()).unwrap_or(0)
}

/// A length of time that partitions of a table cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bucket {
    /// Of a customer.
    Month,
    /// Of a campaign.
    Hour,
}

impl Bucket {
    /// Name of the bucket that a time is in, UTC.
    pub(crate) fn name(self, time: Timestamp) -> String {
        let format = match self {
            Self::Month => "%Y-%m",
            Self::Hour => "%Y-%m-%dT%H",
        };
        time.strftime(format).to_string()
    }

    /// The first moment of the bucket that a time is in.
    pub(crate) fn start(self, time: Timestamp) -> Timestamp {
        let at = Offset::UTC.to_datetime(time);
        let start = match self {
            Self::Month => at.date().first_of_month().at(0, 0, 0, 0),
            Self::Hour => at.date().at(at.hour(), 0, 0, 0),
        };
        // Only the first moments that there are have none before them.
        Offset::UTC.to_timestamp(start).unwrap_or(Timestamp::MIN)
    }

    /// The last moment, to the nanosecond, of the bucket before the one that a time is in; none before
    /// the first.
    pub(crate) fn last_before(self, time: Timestamp) -> Option<Timestamp> {
        self.start(time).checked_sub(1.nanosecond()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn buckets_are_named_and_follow_each_other_without_a_gap() {
        let time = at("2026-11-01T00:59:59.999Z");
        assert_eq!(Bucket::Month.name(time), "2026-11");
        assert_eq!(Bucket::Hour.name(time), "2026-11-01T00");
        assert_eq!(Bucket::Hour.start(time), at("2026-11-01T00:00:00Z"));
        assert_eq!(Bucket::Month.start(time), at("2026-11-01T00:00:00Z"));
        for bucket in [Bucket::Month, Bucket::Hour] {
            let before = bucket.last_before(time).unwrap();
            assert_eq!(before, at("2026-10-31T23:59:59.999999999Z"));
            assert_ne!(bucket.name(before), bucket.name(time));
        }
        assert_eq!(Bucket::Month.last_before(Timestamp::MIN), None);
    }

    #[test]
    fn events_are_spread_over_the_shards_evenly_and_always_in_the_same_way() {
        // FNV-1a's own test vectors: "" is 811c9dc5, "a" is e40c292c, "foobar" is bf9cf968.
        assert_eq!(shard(""), 0x5);
        assert_eq!(shard("a"), 0xc);
        assert_eq!(shard("foobar"), 0x8);
        let mut counts = [0; 16];
        for number in 0..16_000 {
            counts[usize::try_from(shard(&format!("event-{number}"))).unwrap()] += 1;
        }
        assert!(
            counts.iter().all(|count| (850..1150).contains(count)),
            "{counts:?}"
        );
    }
}
