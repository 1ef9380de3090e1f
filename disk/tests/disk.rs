//! What is on disk after a restart, after a kill, and after damage.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use disk::{Disk, DiskError, OnDisk};
use state::StateError;
use state::base::{Base as _, Before, Bytes, Mark, Put, Size};
use tempfile::TempDir;

const MEMORY: u64 = 8 << 20;

fn open(folder: &Path) -> Disk {
    Disk::open(folder, MEMORY).expect("a disk")
}

fn take(disk: &Disk, partition: i32) -> OnDisk {
    disk.take(partition, || true).expect("a partition")
}

fn state(bytes: &[u8], due: Option<i64>) -> Bytes<'_> {
    Bytes { bytes, due }
}

fn mark(position: i64) -> Mark<'static> {
    Mark {
        progress: Some(b"progress"),
        position: Some(position),
    }
}

/// Puts one customer, of whom nothing was known.
fn put(customers: &mut OnDisk, id: &str, bytes: &[u8], due: Option<i64>, position: i64) {
    let put = Put {
        id,
        after: Some(state(bytes, due)),
        before: None,
    };
    let put = customers.put(&mut [put].into_iter(), mark(position));
    put.expect("room on the disk");
}

fn read(customers: &OnDisk, id: &str) -> Option<Vec<u8>> {
    let found = customers.customer(id).expect("a disk that can be read");
    found.map(std::borrow::Cow::into_owned)
}

fn position(customers: &OnDisk) -> Option<i64> {
    Some(customers.mark()?.position)
}

/// The beginning of a state, as `state` writes it: version, and two times as zigzag varints.
fn header(due: Option<i64>) -> Vec<u8> {
    let mut bytes = vec![1, 0];
    let due = due.unwrap_or(i64::MAX);
    let mut rest = ((due << 1) ^ (due >> 63)).cast_unsigned();
    while rest >= 0x80 {
        bytes.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    bytes.push(rest.to_le_bytes()[0]);
    bytes
}

/// A copy of the files, as a kill leaves them: nothing is closed.
fn as_killed(folder: &Path) -> TempDir {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).expect("a folder");
        for entry in fs::read_dir(from).expect("a folder") {
            let entry = entry.expect("an entry");
            let (path, to) = (entry.path(), to.join(entry.file_name()));
            if path.is_dir() {
                copy(&path, &to);
            } else {
                fs::copy(&path, &to).expect("a file can be copied");
            }
        }
    }
    let killed = TempDir::new().expect("a folder");
    copy(folder, killed.path());
    killed
}

fn files(folder: &Path, ends: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path, ends));
        } else if path.to_string_lossy().ends_with(ends) {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_batch_and_its_mark_are_there_after_a_kill() {
    let folder = TempDir::new().expect("a folder");
    let disk = open(folder.path());
    let mut customers = take(&disk, 3);
    assert_eq!(customers.mark(), None);
    put(&mut customers, "ann", b"one", Some(50), 7);
    put(&mut customers, "bob", b"two", None, 9);
    let killed = as_killed(folder.path());
    let customers = take(&open(killed.path()), 3);
    assert_eq!(position(&customers), Some(9));
    assert_eq!(customers.mark().expect("a mark").progress, b"progress");
    assert_eq!(read(&customers, "ann"), Some(b"one".to_vec()));
    assert_eq!(read(&customers, "bob"), Some(b"two".to_vec()));
    assert_eq!(customers.first_due(), Some(50));
    let size = Size {
        customers: 2,
        bytes: 12,
    };
    assert_eq!(customers.size(), size);
}

#[test]
fn a_batch_of_which_the_end_is_missing_is_not_there_and_nor_is_its_mark() {
    let folder = TempDir::new().expect("a folder");
    let disk = open(folder.path());
    let mut customers = take(&disk, 0);
    put(&mut customers, "ann", b"old", None, 7);
    let before = as_killed(folder.path());
    put(&mut customers, "ann", b"new", None, 9);
    let killed = as_killed(folder.path());
    let journal = |folder: &Path| files(folder, ".jnl").pop().expect("a journal");
    let (old, new) = (
        fs::read(journal(before.path())).expect("a file"),
        fs::read(journal(killed.path())).expect("a file"),
    );
    let begin = (0..old.len()).find(|at| old[*at] != new[*at]);
    let begin = begin.expect("a batch was written");
    let end = new.iter().rposition(|byte| *byte != 0).expect("a batch");
    for cut in [begin + 1, usize::midpoint(begin, end), end - 1] {
        let torn = as_killed(killed.path());
        let file = OpenOptions::new().write(true).open(journal(torn.path()));
        file.and_then(|file| file.set_len(cut as u64))
            .expect("a file");
        let customers = take(&open(torn.path()), 0);
        assert_eq!(position(&customers), Some(7), "cut at {cut}");
        assert_eq!(read(&customers, "ann"), Some(b"old".to_vec()));
    }
}

#[test]
fn what_cannot_be_read_is_thrown_away() {
    let folder = TempDir::new().expect("a folder");
    let disk = open(folder.path());
    put(&mut take(&disk, 0), "ann", b"old", None, 7);
    drop(disk);
    let marker = folder.path().join("customers/version");
    assert!(marker.exists());
    fs::write(marker, b"something else").expect("a file");
    let disk = open(folder.path());
    let mut customers = take(&disk, 0);
    assert_eq!(customers.mark(), None);
    assert_eq!(read(&customers, "ann"), None);
    put(&mut customers, "ann", b"new", None, 8);
    assert_eq!(position(&customers), Some(8));
}

#[test]
fn a_directory_belongs_to_one_process() {
    let folder = TempDir::new().expect("a folder");
    let disk = open(folder.path());
    let other = Disk::open(folder.path(), MEMORY).expect_err("it is taken");
    assert!(matches!(other, DiskError::Locked { .. }), "{other}");
    drop(disk);
    open(folder.path());
}

#[test]
fn a_partition_belongs_to_one_worker_until_it_lets_go() {
    let folder = TempDir::new().expect("a folder");
    let disk = open(folder.path());
    let mut one = take(&disk, 0);
    put(&mut one, "ann", b"one", None, 7);
    let mut asked = 0;
    let refused = disk.take(0, || {
        asked += 1;
        asked < 3
    });
    assert!(refused.is_none());
    take(&disk, 1);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| take(&disk, 0));
        drop(one);
        let other = other.join().expect("no panic");
        assert_eq!(read(&other, "ann"), Some(b"one".to_vec()));
    });
}

#[test]
fn a_restore_that_did_not_come_to_its_end_leaves_nothing() {
    let folder = TempDir::new().expect("a folder");
    let disk = open(folder.path());
    let mut customers = take(&disk, 0);
    // Enough for a table before the end.
    let bytes = vec![1; 1024];
    for number in 0..20_000 {
        let restored = customers.restore(&format!("c-{number}"), Some(state(&bytes, None)));
        restored.expect("room on the disk");
    }
    assert!(customers.size().customers > 0);
    drop(customers);
    let customers = take(&disk, 0);
    assert_eq!(customers.size(), Size::default());
    assert_eq!(read(&customers, "c-0"), None);
}

#[test]
fn much_that_is_restored_is_as_if_it_had_come_one_by_one() {
    let folder = TempDir::new().expect("a folder");
    let disk = open(folder.path());
    let mut customers = take(&disk, 0);
    // Some are waited for.
    let due = |number: usize, round: usize| {
        let is_waited_for = number.is_multiple_of(1_000);
        is_waited_for.then(|| i64::try_from(number + round).expect("small"))
    };
    let value = |number: usize, round: usize| {
        let mut value = header(due(number, round));
        value.extend(format!("{round}{}", "x".repeat(number % 700)).bytes());
        value
    };
    for round in 0..3 {
        for number in 0..30_000 {
            let id = format!("c-{:05}", number * 7919 % 30_000);
            let number = number * 7919 % 30_000;
            let value = value(number, round);
            // A third is forgotten in each round.
            let after = (number % 3 != round).then(|| state(&value, due(number, round)));
            customers.restore(&id, after).expect("room on the disk");
        }
    }
    let end = customers.put(&mut std::iter::empty(), mark(99));
    end.expect("room on the disk");
    drop(customers);
    drop(disk);
    let disk = open(folder.path());
    let customers = take(&disk, 0);
    let kept: Vec<_> = (0..30_000).filter(|number| number % 3 != 2).collect();
    let bytes = kept.iter().map(|it| 7 + value(*it, 2).len()).sum();
    let size = Size {
        customers: kept.len(),
        bytes,
    };
    assert_eq!(customers.size(), size);
    for number in 0..30_000 {
        let expected = (number % 3 != 2).then(|| value(number, 2));
        assert_eq!(read(&customers, &format!("c-{number:05}")), expected);
    }
    let mut due = Vec::new();
    while let Some(id) = customers
        .next_due(i64::MAX, &|id| due.iter().any(|it| it == id))
        .expect("a disk")
    {
        due.push(id.into_string());
    }
    let waited_for = kept.iter().filter(|number| **number % 1_000 == 0);
    let expected: Vec<_> = waited_for.map(|it| format!("c-{it:05}")).collect();
    assert_eq!(due, expected);
    assert_eq!(customers.first_due(), Some(2));
}

#[test]
fn what_is_due_is_found_in_the_order_of_its_time() {
    let folder = TempDir::new().expect("a folder");
    let disk = open(folder.path());
    let mut customers = take(&disk, 0);
    for (id, due) in [("a", 30), ("b", -5), ("c", 10), ("d", 20)] {
        put(&mut customers, id, b"waits", Some(due), 1);
    }
    let due = |customers: &OnDisk, at: i64, but: &str| {
        let found = customers.next_due(at, &|id| id == but);
        found.expect("a disk").map(String::from)
    };
    assert_eq!(customers.first_due(), Some(-5));
    assert_eq!(due(&customers, -6, ""), None);
    assert_eq!(due(&customers, 10, ""), Some("b".to_owned()));
    assert_eq!(due(&customers, 10, "b"), Some("c".to_owned()));
    // It is no longer waited for.
    let before = Before {
        length: 5,
        due: Some(-5),
    };
    let put = Put {
        id: "b",
        after: None,
        before: Some(before),
    };
    let put = customers.put(&mut [put].into_iter(), mark(2));
    put.expect("room on the disk");
    assert_eq!(customers.first_due(), Some(10));
    drop(customers);
    let customers = take(&disk, 0);
    assert_eq!(customers.first_due(), Some(10));
    assert_eq!(due(&customers, 20, "c"), Some("d".to_owned()));
    assert_eq!(customers.size().customers, 3);
}

#[test]
fn all_customers_have_their_turn() {
    let folder = TempDir::new().expect("a folder");
    let disk = open(folder.path());
    let mut customers = take(&disk, 0);
    for id in ["a", "b", "c", "d", "e"] {
        put(&mut customers, id, b"state", Some(1), 1);
    }
    let mut seen = Vec::new();
    for _ in 0..4 {
        let visited = customers.visit(2, &mut |id, bytes| {
            assert_eq!(bytes, b"state");
            seen.push(id.to_owned());
            Ok(())
        });
        visited.expect("a disk");
    }
    assert_eq!(seen, ["a", "b", "c", "d", "e", "a", "b"]);
}

#[test]
fn a_disk_that_fails_is_given_up_for_the_whole_process() {
    let folder = TempDir::new().expect("a folder");
    let disk = open(folder.path());
    let mut one = take(&disk, 0);
    put(&mut one, "ann", b"one", None, 1);
    let mut other = take(&disk, 1);
    // Tables can no longer be made.
    let tables = files(&folder.path().join("customers/keyspaces"), "");
    assert!(!tables.is_empty());
    fs::remove_dir_all(folder.path().join("customers/keyspaces")).expect("a folder");
    let bytes = vec![1; 1024];
    let failed = (0..100_000).find_map(|number| {
        let restored = other.restore(&format!("c-{number}"), Some(state(&bytes, None)));
        restored.err()
    });
    assert!(matches!(failed, Some(StateError::Base(_))), "{failed:?}");
    assert!(disk.is_given_up());
    let nothing = one.put(&mut std::iter::empty(), mark(2));
    assert!(matches!(nothing, Err(StateError::Base(_))));
    drop((one, other));
    assert!(disk.take(0, || true).is_none());
    drop(disk);
    // The next start has a new one.
    assert_eq!(position(&take(&open(folder.path()), 0)), None);
}
