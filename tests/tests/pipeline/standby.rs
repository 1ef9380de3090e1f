//! Workers without partitions.

use crate::world;

#[test]
fn workers_without_partitions_stand_by_take_over_and_end_in_time() {
    let world = world();
    let join = |host: &str, workers: &str| {
        let settings = [
            ("HOSTNAME", host),
            ("MATCHER_WORKERS", workers),
            // By default a member hears of a rebalance within 2 s.
            ("KAFKA_CONFIG", "heartbeat.interval.ms=200"),
        ];
        let mut matcher = world.start_matcher(&settings);
        matcher.wait_ready();
        matcher
    };
    // Four partitions: most of these workers have none, and hear of rebalances that bring them nothing.
    let first = join("first", "5");
    world.wait_settled(5);
    let second = join("second", "3");
    world.wait_settled(8);
    let third = join("third", "1");
    world.wait_settled(9);
    world.produce(300);
    world.wait_quiet();
    for matcher in [first, third] {
        let (status, took) = matcher.terminate();
        assert!(status.success(), "{status} after {took:?}");
    }
    world.wait_settled(3);
    world.produce(300);
    world.check();
    let (status, took) = second.terminate();
    assert!(status.success(), "{status} after {took:?}");
}
