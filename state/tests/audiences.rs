//! Campaigns for audiences, event by event.

use std::sync::Arc;

use rules::decide::Record;
use rules::{Rule, RuleSet};
use schemas::{Campaign, Limits, Reader, Span};
use serde_json::{Value as Json, json};
use state::{
    Arrival, Audiences, Decided, Engine, EventTimes, Members, Memberships, Partition, Undecided,
    Winners,
};

const NOW: i64 = 1_793_361_600_000;

/// Audiences that count how often they are asked, and may not be known yet.
#[derive(Default)]
struct Asked {
    members: Members,
    is_unknown: bool,
    times: usize,
}

impl Audiences for Asked {
    fn of(&mut self, customer_id: &str) -> Option<Memberships<'_>> {
        self.times += 1;
        (!self.is_unknown).then(|| self.members.of(customer_id))
    }
}

struct Scene {
    rules: RuleSet,
    engine: Engine,
    partition: Partition,
    audiences: Asked,
    offset: i64,
}

impl Scene {
    fn new(campaigns: &[(&str, Json)]) -> Self {
        let rules = campaigns.iter().map(|(id, fields)| {
            let mut campaign = json!({
                "id": id, "name": id, "when": {"event_type": ["buy"]},
                "reward": {"kind": "credit", "amount": 1},
            });
            for (name, value) in fields.as_object().unwrap() {
                campaign[name] = value.clone();
            }
            let campaign = Campaign::from_json(campaign.to_string().as_bytes()).unwrap();
            Arc::new(Rule::compile(campaign).unwrap())
        });
        let times = EventTimes {
            dedup_window: Span::parse("7d").unwrap(),
            max_ahead: Span::parse("1d").unwrap(),
        };
        Self {
            rules: RuleSet::build(rules),
            engine: Engine::new(Reader::json(), Limits::default(), times),
            partition: Partition::default(),
            audiences: Asked::default(),
            offset: 0,
        }
    }

    /// What an event of ada wins; none if her audiences are not known.
    fn event(&mut self, event_type: &str) -> Option<Vec<String>> {
        self.offset += 1;
        let offset = self.offset;
        let at = jiff::Timestamp::from_millisecond(NOW + offset * 1_000).unwrap();
        let event = json!({
            "event_id": format!("e-{offset}"), "customer_id": "ada", "event_type": event_type,
            "occurred_at": at, "payload": {"order": 7},
        });
        let event = event.to_string();
        let record = Record {
            key: Some(b"ada"),
            value: Some(event.as_bytes()),
            schema_header: None,
        };
        let arrival = Arrival {
            offset,
            time: at.as_millisecond(),
        };
        let mut winners = Winners::default();
        let known = (
            &mut self.partition,
            &mut self.audiences as &mut dyn Audiences,
        );
        let decided = self
            .engine
            .decide(record, arrival, &self.rules, known, &mut winners);
        match decided {
            Ok(Decided::New(..)) => {
                let won = winners.won.iter().map(|rule| rule.id().to_string());
                Some(won.collect())
            }
            Err(Undecided::Audiences) => {
                assert!(winners.won.is_empty());
                self.offset -= 1;
                None
            }
            other => panic!("{other:?}"),
        }
    }

    fn is_in(&mut self, audience: &str) {
        self.audiences.members.add(audience, "ada");
    }

    fn commit(&mut self) {
        self.partition.changes(|_| {}).commit(None).unwrap();
    }
}

/// What an event wins that was decided.
#[expect(clippy::unnecessary_wraps, reason = "as an event says it")]
fn won(campaigns: &[&str]) -> Option<Vec<String>> {
    Some(campaigns.iter().map(|it| (*it).to_owned()).collect())
}

#[test]
fn who_is_in_wins_and_audiences_are_asked_once_an_event_and_only_if_a_campaign_asks() {
    let mut scene = Scene::new(&[
        ("gold", json!({"audience": ["gold"]})),
        ("not-gold", json!({"audience": [{"not": "gold"}]})),
        ("open", json!({})),
        ("other", json!({"when": {"event_type": ["sell"]}})),
    ]);
    assert_eq!(scene.event("sell"), won(&["other"]));
    assert_eq!(scene.audiences.times, 0, "nobody asked");
    assert_eq!(scene.event("buy"), won(&["not-gold", "open"]));
    scene.is_in("gold");
    assert_eq!(scene.event("buy"), won(&["gold", "open"]));
    assert_eq!(scene.audiences.times, 2, "once an event");
}

#[test]
fn an_event_whose_audiences_are_not_known_leaves_no_trace() {
    let mut scene = Scene::new(&[
        ("gold", json!({"audience": ["gold"]})),
        ("third", json!({"across": [{"nth": 2}]})),
        ("other", json!({"when": {"event_type": ["sell"]}})),
    ]);
    scene.is_in("gold");
    scene.audiences.is_unknown = true;
    assert_eq!(scene.event("buy"), None);
    assert_eq!(
        (scene.partition.offset(), scene.partition.is_changed()),
        (-1, false)
    );
    assert_eq!(scene.event("sell"), won(&["other"]), "others do not wait");
    scene.audiences.is_unknown = false;
    assert_eq!(scene.event("buy"), won(&["gold"]));
    assert_eq!(
        scene.event("buy"),
        won(&["gold", "third"]),
        "the first counted once"
    );
}

#[test]
fn what_others_do_is_counted_where_something_is_counted_and_leaves_no_trace_elsewhere() {
    let mut scene = Scene::new(&[(
        "limited",
        json!({"audience": ["gold"], "limits": {"per_customer": {"times": 1}}}),
    )]);
    assert_eq!(scene.event("buy"), won(&[]));
    scene.commit();
    assert!(scene.partition.is_empty());
    scene.is_in("gold");
    assert_eq!(scene.event("buy"), won(&["limited"]));
    assert_eq!(scene.event("buy"), won(&[]), "once");

    let mut scene = Scene::new(&[(
        "second",
        json!({"audience": ["gold"], "across": [{"nth": 2}]}),
    )]);
    assert_eq!(scene.event("buy"), won(&[]));
    scene.is_in("gold");
    assert_eq!(scene.event("buy"), won(&["second"]));
}

#[test]
fn what_waits_for_nothing_to_happen_sees_what_who_has_left_does() {
    let waiting = json!({
        "audience": ["gold"],
        "across": [{"absent": true, "within": "1h", "when": {"event_type": ["sell"]}}],
    });
    let due = |scene: &mut Scene| {
        scene.commit();
        let due = scene.partition.first_due();
        let rules = &scene.rules;
        let hour = NOW + 2 * 3_600_000;
        let found = scene.engine.next_due(hour, rules, &mut scene.partition);
        (due.is_some(), found.unwrap().len())
    };
    let mut scene = Scene::new(&[("wait", waiting.clone())]);
    assert_eq!(scene.event("buy"), won(&[]));
    assert_eq!(
        due(&mut scene),
        (false, 0),
        "who is not in waits for nothing"
    );
    scene.is_in("gold");
    scene.event("buy");
    scene.audiences.members.remove("gold", "ada");
    assert_eq!(due(&mut scene), (true, 1), "it stays when they leave");

    let mut scene = Scene::new(&[("wait", waiting)]);
    scene.is_in("gold");
    scene.event("buy");
    scene.audiences.members.remove("gold", "ada");
    scene.event("sell");
    assert_eq!(due(&mut scene), (false, 0), "it happened");
}

#[test]
fn returns_take_back_from_who_has_left() {
    let mut scene = Scene::new(&[(
        "back",
        json!({
            "audience": ["gold"],
            "reverse_on": {"event_type": ["return"], "same": "payload.order"},
        }),
    )]);
    scene.is_in("gold");
    assert_eq!(scene.event("buy"), won(&["back"]));
    scene.audiences.members.drop_audience("gold");
    assert_eq!(scene.event("buy"), won(&[]));
    assert_eq!(scene.event("return"), won(&[]));
    let sequels = scene.engine.take_sequels();
    assert_eq!(sequels.len(), 1);
    assert_eq!(&*sequels[0].won.event_id, "e-1");
}
