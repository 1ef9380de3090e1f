//! Budgets: never overspent and equal to the sum of the matches, whoever is killed, and while people change them.
//!
//! The books are kept here anew, in the plainest way, from the records of `events` and `claims` alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tests::books::{Books, Budget, text, units};
use tests::http::{Connection, request};
use tests::process::Process;
use tests::servers::Server;
use tests::topics::Seen;
use tests::wait;
use tests::world::World;

use super::LONG_BATCHES;

const PATIENCE: Duration = Duration::from_mins(2);
const STORES: [&str; 4] = ["x", "y", "z", "w"];

fn campaign(id: &str, fields: &Value) -> Value {
    let mut campaign = json!({
        "id": id, "name": id, "when": {"event_type": ["bought"]},
        "reward": {"kind": "credit", "amount": "2.50", "currency": "EUR"},
    });
    for (name, value) in fields.as_object().expect("fields") {
        campaign[name] = value.clone();
    }
    campaign
}

/// Two with a budget and one without that share an event, and one whose budget is in parts.
fn campaigns() -> Vec<Value> {
    vec![
        campaign(
            "bud-a",
            &json!({
                "priority": 2, "exclusive_group": "bud",
                "limits": {"total": {"amount": "402.49"}, "per_customer": {"times": 12}},
            }),
        ),
        campaign(
            "bud-b",
            &json!({"priority": 1, "exclusive_group": "bud", "limits": {"total": {"times": 150}}}),
        ),
        campaign("bud-c", &json!({"exclusive_group": "bud"})),
        campaign(
            "bud-d",
            &json!({
                "reward": {"kind": "credit", "amount": "payload.amount * 0.1", "currency": "EUR"},
                "limits": {"total": [
                    {"amount": "450.05"},
                    {"times": 120, "by": "payload.store"},
                    {"amount": "300", "per": "month", "time_zone": "Asia/Tokyo"},
                ]},
            }),
        ),
    ]
}

fn installation(campaigns: &[Value]) -> World {
    let world = World::new(Server::shared_kafka().address(), None);
    for campaign in campaigns {
        let id = campaign["id"].as_str().expect("an id");
        world.write_campaign(id, campaign);
    }
    world.kafka.flush();
    world
}

/// Purchases, of which each tenth comes again.
struct Purchases {
    number: i64,
    sent: Vec<Value>,
}

impl Purchases {
    fn produce(&mut self, world: &World, events: usize) {
        let now = Timestamp::now().as_millisecond();
        for _ in 0..events {
            self.number += 1;
            let number = self.number;
            if number % 10 == 0 {
                let back = usize::try_from(number * 7 % 200).expect("small");
                let again = &self.sent[self.sent.len().saturating_sub(1 + back)];
                send(world, again);
                continue;
            }
            // Some of the last days, so that months may be two.
            let at = now - number * 37 % 5 * 86_400_000;
            let store = STORES[usize::try_from(number % 4).expect("small")];
            let event = json!({
                "event_id": format!("b-{number}"), "customer_id": format!("bud-{}", number * number % 37),
                "event_type": "bought", "occurred_at": Timestamp::from_millisecond(at).expect("a time"),
                "payload": {"amount": number % 13, "store": store},
            });
            send(world, &event);
            self.sent.push(event);
        }
        world.kafka.flush();
    }
}

fn send(world: &World, event: &Value) {
    let customer = event["customer_id"].as_str().expect("a customer");
    world
        .kafka
        .send_json(&world.topic("events"), customer, event);
}

pub(super) fn by_place(mut records: Vec<Seen>) -> Vec<Value> {
    records.sort_by_key(|record| (record.partition, record.offset));
    records.iter().map(Seen::json).collect()
}

/// Which claims ought to be granted, by plain books.
fn granted(claims: &[Value]) -> BTreeSet<(String, String)> {
    let mut books = Books::default();
    let mut granted = BTreeSet::new();
    for claim in claims {
        let (prize, campaign) = (&claim["prize"], text(&claim["prize"], "campaign_id"));
        let at: Timestamp = text(claim, "counts_at").parse().expect("a time");
        let tokyo = at
            .in_tz("Asia/Tokyo")
            .expect("a zone")
            .date()
            .first_of_month();
        let store = prize["by"]["payload.store"].as_str().unwrap_or_default();
        let budgets = match campaign {
            "bud-a" => vec![Budget::amount("a", "402.49")],
            "bud-b" => vec![Budget::times("b", 150)],
            "bud-d" => vec![
                Budget::amount("d", "450.05"),
                Budget::times(format!("d {store}"), 120),
                Budget::amount(format!("d {tokyo}"), "300"),
            ],
            other => panic!("{other} has no budget"),
        };
        if books.grant(&budgets, units(text(prize, "amount"))) {
            granted.insert((text(claim, "event_id").to_owned(), campaign.to_owned()));
        }
    }
    granted
}

/// Event and campaign of each record of a topic; none twice.
fn pairs(world: &World, topic: &str) -> BTreeSet<(String, String)> {
    let mut pairs = BTreeSet::new();
    for record in world.read(topic) {
        let document = record.json();
        let pair = (
            text(&document, "event_id").to_owned(),
            text(&document, "campaign_id").to_owned(),
        );
        if pair.1.starts_with("bud-") {
            assert!(pairs.insert(pair), "{topic} has it twice: {document}");
        }
    }
    pairs
}

#[test]
fn books_agree_with_the_log_while_matchers_and_settlers_are_killed_and_events_come_twice() {
    let world = installation(&campaigns());
    let mut purchases = Purchases {
        number: 0,
        sent: Vec::new(),
    };
    for round in 0..6 {
        let (name, settings) = match round % 3 {
            0 => ("a", &LONG_BATCHES[..]),
            1 => ("b", &[][..]),
            _ => ("a", &[][..]),
        };
        let matcher = world.matcher_with(name, settings);
        purchases.produce(&world, 150);
        if round % 3 == 0 {
            world.wait_open_transaction();
        } else {
            world.wait_progress(100);
            purchases.produce(&world, 30);
        }
        matcher.kill();
    }
    let one = world.matcher("a");
    let other = world.matcher("b");
    purchases.produce(&world, 150);
    assert!(one.terminate().0.success());
    purchases.produce(&world, 50);
    world.wait_decided();

    let claims = by_place(world.read("claims"));
    let (won, refused) = (pairs(&world, "matches"), pairs(&world, "refusals"));
    let claimed: BTreeSet<_> = (claims.iter())
        .map(|it| {
            (
                text(it, "event_id").to_owned(),
                text(&it["prize"], "campaign_id").to_owned(),
            )
        })
        .collect();
    assert_eq!(claimed.len(), claims.len(), "no claim is there twice");
    let ought = granted(&claims);
    let granted: BTreeSet<_> = won.intersection(&claimed).cloned().collect();
    assert_eq!(granted, ought, "the matches are what the books grant");
    let rest: BTreeSet<_> = claimed.difference(&ought).cloned().collect();
    assert_eq!(refused, rest, "and all else is refused");
    assert!(
        granted.len() > 300 && refused.len() > 200,
        "{} of {}",
        granted.len(),
        claimed.len()
    );

    // From the events alone: each wins one of the group, and is claimed once of what has no limit.
    for event in &purchases.sent {
        let id = text(event, "event_id");
        let of = |campaign: &str| (id.to_owned(), campaign.to_owned());
        let group = ["bud-a", "bud-b", "bud-c"].map(of);
        let count = group.iter().filter(|it| won.contains(it)).count();
        assert_eq!(count, 1, "{id} wins one of the group");
        assert!(claimed.contains(&of("bud-d")), "{id}");
        // What is refused of the first is claimed of the second.
        assert!(
            !refused.contains(&of("bud-a")) || claimed.contains(&of("bud-b")),
            "{id}"
        );
    }
    let mut customers: BTreeMap<&str, usize> = BTreeMap::new();
    for event in &purchases.sent {
        let won_it = won.contains(&(text(event, "event_id").to_owned(), "bud-a".to_owned()));
        *customers.entry(text(event, "customer_id")).or_default() += usize::from(won_it);
    }
    assert!(
        customers.values().all(|count| *count <= 12),
        "{customers:?}"
    );

    // Each budget was told of once at each mark.
    let mut marks = BTreeSet::new();
    for happening in by_place(world.read("campaign-events")) {
        let mark = json!([
            happening["campaign_id"],
            happening["percent"],
            happening["limit"],
            happening["value"],
            happening["period"],
        ]);
        assert!(marks.insert(mark.to_string()), "twice: {happening}");
    }
    for percent in [50, 80, 100] {
        let mark = json!(["bud-b", percent, {"times": 150}, null, null]).to_string();
        assert!(marks.contains(&mark), "{mark}: {marks:?}");
    }
    assert!(other.terminate().0.success());
}

/// The document of a campaign, and what tells this state of it.
fn read(api: &str, id: &str) -> (Value, String) {
    let mut connection = Connection::open(api).expect("campaign-admin listens");
    let path = format!("/v1/campaigns/{id}");
    let answer = connection
        .ask(&request("GET", &path, &[], b""))
        .expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.json());
    let tag = answer.header("etag").expect("a tag").to_owned();
    (answer.json(), tag)
}

/// Raises a budget by 10, so many times; who is overtaken reads again.
fn raise(api: &str, times: usize) {
    let mut raised = 0;
    while raised < times {
        let (mut document, tag) = read(api, "bud-two");
        let amount = units(text(&document["limits"]["total"][0], "amount")) / 10_000;
        document["limits"]["total"][0]["amount"] = json!((amount + 10).to_string());
        let headers = [("if-match", &*tag), ("content-type", "application/json")];
        let body = document.to_string();
        let mut connection = Connection::open(api).expect("campaign-admin listens");
        let put = request("PUT", "/v1/campaigns/bud-two", &headers, body.as_bytes());
        match connection.ask(&put).expect("an answer") {
            answer if answer.status == 200 => raised += 1,
            answer => assert_eq!(answer.status, 412, "{}", answer.json()),
        }
    }
}

#[test]
fn two_people_raise_a_budget_while_claims_flow_and_what_is_granted_is_what_it_is_in_the_end() {
    let fields = json!({
        "reward": {"kind": "credit", "amount": "2.50", "currency": "EUR"},
        "limits": {"total": [{"amount": "10"}]},
    });
    let world = installation(&[campaign("bud-two", &fields)]);
    let matcher = world.matcher("a");
    let mut admin: Process = world.start(
        "campaign-admin",
        &[("AUTH", "none"), ("HTTP_ADDR", "127.0.0.1:0")],
    );
    admin.wait_ready();
    let api = admin.api().to_owned();
    let mut purchases = Purchases {
        number: 0,
        sent: Vec::new(),
    };
    std::thread::scope(|scope| {
        let people = [(); 2].map(|()| scope.spawn(|| raise(&api, 12)));
        while people.iter().any(|it| !it.is_finished()) {
            purchases.produce(&world, 10);
        }
    });
    let (document, _) = read(&api, "bud-two");
    assert_eq!(
        document["limits"]["total"][0]["amount"], "250",
        "no raise was lost"
    );
    let (_, version) = (0, document["version"].as_u64().expect("a version"));
    // The last version is in force for all that comes now: what is left of the budget is used.
    wait::until("the last version to be met", PATIENCE, || {
        purchases.produce(&world, 40);
        world.wait_decided();
        let claims = world.read("claims");
        let met = claims
            .iter()
            .map(|it| it.json()["prize"]["campaign_version"].as_u64());
        met.flatten().max().filter(|it| *it >= version)
    });
    purchases.produce(&world, 150);
    world.wait_decided();
    let granted = pairs(&world, "matches").len();
    let claimed = world.read("claims").len();
    assert_eq!(granted * 25, 250 * 10, "{granted} of {claimed} claims");
    assert_eq!(pairs(&world, "refusals").len(), claimed - granted);

    // And anew after a reset, whose place among the claims says what it is about.
    let mut connection = Connection::open(&api).expect("campaign-admin listens");
    let reset = request("DELETE", "/v1/campaigns/bud-two/budget", &[], b"");
    let answer = connection.ask(&reset).expect("an answer");
    assert_eq!(answer.status, 202, "{}", answer.json());
    purchases.produce(&world, 20);
    world.wait_decided();
    let claimed = world
        .read("claims")
        .iter()
        .filter(|it| it.value.is_some())
        .count()
        - claimed;
    assert_eq!(pairs(&world, "matches").len(), granted + claimed);
    let told = connection.ask(&request("GET", "/v1/campaigns/bud-two/budget", &[], b""));
    let told = told.expect("an answer").json();
    assert_eq!(told["budgets"][0]["used_times"], claimed, "{told}");
    assert!(admin.terminate().0.success());
    assert!(matcher.terminate().0.success());
}
