//! From rules to their index.

use std::collections::HashMap;
use std::sync::Arc;

use schemas::paths::{PathId, Paths};

use super::conditions::Conditions;
use super::demand::{Demand, named, named_numbers};
use super::keys::{Plain, keys};
use super::lists::{LONG, Lists, second};
use super::marks::Check;
use super::numbers::Numbers;
use super::outline::Outline;
use super::postings::{Filed, RestId};
use super::shares::{KeyId, Keys};
use super::ways::{Asked, Way, Ways};
use super::words::WordId;
use super::{File, Index, Rest, Rests};
use crate::condition::Condition;
use crate::rule::Rule;

impl Index {
    /// Arranges rules, which come in ascending order of campaign id, each id once. New fields are added to
    /// `paths`; if there are none, these stay the same for all who have them.
    ///
    /// # Panics
    /// At 2³¹ of anything, which no machine has the memory for.
    pub(crate) fn build(rules: Box<[Arc<Rule>]>, paths: &mut Arc<Paths>) -> Self {
        let ways = Ways::of(&rules, paths);
        let plan = Plan::of(&ways, paths);
        let mut index = plan.carry_out();
        index.rules = rules;
        index
    }
}

/// Under which condition each way is filed, and what is left to look at.
pub(super) struct Plan<'r> {
    pub(super) ways: &'r Ways<'r>,
    pub(super) keys: Keys<'r>,
    /// By what is asked: its keys.
    pub(super) filings: Vec<Filing>,
    key_ids: Vec<KeyId>,
    /// By way: what is asked that it is filed under.
    pub(super) chosen: Vec<usize>,
    pub(super) files: Vec<File>,
    shared: Vec<Shared<'r>>,
    rest_ids: HashMap<Box<[u32]>, u32>,
    rests: Vec<Rest>,
    rest_conditions: Vec<u32>,
    rest_joints: Vec<PathId>,
}

/// How a condition on a field can be filed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filing {
    keys_start: u32,
    keys_end: u32,
    /// Whatever is found under the keys meets the condition.
    pub(super) is_exact: bool,
    /// The share of events that have one of the keys, by estimate.
    pub(super) share: f64,
    /// Its number among the shared conditions; none if it is never looked at.
    shared: u32,
}

const NEVER: u32 = u32::MAX;

/// A condition that ways have in common.
struct Shared<'r> {
    path: u32,
    condition: &'r Arc<Condition>,
    share: f64,
    /// How often it must be looked at: in how many ways.
    uses: u32,
    forbids: u64,
    /// Whether the outline says all.
    is_exact: bool,
    /// The same as the condition, if it is as simple as that.
    check: Option<Check>,
}

impl<'r> Plan<'r> {
    fn of(ways: &'r Ways<'r>, paths: &Paths) -> Self {
        let mut plan = Self {
            ways,
            keys: Keys::default(),
            filings: Vec::with_capacity(ways.asked.len()),
            key_ids: Vec::with_capacity(ways.asked.len()),
            chosen: Vec::with_capacity(ways.all.len()),
            files: Vec::new(),
            shared: Vec::new(),
            rest_ids: HashMap::new(),
            rests: Vec::new(),
            rest_conditions: Vec::new(),
            rest_joints: Vec::new(),
        };
        plan.files.resize_with(paths.len(), File::default);
        plan.find_keys();
        plan.rank_numbers();
        plan.choose();
        plan.share_conditions();
        plan.draw_outline();
        plan
    }

    fn find_keys(&mut self) {
        for asked in &self.ways.asked {
            let keys_start = count(self.key_ids.len());
            let mut is_exact = true;
            for filed in keys(asked.condition) {
                is_exact &= filed.is_exact;
                self.key_ids.push(self.keys.add(asked.path, &filed));
            }
            self.filings.push(Filing {
                keys_start,
                keys_end: count(self.key_ids.len()),
                is_exact,
                share: 1.0,
                shared: NEVER,
            });
        }
    }

    fn rank_numbers(&mut self) {
        let mut bounds = HashMap::<u32, Vec<_>>::new();
        for asked in &self.ways.asked {
            named_numbers(asked.condition, |number| {
                bounds.entry(asked.path).or_default().push(number);
            });
        }
        for (path, bounds) in bounds {
            let numbers = Numbers::new(bounds);
            self.files[path as usize].numbers = Some(Box::new(numbers));
        }
    }

    /// Files each way under the condition that the fewest events meet, of equal ones under that with the
    /// fewest keys.
    fn choose(&mut self) {
        for (asked, filing) in self.ways.asked.iter().zip(&mut self.filings) {
            let numbers = self.files[asked.path as usize].numbers.as_deref();
            let ids = &self.key_ids[filing.keys_start as usize..filing.keys_end as usize];
            let shares = ids
                .iter()
                .map(|id| self.keys.share(asked.path, *id, numbers));
            filing.share = shares.sum::<f64>().min(1.0);
        }
        for way in &self.ways.all {
            let best = way.asked().min_by(|a, b| {
                let (a, b) = (&self.filings[*a], &self.filings[*b]);
                let by_keys = || (a.keys_end - a.keys_start).cmp(&(b.keys_end - b.keys_start));
                a.share.total_cmp(&b.share).then_with(by_keys)
            });
            (self.chosen).push(best.expect("a conjunction has a condition"));
        }
    }

    /// How many ways the list of a field's key has. Ranges have none.
    fn lengths(&self) -> HashMap<(u32, KeyId), usize> {
        let mut lengths = HashMap::new();
        for chosen in &self.chosen {
            let path = self.ways.asked[*chosen].path;
            let keys = self.keys_of(*chosen).iter();
            for key in keys.filter(|key| !matches!(key, KeyId::Range(_))) {
                *lengths.entry((path, *key)).or_default() += 1;
            }
        }
        lengths
    }

    /// Numbers the conditions that are still to be looked at when a way was found.
    #[expect(
        clippy::mutable_key_type,
        reason = "conditions are compared by what was written; a regular expression has a cache"
    )]
    fn share_conditions(&mut self) {
        let mut ids = HashMap::<(u32, &Condition), u32>::new();
        let lengths = self.lengths();
        for (way, chosen) in self.ways.all.iter().zip(&self.chosen) {
            // What long lists are cut by is known of what is found in the parts.
            let path = self.ways.asked[*chosen].path;
            let length = |key: &KeyId| lengths.get(&(path, *key)).copied().unwrap_or_default();
            let mut keys = self.keys_of(*chosen).iter();
            let is_cut = keys.all(|key| length(key) > LONG);
            let second = is_cut.then(|| second(self, way, &[*chosen])).flatten();
            let second = second.map(|(asked, _)| asked);
            for at in way.asked() {
                let filing = &mut self.filings[at];
                if at == *chosen && filing.is_exact {
                    continue;
                }
                let Asked { path, condition } = self.ways.asked[at];
                let next = count(self.shared.len());
                let id = *ids.entry((path, condition)).or_insert(next);
                if id == next {
                    self.shared.push(Shared {
                        path,
                        condition,
                        share: filing.share,
                        uses: 0,
                        forbids: 0,
                        is_exact: false,
                        check: None,
                    });
                }
                self.shared[id as usize].uses += u32::from(second != Some(at));
                filing.shared = id;
            }
        }
    }

    /// Gives the bits of the outline to the fields to which they are worth most.
    fn draw_outline(&mut self) {
        let mut demands = HashMap::<u32, Demand>::new();
        for shared in &self.shared {
            let demand = demands.entry(shared.path).or_default();
            demand.add(shared.condition, shared.uses, shared.share);
            for text in named(shared.condition) {
                let word = self.keys.words.add(shared.path, text);
                demand.named.push((word, shared.uses));
            }
        }
        let mut demands: Vec<_> = demands.into_iter().collect();
        for (_, demand) in &mut demands {
            demand.rank_words();
        }
        demands.sort_by_cached_key(|(path, demand)| {
            let numbers = self.files[*path as usize].numbers.as_deref();
            let worth = demand.worth_of_a_bit(numbers);
            (std::cmp::Reverse(worth.to_bits()), *path)
        });
        let mut outline = Outline::default();
        for (path, demand) in &demands {
            let file = &mut self.files[*path as usize];
            file.field = outline.field(demand, file.numbers.as_deref_mut());
        }
        let demands: HashMap<_, _> = demands.into_iter().collect();
        for shared in &mut self.shared {
            let file = &self.files[shared.path as usize];
            let numbers = file.numbers.as_deref();
            shared.check = Check::of(shared.path, shared.condition, &self.keys.words, numbers);
            if file.field.mask != 0 {
                (shared.forbids, shared.is_exact) = file.field.forbids(
                    shared.condition,
                    shared.path,
                    &demands[&shared.path].words,
                    &self.keys.words,
                    file.numbers.as_deref(),
                );
            }
        }
        for (id, path, word) in self.keys.words.iter_mut() {
            let field = &self.files[path as usize].field;
            if field.mask != 0 {
                word.bit = field.bit_of_word(id, &demands[&path].words);
            }
        }
    }

    /// The keys of something asked.
    pub(super) fn keys_of(&self, asked: usize) -> &[KeyId] {
        let filing = &self.filings[asked];
        &self.key_ids[filing.keys_start as usize..filing.keys_end as usize]
    }

    /// The words of something asked, if it has no other keys.
    pub(super) fn words_of(&self, asked: usize) -> Option<Vec<WordId>> {
        let words = self.keys_of(asked).iter().map(|key| match key {
            KeyId::Word(word) => Some(*word),
            _ => None,
        });
        words.collect()
    }

    /// A way as it stands in a list in which some of what it asks is known to hold.
    pub(super) fn filed(&mut self, way: &Way, known: &[usize]) -> Filed {
        let mut forbids = 0;
        let mut open = Vec::new();
        let mut outlined = Vec::new();
        for at in way.asked() {
            if known.contains(&at) {
                continue;
            }
            let id = self.filings[at].shared;
            let shared = &self.shared[id as usize];
            forbids |= shared.forbids;
            if shared.is_exact {
                outlined.push(id);
            } else {
                open.push(id);
            }
        }
        for conditions in [&mut open, &mut outlined] {
            // What refuses most is looked at first.
            conditions.sort_by(|a, b| {
                let share = |id: &u32| self.shared[*id as usize].share;
                share(a).total_cmp(&share(b)).then(a.cmp(b))
            });
            conditions.dedup();
        }
        let is_check = |id: &u32| self.shared[*id as usize].check.is_some();
        let check = open.iter().position(is_check);
        let check = check.and_then(|at| self.shared[open.remove(at) as usize].check);
        let is_doubtful = way.is_doubtful;
        let is_settled = open.is_empty() && !way.is_scheduled && !is_doubtful;
        let rest = self.rest(&open, &outlined, way);
        Filed {
            forbids,
            check,
            place: way.place,
            is_settled,
            rest: RestId::new(rest, way.is_scheduled, is_doubtful),
        }
    }

    fn rest(&mut self, open: &[u32], outlined: &[u32], way: &Way) -> u32 {
        let joints = self.ways.joints_of(way);
        let mut key = vec![count(open.len()), count(outlined.len())];
        key.extend(open.iter().chain(outlined));
        key.extend(joints.iter().map(|path| count(path.index())));
        if let Some(known) = self.rest_ids.get(&*key) {
            return *known;
        }
        let id = count(self.rests.len());
        self.rest_ids.insert(key.into(), id);
        let open_start = count(self.rest_conditions.len());
        let joints_start = count(self.rest_joints.len());
        self.rest_conditions.extend(open);
        let outlined_start = count(self.rest_conditions.len());
        self.rest_conditions.extend(outlined);
        self.rest_joints.extend(joints);
        for path in joints {
            self.files[path.index()].is_joint = true;
        }
        self.rests.push(Rest {
            open_start,
            outlined_start,
            outlined_end: count(self.rest_conditions.len()),
            joints_start,
            joints_end: count(self.rest_joints.len()),
        });
        id
    }

    fn carry_out(mut self) -> Index {
        let mut lists = Lists::default();
        lists.file_all(&mut self);
        let mut empty_outline = 0;
        let mut absences = Vec::new();
        for (path, file) in self.files.iter_mut().enumerate() {
            if file.field.mask != 0 {
                empty_outline |= 1 << file.field.absent;
            }
            if file.list(Plain::Absent) != super::postings::ListId::NONE {
                absences.push(count(path));
            }
        }
        let conditions = (self.shared.iter())
            .map(|shared| (shared.path, Arc::clone(shared.condition)))
            .collect();
        Index {
            conditions: Conditions(conditions),
            rests: Rests {
                all: self.rests.into(),
                conditions: self.rest_conditions.into(),
                paths: self.rest_joints.into(),
            },
            absences: absences.into(),
            empty_outline,
            ..lists.finish(self.keys, self.files, self.ways.rules)
        }
    }
}

pub(super) fn count(index: usize) -> u32 {
    u32::try_from(index)
        .ok()
        .filter(|index| *index < 1 << 31)
        .expect("fewer than 2³¹ fit the memory")
}
