//! Matches, read from the database.

use serde_json::Value;

use crate::client::Api;
use crate::installation::{Installation, PATIENCE};
use tests::wait;

/// All matches that an answer and the pages after it have.
fn all(api: &Api, query: &str) -> Vec<Value> {
    let mut matches = Vec::new();
    let mut token = String::new();
    loop {
        let page = api.get(&format!("/v1/matches?{query}{token}")).is(200).json;
        matches.extend(page["matches"].as_array().unwrap().iter().cloned());
        match page["next_page_token"].as_str() {
            Some(next) => token = format!("&page_token={next}"),
            None => return matches,
        }
    }
}

fn ids(matches: &[Value]) -> Vec<&str> {
    let mut ids: Vec<_> = matches
        .iter()
        .map(|won| won["match_id"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    ids
}

#[test]
fn recorded_matches_are_read_by_event_by_customer_and_by_campaign() {
    let installation = Installation::recorded();
    let world = &installation.world;
    let replica = installation.replica();
    let matcher = world.matcher_with("one", &[("RECORDER_REPLAY_MS", "0")]);
    world.settle(&[&matcher]);
    world.produce(500);
    world.wait_quiet();
    let recorded: Vec<Value> = (world.kafka.read_all(&world.topic("matches")).iter())
        .map(tests::topics::Seen::json)
        .collect();
    assert!(recorded.len() > 50, "{} matches", recorded.len());
    world.wait_recorded();
    wait::until("the database", PATIENCE, || {
        (replica.api.get("/v1/matches?event_id=x").status == 200).then_some(())
    });
    // Events of the world are of whatever time.
    let times: Vec<_> = recorded
        .iter()
        .map(|won| won["occurred_at"].as_str().unwrap())
        .collect();
    let (first, last) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    println!(
        "{} matches of events from {first} to {last}",
        recorded.len()
    );

    let one = &recorded[recorded.len() / 2];
    let of_event = all(
        &replica.api,
        &format!("event_id={}", one["event_id"].as_str().unwrap()),
    );
    let expected = recorded
        .iter()
        .filter(|won| won["event_id"] == one["event_id"]);
    assert_eq!(ids(&of_event), ids(&expected.cloned().collect::<Vec<_>>()));
    let found = of_event
        .iter()
        .find(|won| won["match_id"] == one["match_id"])
        .unwrap();
    for field in [
        "reward",
        "source",
        "campaign_version",
        "customer_id",
        "event_type",
    ] {
        assert_eq!(found[field], one[field], "{field}");
    }

    for by in ["customer_id", "campaign_id"] {
        let value = one[by].as_str().unwrap();
        let expected: Vec<_> = recorded
            .iter()
            .filter(|won| won[by] == one[by])
            .cloned()
            .collect();
        for size in [7, 500] {
            let to = jiff::Timestamp::from_second(
                last.parse::<jiff::Timestamp>().unwrap().as_second() + 1,
            )
            .unwrap();
            let query = format!("{by}={value}&from={first}&to={to}&page_size={size}");
            let found = all(&replica.api, &query);
            assert_eq!(ids(&found), ids(&expected), "{query}");
            let times: Vec<_> = found
                .iter()
                .map(|won| {
                    won["occurred_at"]
                        .as_str()
                        .unwrap()
                        .parse::<jiff::Timestamp>()
                        .unwrap()
                })
                .collect();
            assert!(times.is_sorted_by(|a, b| a >= b), "newest first");
        }
    }
    replica.api.get("/v1/matches").is(400);
    replica
        .api
        .get("/v1/matches?event_id=e&customer_id=c")
        .is(400);
    assert!(all(&replica.api, "customer_id=nobody").is_empty());
}
