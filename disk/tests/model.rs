//! The model of `state`, with the customers on disk: what is remembered there is what is remembered in memory, whatever batch
//! is given up and wherever the process is killed.

#[path = "../../state/tests/model/books.rs"]
mod books;
#[path = "../../state/tests/model/machine.rs"]
mod machine;
#[path = "../../state/tests/model/plain.rs"]
mod plain;
#[path = "../../state/tests/model/stream.rs"]
mod stream;

use disk::Disk;
use state::Partition;
use tempfile::TempDir;

use self::machine::{Fault, Log, Place, compare, run};
use self::stream::Stream;

/// Customers on disk: a restart reads the log from the mark on.
struct OnDisk {
    disk: Disk,
    partition: i32,
}

impl Place for OnDisk {
    fn restart(&mut self, log: &Log) -> Partition {
        let customers = self.disk.take(self.partition, || true).expect("a disk");
        let mark = customers.mark().cloned();
        let progress = mark.as_ref().map(|it| &*it.progress);
        let mut partition = Partition::on(Box::new(customers), progress).expect("a mark");
        let from = mark.map_or(0, |it| usize::try_from(it.position).expect("an offset"));
        log.restore(from, &mut partition);
        partition.begin_lineage(7);
        partition
    }
}

/// A partition of its own for each stream.
struct Disks {
    disk: Disk,
    next: i32,
    _folder: TempDir,
}

impl Disks {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        Self {
            disk: Disk::open(folder.path(), 8 << 20).expect("a disk"),
            next: 0,
            _folder: folder,
        }
    }

    fn place(&mut self) -> Box<dyn Place> {
        self.next += 1;
        Box::new(OnDisk {
            disk: self.disk.clone(),
            partition: self.next,
        })
    }
}

#[test]
fn the_engine_agrees_with_the_model_when_customers_are_on_disk() {
    let mut disks = Disks::new();
    for seed in 0..100 {
        compare(seed, disks.place());
    }
}

#[test]
fn a_batch_that_is_given_up_or_lost_changes_nothing_on_disk() {
    let mut disks = Disks::new();
    for seed in 0..4 {
        let (expected, state) = run(seed, None, disks.place());
        for step in (0..Stream::new(seed).steps.len()).step_by(9) {
            for fault in [Fault::Abort, Fault::Crash] {
                let (found, after) = run(seed, Some((step, fault)), disks.place());
                assert_eq!(found, expected, "seed {seed}, {fault:?} at step {step}");
                assert!(after == state, "seed {seed}, {fault:?} at step {step}");
            }
        }
    }
}
