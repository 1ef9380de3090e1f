//! Rule sets: all active campaigns of a moment, compiled and immutable, and those whose matches may still be taken back.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use schemas::paths::Paths;
use schemas::{CampaignId, Document, Event, Status};

use crate::index::{Facts, Index, Won, Work};
use crate::live::LiveRules;
use crate::rule::Rule;

/// The active campaigns of a moment, and those that are not active any more but take back what was won (`reverse_on`): these
/// are concerned by events, at whatever time they were done, and win nothing ([`Rule::is_live_for`]).
///
/// Never changes after it is built: it is shared as `Arc` and replaced as a whole. Any number of
/// threads may read it at once; readers never lock or wait, and allocate only while the buffers of their thread
/// grow. [`LiveRules`](crate::LiveRules) makes the next one from what changed.
#[derive(Default)]
pub struct RuleSet {
    paths: Arc<Paths>,
    /// Each rule is in force in one of them at most.
    levels: Box<[Level]>,
}

/// Rules that were indexed together.
#[derive(Debug, Clone)]
pub(crate) struct Level {
    pub(crate) index: Arc<Index>,
    /// Which of them are not in force any more.
    pub(crate) gone: Gone,
}

/// A set of places of an index.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gone {
    /// A bit a place; missing words are 0. Copied when it changes while a rule set holds it.
    words: Arc<Vec<u64>>,
    count: usize,
}

/// The buffers of a thread.
#[derive(Default)]
struct Buffers {
    facts: Facts,
    work: Work,
    won: Vec<Won>,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

impl RuleSet {
    /// The set of these rules. Of rules with the same campaign id only the last counts, as in a
    /// compacted log; it is kept if its campaign is active.
    ///
    /// # Panics
    /// At 2³¹ active campaigns, which no machine has the memory for.
    pub fn build(rules: impl IntoIterator<Item = Arc<Rule>>) -> Self {
        let mut live = LiveRules::new();
        for rule in rules {
            live.put(rule);
        }
        live.rule_set()
    }

    pub(crate) fn new(paths: Arc<Paths>, levels: Box<[Level]>) -> Self {
        Self { paths, levels }
    }

    /// Makes a document note what these rules ask for while it is read: their winners are then found faster.
    pub fn prepare(&self, document: &mut Document) {
        document.look_for(&self.paths);
    }

    /// The rules that the event wins, in ascending order of campaign id, into `out`, which is cleared
    /// first. Allocates nothing but what `out` and the buffers of the thread grow by.
    pub fn winners<'a>(&'a self, event: &Event<'_>, out: &mut Vec<&'a Rule>) {
        out.clear();
        BUFFERS.with_borrow_mut(|buffers| {
            buffers.facts.read(&self.paths, event.root.document());
            // The largest comes first, so that few are put among many.
            for level in self.levels.iter().rev() {
                let (facts, won) = (&buffers.facts, &mut buffers.won);
                (level.index).search(event, facts, &mut buffers.work, won);
                let in_force = won.iter().filter(|won| !level.gone.contains(won.place()));
                let sorted = out.len();
                out.extend(in_force.map(|won| level.index.rule(*won)));
                if sorted > 0 {
                    merge(out, sorted);
                }
            }
        });
    }

    /// The campaigns in force, in ascending order of campaign id.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &Arc<Rule>> {
        let mut rules: Vec<_> = self.levels.iter().flat_map(Level::rules).collect();
        rules.sort_by_key(|rule| id(rule));
        rules.into_iter()
    }

    /// The rule of that campaign, if it is active.
    pub fn rule(&self, id: &CampaignId) -> Option<&Rule> {
        let mut levels = self.levels.iter();
        levels.find_map(|level| {
            let place = level.index.place(id)?;
            let rule = &*level.index.rules()[place as usize];
            let is_active = rule.status() == Status::Active;
            (is_active && !level.gone.contains(place)).then_some(rule)
        })
    }

    /// Whether a campaign asks for more than the event at hand, or something may become of its matches.
    pub fn has_history(&self) -> bool {
        let mut rules = self.levels.iter().flat_map(Level::rules);
        rules.any(|rule| rule.history().is_some())
    }

    /// How many campaigns are in force.
    pub fn len(&self) -> usize {
        self.levels.iter().map(Level::len).sum()
    }

    /// In how many indexes an event is looked up: one, and some small ones with what changed since that was made.
    pub fn levels(&self) -> usize {
        self.levels.len()
    }

    /// Whether no campaign is in force.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Brings rules in order, of which the first so many are.
fn merge(rules: &mut [&Rule], sorted: usize) {
    if (rules.len() - sorted) * rules.len() > MOVES {
        rules.sort_unstable_by(|a, b| id(a).cmp(id(b)));
        return;
    }
    // Each id lies elsewhere in memory: few are looked at.
    for at in sorted..rules.len() {
        let rule = rules[at];
        let before = rules[..at].partition_point(|other| id(other) < id(rule));
        rules[before..=at].rotate_right(1);
    }
}

/// More moves of rules, at most, take longer than sorting them all.
const MOVES: usize = 1 << 16;

fn id(rule: &Rule) -> &CampaignId {
    rule.id()
}

impl Level {
    /// A level of which nothing is gone.
    pub(crate) fn whole(index: Arc<Index>) -> Self {
        Self {
            index,
            gone: Gone::default(),
        }
    }

    /// Takes a campaign's rule out of force, if it is here.
    pub(crate) fn remove(&mut self, id: &CampaignId) {
        if let Some(place) = self.index.place(id) {
            self.gone.insert(place);
        }
    }

    /// The rules in force, in ascending order of campaign id.
    pub(crate) fn rules(&self) -> impl Iterator<Item = &Arc<Rule>> {
        let numbered = (0..).zip(self.index.rules());
        let in_force = numbered.filter(|(place, _)| !self.gone.contains(*place));
        in_force.map(|(_, rule)| rule)
    }

    /// How many rules are in force.
    pub(crate) fn len(&self) -> usize {
        self.index.rules().len() - self.gone.count
    }
}

impl Gone {
    #[inline]
    fn contains(&self, place: u32) -> bool {
        let word = self.words.get(place as usize / 64);
        word.is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    fn insert(&mut self, place: u32) {
        if self.contains(place) {
            return;
        }
        let words = Arc::make_mut(&mut self.words);
        let at = place as usize / 64;
        if words.len() <= at {
            words.resize(at + 1, 0);
        }
        words[at] |= 1 << (place % 64);
        self.count += 1;
    }

    /// How many they are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }
}

impl fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.rules().map(|rule| rule.id().as_str());
        f.debug_set().entries(ids).finish()
    }
}

#[cfg(test)]
mod tests {
    use schemas::{Campaign, Limits};
    use serde_json::{Value as Json, json};

    use super::*;

    /// A campaign of that id, with these fields beside or instead of the usual ones.
    fn rule(id: &str, fields: &Json) -> Arc<Rule> {
        let mut campaign = json!({
            "id": id,
            "name": id,
            "when": {"event_type": ["purchase"]},
            "reward": {"kind": "custom"},
        });
        for (name, value) in fields.as_object().unwrap() {
            campaign[name] = value.clone();
        }
        let campaign = Campaign::from_json(campaign.to_string().as_bytes()).unwrap();
        Arc::new(Rule::compile(campaign).unwrap())
    }

    fn winners(set: &RuleSet, event_type: &str, occurred_at: &str) -> Vec<String> {
        let event = json!({
            "event_id": "e-1",
            "customer_id": "c-1",
            "event_type": event_type,
            "occurred_at": occurred_at,
            "payload": {"amount": 75},
        });
        let mut document = Document::new();
        document
            .read(event.to_string().as_bytes(), Limits::default())
            .unwrap();
        let event = Event::of(&document).unwrap();
        // What is in `out` before must not stay.
        let stale = rule("stale", &json!({}));
        let mut out = vec![&*stale];
        set.winners(&event, &mut out);
        let ids = out.iter().map(|rule| rule.id().to_string());
        ids.collect()
    }

    #[test]
    fn winners_come_in_the_order_of_their_ids() {
        let set = RuleSet::build([
            rule("e", &json!({})),
            rule("b", &json!({"when": {"payload": {"amount": [75]}}})),
            rule(
                "a",
                &json!({"when": {"event_type": ["refund", "purchase"]}}),
            ),
            rule("d", &json!({"when": {"event_type": ["refund"]}})),
            rule("c", &json!({"when": {"event_type": [{"prefix": "pur"}]}})),
            rule("f", &json!({"when": {"payload": {"amount": [76]}}})),
            rule(
                "g",
                &json!({"when": {"$or": [
                    {"event_type": ["purchase"]},
                    {"event_type": ["purchase"], "x": [1]},
                ]}}),
            ),
        ]);
        assert_eq!(
            winners(&set, "purchase", "2026-11-24T00:00:00Z"),
            ["a", "b", "c", "e", "g"]
        );
        assert_eq!(
            winners(&set, "refund", "2026-11-24T00:00:00Z"),
            ["a", "b", "d"]
        );
        assert_eq!(winners(&set, "visit", "2026-11-24T00:00:00Z"), ["b"]);
        assert_eq!(format!("{set:?}"), r#"{"a", "b", "c", "d", "e", "f", "g"}"#);
    }

    #[test]
    fn only_active_campaigns_are_kept() {
        let set = RuleSet::build(
            ["draft", "active", "paused", "archived"]
                .map(|status| rule(status, &json!({"status": status}))),
        );
        assert_eq!(set.len(), 1);
        assert_eq!(
            winners(&set, "purchase", "2026-11-24T00:00:00Z"),
            ["active"]
        );
        assert!(RuleSet::build([]).is_empty());
    }

    #[test]
    fn a_campaign_that_takes_back_is_concerned_also_when_nothing_wins_it_any_more() {
        let fields = |status: &str| {
            json!({
                "status": status, "schedule": {"end": "2026-11-01T00:00:00Z"},
                "reverse_on": {"event_type": ["refund"], "same": "payload.amount"},
            })
        };
        let statuses = ["draft", "active", "paused", "archived"];
        let set = RuleSet::build(statuses.map(|status| rule(status, &fields(status))));
        let at = "2026-11-24T00:00:00Z";
        assert_eq!(
            winners(&set, "refund", at),
            ["active", "archived", "paused"]
        );
        assert!(winners(&set, "visit", at).is_empty());
        let id = |text: &str| CampaignId::new(text).unwrap();
        assert!(set.rule(&id("active")).is_some());
        assert!(set.rule(&id("paused")).is_none());
    }

    #[test]
    fn the_last_document_of_an_id_counts_also_when_it_is_not_active() {
        let paused = rule("a", &json!({"status": "paused"}));
        let refund = rule("a", &json!({"when": {"event_type": ["refund"]}}));
        let purchase = rule("a", &json!({}));
        let at = "2026-11-24T00:00:00Z";
        let set = RuleSet::build([refund.clone(), purchase.clone()]);
        assert_eq!(winners(&set, "purchase", at), ["a"]);
        assert!(winners(&set, "refund", at).is_empty());
        assert!(RuleSet::build([purchase.clone(), paused.clone()]).is_empty());
        assert_eq!(RuleSet::build([paused, purchase]).len(), 1);
    }

    #[test]
    fn a_campaign_is_live_from_its_start_and_no_more_at_its_end() {
        let november = json!({"start": "2026-11-01T00:00:00Z", "end": "2026-12-01T00:00:00Z"});
        let set = RuleSet::build([
            rule("always", &json!({})),
            rule("from", &json!({"schedule": {"start": november["start"]}})),
            rule("in", &json!({"schedule": november})),
            rule("until", &json!({"schedule": {"end": november["end"]}})),
        ]);
        let cases = [
            ("2026-10-31T23:59:59.999999999Z", &["always", "until"][..]),
            ("2026-11-01T00:00:00Z", &["always", "from", "in", "until"]),
            (
                "2026-11-01T01:00:00+01:00",
                &["always", "from", "in", "until"],
            ),
            (
                "2026-11-30T23:59:59.999999999Z",
                &["always", "from", "in", "until"],
            ),
            ("2026-12-01T00:00:00Z", &["always", "from"]),
        ];
        for (at, expected) in cases {
            assert_eq!(winners(&set, "purchase", at), expected, "{at}");
        }
    }
}
