//! The data directory, which belongs to one process at a time.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use super::BrokerError;

/// A data directory that is ours. The system gives it free when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Locked {
    topics: PathBuf,
    _file: File,
}

impl Locked {
    /// Makes the directory if it is not there, and locks it.
    pub(super) fn lock(directory: &Path) -> Result<Self, BrokerError> {
        let unusable = |error| BrokerError::Directory {
            directory: directory.to_owned(),
            error,
        };
        fs::create_dir_all(directory).map_err(unusable)?;
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(directory.join("lock"))
            .map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut process = String::new();
                file.read_to_string(&mut process).map_err(unusable)?;
                return Err(BrokerError::InUse {
                    directory: directory.to_owned(),
                    process: process.trim().to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        sign(&mut file).map_err(unusable)?;
        Ok(Self {
            topics: directory.join("topics"),
            _file: file,
        })
    }

    /// Where the broker keeps its topics.
    pub(super) fn topics(&self) -> &Path {
        &self.topics
    }
}

/// Writes who we are, for whoever comes second.
fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}
