//! Lists of what is tried together.

use std::collections::HashMap;
use std::sync::Arc;

use super::marks::Check;
use crate::rule::Rule;

/// Lists, each behind its header, and then what is filed under ranges.
#[derive(Debug, Default)]
pub(super) struct Postings {
    all: Box<[Posting]>,
    /// By posting.
    rests: Box<[RestId]>,
    /// Each once.
    checks: Box<[Check]>,
    stretches: Stretches,
}

/// One conjunction in one list. Where its rule is stands here too: a list is read in one go, while its rules lie all over.
#[derive(Debug)]
pub(super) struct Posting {
    /// Bits of the outline, none of which the event may have.
    pub(super) forbids: u64,
    /// None: a header.
    rule: Option<Arc<Rule>>,
    /// What must hold beside that and can be said so: the number of a check from 1 on, or 0.
    check: u32,
    /// The rule's place, and in the highest bit whether there is something to look at in any case.
    place: u32,
}

const _: () = assert!(size_of::<Posting>() == 24, "as small as can be");

/// A rule that an event wins, by its place, and the posting that says so. In the order of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Won(u64);

impl Won {
    #[inline]
    fn new(place: u32, posting: u32) -> Self {
        Self(u64::from(place) << 32 | u64::from(posting))
    }

    /// The rule's place.
    #[inline]
    pub(crate) fn place(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
    fn posting(self) -> u32 {
        self.0 as u32
    }
}

/// A conjunction as it is put into a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filed {
    pub(super) forbids: u64,
    pub(super) check: Option<Check>,
    /// The rule.
    pub(super) place: u32,
    /// There is nothing more to look at where the outline describes all fields of which bits are forbidden.
    pub(super) is_settled: bool,
    /// What must be looked at beside both.
    pub(super) rest: RestId,
}

impl Posting {
    const OPEN: u32 = 1 << 31;

    /// The rule, won by this posting, which stands there.
    #[inline]
    pub(super) fn won(&self, at: u32) -> Won {
        Won::new(self.place & !Self::OPEN, at)
    }

    /// Whether there is nothing more to look at where the outline describes all fields of which bits are forbidden.
    #[inline]
    pub(super) fn is_settled(&self) -> bool {
        self.place & Self::OPEN == 0
    }
}

impl Postings {
    /// # Panics
    /// At 2³¹ rules or postings, which no machine has the memory for.
    pub(super) fn new(lines: &[Line], rules: &[Arc<Rule>]) -> Self {
        let mut checks = Vec::new();
        let mut ids = HashMap::new();
        let posting = |line: &Line| match line {
            Line::Header(header) => Posting::from(*header),
            Line::Filed(filed) => Posting {
                forbids: filed.forbids,
                rule: Some(Arc::clone(&rules[filed.place as usize])),
                check: filed.check.map_or(0, |check| {
                    *ids.entry(check).or_insert_with(|| {
                        checks.push(check);
                        u32::try_from(checks.len()).expect("fewer than 2³² fit the memory")
                    })
                }),
                place: filed.place | if filed.is_settled { 0 } else { Posting::OPEN },
            },
        };
        let all: Box<[_]> = lines.iter().map(posting).collect();
        let rest = |line: &Line| match line {
            Line::Header(_) => RestId(0),
            Line::Filed(filed) => filed.rest,
        };
        Self {
            stretches: Stretches::of(&all),
            all,
            rests: lines.iter().map(rest).collect(),
            checks: checks.into(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// What stands before the postings of a list.
    #[inline]
    pub(super) fn header(&self, list: ListId) -> Header {
        Header::from(&self.all[list.0 as usize])
    }

    /// Reads where a list begins, and nothing depends on what is there.
    #[inline]
    pub(super) fn touch(&self, list: ListId) -> u32 {
        self.all[list.0 as usize].place
    }

    /// The rule that was won.
    ///
    /// # Panics
    /// If it was won with other postings.
    #[inline]
    pub(super) fn rule(&self, won: Won) -> &Rule {
        let rule = &self.all[won.posting() as usize].rule;
        rule.as_ref().expect("it is no header")
    }

    #[inline]
    pub(super) fn get(&self, at: u32) -> &Posting {
        &self.all[at as usize]
    }

    #[inline]
    pub(super) fn of(&self, start: usize, end: usize) -> &[Posting] {
        &self.all[start..end]
    }

    #[inline]
    pub(super) fn check(&self, posting: &Posting) -> Option<&Check> {
        self.checks.get((posting.check as usize).wrapping_sub(1))
    }

    #[inline]
    pub(super) fn rest(&self, at: u32) -> RestId {
        self.rests[at as usize]
    }

    /// What all forbid of the stretch in which that posting lies, and where the next begins.
    #[inline]
    pub(super) fn stretch(&self, posting: usize) -> (u64, usize) {
        self.stretches.at(posting)
    }
}

/// What becomes a posting.
#[derive(Debug, Clone, Copy)]
pub(super) enum Line {
    Header(Header),
    Filed(Filed),
}

/// What all postings of each stretch forbid, so that one look passes over what no event of this outline can meet. Stretches
/// run on over the ends of lists; a header that lies in one can only take bits away.
#[derive(Debug, Default)]
struct Stretches(Box<[u64]>);

/// So many postings are a stretch.
pub(super) const STRETCH: usize = 64;

impl Stretches {
    fn of(postings: &[Posting]) -> Self {
        let stretches = postings.chunks(STRETCH);
        let forbidden =
            |stretch: &[Posting]| stretch.iter().fold(u64::MAX, |all, it| all & it.forbids);
        Self(stretches.map(forbidden).collect())
    }

    #[inline]
    fn at(&self, posting: usize) -> (u64, usize) {
        let stretch = posting / STRETCH;
        (self.0[stretch], (stretch + 1) * STRETCH)
    }
}

/// The number of a rest, and what is known of it without looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RestId(u32);

impl RestId {
    /// The rule has a schedule.
    const SCHEDULED: u32 = 1 << 31;
    /// Only the plain evaluation can tell.
    const DOUBTFUL: u32 = 1 << 30;
    const INDEX: u32 = Self::DOUBTFUL - 1;

    pub(super) fn new(index: u32, is_scheduled: bool, is_doubtful: bool) -> Self {
        assert!(index <= Self::INDEX, "fewer than 2³⁰ rests fit the memory");
        let bit = |is_set: bool, bit: u32| if is_set { bit } else { 0 };
        Self(index | bit(is_scheduled, Self::SCHEDULED) | bit(is_doubtful, Self::DOUBTFUL))
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
            rule: None,
            check: header.pairs_start,
            place: header.pairs_end,
        }
    }
}

impl From<&Posting> for Header {
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "it was made of less")]
    fn from(posting: &Posting) -> Self {
        Self {
            count: posting.forbids as u32,
            pairs_start: posting.check,
            pairs_end: posting.place,
        }
    }
}
