//! Rules that change one at a time while rule sets of them are in use.
//!
//! The rules are indexed in *levels*, from small and new to large and old (a log-structured merge tree, O'Neil et al.
//! 1996). A change touches the smallest only: the rule it replaces is marked as gone where it stands, the new one joins
//! the *fresh* rules, and these are indexed again, some dozens at most. So a change costs the same however many
//! rules there are. Levels that have become alike in size are merged, which takes as long as indexing them takes and is therefore done
//! aside: [`LiveRules::merge_due`] hands the work out, any thread may do it, and
//! [`LiveRules::adopt`] puts the result in place.
//!
//! Nothing here grows with the number of rules, and nothing is left to whoever decides events: if much has changed while
//! a merge was made, it goes out again to be brought up to date, and indexes that no rule set has any more
//! go out with a merge to be dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;

use schemas::paths::Paths;
use schemas::{CampaignId, Status};

use crate::index::Index;
use crate::merge::Work;
use crate::rule::Rule;
use crate::rule_set::{Level, RuleSet};

pub use crate::merge::{Merge, Merged};

/// So many fresh rules become a level of their own. Indexing fewer takes some 100 µs.
const FRESH: usize = 64;

/// Fewer do if their index has so many entries: a campaign with 10,000 articles is not indexed again with the next change.
const FRESH_ENTRIES: usize = 2_048;

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
    /// A merge that is to go out again.
    outdated: Option<(Merged, Merging)>,
    /// Large indexes that are in no level any more. Rule sets may still have them.
    retired: Vec<Arc<Index>>,
}

/// A merge that was handed out.
#[derive(Debug)]
struct Merging {
    /// What it takes the place of.
    levels: Vec<Arc<Index>>,
    /// Campaigns that have changed since.
    changed: BTreeSet<CampaignId>,
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
            level.remove(id);
        }
        let outdated = self.outdated.as_mut().map(|(_, merging)| merging);
        if let Some(merging) = self.merging.as_mut().or(outdated) {
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
            && (index.rules().len() >= FRESH || index.entries() >= FRESH_ENTRIES)
        {
            self.levels.insert(0, Level::whole(Arc::clone(index)));
            self.fresh.clear();
            self.fresh_index = None;
            return RuleSet::new(Arc::clone(&self.paths), self.levels.clone().into());
        }
        let levels = fresh.map(Level::whole).into_iter();
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
            Arc::new(Index::build(rules, paths))
        });
        Some(Arc::clone(index))
    }

    /// The merge that is due, if any; none while one is handed out. Its result must be [adopted](Self::adopt).
    pub fn merge_due(&mut self) -> Option<Merge> {
        if self.merging.is_some() {
            return None;
        }
        let (work, levels) = match self.outdated.take() {
            Some((merged, merging)) => self.update(merged, merging),
            None => self.merge(),
        };
        let retired = self.take_retired();
        if matches!(work, Work::None) && retired.is_empty() {
            return None;
        }
        self.merging = Some(Merging {
            levels,
            changed: BTreeSet::new(),
        });
        Some(Merge::new(work, retired))
    }

    /// Merges the levels that are due, and says which they are.
    fn merge(&self) -> (Work, Vec<Arc<Index>>) {
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
        if due == 0 {
            return (Work::None, Vec::new());
        }
        let levels = self.levels[..due].to_vec();
        let indexes = indexes(&levels);
        let work = Work::Merge {
            levels,
            paths: Arc::clone(&self.paths),
            is_whole: due == self.levels.len(),
        };
        (work, indexes)
    }

    /// Brings a merge up to date, and says what it takes the place of.
    fn update(&self, merged: Merged, merging: Merging) -> (Work, Vec<Arc<Index>>) {
        let newer: Vec<_> = match merged.paths {
            None => Vec::new(),
            Some(_) => self.newer_than(&merging).cloned().collect(),
        };
        let mut levels = merging.levels;
        levels.extend(indexes(&newer));
        let changed = merging.changed;
        let work = Work::Update {
            merged,
            newer,
            changed,
        };
        (work, levels)
    }

    /// Levels that have come since a merge was handed out.
    fn newer_than(&self, merging: &Merging) -> impl Iterator<Item = &Level> {
        let levels = self.levels.iter();
        levels.filter(|level| !merging.has(level))
    }

    /// The retired indexes that nobody has any more. Whoever has one lets it go without being the last.
    fn take_retired(&mut self) -> Vec<Arc<Index>> {
        let retired = mem::take(&mut self.retired);
        let (free, used) = (retired.into_iter()).partition(|index| Arc::strong_count(index) == 1);
        self.retired = used;
        free
    }

    /// Takes in what came of a merge: it is in place, or due again because too much has changed meanwhile.
    ///
    /// # Panics
    /// If it was not handed out by [`LiveRules::merge_due`] of these rules, or adopted before.
    pub fn adopt(&mut self, mut merged: Merged) {
        let merging = self.merging.take().expect("a merge was handed out");
        let newer = match merged.paths {
            None => 0,
            Some(_) => self.newer_than(&merging).map(Level::len).sum(),
        };
        if !merged.levels.is_empty() && merging.changed.len().max(newer) > FRESH {
            self.outdated = Some((merged, merging));
            return;
        }
        for id in &merging.changed {
            for level in &mut merged.levels {
                level.remove(id);
            }
        }
        let first = self.levels.iter().position(|level| merging.has(level));
        let first = first.unwrap_or(0);
        let (replaced, newer): (Vec<_>, _) =
            (mem::take(&mut self.levels).into_iter()).partition(|level| merging.has(level));
        self.levels = newer;
        let replaced = replaced.into_iter().map(|level| level.index);
        let large = replaced.filter(|index| index.entries() > FRESH_ENTRIES);
        self.retired.extend(large);
        if let Some(paths) = merged.paths {
            // Whatever was indexed meanwhile has numbers of the old fields. It is little.
            for level in mem::replace(&mut self.levels, merged.levels) {
                let rules = level
                    .rules()
                    .map(|rule| (rule.id().clone(), Arc::clone(rule)));
                self.fresh.extend(rules);
            }
            self.fresh_index = None;
            self.paths = paths;
        } else {
            self.levels.splice(first..first, merged.levels);
        }
    }
}

impl Merging {
    fn has(&self, level: &Level) -> bool {
        let mut levels = self.levels.iter();
        levels.any(|index| Arc::ptr_eq(index, &level.index))
    }
}

fn indexes(levels: &[Level]) -> Vec<Arc<Index>> {
    let levels = levels.iter();
    levels.map(|level| Arc::clone(&level.index)).collect()
}

#[cfg(test)]
mod tests {
    use schemas::{Campaign, Document, Event, Limits};
    use serde_json::json;

    use super::*;

    /// Of a campaign that asks for a field to be 1.
    fn rule(id: usize, field: &str) -> Arc<Rule> {
        let campaign = json!({
            "id": format!("{id:05}"), "name": "n", "when": {field: [1]}, "reward": {"kind": "custom"},
        });
        let campaign = Campaign::from_json(campaign.to_string().as_bytes()).unwrap();
        Arc::new(Rule::compile(campaign).unwrap())
    }

    /// How many campaigns an event wins that has 1 in this field.
    fn winners(set: &RuleSet, field: &str) -> usize {
        let event = json!({
            "event_id": "e", "customer_id": "c", "event_type": "t", "occurred_at": "2026-11-24T00:00:00Z", field: 1,
        });
        let mut document = Document::new();
        set.prepare(&mut document);
        let event = event.to_string();
        document.read(event.as_bytes(), Limits::default()).unwrap();
        let mut out = Vec::new();
        set.winners(&Event::of(&document).unwrap(), &mut out);
        out.len()
    }

    /// Rules of which a merge is due: these, and as many more.
    fn due(count: usize, field: impl Fn(usize) -> String) -> (LiveRules, Merge) {
        let mut live = LiveRules::new();
        for id in 0..count * 2 {
            if id == count {
                live.rule_set();
            }
            live.put(rule(id, &field(id)));
        }
        live.rule_set();
        let merge = live.merge_due().unwrap();
        (live, merge)
    }

    /// Does the merges that are due, and says how many.
    fn settle(live: &mut LiveRules) -> usize {
        let mut count = 0;
        while let Some(merge) = live.merge_due() {
            live.adopt(merge.run());
            count += 1;
        }
        count
    }

    #[test]
    fn a_merge_during_which_much_has_changed_is_brought_up_to_date_aside() {
        let (mut live, merge) = due(500, |_| "a".into());
        for id in 0..300 {
            live.put(rule(id, "b"));
        }
        for id in 300..400 {
            live.remove(rule(id, "").id());
        }
        live.adopt(merge.run());
        let levels = |live: &mut LiveRules| live.rule_set().levels();
        assert_eq!(levels(&mut live), 3, "it is not in place");
        live.put(rule(400, "b"));
        let merge = live.merge_due().unwrap();
        live.put(rule(401, "b"));
        live.adopt(merge.run());
        assert_eq!(levels(&mut live), 3, "two are one, and two are new");
        let check = |live: &mut LiveRules| {
            let set = live.rule_set();
            assert_eq!((winners(&set, "a"), winners(&set, "b")), (598, 302));
        };
        check(&mut live);
        assert!(settle(&mut live) > 0);
        assert_eq!(levels(&mut live), 2, "one, and that of two fresh rules");
        check(&mut live);
    }

    #[test]
    fn fields_that_nobody_asks_for_any_more_are_forgotten_whatever_changes_meanwhile() {
        let (mut live, merge) = due(500, |id| format!("field-{id}"));
        live.adopt(merge.run());
        assert!(live.paths.len() > 1_000);
        for id in 0..1_000 {
            live.put(rule(id, "a"));
        }
        live.rule_set();
        let merge = live.merge_due().unwrap();
        for id in 0..200 {
            live.put(rule(id, ["b", "c"][id / 100]));
            if id % 100 == 99 {
                live.rule_set();
            }
        }
        live.adopt(merge.run());
        assert!(live.paths.len() > 1_000, "it is not in place");
        live.put(rule(0, "d"));
        assert!(settle(&mut live) > 0);
        let set = live.rule_set();
        assert_eq!(live.paths.len(), 5);
        let found = ["a", "b", "c", "d", "field-1"].map(|field| winners(&set, field));
        assert_eq!(found, [800, 99, 100, 1, 0]);
    }

    #[test]
    fn whoever_lets_a_rule_set_go_is_not_the_last_to_have_its_indexes() {
        let (mut live, merge) = due(2_500, |_| "a".into());
        let in_force = live.rule_set();
        let index = Arc::downgrade(&live.levels[0].index);
        live.adopt(merge.run());
        assert_eq!(winners(&in_force, "a"), 5_000);
        assert!(live.merge_due().is_none(), "a rule set has it");
        drop(in_force);
        assert!(index.upgrade().is_some());
        assert_eq!(settle(&mut live), 1);
        assert!(index.upgrade().is_none());
    }

    #[test]
    fn a_campaign_with_many_values_is_not_indexed_again_with_the_next_change() {
        let mut live = LiveRules::new();
        let values: Vec<_> = (0..2_000).map(|n| format!("article-{n}")).collect();
        let campaign = json!({
            "id": "many", "name": "n", "when": {"article": values}, "reward": {"kind": "custom"},
        });
        let campaign = Campaign::from_json(campaign.to_string().as_bytes()).unwrap();
        live.put(Arc::new(Rule::compile(campaign).unwrap()));
        live.rule_set();
        assert!(live.fresh.is_empty());
        live.put(rule(1, "a"));
        assert_eq!(live.rule_set().levels(), 2);
        assert_eq!(live.fresh.len(), 1);
    }
}
