//! Matchers that are killed, stopped and started while events flow.

use std::collections::VecDeque;
use std::time::Duration;

use tests::world::PARTITIONS;

use super::{LONG_BATCHES, world};

#[test]
fn a_matcher_killed_in_mid_batch_is_taken_over_by_another() {
    let world = world();
    // Batches that would not be committed by themselves: the kill hits one for sure.
    let doomed = world.matcher_with("a", &LONG_BATCHES);
    let other = world.under_load(300, || {
        world.wait_open_transaction();
        let other = world.matcher("b");
        world.wait_open_transaction();
        doomed.kill();
        assert_eq!(
            world.has_open_transaction(),
            Some(true),
            "the kill came too late"
        );
        // Beyond the session and the transaction of the dead.
        world.wait_assigned(&other, PARTITIONS);
        world.wait_progress(500);
        other
    });
    world.check();
    assert!(other.terminate().0.success());
}

#[test]
fn matchers_killed_again_and_again_lose_nothing_and_repeat_nothing() {
    let world = world();
    world.under_load(500, || {
        for round in 0..10 {
            // Every other time within a batch that is long open.
            let settings = if round % 2 == 0 {
                &LONG_BATCHES[..]
            } else {
                &[]
            };
            let matcher = world.matcher_with("a", settings);
            if round % 2 == 0 {
                world.wait_open_transaction();
            } else {
                world.wait_progress(200);
            }
            matcher.kill();
        }
    });
    let last = world.matcher("a");
    world.check();
    assert!(last.terminate().0.success());
}

/// As the settings say: `SHUTDOWN_DEADLINE_MS`.
const DEADLINE: Duration = Duration::from_secs(10);

#[test]
fn matchers_replaced_one_after_another_end_in_time_and_lose_nothing() {
    let world = world();
    let matchers = world.under_load(500, || {
        let mut matchers = VecDeque::from([("a", world.matcher("a")), ("b", world.matcher("b"))]);
        for _ in 0..6 {
            world.wait_progress(300);
            let (name, oldest) = matchers.pop_front().expect("there are two");
            let (status, took) = oldest.terminate();
            assert!(status.success(), "{status}");
            assert!(took < DEADLINE, "{took:?}");
            matchers.push_back((name, world.matcher(name)));
        }
        world.wait_progress(300);
        matchers
    });
    world.check();
    for (_, matcher) in matchers {
        assert!(matcher.terminate().0.success());
    }
}
