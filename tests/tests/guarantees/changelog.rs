//! The broker that has the changelog is frozen while a matcher is killed in the midst of its transactions, and comes back while
//! another brings the customers back from it.

use std::time::Duration;

use tests::servers::Server;
use tests::world::{PARTITIONS, World};

use super::customers::{Remembered, check_counts, counting, install, wait_all};

/// So long that restores begin meanwhile, and short of what takes a broker out of its cluster.
const FROZEN: Duration = Duration::from_secs(3);

#[test]
fn counts_are_exact_whoever_is_killed_while_the_changelogs_broker_is_frozen() {
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
        wait_all(&world);
        // Small transactions follow each other: the moment is within one, or between two.
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
