//! Rules that change while they are in use: after any changes, merges and adoptions, each event wins what it
//! meets alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;
use rules::live::Merge;
use rules::{LiveRules, Rule};
use schemas::{Campaign, CampaignId, Document, Event, Limits};
use serde_json::{Value, json};

/// Few ids, so that most changes replace or remove something.
const IDS: u16 = 300;

#[derive(Debug, Clone)]
enum Change {
    /// Of campaigns that ask for a field of that name.
    Put {
        ids: Vec<u16>,
        field: &'static str,
        value: u8,
        active: bool,
    },
    Remove(Vec<u16>),
    /// Begins a merge, if one is due.
    Begin,
    /// Ends the merge that was begun.
    End,
}

fn any_change() -> impl Strategy<Value = Change> {
    let ids = |most| prop::collection::vec(0..IDS, 1..most);
    let field = || select(vec!["a", "b", "c", "rare-1", "rare-2", "rare-3"]);
    prop_oneof![
        4 => (ids(6), field(), 0u8..3, prop::bool::weighted(0.9))
            .prop_map(|(ids, field, value, active)| Change::Put { ids, field, value, active }),
        2 => (ids(150), field(), 0u8..3, Just(true))
            .prop_map(|(ids, field, value, active)| Change::Put { ids, field, value, active }),
        2 => ids(10).prop_map(Change::Remove),
        1 => ids(150).prop_map(Change::Remove),
        3 => Just(Change::Begin),
        3 => Just(Change::End),
    ]
}

fn rule(id: u16, field: &str, value: u8, active: bool) -> Arc<Rule> {
    let campaign = json!({
        "id": format!("{id:03}"), "name": "n", "when": {field: [value, {"prefix": "x"}]},
        "status": if active { "active" } else { "paused" }, "reward": {"kind": "custom"},
    });
    let campaign = Campaign::from_json(campaign.to_string().as_bytes()).unwrap();
    Arc::new(Rule::compile(campaign).unwrap())
}

fn id(id: u16) -> CampaignId {
    CampaignId::new(format!("{id:03}")).unwrap()
}

fn event(fields: &Value) -> Document {
    let mut event = fields.clone();
    for (name, value) in [
        ("event_id", "e"),
        ("customer_id", "c"),
        ("event_type", "t"),
        ("occurred_at", "2026-11-24T00:00:00Z"),
    ] {
        event[name] = value.into();
    }
    let mut document = Document::new();
    document
        .read(event.to_string().as_bytes(), Limits::default())
        .unwrap();
    document
}

/// The rules, and what they should be.
#[derive(Default)]
struct Both {
    live: LiveRules,
    expected: BTreeMap<u16, Arc<Rule>>,
    merge: Option<Merge>,
    merges: usize,
}

impl Both {
    fn apply(&mut self, change: Change) {
        match change {
            Change::Put {
                ids,
                field,
                value,
                active,
            } => {
                for id in ids {
                    let rule = rule(id, field, value, active);
                    self.live.put(Arc::clone(&rule));
                    self.expected.remove(&id);
                    if active {
                        self.expected.insert(id, rule);
                    }
                }
            }
            Change::Remove(ids) => {
                for n in ids {
                    self.live.remove(&id(n));
                    self.expected.remove(&n);
                }
            }
            Change::Begin => {
                if self.merge.is_none() {
                    self.merge = self.live.merge_due();
                }
            }
            Change::End => {
                if let Some(merge) = self.merge.take() {
                    self.live.adopt(merge.run());
                    self.merges += 1;
                }
            }
        }
    }

    fn check(&mut self, events: &[Document]) -> Result<(), TestCaseError> {
        let set = self.live.rule_set();
        prop_assert_eq!(set.len(), self.expected.len());
        let mut winners = Vec::new();
        for document in events {
            let event = Event::of(document).unwrap();
            set.winners(&event, &mut winners);
            let expected = self.expected.values().filter(|rule| rule.is_won_by(&event));
            let expected: Vec<_> = expected.map(|rule| rule.id().as_str()).collect();
            let found: Vec<_> = winners.iter().map(|rule| rule.id().as_str()).collect();
            prop_assert_eq!(found, expected);
        }
        Ok(())
    }
}

fn events() -> Vec<Document> {
    [
        json!({"a": 1, "b": "xy"}),
        json!({"c": [0, 2], "rare-1": 1}),
        json!({"rare-2": 0, "rare-3": "x", "a": 0}),
    ]
    .iter()
    .map(event)
    .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_changes_in_whatever_order_an_event_wins_what_it_meets(
        changes in prop::collection::vec(any_change(), 1..40),
    ) {
        let mut both = Both::default();
        let events = events();
        for change in changes {
            both.apply(change);
            both.check(&events)?;
        }
    }
}

#[test]
fn many_changes_are_merged_and_leave_few_levels() {
    let mut both = Both::default();
    let events = events();
    let numbers = (0..20_000u32).map(|n| n.wrapping_mul(2_654_435_761) >> 16);
    for (step, number) in numbers.enumerate() {
        let n = u16::try_from(number % u32::from(IDS)).unwrap();
        let field = ["a", "b", "c", "rare-1"][(number as usize >> 4) % 4];
        both.apply(Change::Put {
            ids: vec![n],
            field,
            value: (number % 3) as u8,
            active: true,
        });
        let set = both.live.rule_set();
        both.apply(if step % 3 == 0 {
            Change::Begin
        } else {
            Change::End
        });
        assert!(set.levels() <= 12, "{}", set.levels());
        if step % 500 == 0 {
            both.check(&events).unwrap();
        }
    }
    assert!(both.merges > 100, "{}", both.merges);
    both.check(&events).unwrap();
}
