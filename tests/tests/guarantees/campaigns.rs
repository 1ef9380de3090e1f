//! Campaigns that change, break and go while events flow.

use serde_json::json;
use tests::oracle::{self, CHANGING};
use tests::wait;

use super::world;

#[test]
fn an_event_meets_a_version_that_was_written_and_is_decided_as_that_version_says() {
    let world = world();
    let matchers = [world.matcher("a"), world.matcher("b")];
    world.under_load(500, || {
        for version in 2..=20 {
            world.wait_progress(100);
            world.change_campaign(CHANGING, Some(version));
        }
    });
    world.settle(&[&matchers[0], &matchers[1]]);
    // Exactly the last version now.
    world.produce(500);
    world.check();
    let mut met: Vec<u64> = world
        .kafka
        .read_all(&world.topic("matches"))
        .iter()
        .map(tests::topics::Seen::json)
        .filter(|json| json["campaign_id"] == CHANGING)
        .filter_map(|json| json["campaign_version"].as_u64())
        .collect();
    met.sort_unstable();
    met.dedup();
    assert!(met.len() > 10, "events met only versions {met:?}");
    for matcher in matchers {
        assert!(matcher.terminate().0.success());
    }
}

#[test]
fn a_deleted_campaign_is_silent_and_a_matcher_that_comes_later_does_not_know_it() {
    let world = world();
    let first = world.matcher("a");
    world.produce(500);
    world.settle(&[&first]);
    world.under_load(200, || {
        world.wait_progress(100);
        world.change_campaign("coupon", None);
        world.wait_progress(100);
    });
    world.settle(&[&first]);
    world.produce(500);
    let second = world.matcher("b");
    // Two workers each.
    world.wait_settled(4);
    assert!(first.terminate().0.success());
    world.produce(500);
    world.check();
    assert!(second.terminate().0.success());
}

#[test]
fn a_broken_campaign_leaves_its_last_good_version_in_force_and_is_told() {
    let world = world();
    let matcher = world.matcher("a");
    world.produce(200);
    world.settle(&[&matcher]);
    let mut pattern = oracle::document(CHANGING, 2);
    pattern["when"] = json!({"payload": {"amount": [{"numeric": ["~", 1]}]}});
    let mut other_id = oracle::document(CHANGING, 2);
    other_id["id"] = json!("small-or-german");
    let mut nobody = oracle::document(CHANGING, 2);
    nobody["audience"] = json!([]);
    let broken = [pattern, other_id, nobody, json!({"id": CHANGING}), json!(7)];
    for document in &broken {
        world.write_campaign(CHANGING, document);
    }
    world.write_campaign("", &oracle::document(CHANGING, 2));
    // Broken and never good: nothing to fall back to, and nothing to fall over.
    world.write_campaign("new", &json!({"id": "new", "when": "ever"}));
    world.kafka.flush();
    world.settle(&[&matcher]);
    world.produce(500);
    world.check();
    let refused = f64::from(u32::try_from(broken.len()).expect("a few")) + 2.0;
    wait::until("the metric", std::time::Duration::from_secs(5), || {
        let metric = matcher.metric("matcher_campaigns_refused_total");
        metric.filter(|found| (found - refused).abs() < 0.5)
    });
    assert!(matcher.log().contains("last good version stays in force"));
    // Who starts afresh finds the good version under the broken ones.
    assert!(matcher.terminate().0.success());
    let fresh = world.matcher("a");
    world.produce(500);
    world.check();
    assert!(fresh.terminate().0.success());
}
