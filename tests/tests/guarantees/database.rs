//! A database that is away, or forgets, while events flow.

use std::time::{Duration, Instant};

use tests::servers::Server;
use tests::wait;
use tests::world::World;

#[test]
fn while_the_database_is_away_matching_goes_on_and_afterwards_every_row_is_there() {
    let mut cassandra = Server::cassandra();
    let kafka = Server::shared_kafka();
    let world = World::new(kafka.address(), Some(cassandra.address()));
    let matcher = world.matcher("a");
    world.under_load(300, || {
        world.wait_progress(300);
        cassandra.kill();
        let killed = Instant::now();
        wait::until("the outage to be told", Duration::from_secs(30), || {
            matcher
                .metric("recorder_database_up")
                .filter(|up| *up == 0.0)
        });
        while killed.elapsed() < Duration::from_mins(1) {
            // 300 a second come in; a third of that is no standstill on any machine.
            let begun = Instant::now();
            world.wait_progress(500);
            assert!(
                begun.elapsed() < Duration::from_secs(5),
                "matching is held up"
            );
        }
        let ready = matcher.get("/readyz").unwrap_or_default();
        assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
        cassandra.restart();
        // One more while the recorder catches up.
        world.wait_progress(500);
    });
    world.check();
    assert!(matcher.terminate().0.success());
}
