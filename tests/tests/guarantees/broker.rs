//! A broker that dies or stands still while events flow.

use std::time::Duration;

use tests::servers::Server;
use tests::world::World;

#[test]
fn a_broker_that_is_killed_and_comes_back_loses_nothing_and_repeats_nothing() {
    let mut kafka = Server::kafka();
    let world = World::new(kafka.address(), Some(Server::shared_cassandra().address()));
    let matchers = [world.matcher("a"), world.matcher("b")];
    world.under_load(500, || {
        for _ in 0..3 {
            world.wait_progress(500);
            kafka.kill();
            kafka.restart();
        }
        world.wait_progress(500);
    });
    world.check();
    for matcher in matchers {
        assert!(matcher.terminate().0.success());
    }
}

#[test]
fn a_broker_that_stands_still_for_longer_than_a_transaction_may_take_loses_nothing() {
    // Its cluster does not take it for dead: it would answer that there is no broker, whereupon the clients of this test, other
    // than the product's, sometimes wait for ever (`service::kafka::contact`).
    let kafka = Server::kafka_with("broker.session.timeout.ms=60000\n");
    let world = World::new(kafka.address(), Some(Server::shared_cassandra().address()));
    let matchers = [world.matcher("a"), world.matcher("b")];
    world.under_load(300, || {
        world.wait_progress(300);
        kafka.pause();
        // Transactions may take 15 s, sessions 10 s.
        std::thread::sleep(Duration::from_secs(20));
        for matcher in &matchers {
            // A restart would mend nothing.
            let health = matcher.get("/healthz").unwrap_or_default();
            assert!(health.starts_with("HTTP/1.1 200"), "{health}");
        }
        kafka.resume();
        world.wait_progress(300);
    });
    world.check();
    for matcher in matchers {
        assert!(matcher.terminate().0.success());
    }
}
