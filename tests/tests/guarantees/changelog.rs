//! The broker that has the changelog is frozen while a matcher that has just committed is killed: whoever brings the customers
//! back must not end before the markers of that transaction are written (KAFKA-10167).

use std::time::Duration;

use tests::servers::Server;
use tests::world::{PARTITIONS, World};

use super::customers::{Remembered, check_counts, counting, install, wait_all};

/// So long that restores begin meanwhile, and short of what takes a broker out of its cluster.
const FROZEN: Duration = Duration::from_secs(3);

#[test]
fn nothing_is_forgotten_that_was_committed_while_the_changelogs_broker_was_frozen() {
    let first = Server::kafka();
    // Kafka makes its topics of offsets and transactions when they are first used; so they are on this broker.
    let before = World::new(first.address(), None);
    install(&before, &counting());
    let early = before.matcher("early");
    Remembered::new().produce(&before, 20);
    wait_all(&before);
    early.kill();

    let second = Server::kafka_beside(&first);
    let world = World::with_topics(first.address(), None, |kafka, name| {
        let compact = [("cleanup.policy", "compact")];
        kafka.create_topic_on(2, &format!("{name}-customer-state"), PARTITIONS, &compact);
        for topic in ["events", "matches", "claims", "dead-letters"] {
            kafka.create_topic_on(1, &format!("{name}-{topic}"), PARTITIONS, &[]);
        }
        kafka.create_topic_on(1, &format!("{name}-campaigns"), 1, &compact);
        kafka.create_topic_on(1, &format!("{name}-campaign-changes"), 1, &[]);
    });
    install(&world, &counting());
    let mut remembered = Remembered::new();
    let mut doomed = world.matcher("a");
    for round in 0..5 {
        remembered.produce(&world, 100);
        world.wait_progress(50);
        // Small transactions follow each other: some of these moments lie between a commit and its markers.
        remembered.produce(&world, 20 + 7 * round);
        second.pause();
        doomed.kill();
        let next = world.start_matcher(&[("MATCHER_INSTANCE", "a")]);
        remembered.produce(&world, 50);
        std::thread::sleep(FROZEN);
        second.resume();
        doomed = next;
        doomed.wait_ready();
    }
    check_counts(&world);
    assert!(doomed.terminate().0.success());
}
