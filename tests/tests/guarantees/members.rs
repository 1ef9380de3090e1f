//! Members that come and go so quickly that the group is never at rest.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::world;

const STORM: Duration = Duration::from_secs(40);

#[test]
fn a_storm_of_rebalances_loses_nothing_and_repeats_nothing() {
    let world = world();
    // Without a stable name each is a member that the group has never seen, and leaves it at once.
    let join = |number: u32| {
        let mut matcher = world.start_matcher(&[("HOSTNAME", &format!("host-{number}"))]);
        matcher.wait_ready();
        matcher
    };
    let members = world.under_load(400, || {
        let mut members = VecDeque::from([join(0)]);
        let begun = Instant::now();
        let mut joined = 1;
        while begun.elapsed() < STORM {
            members.push_back(join(joined));
            joined += 1;
            // One to three of them, in turns.
            if joined % 4 != 0 {
                let oldest = members.pop_front().expect("there is always one");
                assert!(oldest.terminate().0.success());
            }
            if members.len() > 3 {
                members.pop_front().expect("there are four").kill();
            }
        }
        println!("{joined} members came in {STORM:?}");
        assert!(joined > 10, "that was no storm: {joined} members");
        members
    });
    world.check();
    for member in members {
        assert!(member.terminate().0.success());
    }
}
