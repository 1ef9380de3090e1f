//! From lists to the rules that are won: postings are sifted by the outline, and what it leaves is tried.

use schemas::paths::PathId;
use schemas::{Document, Event};

use super::Index;
use super::conditions::Memo;
use super::facts::Facts;
use super::marks::{Check, Mark};
use super::postings::{Posting, STRETCH, Won};

/// A search while the lists are gone through.
pub(super) struct Search<'s, 'e> {
    pub(super) index: &'s Index,
    pub(super) event: &'s Event<'e>,
    pub(super) document: &'s Document,
    pub(super) facts: &'s Facts,
    /// Joints at which the event has an array.
    pub(super) arrays: &'s [PathId],
    /// By leaf.
    pub(super) marks: &'s [Mark],
    pub(super) outline: u64,
    /// Bits of fields of which the outline says nothing.
    pub(super) blank: u64,
    pub(super) memo: &'s mut Memo,
    /// Postings that do not forbid the outline, the first so many.
    pub(super) candidates: &'s mut Vec<u32>,
    /// How many of the candidates are not tried yet.
    pub(super) count: usize,
    /// Rules of which the plain evaluation must say whether they are won.
    pub(super) doubts: &'s mut Vec<Won>,
    pub(super) won: &'s mut Vec<Won>,
}

impl Search<'_, '_> {
    /// Makes candidates of the postings from there to there.
    #[inline]
    pub(super) fn sift(&mut self, start: usize, end: usize) {
        if end - start > STRETCH {
            self.sift_stretches(start, end);
        } else {
            self.sift_all(start, end);
        }
    }

    #[inline(never)]
    fn sift_stretches(&mut self, start: usize, end: usize) {
        let mut begin = start;
        while begin < end {
            let (forbidden, next) = self.index.postings.stretch(begin);
            let stop = next.min(end);
            if forbidden & self.outline == 0 {
                self.sift_all(begin, stop);
                self.try_candidates();
            }
            begin = stop;
        }
    }

    /// No branch depends on what is read, so that the processor goes on without waiting for it.
    #[inline]
    fn sift_all(&mut self, start: usize, end: usize) {
        let postings = self.index.postings.of(start, end);
        let most = self.count + postings.len();
        if self.candidates.len() < most {
            self.candidates.resize(most, 0);
        }
        let free = &mut self.candidates[self.count..most];
        let mut found = 0;
        for (at, posting) in (start..).zip(postings) {
            #[expect(clippy::cast_possible_truncation, reason = "an index has fewer")]
            let at = at as u32;
            free[found] = at;
            found += usize::from(posting.forbids & self.outline == 0);
        }
        self.count += found;
    }

    /// Wins or leaves each candidate.
    pub(super) fn try_candidates(&mut self) {
        let postings = &self.index.postings;
        let (blank, has_arrays) = (self.blank, !self.arrays.is_empty());
        let candidates = std::mem::take(self.candidates);
        for at in &candidates[..std::mem::take(&mut self.count)] {
            let posting = postings.get(*at);
            if (postings.check(posting)).is_some_and(|check| !self.is_met(check)) {
                continue;
            }
            if posting.is_settled() && posting.forbids & blank == 0 && !has_arrays {
                self.won.push(posting.won(*at));
            } else {
                self.look_closer(*at, posting);
            }
        }
        *self.candidates = candidates;
    }

    /// Whether a check holds for some value of its field.
    #[inline]
    fn is_met(&self, check: &Check) -> bool {
        let mut leaves = self.facts.of(check.path);
        leaves.any(|leaf| check.is_met_by(self.marks[leaf]))
    }

    /// Looks at what the outline and the check leave open. Apart from the loop that needs it seldom.
    #[inline(never)]
    fn look_closer(&mut self, at: u32, posting: &Posting) {
        let rest_id = self.index.postings.rest(at);
        let rests = &self.index.rests;
        let rest = rests.all[rest_id.index()];
        let (open, outlined) = (rest.open_start as usize, rest.outlined_start as usize);
        if !self.may_hold(&rests.conditions[open..outlined]) {
            return;
        }
        if posting.forbids & self.blank != 0 {
            let end = rest.outlined_end as usize;
            if !self.may_hold(&rests.conditions[outlined..end]) {
                return;
            }
        }
        if rest_id.is_scheduled() {
            let rule = self.index.rule(posting.won(at));
            if !rule.schedule().contains(self.event.occurred_at) {
                return;
            }
        }
        if rest_id.is_doubtful() {
            self.doubts.push(posting.won(at));
            return;
        }
        if !self.arrays.is_empty() {
            let joints = rest.joints_start as usize..rest.joints_end as usize;
            let mut joints = rests.paths[joints].iter();
            if joints.any(|path| self.arrays.contains(path)) {
                self.doubts.push(posting.won(at));
                return;
            }
        }
        self.won.push(posting.won(at));
    }

    #[inline]
    fn may_hold(&mut self, conditions: &[u32]) -> bool {
        let all = &self.index.conditions;
        let mut conditions = conditions.iter();
        conditions.all(|id| all.may_hold(*id, self.facts, self.document, self.memo))
    }

    /// Asks the plain evaluation where conditions must hold in one element of an array.
    pub(super) fn settle_doubts(&mut self) {
        self.doubts.sort_unstable();
        self.doubts.dedup_by_key(|won| won.place());
        for won in self.doubts.drain(..) {
            let rule = self.index.rule(won);
            if rule.interest().matches(self.event.root) {
                self.won.push(won);
            }
        }
    }
}
