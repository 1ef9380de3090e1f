//! Lists of what is tried together.

use super::marks::Check;

/// One conjunction in one list: half a cache line.
#[derive(Debug, Clone, Copy)]
#[repr(align(32))]
pub(super) struct Posting {
    /// Bits of the outline, none of which the event may have.
    pub(super) forbids: u64,
    /// What must hold beside that and can be said so.
    pub(super) check: Check,
    /// The rule.
    pub(super) place: u32,
    /// What must be looked at beside both.
    pub(super) rest: RestId,
}

/// What all postings of each stretch forbid, so that one look passes over what no event of this outline can meet. Stretches
/// run on over the ends of lists; a header that lies in one can only take bits away.
#[derive(Debug, Default)]
pub(super) struct Stretches(Box<[u64]>);

impl Stretches {
    /// So many postings are a stretch.
    pub(super) const LENGTH: usize = 64;

    pub(super) fn of(postings: &[Posting]) -> Self {
        let stretches = postings.chunks(Self::LENGTH);
        let forbidden =
            |stretch: &[Posting]| stretch.iter().fold(u64::MAX, |all, it| all & it.forbids);
        Self(stretches.map(forbidden).collect())
    }

    /// What all forbid of the stretch in which that posting lies, and where the next begins.
    #[inline]
    pub(super) fn at(&self, posting: usize) -> (u64, usize) {
        let stretch = posting / Self::LENGTH;
        (self.0[stretch], (stretch + 1) * Self::LENGTH)
    }
}

/// The number of a rest, and what is known of it without looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RestId(u32);

impl RestId {
    /// The rule has a schedule.
    const SCHEDULED: u32 = 1 << 31;
    /// There is nothing more to look at where the outline describes all fields of which bits are forbidden.
    const SETTLED: u32 = 1 << 30;
    /// Only the plain evaluation can tell.
    const DOUBTFUL: u32 = 1 << 29;
    const INDEX: u32 = Self::DOUBTFUL - 1;

    pub(super) fn new(index: u32, is_scheduled: bool, is_settled: bool, is_doubtful: bool) -> Self {
        assert!(index <= Self::INDEX, "fewer than 2²⁹ rests fit the memory");
        let bit = |is_set: bool, bit: u32| if is_set { bit } else { 0 };
        let scheduled = bit(is_scheduled, Self::SCHEDULED);
        let settled = bit(is_settled, Self::SETTLED);
        Self(index | scheduled | settled | bit(is_doubtful, Self::DOUBTFUL))
    }

    #[inline]
    pub(super) fn is_doubtful(self) -> bool {
        self.0 & Self::DOUBTFUL != 0
    }

    #[inline]
    pub(super) fn is_scheduled(self) -> bool {
        self.0 & Self::SCHEDULED != 0
    }

    #[inline]
    pub(super) fn is_settled(self) -> bool {
        self.0 & Self::SETTLED != 0
    }

    #[inline]
    pub(super) fn index(self) -> usize {
        (self.0 & Self::INDEX) as usize
    }
}

/// A list: where its postings begin, behind its [`Header`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ListId(pub(super) u32);

impl ListId {
    pub(super) const NONE: Self = Self(u32::MAX);
}

/// What stands before the postings of a list, in the form of one, so that it is read with them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Header {
    /// How many postings follow.
    pub(super) count: u32,
    /// Fields whose words lead on to further lists: a part of the index's pair fields.
    pub(super) pairs_start: u32,
    pub(super) pairs_end: u32,
}

impl From<Header> for Posting {
    fn from(header: Header) -> Self {
        Self {
            forbids: u64::from(header.count),
            check: Check::NOTHING,
            place: header.pairs_start,
            rest: RestId(header.pairs_end),
        }
    }
}

impl From<&Posting> for Header {
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "it was made of less")]
    fn from(posting: &Posting) -> Self {
        Self {
            count: posting.forbids as u32,
            pairs_start: posting.place,
            pairs_end: posting.rest.0,
        }
    }
}
