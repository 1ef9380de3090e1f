//! What is done aside to keep [`LiveRules`](crate::LiveRules) quick: levels merged into one, and what is not needed any more dropped.

use std::collections::BTreeSet;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use schemas::CampaignId;
use schemas::paths::Paths;

use crate::index::{self, Index};
use crate::rule::Rule;
use crate::rule_set::Level;

/// So many times as many fields as rules ask for are known before the others are forgotten: all fields
/// then have other numbers, and whatever was indexed meanwhile is indexed again.
const FORGOTTEN: usize = 2;

/// Levels to be merged into one. Says nothing of what changes meanwhile.
#[derive(Debug, Clone)]
pub struct Merge {
    work: Work,
    /// To be dropped: of a large index that takes milliseconds. Taken out by whoever does the work, so that it is not
    /// whoever has a clone.
    retired: Arc<Mutex<Vec<Arc<Index>>>>,
}

#[derive(Debug, Clone)]
pub(crate) enum Work {
    None,
    Merge {
        levels: Vec<Level>,
        paths: Arc<Paths>,
        /// They are all levels, so that no other has numbers of these fields.
        is_whole: bool,
    },
    /// A merge in which campaigns that have changed since it was handed out are still in force.
    Update {
        merged: Merged,
        /// Levels that have come since, if they have numbers of other fields.
        newer: Vec<Level>,
        changed: BTreeSet<CampaignId>,
    },
}

/// What came of a [`Merge`].
#[derive(Debug, Clone)]
pub struct Merged {
    /// Newest first.
    pub(crate) levels: Vec<Level>,
    /// None if the fields have the numbers that they had.
    pub(crate) paths: Option<Arc<Paths>>,
}

impl Merge {
    pub(crate) fn new(work: Work, retired: Vec<Arc<Index>>) -> Self {
        Self {
            work,
            retired: Arc::new(Mutex::new(retired)),
        }
    }

    /// Does the work, which takes as long as indexing the rules: half a second for 100,000.
    pub fn run(self) -> Merged {
        let retired = mem::take(&mut *self.retired.lock().unwrap_or_else(PoisonError::into_inner));
        drop(retired);
        match self.work {
            Work::None => Merged {
                levels: Vec::new(),
                paths: None,
            },
            Work::Merge {
                levels,
                paths,
                is_whole,
            } => merge(&levels, paths, is_whole),
            Work::Update {
                merged,
                newer,
                changed,
            } => update(merged, &newer, &changed),
        }
    }
}

fn merge(levels: &[Level], mut paths: Arc<Paths>, is_whole: bool) -> Merged {
    let rules = rules_of(levels);
    let mut others = None;
    if is_whole {
        let asked = index::fields(&rules);
        if paths.len() > asked.len() * FORGOTTEN {
            paths = Arc::new(asked);
            others = Some(Arc::clone(&paths));
        }
    }
    // All fields are known, so none gets another number.
    let index = Index::build(rules, &mut paths);
    Merged {
        levels: vec![Level::whole(Arc::new(index))],
        paths: others,
    }
}

fn update(mut merged: Merged, newer: &[Level], changed: &BTreeSet<CampaignId>) -> Merged {
    for id in changed {
        for level in &mut merged.levels {
            level.remove(id);
        }
    }
    if let Some(paths) = &mut merged.paths
        && !newer.is_empty()
    {
        let index = Index::build(rules_of(newer), paths);
        merged.levels.insert(0, Level::whole(Arc::new(index)));
    }
    merged
}

/// The rules in force of some levels, in ascending order of campaign id.
fn rules_of(levels: &[Level]) -> Box<[Arc<Rule>]> {
    let mut rules: Vec<_> = levels.iter().flat_map(Level::rules).cloned().collect();
    rules.sort_by(|a, b| a.id().cmp(b.id()));
    rules.into()
}
