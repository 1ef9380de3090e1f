//! The directory of a process, and who of it has which partition.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fjall::Database;

use crate::customers::{self, OnDisk};

/// How often a partition is asked for that another worker still has.
const LOOK: Duration = Duration::from_millis(20);

/// Changes that may wait to be written to tables, all together; a restart after a kill reads them again.
const MAX_JOURNAL: u64 = 64 * 1024 * 1024;

/// A partition that was elsewhere for longer is deleted at the next start. The changelog has it.
const KEPT: Duration = Duration::from_hours(7 * 24);

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Two processes with one directory.
    #[error("{path} is used by another process; give each its own directory")]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// It cannot be made, or is not ours.
    #[error("{path} cannot be used: {error}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

/// The customers on disk of a process. Its workers share it; each partition belongs to one of them.
#[derive(Debug, Clone)]
pub struct Disk(Arc<Shared>);

struct Shared {
    path: PathBuf,
    /// None after it was given up.
    database: Mutex<Option<Database>>,
    taken: Mutex<BTreeSet<i32>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disk")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// A partition that is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) disk: Disk,
    pub(crate) partition: i32,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.disk.taken().remove(&self.partition);
    }
}

impl Disk {
    /// Opens the directory, or makes it. `memory` is for blocks of tables that are kept at hand, in bytes; each partition
    /// takes some MiB besides. What is there and cannot be read is thrown away; if then nothing can be made, the disk is
    /// given up.
    ///
    /// # Errors
    /// [`DiskError`]: it is not for us.
    pub fn open(directory: &Path, memory: u64) -> Result<Self, DiskError> {
        let unusable = |error| DiskError::Directory {
            path: directory.to_owned(),
            error,
        };
        std::fs::create_dir_all(directory).map_err(unusable)?;
        let path = directory.join("customers");
        let database = match open(&path, memory) {
            Ok(database) => Some(database),
            Err(Unopened::Locked) => {
                return Err(DiskError::Locked {
                    path: directory.to_owned(),
                });
            }
            Err(Unopened::Broken(why)) => {
                tracing::warn!(path = %path.display(), why, "customers on disk cannot be read and are thrown away");
                remove(&path).map_err(unusable)?;
                match open(&path, memory) {
                    Ok(database) => Some(database),
                    Err(why) => {
                        tracing::error!(path = %path.display(), ?why, "nothing can be kept on disk: customers are kept in memory");
                        None
                    }
                }
            }
        };
        if let Some(database) = &database {
            forget_old(database);
        }
        Ok(Self(Arc::new(Shared {
            path,
            database: Mutex::new(database),
            taken: Mutex::default(),
        })))
    }

    /// Takes a partition, once whoever has it has let go of it. None if it is no longer `wanted`, or the disk is given up.
    pub fn take(&self, partition: i32, mut wanted: impl FnMut() -> bool) -> Option<OnDisk> {
        while !self.taken().insert(partition) {
            if !wanted() {
                return None;
            }
            std::thread::sleep(LOOK);
        }
        let lease = Lease {
            disk: self.clone(),
            partition,
        };
        let database = self.database().clone()?;
        match OnDisk::open(lease, database) {
            Ok(customers) => Some(customers),
            Err(error) => {
                self.give_up(&error);
                None
            }
        }
    }

    /// Whether it failed, so that customers are kept in memory until the process is started again.
    pub fn is_given_up(&self) -> bool {
        self.database().is_none()
    }

    /// How many bytes it takes.
    pub fn bytes(&self) -> u64 {
        let database = self.database().clone();
        database.map_or(0, |it| it.disk_space().unwrap_or(0))
    }

    /// What failed once is not to be believed, nor is there room for more: it is deleted, and the process goes on in memory.
    pub(crate) fn give_up(&self, why: &dyn std::fmt::Display) {
        if self.database().take().is_none() {
            return;
        }
        let path = self.0.path.display();
        tracing::error!(%path, %why, "the disk failed: customers are kept in memory until the next start");
        if let Err(error) = remove(&self.0.path) {
            tracing::error!(%path, %error, "what is left on disk cannot be deleted");
        }
    }

    fn database(&self) -> MutexGuard<'_, Option<Database>> {
        let database = &self.0.database;
        database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn taken(&self) -> MutexGuard<'_, BTreeSet<i32>> {
        let taken = &self.0.taken;
        taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
enum Unopened {
    Locked,
    Broken(String),
}

/// On a thread of its own, for fjall panics at some of what it does not expect.
fn open(path: &Path, memory: u64) -> Result<Database, Unopened> {
    let opened = std::thread::scope(|scope| {
        let open = || {
            Database::builder(path)
                .cache_size(memory)
                .max_journaling_size(MAX_JOURNAL)
                .open()
        };
        scope.spawn(open).join()
    });
    match opened {
        Ok(Ok(database)) => Ok(database),
        Ok(Err(fjall::Error::Locked)) => Err(Unopened::Locked),
        Ok(Err(error)) => Err(Unopened::Broken(error.to_string())),
        Err(_) => Err(Unopened::Broken("the store panicked".to_owned())),
    }
}

fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Deletes partitions that are long elsewhere, or were never whole.
fn forget_old(database: &Database) {
    for name in database.list_keyspace_names() {
        let deleted = database
            .keyspace(&name, customers::options)
            .and_then(|keyspace| {
                let mark = customers::mark(&keyspace)?;
                let age = mark.and_then(|it| it.age());
                if age.is_none_or(|age| age > KEPT) {
                    database.delete_keyspace(keyspace)?;
                }
                Ok(())
            });
        if let Err(error) = deleted {
            tracing::warn!(partition = %name, %error, "a partition on disk cannot be looked at");
        }
    }
}
