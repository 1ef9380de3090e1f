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
    world.under_load(150, || {
        world.wait_progress(150);
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
        world.wait_progress(150);
    });
    world.check();
    assert!(matcher.terminate().0.success());
}

#[test]
fn rows_that_the_database_acknowledged_and_forgot_are_written_again() {
    let mut cassandra = Server::cassandra();
    let kafka = Server::shared_kafka();
    let world = World::new(kafka.address(), Some(cassandra.address()));
    let mut matcher = world.matcher("a");
    world.produce(300);
    world.wait_recorded();
    for round in ["outage", "takeover"] {
        let disk = cassandra.disk();
        let taken = Instant::now();
        world.produce(300);
        world.wait_recorded();
        cassandra.lose_power(&disk);
        // Normally a second or two. A database forgets 10 s at most, the recorder promises a minute.
        let forgotten = taken.elapsed();
        assert!(forgotten < Duration::from_secs(50), "{forgotten:?}");
        if round == "outage" {
            // The recorder lives and notices that the database is away, and must make good what it had
            // written before. It waits with that until this test has seen the loss.
            wait::until("the outage to be told", Duration::from_secs(30), || {
                matcher
                    .metric("recorder_database_up")
                    .filter(|up| *up == 0.0)
            });
            matcher.signal("STOP");
        } else {
            // The machine of the recorder lost power, too.
            matcher.kill();
            matcher = world.start_matcher(&[("MATCHER_INSTANCE", "a")]);
            matcher.signal("STOP");
        }
        cassandra.restart();
        let lost = world.missing_rows();
        println!("{lost} rows lost in the {round}");
        assert!(
            lost > 300,
            "the database forgot nothing, so this shows nothing"
        );
        matcher.signal("CONT");
        world.check();
    }
    assert!(matcher.terminate().0.success());
}
