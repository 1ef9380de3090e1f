//! Rule sets: all active campaigns, compiled into one immutable index.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use schemas::{CampaignId, Event, Status};

use crate::rule::Rule;

/// The active campaigns of a moment.
///
/// Never changes after it is built: it is shared as `Arc` and replaced as a whole. Any number of
/// threads may read it at once; readers never lock, wait or allocate.
///
/// An event is tried on the rules that require its very `event_type` and on those that require none.
#[derive(Default)]
pub struct RuleSet {
    /// In ascending order of campaign id, each id once.
    rules: Box<[Arc<Rule>]>,
    /// Places of the rules that require one of some event types.
    by_type: HashMap<Box<str>, Vec<u32>>,
    /// Places of the others.
    any_type: Vec<u32>,
}

impl RuleSet {
    /// The set of these rules. Of rules with the same campaign id only the last counts, as in a
    /// compacted log; it is kept if its campaign is active.
    ///
    /// # Panics
    /// At 2³² active campaigns, which no machine has the memory for.
    pub fn build(rules: impl IntoIterator<Item = Arc<Rule>>) -> Self {
        let mut latest = BTreeMap::<CampaignId, Arc<Rule>>::new();
        for rule in rules {
            latest.insert(rule.campaign().id.clone(), rule);
        }
        let rules: Box<[_]> = latest
            .into_values()
            .filter(|rule| rule.campaign().status == Status::Active)
            .collect();

        let mut by_type = HashMap::<Box<str>, Vec<u32>>::new();
        let mut any_type = Vec::new();
        for (place, rule) in rules.iter().enumerate() {
            let place = u32::try_from(place).expect("fewer than 2³² campaigns fit the memory");
            let Some(event_types) = rule.pattern().required_strings("event_type") else {
                any_type.push(place);
                continue;
            };
            for event_type in event_types {
                let places = by_type.entry(event_type.into()).or_default();
                if places.last() != Some(&place) {
                    places.push(place);
                }
            }
        }
        Self {
            rules,
            by_type,
            any_type,
        }
    }

    /// The rules that the event wins, in ascending order of campaign id, into `out`, which is cleared
    /// first. Allocates nothing but what `out` grows by.
    pub fn winners<'a>(&'a self, event: &Event<'_>, out: &mut Vec<&'a Rule>) {
        out.clear();
        let of_type = self.by_type.get(event.event_type);
        let of_type = of_type.map_or(&[][..], Vec::as_slice);
        for place in in_order(of_type, &self.any_type) {
            let rule = &*self.rules[place as usize];
            if rule.is_won_by(event) {
                out.push(rule);
            }
        }
    }

    /// The active campaigns, in ascending order of campaign id.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &Arc<Rule>> {
        self.rules.iter()
    }

    /// How many active campaigns there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is no active campaign.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

impl fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.rules().map(|rule| rule.campaign().id.as_str());
        f.debug_set().entries(ids).finish()
    }
}

/// Two ascending lists without a common number, as one.
fn in_order<'a>(mut a: &'a [u32], mut b: &'a [u32]) -> impl Iterator<Item = u32> + 'a {
    std::iter::from_fn(move || {
        let from = match (a.first(), b.first()) {
            (Some(x), Some(y)) if x < y => &mut a,
            (Some(_), None) => &mut a,
            (_, Some(_)) => &mut b,
            (None, None) => return None,
        };
        let (&next, rest) = from.split_first()?;
        *from = rest;
        Some(next)
    })
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
