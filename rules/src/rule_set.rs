//! Rule sets: all active campaigns, compiled into one immutable index.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use schemas::paths::Paths;
use schemas::{Event, Status};

use crate::index::{Facts, Index, Work};
use crate::rule::Rule;

/// The active campaigns of a moment.
///
/// Never changes after it is built: it is shared as `Arc` and replaced as a whole. Any number of
/// threads may read it at once; readers never lock or wait, and allocate only while the buffers of their thread
/// grow.
#[derive(Default)]
pub struct RuleSet {
    paths: Paths,
    index: Index,
}

/// The buffers of a thread.
#[derive(Default)]
struct Buffers {
    facts: Facts,
    work: Work,
    places: Vec<u32>,
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
        let mut rules: Vec<Arc<Rule>> = rules.into_iter().collect();
        // Stable, so that the last of an id stays the last.
        rules.sort_by(|a, b| a.campaign().id.cmp(&b.campaign().id));
        let mut latest = Vec::<Arc<Rule>>::with_capacity(rules.len());
        for rule in rules {
            match latest.last_mut() {
                Some(last) if last.campaign().id == rule.campaign().id => *last = rule,
                _ => latest.push(rule),
            }
        }
        latest.retain(|rule| rule.campaign().status == Status::Active);
        let mut paths = Paths::new();
        let index = Index::build(latest.into(), &mut paths);
        Self { paths, index }
    }

    /// The rules that the event wins, in ascending order of campaign id, into `out`, which is cleared
    /// first. Allocates nothing but what `out` and the buffers of the thread grow by.
    pub fn winners<'a>(&'a self, event: &Event<'_>, out: &mut Vec<&'a Rule>) {
        out.clear();
        BUFFERS.with_borrow_mut(|buffers| {
            buffers.facts.read(&self.paths, event.root.document());
            buffers.places.clear();
            self.index.search(
                event,
                &buffers.facts,
                &mut buffers.work,
                &mut buffers.places,
            );
            let rules = self.index.rules();
            out.extend(buffers.places.iter().map(|place| &*rules[*place as usize]));
        });
    }

    /// The active campaigns, in ascending order of campaign id.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &Arc<Rule>> {
        self.index.rules().iter()
    }

    /// How many active campaigns there are.
    pub fn len(&self) -> usize {
        self.index.rules().len()
    }

    /// Whether there is no active campaign.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.rules().map(|rule| rule.campaign().id.as_str());
        f.debug_set().entries(ids).finish()
    }
}

#[cfg(test)]
mod tests {
    use schemas::{Campaign, Document, Limits};
    use serde_json::{Value as Json, json};

    use super::*;

    /// A campaign of that id, with these fields beside or instead of the usual ones.
    fn rule(id: &str, fields: &Json) -> Arc<Rule> {
        let mut campaign = json!({
            "id": id,
            "name": id,
            "when": {"event_type": ["purchase"]},
            "reward": {"kind": "credit"},
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
        let ids = out.iter().map(|rule| rule.campaign().id.to_string());
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
