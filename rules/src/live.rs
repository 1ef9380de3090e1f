//! Rules that change one at a time while rule sets of them are in use.
//!
//! The rules are indexed in *levels*, from small and new to large and old (a log-structured merge tree, O'Neil et al.
//! 1996). A change touches the smallest only: the rule it replaces is marked as gone where it stands, the new one joins
//! the *fresh* rules, and these are indexed again, some dozens at most. So a change costs the same however many
//! rules there are. Levels that have become alike in size are merged, which takes as long as indexing them takes and is therefore done
//! aside: [`LiveRules::merge_due`] hands the work out, any thread may do it, and
//! [`LiveRules::adopt`] puts the result in place, with what has changed meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use schemas::paths::Paths;
use schemas::{CampaignId, Status};

use crate::index::Index;
use crate::rule::Rule;
use crate::rule_set::{Gone, Level, RuleSet};

/// So many fresh rules become a level of their own. Indexing fewer takes some 100 µs.
const FRESH: usize = 64;

/// A level is merged with the newer ones when they have an eighth of its rules: each rule is then indexed again a
/// few times in its life, and there are few levels to search.
const RATIO: usize = 8;

/// A level is indexed again when one in so many of its rules is gone.
const GONE: usize = 4;

/// The active rules, and what of them is indexed how. Owned by whoever takes in the changes.
#[derive(Debug, Default)]
pub struct LiveRules {
    paths: Arc<Paths>,
    /// Newest and smallest first.
    levels: Vec<Level>,
    fresh: BTreeMap<CampaignId, Arc<Rule>>,
    /// Of the fresh rules, unless they have changed since.
    fresh_index: Option<Arc<Index>>,
    merging: Option<Merging>,
}

/// A merge that was handed out.
#[derive(Debug)]
struct Merging {
    levels: Vec<Arc<Index>>,
    /// Campaigns that have changed since.
    changed: BTreeSet<CampaignId>,
}

/// Levels to be merged into one. Says nothing of what changes meanwhile.
#[derive(Debug, Clone)]
pub struct Merge {
    levels: Vec<Level>,
    /// None if all levels are merged: fields that no rule asks for any more are then forgotten.
    paths: Option<Arc<Paths>>,
}

/// What came of a [`Merge`].
#[derive(Debug)]
pub struct Merged {
    index: Index,
    paths: Option<Paths>,
}

impl LiveRules {
    /// No rules.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a rule, or replaces that of the same campaign. A rule whose campaign is not active only takes the
    /// place of the one before, unless its matches may still be taken back.
    pub fn put(&mut self, rule: Arc<Rule>) {
        self.remove(rule.id());
        if rule.status() == Status::Active || rule.takes_back() {
            self.fresh.insert(rule.id().clone(), rule);
            self.fresh_index = None;
        }
    }

    /// Takes a campaign's rule away, if there is one.
    pub fn remove(&mut self, id: &CampaignId) {
        if self.fresh.remove(id).is_some() {
            self.fresh_index = None;
        }
        for level in &mut self.levels {
            if let Some(place) = place(&level.index, id) {
                level.gone.insert(place);
            }
        }
        if let Some(merging) = &mut self.merging {
            merging.changed.insert(id.clone());
        }
    }

    /// The rules as they are now. Costs what indexing the rules that were put since the last call does.
    ///
    /// # Panics
    /// At 2³¹ active campaigns, which no machine has the memory for.
    pub fn rule_set(&mut self) -> RuleSet {
        let fresh = self.index_fresh();
        if let Some(index) = &fresh
            && index.rules().len() >= FRESH
        {
            self.levels.insert(0, whole(Arc::clone(index)));
            self.fresh.clear();
            self.fresh_index = None;
            return RuleSet::new(Arc::clone(&self.paths), self.levels.clone().into());
        }
        let levels = fresh.map(whole).into_iter();
        let levels = levels.chain(self.levels.iter().filter(|level| level.len() > 0).cloned());
        RuleSet::new(Arc::clone(&self.paths), levels.collect())
    }

    fn index_fresh(&mut self) -> Option<Arc<Index>> {
        if self.fresh.is_empty() {
            return None;
        }
        let paths = &mut self.paths;
        let fresh = &self.fresh;
        let index = self.fresh_index.get_or_insert_with(|| {
            let rules = fresh.values().cloned().collect();
            Arc::new(Index::build(rules, Arc::make_mut(paths)))
        });
        Some(Arc::clone(index))
    }

    /// The merge that is due, if any; none while one is handed out. Its result must be [adopted](Self::adopt).
    pub fn merge_due(&mut self) -> Option<Merge> {
        if self.merging.is_some() {
            return None;
        }
        let mut newer = 0;
        let mut due = 0;
        for (number, level) in (1..).zip(&self.levels) {
            let is_alike = number > 1 && level.len() <= newer * RATIO;
            let is_worn = level.gone.count() * GONE > level.index.rules().len();
            if is_alike || is_worn {
                due = number;
            }
            newer += level.len();
        }
        let levels = self.levels[..due].to_vec();
        if levels.is_empty() {
            return None;
        }
        self.merging = Some(Merging {
            levels: levels
                .iter()
                .map(|level| Arc::clone(&level.index))
                .collect(),
            changed: BTreeSet::new(),
        });
        let is_partial = due < self.levels.len();
        Some(Merge {
            levels,
            paths: is_partial.then(|| Arc::clone(&self.paths)),
        })
    }

    /// Puts a merge in place.
    ///
    /// # Panics
    /// If it was not handed out by [`LiveRules::merge_due`] of these rules, or adopted before.
    pub fn adopt(&mut self, merged: Merged) {
        let merging = self.merging.take().expect("a merge was handed out");
        let was_merged =
            |level: &Level| (merging.levels.iter()).any(|index| Arc::ptr_eq(index, &level.index));
        let first = self.levels.iter().position(was_merged);
        self.levels.retain(|level| !was_merged(level));
        let mut level = whole(Arc::new(merged.index));
        for id in &merging.changed {
            if let Some(place) = place(&level.index, id) {
                level.gone.insert(place);
            }
        }
        if let Some(paths) = merged.paths {
            // Whatever was indexed meanwhile has numbers of the old fields. It is little.
            for level in self.levels.drain(..) {
                let rules = level
                    .rules()
                    .map(|rule| (rule.id().clone(), Arc::clone(rule)));
                self.fresh.extend(rules);
            }
            self.fresh_index = None;
            self.paths = Arc::new(paths);
            self.levels.push(level);
        } else {
            self.levels.insert(first.unwrap_or(0), level);
        }
    }
}

impl Merge {
    /// Does the work, which takes as long as indexing the rules: half a second for 100,000.
    pub fn run(self) -> Merged {
        let mut rules: Vec<_> = self.levels.iter().flat_map(Level::rules).cloned().collect();
        rules.sort_by(|a, b| a.id().cmp(b.id()));
        let rules = rules.into();
        if let Some(mut paths) = self.paths {
            // All fields are known, so none gets another number.
            return Merged {
                index: Index::build(rules, Arc::make_mut(&mut paths)),
                paths: None,
            };
        }
        let mut paths = Paths::new();
        Merged {
            index: Index::build(rules, &mut paths),
            paths: Some(paths),
        }
    }
}

/// A level of which nothing is gone.
fn whole(index: Arc<Index>) -> Level {
    Level {
        index,
        gone: Gone::default(),
    }
}

/// Where the campaign's rule stands in an index, in force or not.
pub(crate) fn place(index: &Index, id: &CampaignId) -> Option<u32> {
    let place = index
        .rules()
        .binary_search_by(|rule| rule.id().cmp(id))
        .ok()?;
    Some(u32::try_from(place).expect("an index has fewer than 2³¹ rules"))
}
