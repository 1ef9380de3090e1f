//! The broker that has the changelog is frozen while a matcher is killed in the midst of its transactions, and comes back while
//! another brings the customers back from it.

use std::time::Duration;

use tests::markers::Markers;
use tests::servers::Server;
use tests::wait;
use tests::world::{PARTITIONS, PATIENCE, World};

use super::customers::{Remembered, check_counts, counting, install};

/// So long that restores begin meanwhile, and short of what takes a broker out of its cluster.
const FROZEN: Duration = Duration::from_secs(3);

/// A cluster of two, the second of which has the changelog of the world and nothing else. `join` starts it.
fn cluster<T>(join: impl FnOnce(&Server) -> T) -> (World, T, Server) {
    let first = Server::kafka();
    // Kafka makes its topics of offsets and transactions when they are first used; so they are on this broker.
    let before = World::new(first.address(), None);
    install(&before, &counting());
    let early = before.matcher("early");
    Remembered::new().produce(&before, 20);
    before.wait_committed();
    early.kill();

    let second = join(&first);
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
    (world, second, first)
}

/// A matcher is killed when its last transaction is committed and the changelog's broker has not heard of it. Whoever takes
/// over must wait for what the changelog does not show yet (KAFKA-10167).
#[test]
fn nobody_begins_with_a_changelog_that_does_not_show_yet_what_is_committed() {
    let markers = Markers::listen();
    let (world, second, _first) = cluster(|first| Server::kafka_behind(first, &markers));
    let mut remembered = Remembered::new();
    let doomed = world.matcher("a");
    remembered.produce(&world, 700);
    world.wait_committed();
    world.wait_stable();

    let before = world.committed();
    markers.hold();
    // All in one transaction, or in two of which the other cannot begin.
    remembered.produce(&world, 60);
    wait::until("a commit", PATIENCE, || {
        (world.committed()? > before?).then_some(())
    });
    doomed.kill();
    let mut next = world.start_matcher(&[("MATCHER_INSTANCE", "b")]);
    next.wait_ready();
    remembered.produce(&world, 60);
    // The other's session is over.
    world.wait_settled(2);
    std::thread::sleep(FROZEN);
    markers.release();
    check_counts(&world);
    assert!(next.terminate().0.success());
    drop(second);
}

#[test]
fn counts_are_exact_whoever_is_killed_while_the_changelogs_broker_is_frozen() {
    let (world, second, _first) = cluster(Server::kafka_beside);
    let mut remembered = Remembered::new();
    let mut doomed = world.matcher("a");
    for round in 0..5 {
        remembered.produce(&world, 100);
        world.wait_committed();
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
