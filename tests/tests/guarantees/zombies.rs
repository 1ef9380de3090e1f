//! Matchers that stand still for long, are given up, and come back to life; and two of one name.

use std::time::Duration;

use tests::process::Process;
use tests::wait;
use tests::world::{PARTITIONS, World};

use super::{LONG_BATCHES, world};

/// A matcher that stands still at the beginning of a batch, while events flow.
fn stand_still(world: &World) -> Process {
    let one_worker = [&LONG_BATCHES[..], &[("MATCHER_WORKERS", "1")]].concat();
    let zombie = world.matcher_with("a", &one_worker);
    world.wait_assigned(&zombie, PARTITIONS);
    world.wait_new_transaction();
    zombie.signal("STOP");
    assert_eq!(world.has_open_transaction(), Some(true));
    zombie
}

/// A zombie that woke up is a matcher as any other: it does all the work when the other leaves.
fn lives_again(world: &World, zombie: Process, other: Process) {
    world.wait_assigned(&zombie, 1);
    assert!(other.terminate().0.success());
    world.produce(500);
    world.check();
    assert!(zombie.terminate().0.success());
}

#[test]
fn a_matcher_that_wakes_after_its_session_but_within_its_transaction_commits_nothing_twice() {
    let world = world();
    let (zombie, other) = world.under_load(300, || {
        let zombie = stand_still(&world);
        let other = world.matcher("b");
        // Its session of 10 s is over, its transaction of 15 s is not.
        world.wait_members(2);
        assert_eq!(world.has_open_transaction(), Some(true), "it woke too late");
        zombie.signal("CONT");
        world.wait_progress(1_000);
        (zombie, other)
    });
    lives_again(&world, zombie, other);
}

#[test]
fn a_matcher_that_wakes_after_others_did_its_work_is_fenced() {
    let world = world();
    let (zombie, other) = world.under_load(300, || {
        let zombie = stand_still(&world);
        let other = world.matcher("b");
        world.wait_assigned(&other, PARTITIONS);
        // Its transaction is over, too.
        world.wait_stable();
        world.wait_progress(300);
        zombie.signal("CONT");
        world.wait_progress(1_000);
        (zombie, other)
    });
    wait::until("the zombie to begin anew", Duration::from_secs(30), || {
        zombie
            .metric("matcher_worker_rebuilds_total")
            .filter(|rebuilds| *rebuilds > 0.0)
    });
    lives_again(&world, zombie, other);
}

#[test]
fn two_matchers_of_one_name_repeat_nothing_and_say_what_is_wrong() {
    let world = world();
    world.under_load(300, || {
        let mut first = world.matcher("a");
        world.wait_progress(300);
        let mut second = world.start_matcher(&[("MATCHER_INSTANCE", "a")]);
        // They fence each other until they give up.
        wait::until("the end of one of them", Duration::from_mins(1), || {
            first.ended().or(second.ended())
        });
        let said = "give each process its own MATCHER_INSTANCE";
        assert!(first.log().contains(said) || second.log().contains(said));
    });
    let alone = world.matcher("a");
    world.check();
    assert!(alone.terminate().0.success());
}
