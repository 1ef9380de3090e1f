//! Customers on disk: a restart reads only what came after, and what is there is believed only if it is of this changelog.

use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tests::process::Process;
use tests::world::{PARTITIONS, World};

use super::LONG_BATCHES;
use super::customers::{Remembered, check_counts, counting, installation};

/// A matcher of that name with its customers in that folder, once they are all back.
fn matcher(world: &World, name: &str, folder: &Path) -> Process {
    let matcher = start(world, name, folder, &[]);
    world.wait_assigned(&matcher, PARTITIONS);
    matcher
}

fn start(world: &World, name: &str, folder: &Path, further: &[(&str, &str)]) -> Process {
    let folder = folder.to_str().expect("a plain path");
    world.matcher_with(name, &[&[("STATE_DIR", folder)], further].concat())
}

/// Records read from the changelog since the start.
fn restored(matcher: &Process) -> usize {
    let records = matcher.metric("matcher_restored_records_total");
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count"
    )]
    records.map_or(0, |records| records as usize)
}

/// Partitions that were thrown away for that reason.
fn discarded(matcher: &Process, reason: &str) -> usize {
    let text = matcher.get("/metrics").unwrap_or_default();
    let label = format!("matcher_state_disk_discarded_total{{reason=\"{reason}\"}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&label));
    line.map_or(0, |count| count.parse().expect("a count"))
}

fn changelog(world: &World) -> usize {
    world.kafka.read_all(&world.topic("customer-state")).len()
}

const ALL: usize = PARTITIONS as usize;

#[test]
fn customers_on_disk_are_exact_after_kills_and_a_restart_reads_only_the_difference() {
    let world = installation(&counting());
    let (a, b) = (
        TempDir::new().expect("a folder"),
        TempDir::new().expect("a folder"),
    );
    let mut remembered = Remembered::new();
    for round in 0..4 {
        let settings = if round % 2 == 0 {
            &LONG_BATCHES[..]
        } else {
            &[]
        };
        let doomed = start(&world, "a", a.path(), settings);
        remembered.produce(&world, 200);
        if round % 2 == 0 {
            world.wait_open_transaction();
        } else {
            world.wait_progress(100);
            remembered.produce(&world, 50);
        }
        doomed.kill();
    }
    let one = matcher(&world, "a", a.path());
    world.wait_committed();
    one.kill();
    let all = changelog(&world);
    // Nothing came after: of each partition the last record is read, which says whose changelog it is.
    let one = matcher(&world, "a", a.path());
    assert_eq!(restored(&one), ALL, "of {all}");
    let customers = one.metric("matcher_customers");
    assert!(customers.is_some_and(|it| it > 20.0), "{customers:?}");
    // Another has the partitions for a while, with a disk that knows nothing.
    assert!(one.terminate().0.success());
    let other = matcher(&world, "b", b.path());
    assert!(restored(&other) >= all, "{} of {all}", restored(&other));
    remembered.produce(&world, 200);
    world.wait_committed();
    other.kill();
    let came = changelog(&world) - all;
    let one = matcher(&world, "a", a.path());
    // The last that it knows of each partition is read again.
    assert_eq!(restored(&one), came + ALL, "beside {all}");
    remembered.produce(&world, 200);
    check_counts(&world);
    one.kill();
    // What cannot be read is read anew.
    std::fs::write(a.path().join("customers/version"), "torn").expect("a file");
    let one = matcher(&world, "a", a.path());
    assert!(restored(&one) > came + all, "{}", restored(&one));
    remembered.produce(&world, 200);
    check_counts(&world);
    assert_eq!(one.metric("matcher_state_disk_failed"), Some(0.0));
    assert!(
        one.metric("matcher_state_disk_bytes")
            .is_some_and(|it| it > 0.0)
    );
    assert!(one.terminate().0.success());
}

#[test]
fn a_disk_of_another_changelog_is_not_believed() {
    let folder = TempDir::new().expect("a folder");
    let (world, other) = (installation(&counting()), installation(&counting()));
    let owner = matcher(&world, "a", folder.path());
    Remembered::new().produce(&world, 300);
    world.wait_committed();
    owner.kill();
    // The other one is longer, so that it has each position that the disk knows.
    let mut remembered = Remembered::new();
    let plain = other.matcher("a");
    while changelog(&other) < 4 * changelog(&world) {
        remembered.produce(&other, 300);
        other.wait_committed();
    }
    plain.kill();
    let misled = matcher(&other, "a", folder.path());
    assert_eq!(discarded(&misled, "lineage"), ALL);
    remembered.produce(&other, 100);
    check_counts(&other);
    misled.kill();
    // From now on it is of the other.
    let misled = matcher(&other, "a", folder.path());
    assert_eq!(restored(&misled), ALL);
    misled.kill();
    let owner = matcher(&world, "a", folder.path());
    let (position, lineage) = (discarded(&owner, "position"), discarded(&owner, "lineage"));
    assert_eq!(position + lineage, ALL);
    assert_eq!(restored(&owner), changelog(&world));
}

#[test]
fn a_disk_that_may_have_missed_deletions_is_not_believed() {
    let world = World::with_topics(
        tests::servers::Server::shared_kafka().address(),
        None,
        |kafka, name| {
            let settings = [("cleanup.policy", "compact"), ("delete.retention.ms", "0")];
            kafka.create_topic(&format!("{name}-customer-state"), PARTITIONS, &settings);
        },
    );
    for campaign in counting() {
        let id = campaign["id"].as_str().expect("an id");
        world.write_campaign(id, &campaign);
    }
    let folder = TempDir::new().expect("a folder");
    let before = matcher(&world, "a", folder.path());
    Remembered::new().produce(&world, 300);
    world.wait_committed();
    before.kill();
    let after = matcher(&world, "a", folder.path());
    assert_eq!(discarded(&after, "age"), ALL);
    assert_eq!(restored(&after), changelog(&world));
}

const STORM: Duration = Duration::from_mins(1);

#[test]
fn what_campaigns_count_is_exact_in_a_storm_of_rebalances_with_disks_that_are_behind() {
    let world = installation(&counting());
    let folders: Vec<_> = (0..3).map(|_| TempDir::new().expect("a folder")).collect();
    let mut remembered = Remembered::new();
    let join = |number: usize| {
        let folder = folders[number % folders.len()].path();
        let folder = folder.to_str().expect("a plain path");
        // Without a stable name each is a member that the group has never seen.
        let host = format!("host-{number}");
        world.start_matcher(&[("HOSTNAME", &host), ("STATE_DIR", folder)])
    };
    let mut members = VecDeque::from([join(0), join(1)]);
    let (begun, mut joined) = (Instant::now(), 2);
    while begun.elapsed() < STORM {
        let next = Instant::now() + Duration::from_secs(2);
        remembered.produce(&world, 250);
        // One leaves and another comes with a disk that was away; every other one is killed.
        let mut oldest = members.pop_front().expect("there are two");
        oldest.wait_ready();
        if joined % 2 == 0 {
            oldest.kill();
        } else {
            assert!(oldest.terminate().0.success());
        }
        members.push_back(join(joined));
        joined += 1;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    assert!(joined > 6, "that was no storm: {joined} members");
    let won = check_counts(&world);
    println!("{joined} members, {won} matches");
    for mut member in members {
        member.wait_ready();
        assert!(member.terminate().0.success());
    }
}
