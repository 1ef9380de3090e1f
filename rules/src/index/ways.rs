//! Patterns taken apart: the ways to meet them, as flat lists.

use std::ops::Range;
use std::sync::Arc;

use schemas::paths::{PathId, Paths};

use crate::condition::Condition;
use crate::conjunction::{Conjunction, Part};
use crate::rule::Rule;

/// The ways to meet the patterns of some rules, in the order of the rules.
#[derive(Debug, Default)]
pub(super) struct Ways<'r> {
    pub(super) rules: &'r [Arc<Rule>],
    pub(super) all: Vec<Way>,
    pub(super) asked: Vec<Asked<'r>>,
    /// Fields that are parts of what is asked; if one is an array, it matters which values of the event belong
    /// to one element.
    pub(super) joints: Vec<PathId>,
}

/// One way: all that it asks must hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    /// The rule's index.
    pub(super) place: u32,
    pub(super) asked_start: u32,
    pub(super) asked_end: u32,
    pub(super) joints_start: u32,
    pub(super) joints_end: u32,
    pub(super) is_scheduled: bool,
    /// It asks about a field as a whole, which only the plain evaluation does.
    pub(super) is_doubtful: bool,
}

impl Way {
    /// Indexes of what is asked.
    pub(super) fn asked(&self) -> Range<usize> {
        self.asked_start as usize..self.asked_end as usize
    }
}

/// A condition on a field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'r> {
    pub(super) path: u32,
    pub(super) condition: &'r Arc<Condition>,
}

/// What was found in a part of a conjunction.
#[derive(Clone, Copy, Default)]
struct Found {
    conditions: usize,
    allows_absence: bool,
}

impl<'r> Ways<'r> {
    /// Takes the patterns apart and asks for the values that they need.
    pub(super) fn of(rules: &'r [Arc<Rule>], paths: &mut Arc<Paths>) -> Self {
        let mut ways = Self {
            rules,
            ..Self::default()
        };
        for (place, rule) in (0..).zip(rules) {
            let schedule = rule.schedule();
            // What an event won is taken back also when the campaign is over.
            let is_scheduled =
                (schedule.start.is_some() || schedule.end.is_some()) && !rule.takes_back();
            for conjunction in rule.interest().conjunctions() {
                ways.add(place, is_scheduled, conjunction, paths);
            }
        }
        ways
    }

    fn add(
        &mut self,
        place: u32,
        is_scheduled: bool,
        conjunction: &'r Conjunction,
        paths: &mut Arc<Paths>,
    ) {
        let asked_start = count(self.asked.len());
        let joints_start = count(self.joints.len());
        for (name, part) in &conjunction.fields {
            self.part(PathId::ROOT, name, part, paths);
        }
        self.joints[joints_start as usize..].sort_unstable();
        let asked = &self.asked[asked_start as usize..];
        let is_doubtful = asked
            .iter()
            .any(|asked| !asked.condition.wholes().is_empty());
        self.all.push(Way {
            place,
            asked_start,
            asked_end: count(self.asked.len()),
            joints_start,
            joints_end: count(self.joints.len()),
            is_scheduled,
            is_doubtful,
        });
    }

    fn part(
        &mut self,
        parent: PathId,
        name: &str,
        part: &'r Part,
        paths: &mut Arc<Paths>,
    ) -> Found {
        let path = match paths.find(parent, name) {
            Some(known) => known,
            None => Arc::make_mut(paths).add(parent, name),
        };
        let mut found = Found::default();
        let conditions = match part {
            Part::Value(condition) => std::slice::from_ref(condition),
            Part::Values(conditions) => conditions,
            Part::Object(fields) => {
                for (name, part) in fields {
                    let inner = self.part(path, name, part, paths);
                    found.conditions += inner.conditions;
                    found.allows_absence |= inner.allows_absence;
                }
                // Two conditions must hold in one element, and absence is asked of the element that meets
                // the rest. One condition alone holds where it holds.
                if found.conditions > 1 || found.allows_absence {
                    self.joints.push(path);
                }
                return found;
            }
        };
        if !paths.is_wanted(path) {
            Arc::make_mut(paths).want(path);
        }
        for condition in conditions {
            let path = path.number();
            self.asked.push(Asked { path, condition });
            found.conditions += 1;
            found.allows_absence |= condition.allows_absence();
        }
        if found.conditions > 1 {
            self.joints.push(path);
        }
        found
    }

    pub(super) fn joints_of(&self, way: &Way) -> &[PathId] {
        &self.joints[way.joints_start as usize..way.joints_end as usize]
    }
}

/// The fields that rules ask for, and no others.
pub(crate) fn fields(rules: &[Arc<Rule>]) -> Paths {
    let mut paths = Arc::default();
    Ways::of(rules, &mut paths);
    Arc::unwrap_or_clone(paths)
}

fn count(index: usize) -> u32 {
    u32::try_from(index).expect("fewer than 2³² conditions fit the memory")
}
