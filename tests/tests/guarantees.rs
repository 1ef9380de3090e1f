//! The guarantees, on a real Kafka and a real Cassandra. Each test ends with the same question: are the
//! matches that an independent evaluation expects the matches that are committed and the rows that are
//! recorded, each exactly once?

use std::time::Duration;

use tests::oracle::{self, Shopping};
use tests::servers::Server;
use tests::wait;
use tests::world::World;

/// The events of a run.
fn events(world: &World, count: u64) -> Vec<Shopping> {
    (0..count).map(|n| Shopping::nth(&world.name, n)).collect()
}

#[test]
fn campaigns_and_events_in_matches_out() {
    let world = World::new(Server::shared_kafka().address(), None);
    world.write_campaigns();
    let matcher = world.matcher("a");
    let events = events(&world, 2_000);
    for event in &events {
        world.produce(event);
    }
    world.acknowledged();
    world.wait_committed(2_000);
    world.check_matches(&oracle::expected(&events));
    assert_eq!(
        matcher.metric("matcher_events_consumed_total"),
        Some(2_000.0)
    );
    assert!(matcher.terminate());
}

#[test]
fn a_matcher_killed_in_mid_batch_is_taken_over_by_another() {
    let world = World::new(Server::shared_kafka().address(), None);
    world.write_campaigns();
    // Batches that would never be committed by themselves within the test: the kill hits each of them.
    let slow = [
        ("COMMIT_INTERVAL_MS", "5000"),
        ("MIN_COMMIT_INTERVAL_MS", "5000"),
    ];
    let doomed = world.matcher_with("a", &slow);
    let events = events(&world, 3_000);
    for event in &events[..1_500] {
        world.produce(event);
    }
    world.acknowledged();
    // Something of the open transaction must be at the broker when the kill comes.
    let other = world.matcher("b");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for event in &events[1_500..] {
                world.produce(event);
            }
            world.acknowledged();
        });
        doomed.kill();
    });
    world.wait_committed(3_000);
    world.check_matches(&oracle::expected(&events));
    assert!(other.terminate());
}

#[test]
fn matchers_killed_again_and_again_lose_nothing_and_repeat_nothing() {
    let world = World::new(Server::shared_kafka().address(), None);
    world.write_campaigns();
    let events = events(&world, 20_000);
    let topic = world.topic("events");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for event in &events {
                world.produce(event);
            }
            world.acknowledged();
        });
        for round in 1..=5 {
            let matcher = world.matcher("a");
            // Kill it while it works: some way on, but never with all done.
            wait::until("progress", Duration::from_mins(1), || {
                let committed =
                    world
                        .kafka
                        .committed(&world.name, &topic, tests::world::PARTITIONS);
                (committed >= round * 500).then_some(())
            });
            matcher.kill();
        }
    });
    let last = world.matcher("a");
    world.wait_committed(20_000);
    world.check_matches(&oracle::expected(&events));
    assert!(last.terminate());
}
