//! What a restore takes of memory goes back. Alone in its process, whose memory it asks for.

use std::sync::{Barrier, Mutex};
use std::thread;

use disk::Disk;
use state::base::{Base as _, Bytes, Mark};
use tempfile::TempDir;

/// Each partition has a thread, as in the matcher.
const PARTITIONS: i32 = 8;

/// Customers of a partition: two lots.
const CUSTOMERS: u32 = 120_000;

/// Memory for blocks that are at hand, in bytes.
const AT_HAND: u64 = 8 << 20;

/// What a process may keep beyond that, in MiB. It kept 229 when parts of lots stayed with each thread, and keeps 12.
const KEPT: u64 = 60;

#[test]
fn what_lots_take_of_memory_is_given_back() {
    let folder = TempDir::new().expect("a folder");
    let disk = Disk::open(folder.path(), AT_HAND).expect("a folder of our own");
    let (turn, all_done) = (
        Mutex::new(()),
        Barrier::new(usize::try_from(PARTITIONS).expect("a few")),
    );
    thread::scope(|scope| {
        for partition in 0..PARTITIONS {
            let (disk, turn, all_done) = (&disk, &turn, &all_done);
            scope.spawn(move || {
                let mut customers = disk.take(partition, || true).expect("it is free");
                let one_at_a_time = turn.lock().expect("nobody has panicked");
                let bytes = [0; 200];
                for number in 0..CUSTOMERS {
                    let id = format!("customer-{:08}", number.wrapping_mul(2_654_435_761));
                    let state = Bytes {
                        bytes: &bytes,
                        due: None,
                    };
                    customers.restore(&id, Some(state)).expect("room");
                }
                drop(one_at_a_time);
                all_done.wait();
                let mark = Mark {
                    progress: Some(b"p"),
                    position: Some(1),
                };
                let end = customers.put(&mut std::iter::empty(), mark);
                end.expect("room on the disk");
            });
        }
    });
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let resident = status.lines().find_map(|line| {
        let kib = line.strip_prefix("VmRSS:")?.split_whitespace().next()?;
        kib.parse::<u64>().ok()
    });
    let resident = resident.expect("a process has memory") >> 10;
    assert!(resident < KEPT + (AT_HAND >> 20), "{resident} MiB");
}
