//! JSON and Avro side by side, from the campaign's document to the row.

use serde_json::json;
use tests::http::{Connection, request};
use tests::oracle;

use super::world;

#[test]
fn campaigns_events_matches_and_rows_are_the_same_in_avro_and_json() {
    let world = world();
    let matcher = world.matcher("a");
    let mut admin = world.start(
        "campaign-admin",
        &[("AUTH", "none"), ("HTTP_ADDR", "127.0.0.1:0")],
    );
    admin.wait_ready();
    world.produce(600);
    world.settle(&[&matcher]);

    // A campaign that was written in JSON is changed by the API, which writes Avro.
    let mut api = Connection::open(admin.api()).expect("the API listens");
    let path = format!("/v1/campaigns/{}", oracle::CHANGING);
    let before = api
        .ask(&request("GET", &path, &[], b""))
        .expect("an answer");
    assert_eq!(before.status, 200, "{}", before.json());
    world.expect_campaign(oracle::CHANGING, Some(2));
    let mut document = oracle::document(oracle::CHANGING, 2);
    document
        .as_object_mut()
        .expect("an object")
        .remove("version");
    let headers = [
        ("content-type", "application/json"),
        ("if-match", before.header("etag").expect("a state")),
    ];
    let body = document.to_string();
    let put = request("PUT", &path, &headers, body.as_bytes());
    let changed = api.ask(&put).expect("an answer");
    assert_eq!(changed.status, 200, "{}", changed.json());
    world.settle(&[&matcher]);
    world.produce(600);
    world.check();

    let values = |topic: &str| world.kafka.read_all(&world.topic(topic)).into_iter();
    let is_avro = |value: Option<Vec<u8>>| value.is_some_and(|value| value.first() == Some(&0));
    let won: Vec<bool> = values("matches").map(|won| is_avro(won.value)).collect();
    assert!(won.len() > 100 && won.iter().all(|avro| *avro));
    let campaigns: Vec<bool> = values("campaigns").map(|c| is_avro(c.value)).collect();
    assert_eq!(campaigns.iter().filter(|avro| **avro).count(), 1);
    assert_eq!(campaigns.last(), Some(&true));

    // The change is in Avro as well, and the API reads it back.
    let audit = world.read("campaign-changes");
    assert_eq!(audit.len(), 1);
    assert!(values("campaign-changes").all(|change| is_avro(change.value)));
    assert_eq!(audit[0].json()["after"]["when"], document["when"]);
    let history = request("GET", &format!("{path}?version=2"), &[], b"");
    let past = api.ask(&history).expect("an answer").json();
    assert_eq!(past["when"], document["when"], "{past}");
    assert_eq!(past["reward"]["amount"], json!("2.5"));
    assert!(admin.terminate().0.success());
    assert!(matcher.terminate().0.success());
}
