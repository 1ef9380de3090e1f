//! Experiments: who is held out is recorded exactly as often as they would have won, and never on `matches`; whoever is killed.
//!
//! The books are kept here anew from the events alone, but for which claims a budget granted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use rules::experiment::Draw;
use serde_json::{Value, json};
use tests::books::text;
use tests::servers::Server;
use tests::topics::Seen;
use tests::wait;
use tests::world::World;

use super::LONG_BATCHES;

const PATIENCE: Duration = Duration::from_mins(2);

/// How often a customer wins the first campaign.
const TIMES: usize = 5;

fn campaigns() -> Vec<Value> {
    let campaign = |id: &str, fields: Value| {
        let mut campaign = json!({
            "id": id, "name": id, "when": {"event_type": ["tried"]},
            "reward": {"kind": "credit", "amount": "1.00", "currency": "EUR"},
        });
        for (name, value) in fields.as_object().expect("fields") {
            campaign[name] = value.clone();
        }
        campaign
    };
    let double = json!({"kind": "credit", "amount": "2.00", "currency": "EUR"});
    let variants =
        json!([{"name": "x", "weight": 1}, {"name": "y", "weight": 3, "reward": double}]);
    vec![
        campaign(
            "exp-a",
            json!({
                "priority": 2, "exclusive_group": "exp", "holdout": "30%", "experiment": "one",
                "variants": variants, "limits": {"per_customer": {"times": TIMES}},
            }),
        ),
        campaign("exp-b", json!({"priority": 1, "exclusive_group": "exp"})),
        campaign("exp-c", json!({"holdout": "50%"})),
        campaign(
            "exp-d",
            json!({"priority": 2, "exclusive_group": "two", "limits": {"total": {"times": 100}}}),
        ),
        campaign(
            "exp-e",
            json!({"priority": 1, "exclusive_group": "two", "holdout": "40%"}),
        ),
        campaign("exp-f", json!({"variants": variants, "hold": "1s"})),
    ]
}

/// Events, of which each tenth comes again.
#[derive(Default)]
struct Events {
    number: usize,
    sent: Vec<Value>,
}

impl Events {
    fn produce(&mut self, world: &World, events: usize) {
        let now = Timestamp::now().as_millisecond();
        for _ in 0..events {
            self.number += 1;
            let number = self.number;
            if number.is_multiple_of(10) {
                let back = self.sent.len().saturating_sub(1 + number * 7 % 100);
                send(world, &self.sent[back]);
                continue;
            }
            let at = Timestamp::from_millisecond(now - 5_000).expect("a time");
            let event = json!({
                "event_id": format!("t-{number}"), "customer_id": format!("exp-{}", number * number % 53),
                "event_type": "tried", "occurred_at": at, "payload": {},
            });
            send(world, &event);
            self.sent.push(event);
        }
        world.kafka.flush();
    }
}

fn send(world: &World, event: &Value) {
    let customer = text(event, "customer_id");
    let topic = world.topic("events");
    world.kafka.send_json(&topic, customer, event);
}

/// Event, campaign, status or reason, and variant.
type Line = (String, String, String, String);

/// Each record of our campaigns, in short; none twice.
fn lines(records: &[Seen], what: &str) -> BTreeSet<Line> {
    let mut lines = BTreeSet::new();
    for document in records.iter().map(Seen::json) {
        if !text(&document, "campaign_id").starts_with("exp-") {
            continue;
        }
        let word = document[what].as_str().unwrap_or("granted");
        let line = line(
            text(&document, "event_id"),
            text(&document, "campaign_id"),
            word,
            document["variant"].as_str(),
        );
        assert!(lines.insert(line), "there twice: {document}");
    }
    lines
}

fn line(event: &str, campaign: &str, word: &str, variant: Option<&str>) -> Line {
    let own = |text: &str| text.to_owned();
    (
        own(event),
        own(campaign),
        own(word),
        own(variant.unwrap_or("-")),
    )
}

#[test]
fn who_is_held_out_is_recorded_once_and_wins_nothing_while_matchers_and_settlers_are_killed() {
    let world = World::new(Server::shared_kafka().address(), None);
    for campaign in campaigns() {
        world.write_campaign(text(&campaign, "id"), &campaign);
    }
    world.kafka.flush();
    let mut events = Events::default();
    for round in 0..4 {
        let settings = if round % 2 == 0 {
            &LONG_BATCHES[..]
        } else {
            &[]
        };
        let matcher = world.matcher_with("a", settings);
        events.produce(&world, 100);
        if round % 2 == 0 {
            world.wait_open_transaction();
        } else {
            world.wait_progress(80);
            events.produce(&world, 20);
        }
        matcher.kill();
    }
    let matcher = world.matcher("b");
    events.produce(&world, 60);
    world.wait_decided();

    let (mut won, mut refused) = (BTreeSet::new(), BTreeSet::new());
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let made = world.read("matches");
    let granted = lines(&made, "status");
    for event in &events.sent {
        let (id, customer) = (text(event, "event_id"), text(event, "customer_id"));
        let is_held_out = |experiment: &str, percent: u64| {
            Draw::of(experiment, customer).holdout() < percent * 10_000
        };
        let variant = |experiment: &str| match Draw::of(experiment, customer).variant(4) {
            0 => Some("x"),
            _ => Some("y"),
        };
        let count = counts.entry(customer).or_default();
        *count += 1;
        let mut decide = |campaign: &str, held_out: bool, variant: Option<&str>| {
            if held_out {
                refused.insert(line(id, campaign, "held_out", variant))
            } else {
                won.insert(line(id, campaign, "granted", variant))
            };
        };
        if *count <= TIMES {
            decide("exp-a", is_held_out("one", 30), variant("one"));
        } else {
            decide("exp-b", false, None);
        }
        decide("exp-c", is_held_out("exp-c", 50), None);
        if granted.contains(&line(id, "exp-d", "granted", None)) {
            decide("exp-d", false, None);
        } else {
            decide("exp-e", is_held_out("exp-e", 40), None);
            refused.insert(line(id, "exp-d", "budget_used_up", None));
        }
        for status in ["pending", "confirmed"] {
            won.insert(line(id, "exp-f", status, variant("exp-f")));
        }
    }
    // What is held is confirmed by the clock.
    wait::until("all matches to be confirmed", PATIENCE, || {
        (lines(&world.read("matches"), "status").len() >= won.len()).then_some(())
    });
    assert_eq!(lines(&world.read("matches"), "status"), won);
    assert_eq!(lines(&world.read("refusals"), "reason"), refused);
    let held_out = refused
        .iter()
        .filter(|(_, _, reason, _)| reason == "held_out");
    assert!(held_out.count() > 200, "{} refusals", refused.len());
    let of_budget = won.iter().filter(|(_, campaign, ..)| campaign == "exp-d");
    assert_eq!(of_budget.count(), 100, "the budget is used up");
    for document in made.iter().map(Seen::json) {
        if document["variant"] == "y" {
            assert_eq!(document["reward"]["amount"], "2.00", "{document}");
        }
    }
    results_are_those_of_the_books(&world, &events.sent);
    assert!(matcher.terminate().0.success());
}

/// What `campaignctl results` says of a campaign that won on every event, beside the events alone.
fn results_are_those_of_the_books(world: &World, events: &[Value]) {
    let mut customers: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for event in events {
        let done = (text(event, "occurred_at"), text(event, "event_id"));
        customers
            .entry(text(event, "customer_id"))
            .or_default()
            .push(done);
    }
    let mut ought: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (customer, done) in &customers {
        let (first, _) = done.iter().min().expect("an event");
        let is_held_out = Draw::of("exp-c", customer).holdout() < 500_000;
        let (all, converters) = ought
            .entry(if is_held_out { "holdout" } else { "campaign" })
            .or_default();
        *all += 1;
        *converters += u64::from(done.iter().any(|(at, _)| at > first));
    }
    let report = world.campaignctl(&["results", "exp-c", "--outcome", "tried", "-o", "json"]);
    let groups = report["groups"].as_array().expect("groups");
    let found: BTreeMap<&str, (u64, u64)> = (groups.iter())
        .map(|group| {
            let number = |field: &str| group[field].as_u64().expect("a number");
            (
                text(group, "group"),
                (number("customers"), number("converters")),
            )
        })
        .collect();
    assert_eq!(found, ought, "{report}");
    let uplift = &groups
        .iter()
        .find(|it| it["is_holdout"] == false)
        .expect("a group")["uplift"];
    assert_eq!(
        (&uplift["against"], &uplift["too_small"]),
        (&json!("holdout"), &json!(true))
    );
}
