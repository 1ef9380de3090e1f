//! Lists of what is tried together.

/// One conjunction in one list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Posting {
    /// Bits of the outline, none of which the event may have.
    pub(super) forbids: u64,
    /// The rule.
    pub(super) place: u32,
    /// What must be looked at beside that.
    pub(super) rest: RestId,
}

/// The number of a rest, and what is known of it without looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RestId(u32);

impl RestId {
    /// The rule has a schedule.
    const SCHEDULED: u32 = 1 << 31;
    /// There is nothing to look at for an event that the outline describes in full.
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

/// The number of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ListId(pub(super) u32);

impl ListId {
    pub(super) const NONE: Self = Self(u32::MAX);
}

/// A part of the postings.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct List {
    pub(super) start: u32,
    pub(super) end: u32,
    /// Fields whose words lead on to further lists: a part of the index's pair fields.
    pub(super) pairs_start: u32,
    pub(super) pairs_end: u32,
}
