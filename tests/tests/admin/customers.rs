//! What is remembered of a customer is told in words, and what is erased stays forgotten.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};
use tests::process::Process;
use tests::servers::Server;
use tests::topics::Written;
use tests::wait;
use tests::world::World;

use crate::installation::{Installation, PATIENCE};

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

fn write_campaigns(world: &World) {
    let campaigns = [
        campaign(
            "cust-two",
            &json!({"limits": {"per_customer": {"times": 2}}}),
        ),
        campaign(
            "cust-third",
            &json!({"across": [
                {"count": {"at_least": 3}, "within": "7d"},
                {"sum": {"of": "payload.amount", "at_least": 0}, "calendar": "month", "time_zone": "Europe/Madrid"},
            ]}),
        ),
        campaign(
            "cust-silent",
            &json!({"across": [{"absent": true, "within": "30d", "when": {"event_type": ["other"]}}]}),
        ),
    ];
    for campaign in &campaigns {
        world.write_campaign(campaign["id"].as_str().unwrap(), campaign);
    }
    world.kafka.flush();
}

fn send(world: &World, id: &str, customer: &str, at: Timestamp) {
    let event = json!({
        "event_id": id, "customer_id": customer, "event_type": "remembered", "occurred_at": at,
        "payload": {"amount": 12.5},
    });
    world
        .kafka
        .send_json(&world.topic("events"), customer, &event);
}

/// Event and campaign of a customer's rows, the same in all three tables, with the offset of the event.
fn rows(world: &World, customer: &str) -> BTreeMap<(String, String), i64> {
    let rows = tests::rows::read_all(Server::shared_cassandra().address(), &world.name);
    let found = rows.tables().map(|(_, rows)| {
        let theirs = rows.iter().filter(|row| row["customer_id"] == customer);
        let text = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
        theirs
            .map(|row| {
                let key = (text(row, "event_id"), text(row, "campaign_id"));
                (key, row["source_offset"].as_i64().unwrap())
            })
            .collect::<BTreeMap<_, _>>()
    });
    assert_eq!(found[0], found[1]);
    assert_eq!(found[0], found[2]);
    let [found, ..] = found;
    found
}

fn keys(of: &BTreeMap<(String, String), i64>) -> Vec<String> {
    of.keys()
        .map(|(event, campaign)| format!("{event}:{campaign}"))
        .collect()
}

fn wait_rows(world: &World, customer: &str, expected: &[&str]) {
    wait::until("the rows", PATIENCE, || {
        (keys(&rows(world, customer)) == expected).then_some(())
    });
}

fn wait_metric(process: &Process, name: &str, least: f64) {
    wait::until(name, PATIENCE, || {
        process.metric(name).filter(|it| *it >= least)
    });
}

fn holdings(report: &Value) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for campaign in report["campaigns"].as_array().unwrap() {
        let id = campaign["campaign_id"].as_str().unwrap();
        for holding in campaign["holds"].as_array().unwrap() {
            let pointer = holding["pointer"].as_str().unwrap();
            let said = holding["found"].as_str().unwrap().to_owned();
            found.insert(format!("{id}{pointer}"), said);
        }
    }
    found
}

/// What stands on the topics beside the events and matches, when a customer was erased once.
fn check_control_records(world: &World, ada: &str) {
    // What asks for nothing that is known is a dead letter, and erases nobody.
    let unknown = Written {
        key: Some(ada.into()),
        headers: vec![("__campaign.control".to_owned(), Some("pardon".into()))],
        ..Written::default()
    };
    world.kafka.send(&world.topic("events"), &unknown);
    world.wait_committed();
    let letters = world.kafka.read_all(&world.topic("dead-letters"));
    let codes: Vec<_> = letters
        .iter()
        .map(|letter| letter.header("__campaign.errors.code"))
        .collect();
    assert_eq!(codes, [Some("unknown_control")]);
    // Whoever else keeps matches is told, behind them.
    let told = world.kafka.read_all(&world.topic("matches"));
    let told: Vec<_> = told
        .iter()
        .filter(|record| record.value.is_none())
        .collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].key.as_deref(), Some(ada.as_bytes()));
    assert_eq!(told[0].header("__campaign.control"), Some("erase"));
}

#[test]
fn a_customer_is_told_of_in_words_and_once_erased_stays_forgotten() {
    let installation = Installation::recorded();
    let world = &installation.world;
    write_campaigns(world);
    let replica = installation.replica();
    let folder = tempfile::tempdir().expect("a folder");
    let disk = [("STATE_DIR", folder.path().to_str().expect("a path is text"))];
    let matcher = world.matcher_with("one", &disk);
    world.settle(&[&matcher]);
    let now = Timestamp::now();
    let earlier = |seconds| now - jiff::SignedDuration::from_secs(seconds);
    // Ids may have whatever is no control character.
    let ada = "ada/§ 1";
    for (number, seconds) in [(1, 30), (2, 20), (3, 10)] {
        send(world, &format!("e-{number}"), ada, earlier(seconds));
    }
    send(world, "b-1", "bob", now);
    world.wait_committed();

    let path = "/v1/customers/ada%2F%C2%A7%201";
    let report = replica.api.get(path).is(200).json;
    println!("{}", report["text"].as_str().unwrap());
    assert_eq!(report["customer_id"], ada);
    assert_eq!(report["seen"]["events"], 3);
    assert_eq!(
        report["seen"]["first"],
        json!(Timestamp::from_millisecond(earlier(30).as_millisecond()).unwrap())
    );
    let expected: [(&str, &str); 3] = [
        ("cust-third/across/0", "3 events"),
        ("cust-third/across/1", "a sum of 37.5 over 3 values"),
        ("cust-two/limits/per_customer/0", "used 2 of 2 times"),
    ];
    let expected = expected.map(|(place, said)| (place.to_owned(), said.to_owned()));
    assert_eq!(holdings(&report), expected.into());
    let waits = report["campaigns"][0]["waits"].as_array().unwrap();
    assert_eq!(report["campaigns"][0]["campaign_id"], "cust-silent");
    assert_eq!((waits.len(), &waits[0]["event_id"]), (3, &json!("e-1")));
    let won = ["e-1:cust-two", "e-2:cust-two", "e-3:cust-third"];
    wait_rows(world, ada, &won);
    let report = replica.wait_for("the matches", |api| {
        let report = api.get(path).is(200).json;
        (report["matches"].as_array()?.len() == 3).then_some(report)
    });
    assert_eq!(report["matches"][0]["match_id"], "e-3:cust-third");

    // What a campaign has counted outlives it for a while, and is nobody's then.
    replica.api.delete("/v1/campaigns/cust-third", "*").is(204);
    let report = replica.api.get(path).is(200).json;
    assert_eq!(report["left"].as_array().unwrap().len(), 2, "{report}");

    let erased = replica.api.send("DELETE", path, &[], None).unwrap().is(202);
    assert_eq!(erased.json["partition"], report["partition"]);
    // The same event again: it was never there.
    send(world, "e-1", ada, earlier(30));
    world.wait_committed();
    let after = replica.api.get(path).is(200).json;
    assert_eq!(after["seen"]["events"], 1, "{after}");
    let used = holdings(&after);
    assert_eq!(used["cust-two/limits/per_customer/0"], "used 1 of 2 times");
    assert_eq!(after["left"], json!([]));
    wait_metric(&matcher, "recorder_customers_erased_total", 1.0);
    wait_rows(world, ada, &["e-1:cust-two"]);
    let offset = erased.json["offset"].as_i64().unwrap();
    assert!(rows(world, ada).values().all(|source| *source > offset));
    wait_rows(world, "bob", &["b-1:cust-two"]);
    assert_eq!(matcher.metric("matcher_customers_erased_total"), Some(1.0));

    // After a crash customers come back from the disk, and all matches are recorded again: nothing was committed of what the
    // database has had for less than a minute.
    matcher.kill();
    let matcher = world.matcher_with("one", &disk);
    wait_metric(&matcher, "recorder_customers_erased_total", 1.0);
    wait_metric(&matcher, "recorder_matches_recorded_total", 5.0);
    wait_rows(world, ada, &["e-1:cust-two"]);
    send(world, "e-1", ada, earlier(30));
    send(world, "e-2", ada, earlier(20));
    send(world, "e-3", ada, earlier(10));
    world.wait_committed();
    wait_rows(world, ada, &["e-1:cust-two", "e-2:cust-two"]);
    wait_rows(world, "bob", &["b-1:cust-two"]);
    let duplicates = |matcher: &Process| matcher.metric("matcher_duplicate_events_total");
    assert_eq!(duplicates(&matcher), Some(1.0), "the first was seen since");

    // From the changelog alone they come back as they are.
    matcher.kill();
    let matcher = world.matcher("one");
    send(world, "e-2", ada, earlier(20));
    world.wait_committed();
    assert_eq!(duplicates(&matcher), Some(1.0));
    let after = replica.api.get(path).is(200).json;
    assert_eq!(after["seen"]["events"], 3, "{after}");

    check_control_records(world, ada);
    assert!(matcher.terminate().0.success());
}
