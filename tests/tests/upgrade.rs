//! An older release beside this one, during load: `make test-upgrade`, which builds the older one and says
//! where it is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::json;
use tests::oracle::{self, Shopping};
use tests::process::{Process, binary};
use tests::servers::Server;
use tests::world::World;

const CUSTOMERS: usize = 40;

fn older() -> PathBuf {
    let path = std::env::var_os("OLDER_MATCHER");
    PathBuf::from(path.expect("OLDER_MATCHER is not set; run make test-upgrade"))
}

/// Sends one event for each customer, and every third twice.
fn round(world: &World, number: usize) {
    for customer in 0..CUSTOMERS {
        let key = format!("customer-{customer}");
        let event = json!({
            "event_id": format!("{key}-{number}"), "customer_id": key, "event_type": "remembered",
            "occurred_at": Timestamp::now().to_string(), "payload": {"amount": 10},
        });
        for _ in 0..=usize::from(customer % 3 == 0) {
            world.kafka.send_json(&world.topic("events"), &key, &event);
        }
    }
}

#[test]
fn releases_take_over_from_each_other_during_load_and_lose_nothing_and_double_nothing() {
    let world = World::new(Server::shared_kafka().address(), None);
    let remembering = [
        (
            "up-once",
            json!({"limits": {"per_customer": {"times": 1, "every": "30d"}}}),
        ),
        (
            "up-third",
            json!({"across": [{"count": {"at_least": 3}, "within": "7d", "when": {"event_type": ["remembered"]}}]}),
        ),
    ];
    for (id, fields) in &remembering {
        let mut campaign = json!({
            "id": id, "name": id, "when": {"event_type": ["remembered"]},
            "reward": {"kind": "credit", "amount": "2.50", "currency": "EUR"},
        });
        for (name, value) in fields.as_object().expect("fields") {
            campaign[name] = value.clone();
        }
        world.write_campaign(id, &campaign);
    }
    world.kafka.flush();

    let (old, new) = (older(), binary("matcher"));
    let start = |program: &PathBuf, instance: &str| {
        let mut matcher = world.start_file(program, &[("MATCHER_INSTANCE", instance)]);
        matcher.wait_ready();
        matcher
    };
    // Pods of an upgrade one by one, of a rollback one by one, and of the upgrade again; some are killed.
    let replacements: [(&str, &PathBuf, bool); 6] = [
        ("a", &new, true),
        ("b", &new, false),
        ("a", &old, false),
        ("b", &old, true),
        ("a", &new, false),
        ("b", &new, false),
    ];
    let mut running: BTreeMap<&str, Process> =
        [("a", start(&old, "a")), ("b", start(&old, "b"))].into();
    let mut rounds = 0;
    world.under_load(300, || {
        for (instance, release, kill) in replacements {
            round(&world, rounds);
            rounds += 1;
            world.wait_progress(300);
            let leaving = running.remove(instance).expect("it runs");
            if kill {
                leaving.kill();
            } else {
                let (status, _) = leaving.terminate();
                assert!(status.success(), "{status}");
            }
            running.insert(instance, start(release, instance));
            // Both of them have partitions: they work side by side.
            world.wait_settled(4);
            round(&world, rounds);
            rounds += 1;
        }
        world.wait_progress(300);
    });
    world.wait_committed();

    let mut won: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut each: BTreeMap<String, usize> = BTreeMap::new();
    let mut plain = BTreeSet::new();
    for record in world.read("matches") {
        let document = record.json();
        let text = |field: &str| document[field].as_str().unwrap_or_default().to_owned();
        *each.entry(text("match_id")).or_default() += 1;
        if text("campaign_id").starts_with("up-") {
            *won.entry((text("customer_id"), text("campaign_id")))
                .or_default() += 1;
        } else {
            plain.insert((text("event_id"), text("campaign_id")));
        }
    }
    assert!(each.len() > 1000, "{} matches", each.len());
    let twice: Vec<_> = each.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "matches that are there twice: {twice:?}");
    for customer in 0..CUSTOMERS {
        let of = |campaign: &str| {
            let key = (format!("customer-{customer}"), campaign.to_owned());
            won.get(&key).copied().unwrap_or(0)
        };
        assert_eq!(of("up-once"), 1, "customer-{customer}");
        assert_eq!(of("up-third"), rounds - 2, "customer-{customer}");
    }
    // And what forgets nothing because it remembers nothing: each event with the campaigns that it wins.
    let produced = world.read("events").into_iter();
    let produced = produced.filter(|record| record.json()["event_type"] == "purchase");
    let events = (0..produced.count() as u64).map(|number| Shopping::nth(&world.name, number));
    let expected: BTreeSet<(String, String)> = events
        .flat_map(|event| {
            let won = oracle::campaigns().filter(|id| oracle::wins(&event, id, 1));
            won.map(|id| (event.event_id.clone(), id.to_owned()))
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(plain, expected);
}
