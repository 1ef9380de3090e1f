//! Breakers: past its limit a campaign stops itself, once and whoever is killed, also while campaign-admin is away; its document says so, and a
//! person resumes it.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tests::http::{Connection, request};
use tests::process::Process;
use tests::servers::Server;
use tests::wait;
use tests::world::World;

const PATIENCE: Duration = Duration::from_mins(2);

fn campaign(id: &str, breaker: &Value) -> Value {
    json!({
        "id": id, "name": id, "when": {"event_type": [id]}, "reward": {"kind": "custom"}, "breaker": breaker,
    })
}

/// Sends events of a type.
struct Sender<'w> {
    world: &'w World,
    number: u32,
}

impl Sender<'_> {
    fn send(&mut self, event_type: &str, events: u32) {
        for _ in 0..events {
            self.number += 1;
            let customer = format!("brk-{}", self.number % 31);
            let event = json!({
                "event_id": format!("b-{}", self.number), "customer_id": customer, "event_type": event_type,
                "occurred_at": Timestamp::now(), "payload": {},
            });
            let topic = self.world.topic("events");
            self.world.kafka.send_json(&topic, &customer, &event);
        }
        self.world.kafka.flush();
    }
}

fn matches(world: &World, campaign: &str) -> usize {
    world.wait_quiet();
    let matches = world.read("matches");
    let of = |record: &&tests::topics::Seen| record.json()["campaign_id"] == campaign;
    matches.iter().filter(of).count()
}

/// What is said of the breaker of a campaign.
fn trips(world: &World, campaign: &str) -> Vec<Value> {
    let events = world.read("campaign-events");
    let events = events.iter().map(tests::topics::Seen::json);
    events
        .filter(|it| it["campaign_id"] == campaign && it["kind"] == "breaker_tripped")
        .map(|it| it["tripped"].clone())
        .collect()
}

/// How many events the workers have told the settler of for the breaker of a campaign.
fn events_told(world: &World, campaign: &str) -> u64 {
    let claims = world.read("claims");
    let of = claims
        .iter()
        .filter(|it| it.key.as_deref() == Some(campaign.as_bytes()));
    let counts = of.filter_map(|it| it.header("__campaign.control.count"));
    let told = counts.map(|count| {
        let count: Value = serde_json::from_str(count).expect("a count");
        let parts = count["parts"].as_array().expect("parts").clone();
        parts
            .iter()
            .filter_map(|part| part[2].as_u64())
            .sum::<u64>()
    });
    told.sum()
}

fn wait_for_trips(world: &World, campaign: &str, count: usize) -> Value {
    let told = wait::until("the breaker to trip", PATIENCE, || {
        Some(trips(world, campaign)).filter(|it| it.len() >= count)
    });
    assert_eq!(told.len(), count, "{told:?}");
    told[count - 1].clone()
}

/// Waits until the matcher knows of so many campaigns that are not active.
fn wait_held_back(matcher: &Process, campaigns: f64) {
    wait::until("the campaign to be held back", PATIENCE, || {
        let paused = matcher.metric("matcher_campaigns_loaded{status=\"paused\"}")?;
        (paused >= campaigns).then_some(())
    });
}

fn read(api: &str, id: &str) -> Value {
    let mut connection = Connection::open(api).expect("campaign-admin listens");
    let path = format!("/v1/campaigns/{id}");
    let answer = connection.ask(&request("GET", &path, &[], b""));
    answer.expect("an answer").json()
}

fn wait_paused(api: &str, id: &str) -> Value {
    wait::until("the document to say that it is paused", PATIENCE, || {
        Some(read(api, id)).filter(|document| document["status"] == "paused")
    })
}

#[test]
fn past_its_breaker_a_campaign_stops_itself_once_whoever_is_killed_until_it_is_resumed() {
    let world = World::new(Server::shared_kafka().address(), None);
    world.write_campaign("rate", &campaign("rate", &json!({"rate": "100/h"})));
    world.kafka.flush();
    let mut sender = Sender {
        world: &world,
        number: 0,
    };
    // Two who are killed with a part of the count each; the third goes on with it.
    for (instance, events) in [("a", 60), ("b", 40)] {
        let matcher = world.matcher(instance);
        sender.send("rate", events);
        world.wait_quiet();
        matcher.kill();
    }
    assert!(trips(&world, "rate").is_empty(), "the limit is not passed");
    let matcher = world.matcher("a");
    sender.send("rate", 1);
    // Without campaign-admin, which is not started yet.
    let told = wait_for_trips(&world, "rate", 1);
    assert_eq!(
        (&told["by"], &told["matches"]),
        (&json!("rate"), &json!(101))
    );
    assert_eq!(told["breaker"], json!({"rate": "100/h"}));
    wait_held_back(&matcher, 1.0);
    sender.send("rate", 50);
    assert_eq!(matches(&world, "rate"), 101, "nothing wins it any more");

    let mut admin: Process = world.start(
        "campaign-admin",
        &[("AUTH", "none"), ("HTTP_ADDR", "127.0.0.1:0")],
    );
    admin.wait_ready();
    let api = admin.api().to_owned();
    let document = wait_paused(&api, "rate");
    assert_eq!(document["tripped"]["matches"], 101, "{document}");
    let mut connection = Connection::open(&api).expect("campaign-admin listens");
    let history = connection.ask(&request("GET", "/v1/campaigns/rate/history", &[], b""));
    let history = history.expect("an answer").json().to_string();
    assert!(
        history.contains("101 matches within 1h, past the breaker"),
        "{history}"
    );

    // Resumed, it counts anew; a matcher and an admin that start later do not stop it for what was before.
    let resume = request("POST", "/v1/campaigns/rate:resume", &[], b"");
    assert_eq!(connection.ask(&resume).expect("an answer").status, 200);
    admin.kill();
    matcher.kill();
    let matcher = world.matcher("b");
    let mut admin: Process = world.start(
        "campaign-admin",
        &[("AUTH", "none"), ("HTTP_ADDR", "127.0.0.1:0")],
    );
    admin.wait_ready();
    let api = admin.api().to_owned();
    sender.send("rate", 100);
    assert_eq!(matches(&world, "rate"), 201);
    let document = read(&api, "rate");
    assert_eq!(
        (&document["status"], document.get("tripped")),
        (&json!("active"), None)
    );
    sender.send("rate", 1);
    wait_for_trips(&world, "rate", 2);
    wait_paused(&api, "rate");

    // Of all events, whatever they are.
    let share = json!({"share": "20%", "min_events": 100, "within": "1h"});
    world.write_campaign("share", &campaign("share", &share));
    world.kafka.flush();
    world.settle(&[&matcher]);
    let mut others = 0;
    let told = wait::until("the events to be told of", PATIENCE, || {
        sender.send("other", 20);
        others += 20;
        world.wait_quiet();
        Some(events_told(&world, "share")).filter(|told| *told >= 200)
    });
    let few = u32::try_from(told / 4).expect("few") - 5;
    sender.send("share", few);
    assert_eq!(matches(&world, "share"), usize::try_from(few).expect("few"));
    assert!(
        trips(&world, "share").is_empty(),
        "{few} of {told} and themselves"
    );
    sender.send("share", others);
    let told = wait_for_trips(&world, "share", 1);
    assert_eq!(told["by"], "share", "{told}");
    let (won, all) = (told["matches"].as_u64(), told["events"].as_u64());
    let (won, all) = (won.expect("a number"), all.expect("a number"));
    assert!(won * 5 > all && all > 200, "{told}");
    wait_paused(&api, "share");
    assert!(admin.terminate().0.success());
    assert!(matcher.terminate().0.success());
}
