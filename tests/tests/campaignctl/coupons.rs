//! Pools of coupons, from a file to the matches: each code is given at most once, whoever is killed.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tests::process::Process;
use tests::topics::Seen;
use tests::wait;

use crate::installation::{Installation, text};

const PATIENCE: Duration = Duration::from_mins(2);

/// Codes in the pool; as many again of the events must do without.
const CODES: usize = 300;

/// Two campaigns that share a pool, of which one has something else for who comes too late.
fn write_campaigns(installation: &Installation) {
    let coupon = json!({"kind": "coupon", "pool": "summer"});
    for (id, event_type, fields) in [
        (
            "first",
            "buy",
            json!({"priority": 2, "exclusive_group": "g", "reward": coupon}),
        ),
        (
            "instead",
            "buy",
            json!({"priority": 1, "exclusive_group": "g", "reward": {"kind": "message", "text": "Too late"}}),
        ),
        ("other", "visit", json!({"reward": coupon})),
    ] {
        let mut campaign = json!({"id": id, "name": id, "when": {"event_type": [event_type]}});
        for (name, value) in fields.as_object().unwrap() {
            campaign[name] = value.clone();
        }
        let topic = installation.topic("campaigns");
        installation.kafka.send_json(&topic, id, &campaign);
    }
    installation.kafka.flush();
}

fn matcher(installation: &Installation, instance: &str) -> Process {
    installation.start("matcher", &[("MATCHER_INSTANCE", instance)])
}

/// Sends events, every other one a purchase.
fn send(installation: &Installation, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let event_type = if number % 2 == 0 { "buy" } else { "visit" };
        let customer = format!("c-{}", number % 50);
        let event = json!({
            "event_id": format!("e-{number}"), "customer_id": customer, "event_type": event_type,
            "occurred_at": Timestamp::now(), "payload": {},
        });
        let topic = installation.topic("events");
        installation.kafka.send_json(&topic, &customer, &event);
    }
    installation.kafka.flush();
}

fn read(installation: &Installation, topic: &str) -> Vec<Value> {
    let records = installation.kafka.read_all(&installation.topic(topic));
    records.iter().map(Seen::json).collect()
}

fn of<'v>(records: &'v [Value], campaign: &str) -> Vec<&'v Value> {
    let is_of = |record: &&Value| record["campaign_id"] == campaign;
    records.iter().filter(is_of).collect()
}

#[test]
fn each_code_is_given_once_whoever_is_killed_and_who_comes_too_late_wins_the_next() {
    let installation = Installation::new();
    write_campaigns(&installation);
    let ctl = |arguments: &[&str]| installation.ctl(arguments);
    let codes: Vec<String> = (0..CODES)
        .map(|number| format!("SUMMER-{number}"))
        .collect();
    let file = installation.write("codes.txt", &codes.join("\n"));
    let wrong = installation.write("wrong.txt", "A\nB\nA\n");
    let refused = ctl(&["coupons", "load", "summer", text(&wrong)]).exits(2);
    assert!(
        refused
            .err
            .contains("wrong.txt:3: \"A\" stands there twice"),
        "{}",
        refused.err
    );
    ctl(&["coupons", "load", "summer", text(&file)]).exits(0);
    // What is there is passed over.
    ctl(&["coupons", "load", "summer", text(&file)]).exits(0);

    let events = 2 * CODES;
    for round in 0..4 {
        let matcher = matcher(&installation, ["a", "b"][round % 2]);
        let (from, to) = (round * events / 4, (round + 1) * events / 4);
        send(&installation, from..to);
        let so_many = from / 2;
        wait::until("some matches", PATIENCE, || {
            let decided =
                read(&installation, "matches").len() + read(&installation, "refusals").len();
            (decided > so_many).then_some(())
        });
        if round == 1 {
            let level = ctl(&["coupons", "get", "summer", "-o", "json"])
                .exits(0)
                .json();
            assert_eq!(level["stocked"], CODES);
        }
        matcher.kill();
    }
    let last = matcher(&installation, "a");
    let (matches, refusals) = wait::until("all events to be decided", PATIENCE, || {
        let (matches, refusals) = (
            read(&installation, "matches"),
            read(&installation, "refusals"),
        );
        let late = of(&refusals, "first").len();
        let is_all = of(&matches, "first").len() + late == CODES
            && of(&matches, "other").len() + of(&refusals, "other").len() == CODES
            && of(&matches, "instead").len() == late;
        is_all.then_some((matches, refusals))
    });
    let coupons: Vec<_> = [of(&matches, "first"), of(&matches, "other")].concat();
    let given: BTreeSet<&str> = (coupons.iter())
        .map(|won| {
            won["reward"]["code"]
                .as_str()
                .unwrap_or_else(|| panic!("no code: {won}"))
        })
        .collect();
    assert_eq!(coupons.len(), CODES, "all codes are given");
    assert_eq!(
        given,
        codes.iter().map(String::as_str).collect(),
        "each once"
    );
    assert!(coupons.iter().all(|won| won["reward"]["pool"] == "summer"));
    assert!(
        refusals
            .iter()
            .all(|refusal| refusal["reason"] == "pool_empty")
    );
    let level = ctl(&["coupons", "get", "summer"]).exits(0);
    assert_eq!(level.out, "summer: 0 of 300 codes left\n");

    // More codes, and an end.
    let more = installation.write("more.txt", "LATE-1\nSUMMER-7\n");
    ctl(&["coupons", "load", "summer", text(&more)]).exits(0);
    send(&installation, events..events + 1);
    wait::until("the new code", PATIENCE, || {
        let matches = read(&installation, "matches");
        matches
            .iter()
            .any(|won| won["reward"]["code"] == "LATE-1")
            .then_some(())
    });
    ctl(&["coupons", "drop", "summer", "--reason", "autumn"]).exits(0);
    wait::until("the pool to be dropped", PATIENCE, || {
        (ctl(&["coupons", "get", "summer"]).code != 0).then_some(())
    });
    assert!(last.terminate().0.success());
}
