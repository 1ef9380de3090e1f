//! Campaigns that remember: what they count survives whatever is killed, and an event that comes twice counts once.
//!
//! What ought to come of it is worked out here anew, in the plainest way, from the records of `events` alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tests::servers::Server;
use tests::topics::{Seen, Written};
use tests::wait;
use tests::world::{PARTITIONS, World};

use super::LONG_BATCHES;

const PATIENCE: Duration = Duration::from_mins(2);
const HOUR: i64 = 3_600_000;

pub(super) fn installation(campaigns: &[Value]) -> World {
    let world = World::new(Server::shared_kafka().address(), None);
    install(&world, campaigns);
    world
}

pub(super) fn install(world: &World, campaigns: &[Value]) {
    for campaign in campaigns {
        let id = campaign["id"].as_str().expect("an id");
        world.write_campaign(id, campaign);
    }
    world.kafka.flush();
}

fn campaign(id: &str, fields: &Value) -> Value {
    let mut campaign = json!({
        "id": id, "name": id, "reward": {"kind": "credit", "amount": "2.50", "currency": "EUR"},
        "when": {"event_type": ["remembered"]},
    });
    for (name, value) in fields.as_object().expect("fields") {
        campaign[name] = value.clone();
    }
    campaign
}

fn event(id: &str, customer: &str, at: i64, amount: i64) -> Value {
    let at = Timestamp::from_millisecond(at).expect("a time");
    json!({
        "event_id": id, "customer_id": customer, "event_type": "remembered", "occurred_at": at,
        "payload": {"amount": amount},
    })
}

fn send(world: &World, event: &Value) {
    let customer = event["customer_id"].as_str().expect("a customer");
    world
        .kafka
        .send_json(&world.topic("events"), customer, event);
}

/// Event and campaign of the committed matches of campaigns with that beginning, each as often as it is there.
fn matches(world: &World, prefix: &str) -> BTreeMap<(String, String), usize> {
    let mut found = BTreeMap::new();
    for record in world.read("matches") {
        let won = record.json();
        let text = |field: &str| won[field].as_str().unwrap_or_default().to_owned();
        if text("campaign_id").starts_with(prefix) {
            *found
                .entry((text("event_id"), text("campaign_id")))
                .or_default() += 1;
        }
    }
    found
}

/// What an event of the log is to the plain evaluation below.
struct Done {
    id: String,
    at: i64,
    amount: i64,
}

/// What ought to be won, worked out from the log.
fn expected(events: &[Seen]) -> BTreeMap<(String, String), usize> {
    let mut customers: BTreeMap<String, Vec<Done>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut expected = BTreeMap::new();
    let mut won: BTreeMap<(String, &str), Vec<i64>> = BTreeMap::new();
    let mut records: Vec<&Seen> = events.iter().collect();
    records.sort_by_key(|record| (record.partition, record.offset));
    for record in records {
        let event = record.json();
        if event["event_type"] != "remembered" {
            continue;
        }
        let text = |field: &str| event[field].as_str().expect("a text").to_owned();
        let (id, customer) = (text("event_id"), text("customer_id"));
        if !seen.insert(id.clone()) {
            continue;
        }
        let at: Timestamp = text("occurred_at").parse().expect("a time");
        let done = Done {
            id: id.clone(),
            at: at.as_millisecond(),
            amount: event["payload"]["amount"].as_i64().expect("an amount"),
        };
        let at = done.at;
        let all = customers.entry(customer.clone()).or_default();
        all.push(done);
        let within = |length: i64| {
            let inside = all
                .iter()
                .filter(move |it| at - length < it.at && it.at <= at);
            inside.map(|it| it.amount)
        };
        let day = |at: i64| at.div_euclid(24 * HOUR);
        let today: i64 = all
            .iter()
            .filter(|it| day(it.at) == day(at))
            .map(|it| it.amount)
            .sum();
        let mut granted = |name: &'static str, may: &dyn Fn(&[i64]) -> bool| {
            let before = won.entry((customer.clone(), name)).or_default();
            let may = may(before);
            if may {
                before.push(at);
            }
            may
        };
        let wins = [
            ("mem-third", within(HOUR).count() >= 3),
            ("mem-day", today >= 100),
            ("mem-first", all.len() == 1),
            ("mem-fifth", all.len().is_multiple_of(5)),
            ("mem-max", within(2 * HOUR).max() == Some(9)),
            (
                "mem-cool",
                granted("mem-cool", &|before| {
                    before.iter().all(|it| (it - at).abs() >= HOUR)
                }),
            ),
            ("mem-four", granted("mem-four", &|before| before.len() < 4)),
        ];
        let id = &all.last().expect("just added").id;
        for (campaign, wins) in wins {
            if wins {
                expected.insert((id.clone(), campaign.to_owned()), 1);
            }
        }
    }
    expected
}

/// Campaigns that count in each way that there is.
pub(super) fn counting() -> Vec<Value> {
    vec![
        campaign(
            "mem-third",
            &json!({"across": [{"count": {"at_least": 3}, "within": "1h"}]}),
        ),
        campaign(
            "mem-day",
            &json!({"across": [{"sum": {"of": "payload.amount", "at_least": 100}, "calendar": "day"}]}),
        ),
        campaign("mem-first", &json!({"across": [{"first": true}]})),
        campaign(
            "mem-fifth",
            &json!({"across": [{"count": {"multiple_of": 5}, "within": "ever"}]}),
        ),
        campaign(
            "mem-max",
            &json!({"across": [{"max": {"of": "payload.amount", "equals": 9}, "within": "2h"}]}),
        ),
        campaign(
            "mem-cool",
            &json!({"limits": {"per_customer": {"every": "1h"}}}),
        ),
        campaign(
            "mem-four",
            &json!({"limits": {"per_customer": {"amount": 10}}}),
        ),
    ]
}

/// Events that are late, come twice, and are of few customers.
pub(super) struct Remembered {
    begin: i64,
    number: i64,
    sent: Vec<Value>,
}

impl Remembered {
    pub(super) fn new() -> Self {
        // A minute an event: with the begin of a day one day has more than a thousand of them, whatever the time is now. Seven
        // thousand are within the dedup window of 7 days and not too far ahead.
        let before = Timestamp::now().as_millisecond() - 96 * HOUR;
        Self {
            begin: before - before.rem_euclid(24 * HOUR),
            number: 0,
            sent: Vec::new(),
        }
    }

    /// Produces the next events.
    pub(super) fn produce(&mut self, world: &World, events: usize) {
        for _ in 0..events {
            self.number += 1;
            let number = self.number;
            // Each tenth comes again, some at once and some much later.
            if number % 10 == 0 && !self.sent.is_empty() {
                let back = usize::try_from(number * 7 % 300).expect("small");
                let again = &self.sent[self.sent.len().saturating_sub(1 + back)];
                send(world, again);
                continue;
            }
            let customer = format!("mem-{}", number * number % 61);
            // Two in three in order, the others up to two hours late.
            let late = if number % 3 == 0 {
                number * 37 % 120
            } else {
                0
            };
            let at = self.begin + (number - late) * 60_000;
            let event = event(&format!("m-{number}"), &customer, at, number % 10);
            send(world, &event);
            self.sent.push(event);
        }
        world.kafka.flush();
    }
}

/// Waits until all is committed, and checks that what is won is what ought to be. Returns how much was won.
pub(super) fn check_counts(world: &World) -> usize {
    world.wait_committed();
    let expected = expected(&world.kafka.read_all(&world.topic("events")));
    let found = matches(world, "mem-");
    let wrong: Vec<_> = (expected.keys().chain(found.keys()))
        .filter(|key| expected.get(*key) != found.get(*key))
        .take(10)
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    for campaign in ["third", "day", "first", "fifth", "max", "cool", "four"] {
        let id = format!("mem-{campaign}");
        let count = expected.keys().filter(|(_, it)| *it == id).count();
        assert!(count >= 20, "{id} is tried too little: {count}");
    }
    found.len()
}

#[test]
fn what_campaigns_count_is_exact_while_matchers_are_killed_and_events_come_twice() {
    let world = installation(&counting());
    let mut remembered = Remembered::new();
    let mut produce = |events: usize| remembered.produce(&world, events);
    for round in 0..6 {
        let settings = if round % 2 == 0 {
            &LONG_BATCHES[..]
        } else {
            &[]
        };
        let matcher = world.matcher_with("a", settings);
        if round % 2 == 0 {
            produce(200);
            world.wait_open_transaction();
        } else {
            produce(200);
            world.wait_progress(100);
            produce(50);
        }
        matcher.kill();
    }
    // Two of them share the partitions at last, and one of them hands its own over.
    let one = world.matcher("a");
    let other = world.matcher("b");
    produce(200);
    assert!(one.terminate().0.success());
    produce(100);
    check_counts(&world);
    let customers = other.metric("matcher_customers");
    assert!(customers.is_some_and(|it| it > 20.0), "{customers:?}");
    assert!(other.terminate().0.success());
}

#[test]
fn what_did_not_happen_wins_when_its_time_is_over_once_whoever_is_killed() {
    let silent = json!({
        "when": {"event_type": ["remembered"], "payload": {"amount": [1]}},
        "across": [{
            "absent": true, "within": "4s",
            "when": {"event_type": ["remembered"], "payload": {"amount": [2]}},
        }],
    });
    let world = installation(&[campaign("abs-4s", &silent)]);
    let matcher = world.matcher("a");
    let now = Timestamp::now().as_millisecond();
    for customer in 0..20 {
        let name = format!("abs-{customer}");
        send(&world, &event(&format!("a-{customer}"), &name, now, 1));
        if customer % 2 == 0 {
            send(
                &world,
                &event(&format!("b-{customer}"), &name, now + 1_000, 2),
            );
        }
    }
    world.wait_committed();
    assert!(matches(&world, "abs-").is_empty(), "its time was not over");
    // Nobody is there when the time is over, and no event comes any more.
    matcher.kill();
    let matcher = world.matcher("a");
    let found = wait::until("what was due", PATIENCE, || {
        let found = matches(&world, "abs-");
        (found.len() >= 10).then_some(found)
    });
    let expected = (0..20).filter(|customer| customer % 2 == 1);
    let expected = expected.map(|customer| ((format!("a-{customer}"), "abs-4s".to_owned()), 1));
    assert_eq!(found, expected.collect());
    matcher.kill();
    // After another start there is nothing left to wait for.
    let matcher = world.matcher("a");
    world.wait_assigned(&matcher, PARTITIONS);
    let late = event("late", "abs-1", Timestamp::now().as_millisecond(), 3);
    send(&world, &late);
    world.wait_committed();
    assert_eq!(matches(&world, "abs-").len(), 10);
    assert!(matcher.terminate().0.success());
}

#[test]
fn events_out_of_the_window_are_dead_letters_and_its_edge_has_no_hole() {
    let world = installation(&[campaign("win-all", &json!({}))]);
    let settings = [("DEDUP_WINDOW", "1h"), ("MAX_EVENT_AHEAD", "10m")];
    let matcher = world.matcher_with("a", &settings);
    let now = Timestamp::now().as_millisecond();
    let minute = HOUR / 60;
    for (id, age) in [
        ("now", 0),
        ("inside", 59 * minute),
        ("late", 61 * minute),
        ("ahead", -9 * minute),
        ("early", -11 * minute),
        ("inside", 59 * minute),
        ("now", 0),
    ] {
        let event = event(id, "win-1", now - age, 1);
        let record = Written {
            key: Some("win-1".into()),
            value: Some(event.to_string().into()),
            ..Written::default()
        };
        world.kafka.send(&world.topic("events"), &record);
    }
    world.wait_committed();
    let won: Vec<_> = matches(&world, "win-").into_iter().collect();
    let once = |id: &str| ((id.to_owned(), "win-all".to_owned()), 1);
    assert_eq!(won, [once("ahead"), once("inside"), once("now")]);
    let letters = world.kafka.read_all(&world.topic("dead-letters"));
    let codes: Vec<_> = letters
        .iter()
        .map(|letter| letter.header("__campaign.errors.code"))
        .collect();
    assert_eq!(codes, [Some("too_late"), Some("too_early")]);
    let duplicates = matcher.metric("matcher_duplicate_events_total");
    assert_eq!(duplicates, Some(2.0));
    assert!(matcher.terminate().0.success());
}

#[test]
fn a_campaign_that_is_over_leaves_nothing_behind_and_one_that_goes_on_keeps_what_it_counted() {
    let end = Timestamp::from_millisecond(Timestamp::now().as_millisecond() + 10_000);
    let over = json!({
        "when": {"event_type": ["remembered"], "payload": {"amount": [1]}},
        "schedule": {"end": end.expect("a time")},
        "across": [{"first": true}], "limits": {"per_customer": {"times": 1}},
    });
    let goes_on = json!({
        "when": {"event_type": ["remembered"], "payload": {"amount": [2]}},
        "across": [{"first": true}],
    });
    let world = installation(&[
        campaign("end-over", &over),
        campaign("end-goes-on", &goes_on),
    ]);
    let matcher = world.matcher_with("a", &[("DEDUP_WINDOW", "3s")]);
    for customer in 0..20 {
        let now = Timestamp::now().as_millisecond();
        let name = format!("end-{customer}");
        let amount = 1 + customer % 2;
        send(&world, &event(&format!("e-{customer}"), &name, now, amount));
    }
    world.wait_committed();
    assert_eq!(matches(&world, "end-").len(), 20);
    assert_eq!(matcher.metric("matcher_customers"), Some(20.0));
    // Time passes in each partition; whose events these are is remembered there for as long as they come.
    let others = f64::from(PARTITIONS);
    let mut number = 0;
    wait::until("what is over to be forgotten", PATIENCE, || {
        for partition in 0..PARTITIONS {
            number += 1;
            let now = Timestamp::now().as_millisecond();
            let event = event(&format!("t-{number}"), "end-time", now, 3);
            let record = Written {
                key: Some("end-time".into()),
                value: Some(event.to_string().into()),
                partition: Some(partition),
                ..Written::default()
            };
            world.kafka.send(&world.topic("events"), &record);
        }
        world.wait_committed();
        let customers = matcher.metric("matcher_customers")?;
        assert!(customers >= 10.0, "{customers} customers are remembered");
        (customers <= 10.0 + others).then_some(())
    });
    assert!(matcher.terminate().0.success());
}
